"""`innovations`: what the departures of observations say of an assimilation."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np
import xarray as xr

from ..ocean.flags import meanings
from ..ocean.labels import opened
from ..ocean.observations import check, reason
from ..ocean.observing.fingerprint import fingerprint
from ..vocabulary.errors import InputError
from ..vocabulary.progress import Progress
from .consistency import LEAST
from .departing import begins, independent, recorded, withheld
from .grouping import Groups, Platforms, coordinate, groups
from .incrementing import drift, increments, with_background
from .innovation_sums import Sums
from .levels import Bands

OBSERVED = "oceanx_observations"  # attribute of a store of analyses: which table it was made with
TOLD = ("oceanx_method", "oceanx_model", "oceanx_window", "oceanx_drift", "oceanx_ensemble")  # attributes passed on
WITHHELD = "withheld"  # the word for a row that was kept back, where the store has recorded it
OF_WINDOWS = {
    "observations_used": "Observations used, of all variables",
    "chi_squared": "Innovations' chi squared per observation, with all correlations that the analysis took",
    "chi_squared_error": "Standard deviation of chi_squared if the statistics are true, sqrt(2/p)",
    "degrees_of_freedom": "Degrees of freedom for signal, of all observations",
}


def innovations(
    an: xr.Dataset | str | PathLike[str],
    obs: xr.Dataset,
    *,
    by: Sequence[str] = ("variable",),
    windows: str | None = None,
    depths: Bands | None = None,
    platforms: Platforms = None,
    mean_topography: xr.DataArray | None = None,
    least: int = LEAST,
    progress: Progress | None = None,
) -> xr.Dataset:
    """`<variable>_<diagnostic>` (role[, window][, platform][, depth_band]) of an assimilation.

    `role` is `used` for the observations that the analyses were made with, and `withheld` for those that they were
    not: the independent ones, compared with the analysis (and background, if kept) of their day. With d = O−B:

    - `count`, `rejected` by `test`, and `missing`, withheld ones at which there is no analysis
    - `ob_mean`, `ob_rms`, `oa_mean`, `oa_rms`: observation less background, and less analysis
    - `sigma_o`, `sigma_b`, `sigma_a` as `oceanx.scores.desroziers` diagnoses them, beside `…_stated`, which are the
      root mean squares of what the analysis took; of the used only
    - `chi_squared_diagonal`: mean of d²/(σo² + HBHᵀ) of each observation by itself; and `chi_squared` of whole
      windows, with no variable's name before it: dᵀ(HBHᵀ+R)⁻¹d/p as the store has it, which heeds correlations too.
      Both are 1 where statistics are true; the first tells where they are not
    - `consistency_ratio`: E[d²] / E[σo² + HBHᵀ], 1 where statistics are true
    - `spread_skill`: √(E[σo² + HBHᵀ] / E[d²]), and `rank_histogram`, of an ensemble
    - `dfs`, `influence`: degrees of freedom for signal, of all and of each observation
    - `<variable>_drift` (time) and its trend; and where the backgrounds were kept `<variable>_increment_bias`, a map:
      see `oceanx.scores.increments`

    `<diagnostic>_error` is the standard deviation of its sampling error. Windows are taken as independent where a cell
    has ten or more; with fewer, every observation, which is too optimistic where errors hang together. Fewer than
    `least` observations say nothing of variances: NaN, as is the root of an estimate below zero, and a mean of none.

    Parameters
    ----------
    an
        Of `ox.assimilate`, or the path of its store; read part by part.
    obs
        The observation table. If it is the one that `an` was made with, what was recorded tells; rows that were not in
        it are withheld. Of another table all rows are: they are independent only if none of them was assimilated.
    by
        Any of `variable`, `window`, `platform`, `depth_band`. Without `variable`, what has no unit is told of all
        variables together, under names without a variable's.
    windows
        Pool the windows that begin in each of these, such as "MS" or "10D"; each by itself if None. Implies `window`.
    depths
        (top, bottom) in m; a band has its top and not its bottom. Implies `depth_band`.
    platforms
        Names or patterns such as "float*"; or a mapping of networks to these; what is in none is `other`. Or "network":
        names without their number, so that "float_0001" and "float_0002" are "float", and bare numbers "numbered".
        Implies `platform`.
    mean_topography
        What sea level anomalies of another table are added to, as `ox.assimilate` takes it.
    least
        So few observations say something of variances.

    Raises
    ------
    InputError
        If `an` has no departures, nothing is left to diagnose, or a group is unknown.

    References
    ----------
    Desroziers et al. (2005), doi:10.1256/qj.05.108; Talagrand (1999), A posteriori evaluation and verification of
    analysis and assimilation algorithms; Cardinali, Pezzulli and Andersson (2004), Influence-matrix diagnostic of a
    data assimilation system, doi:10.1256/qj.03.205

    Examples
    --------
    >>> dg = innovations(an, obs, by=("variable", "platform"), windows="MS")                    # doctest: +SKIP
    >>> dg.thetao_sigma_o.sel(role="used") / dg.thetao_sigma_o_stated.sel(role="used")          # doctest: +SKIP
    """
    if isinstance(an, str | PathLike):
        if not Path(an).exists():
            raise InputError(f"{an}: no such store of analyses")
        an = opened(Path(an))
    check(obs)
    _refuse(an)
    group = groups(by, obs, begins(an), windows, depths, platforms)
    same = OBSERVED in an.attrs and an.attrs[OBSERVED] == fingerprint(obs)
    tests = _tests(an)
    kept_back = [code for code, word in tests.items() if word == WITHHELD]
    refusals = {code: word for code, word in tests.items() if word != WITHHELD}
    sums = Sums(group, refusals, members=_members(an) if same else 0)
    seen = None
    if same:
        for part in recorded(an, obs, progress):
            sums.recorded(part, kept_back)
        seen = an["departure_row"].values
    rows = withheld(an, obs, seen)
    for part in independent(an, obs, rows, mean_topography=mean_topography, progress=progress):
        sums.independent(part)
    found = sums.finished(least)
    if not found:
        raise InputError(
            "innovations: no observation of the table is within the time of the analyses, "
            f"{an['time'].values[0]} to {an['time'].values[-1]}"
        )
    maps = increments(an, progress=progress) if with_background(an) else xr.Dataset()
    result = xr.merge([found, _of_windows(an, group), drift(an), maps], combine_attrs="drop")
    said = "those of the table that no analysis was made with" if same else (
        "all of the table, which is not the one that the analyses were made with: independent if it shares none with it"
    )  # fmt: skip
    told = {key: an.attrs[key] for key in TOLD if key in an.attrs}
    gaps = f"missing: means of nothing, what is said of variances by fewer than {least}, roots of what is below zero"
    result = result.assign_attrs(title="Diagnostics of an assimilation", comment=gaps)
    return result.assign_attrs(oceanx_withheld=said, oceanx_least=least, **told)


def _of_windows(an: xr.Dataset, group: Groups) -> xr.Dataset:
    """What the store says of whole windows, pooled over those of a group; of all, where windows are not separate."""
    count = len(group.labels.get("window", [0]))
    place = group.windows[np.searchsorted(begins(an), an["time"].values, side="right") - 1]
    used = an["observations_used"].values.astype(float) if "observations_used" in an else None
    found: dict[str, np.ndarray] = {}
    if used is not None:
        found["observations_used"] = np.bincount(place, used, count).astype(np.int64)
        if "chi_squared" in an:
            chi = an["chi_squared"].values.astype(float)
            p = np.bincount(place, np.where(np.isfinite(chi), used, 0.0), count)
            total = np.bincount(place, np.where(np.isfinite(chi), chi * used, 0.0), count)
            with np.errstate(invalid="ignore", divide="ignore"):
                found |= {"chi_squared": total / p, "chi_squared_error": np.sqrt(2 / p) * np.where(p > 0, 1, np.nan)}
    if "degrees_of_freedom" in an:
        freedom = an["degrees_of_freedom"].values.astype(float)
        told = np.bincount(place, np.isfinite(freedom), count) > 0
        pooled = np.bincount(place, np.where(np.isfinite(freedom), freedom, 0.0), count)
        found["degrees_of_freedom"] = np.where(told, pooled, np.nan)
    windowed = "window" in group.labels
    result = {
        name: xr.Variable(
            ["window"] if windowed else [], v if windowed else v[0], {"long_name": OF_WINDOWS[name], "units": "1"}
        )
        for name, v in found.items()
    }
    return xr.Dataset(result, {"window": coordinate("window", group.labels["window"])} if windowed else {})


def _refuse(an: xr.Dataset) -> None:
    if "time" not in an.dims or "departure_row" not in an:
        raise InputError(
            f"innovations: found {', '.join(map(str, an.data_vars))}; expected analyses with their departures, as "
            "ox.assimilate writes them"
        )
    if not an.sizes["time"]:
        raise InputError("innovations: the store has no analysis yet")


def _tests(an: xr.Dataset) -> dict[int, str]:
    """The codes of the tests that refused some observation, and their words."""
    if "departure_qc" not in an:
        return {}
    known = meanings(an["departure_qc"].attrs)
    codes: list[int] = np.unique(an["departure_qc"].values).tolist()
    return {code: known.get(code, reason(code)) for code in codes if code}


def _members(an: xr.Dataset) -> int:
    """How many members the observations were ranked among: as the method says, or as many as the ranks show."""
    if "departure_rank" not in an or not an.sizes["obs"]:
        return 0
    highest = int(an["departure_rank"].max())
    if highest < 0:
        return 0
    return max(highest, int(an.attrs.get("oceanx_members", 0)))
