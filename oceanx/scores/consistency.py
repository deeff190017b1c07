"""What departures say of the errors of observations, backgrounds and analyses (Desroziers et al. 2005)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from ..ocean.flags import decoded, meanings
from ..vocabulary.errors import InputError
from .tallies import Tally

LEAST = 10  # data, with fewer of which nothing is said of a standard deviation
PRODUCTS = ("sigma_o", "sigma_b", "sigma_a")
SAID = {
    "sigma_o": "Diagnosed standard deviation of the observations' error",
    "sigma_b": "Diagnosed standard deviation of the background's error at the observations",
    "sigma_a": "Diagnosed standard deviation of the analysis' error at the observations",
}


def desroziers(
    observation: xr.DataArray,
    background: xr.DataArray,
    analysis: xr.DataArray,
    *,
    by: xr.DataArray | None = None,
    together: xr.DataArray | None = None,
    least: int = LEAST,
) -> xr.Dataset:
    """`sigma_o`, `sigma_b`, `sigma_a`, their sampling errors, `ob_rms`, `oa_rms` and `count` of a table's columns.

    With d = y − H x_b,

        σo² = E[(y − H x_a) d]    σb² = E[(H x_a − H x_b) d]    σa² = E[(H x_a − H x_b) (y − H x_a)]

    which hold where the analysis was made with the true statistics and from these very observations. σo² + σb² = E[d²]
    whatever they are. One pass does not tell wrong statistics apart where both errors have the same scales: then the
    share of E[d²] that goes to σo² is what the analysis gave it. Nothing is centred: biases count.

    Parameters
    ----------
    observation, background, analysis
        y, H x_b and H x_a along one dimension, NaN where there is none; only where all three are there do they count.
    by
        What to separate, along that dimension: words, numbers, or a CF flag variable. Its name is the new dimension.
    together
        Numbers, along that dimension, of what shares its errors, such as the profile or the window: the sampling
        error then takes these as independent, where there are ten or more, and not every datum.
    least
        Fewer data than so many say nothing: NaN. So does an estimated variance below zero.

    Raises
    ------
    InputError
        If the columns are not along one dimension of one size, or nothing is there in all three.

    References
    ----------
    Desroziers, Berre, Chapnik and Poli (2005), Diagnosis of observation, background and analysis-error statistics in
    observation space, doi:10.1256/qj.05.108

    Examples
    --------
    >>> desroziers(obs["value"], obs["forecast"][:, 0], obs["nrt_analysis"], by=obs["variable"])   # doctest: +SKIP
    """
    columns = {"observation": observation, "background": background, "analysis": analysis}
    dim = _dimension(
        columns | ({} if by is None else {"by": by}) | ({} if together is None else {"together": together})
    )
    d = observation.values.astype(float) - background.values
    a = observation.values.astype(float) - analysis.values
    if not np.isfinite(d + a).any():
        raise InputError("desroziers: no observation has both a background and an analysis")
    labels, cell = _groups(by, d.size)
    _, cluster = np.unique(np.arange(d.size) if together is None else together.values, return_inverse=True)
    order = np.argsort(cluster, kind="stable")
    tally = Tally(len(labels), ("dd", "aa", *PRODUCTS), PRODUCTS)
    tally.add(cell[order], cluster[order], {k: v[order] for k, v in of_departures(d, a).items()})
    found = {"count": tally.count("sigma_o").astype(np.int64)} | diagnosed(tally, least)
    found |= {"ob_rms": np.sqrt(tally.mean("dd")), "oa_rms": np.sqrt(tally.mean("aa"))}
    name = "group" if by is None else str(by.name or "group")
    result = xr.Dataset({key: (name, values) for key, values in found.items()}, {name: labels})
    for key, said in {**SAID, "count": "Observations that count"}.items():
        result[key].attrs["long_name"] = said
    result.attrs["comment"] = f"over {dim}; uncentred, so that sigma_o**2 + sigma_b**2 = ob_rms**2"
    return result.isel({name: 0}, drop=True) if by is None else result


def of_departures(d: np.ndarray, a: np.ndarray) -> dict[str, np.ndarray]:
    """The products whose means are variances, of O−B and O−A: NaN unless both are there."""
    d, a = np.where(np.isfinite(a), d, np.nan), np.where(np.isfinite(d), a, np.nan)
    return {"dd": d * d, "aa": a * a, "sigma_o": a * d, "sigma_b": (d - a) * d, "sigma_a": (d - a) * a}


def diagnosed(tally: Tally, least: int = LEAST) -> dict[str, np.ndarray]:
    """σ = √E[…] and its sampling error (cell), by way of dσ = dσ²/2σ; NaN of too few, or of a variance below zero."""
    found: dict[str, np.ndarray] = {}
    for name in PRODUCTS:
        variance = np.where(tally.count(name) >= least, tally.mean(name), np.nan)
        sigma = np.sqrt(np.where(variance > 0, variance, np.nan))
        found[name] = sigma
        found[f"{name}_error"] = tally.error(name) / (2 * sigma)
    return found


def _dimension(columns: Mapping[str, xr.DataArray]) -> str:
    first = columns["observation"].dims
    for name, v in columns.items():
        if v.ndim != 1 or v.dims != first or v.size != columns["observation"].size:
            raise InputError(
                f"desroziers: {name} has dimensions {dict(v.sizes)}; expected {dict(columns['observation'].sizes)}, "
                "one value an observation: select the rest first"
            )
    return str(first[0])


def _groups(by: xr.DataArray | None, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels of the groups, and the group of each datum."""
    if by is None:
        return np.zeros(1, np.int64), np.zeros(size, np.int64)
    labels, cell = np.unique((decoded(by) if meanings(by.attrs) else by).values, return_inverse=True)
    return labels, cell.reshape(-1)
