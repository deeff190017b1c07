"""The scale down to which a forecast has the truth's variance."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ..vocabulary.errors import InputError

_FORECAST, _TRUTH = "_spectrum", "_truth_spectrum"


def effective_resolution(spectra: xr.Dataset, threshold: float = 0.5) -> xr.Dataset:
    """`<variable>_effective_resolution` ([model,] …) in km: the wavelength below which too little variance is left.

    With F and T the densities of variance of forecast and truth, it is the wavelength 1/k beyond which F(k)/T(k)
    stays below the threshold, linear in log k between the two wavenumbers around the crossing. Where the ratio comes
    back, the last crossing counts. A forecast that never falls below resolves the shortest wave of the spectrum, whose
    length is given: it may resolve more than can be seen. One that has too little everywhere, the longest wave too,
    resolves nothing: NaN.

    The ratio knows of amplitude, not of place: what has the right variance in the wrong places counts as resolved.
    Ballarotta et al. (2019) take the ratio of the error's density to the truth's instead, which for independent
    errors says the same of what is missing and is stricter of what is misplaced.

    Parameters
    ----------
    spectra
        From `oceanx.scores.spectrum`.
    threshold
        The share of the truth's variance that still counts.

    Raises
    ------
    InputError
        If there is no spectrum, or the threshold is not between 0 and 1.

    References
    ----------
    Ballarotta et al. (2019), On the resolutions of ocean altimetry maps, doi:10.5194/os-15-1091-2019

    Examples
    --------
    >>> effective_resolution(spectrum(fc, truth)).zos_effective_resolution    # doctest: +SKIP
    """
    if not 0 < threshold < 1:
        raise InputError(f"effective_resolution: found threshold={threshold:g}; expected a share between 0 and 1")
    names = [n.removesuffix(_TRUTH) for n in map(str, spectra.data_vars) if n.endswith(_TRUTH)]
    names = [name for name in names if name + _FORECAST in spectra.data_vars]
    if not names or "wavenumber" not in spectra.dims:
        raise InputError(
            f"effective_resolution: found {sorted(map(str, spectra.data_vars))}; expected spectra of forecast and "
            "truth, from oceanx.scores.spectrum"
        )
    wavenumber = spectra["wavenumber"].values
    result = {}
    for name in names:
        forecast, truth = xr.broadcast(spectra[name + _FORECAST], spectra[name + _TRUTH])
        ratio = forecast / truth.where(truth > 0)
        scale = xr.apply_ufunc(
            _last_crossing, ratio, input_core_dims=[["wavenumber"]], kwargs={"k": wavenumber, "threshold": threshold}
        )
        scale.attrs = {"long_name": f"Effective resolution: {name}", "units": "km"}
        result[f"{name}_effective_resolution"] = scale
    return xr.Dataset(result).assign_attrs(title="Effective resolution", oceanx_threshold=threshold)


def _last_crossing(ratio: np.ndarray, k: np.ndarray, threshold: float) -> np.ndarray:
    """Wavelengths (…) of ratios (…, wavenumber); wavenumbers without a ratio are passed over."""
    result = np.full(ratio.shape[:-1], np.nan)
    for at in np.ndindex(result.shape):
        there = np.isfinite(ratio[at])
        r, x = ratio[at][there], np.log(k[there])
        enough = np.flatnonzero(r >= threshold)
        if enough.size:
            i = enough[-1]
            share = 0.0 if i == r.size - 1 else (r[i] - threshold) / (r[i] - r[i + 1])
            result[at] = np.exp(-(x[i] + share * (x[min(i + 1, r.size - 1)] - x[i])))
    return result
