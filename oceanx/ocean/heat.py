"""How much heat the sea holds between two depths."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ..vocabulary.constants import HEAT_CAPACITY, REFERENCE_DENSITY
from ..vocabulary.errors import InputError
from .fields import field, named
from .vertical import source_interfaces

_CLOSE = 1e-4  # of a depth: float32 levels differ by that much


def heat_content(ds: xr.Dataset, upper: float = 0.0, lower: float = 300.0, least: float = 0.0) -> xr.DataArray:
    """Heat content `heat_content` (J m-2) relative to 0 °C between two depths: ρ₀ c_p ∫ θ dz over what is wet.

    Layers are those of the Dataset, and count with the part that lies between the depths. Where the sea floor is
    above `lower` the integral ends there. NaN on land. Lazy where `ds` is.

    Parameters
    ----------
    upper, lower
        In m below the surface.
    least
        The share of the way from `upper` to `lower` that must be wet for the value not to be NaN: 1 leaves out every
        column that is shallower.

    Notes
    -----
    ρ₀ = 1026 kg m-3 and c_p = 3991.868 J kg-1 K-1, that of TEOS-10.

    Raises
    ------
    InputError
        If thetao or its depth is missing, the unit is not ours, or the levels do not reach from `upper` to `lower`.

    References
    ----------
    Levitus et al. (2012), World ocean heat content and thermosteric sea level change, doi:10.1029/2012GL051106

    Examples
    --------
    >>> heat_content(ds, 0, 700)    # doctest: +SKIP
    """
    if not 0 <= upper < lower:
        raise InputError(f"heat_content: found {upper:g} to {lower:g} m; expected two depths, the upper one first")
    if not 0 <= least <= 1:
        raise InputError(f"heat_content: found least={least:g}; expected a share, 0 to 1")
    thetao = field(ds, "thetao", "heat_content")
    if "depth" not in thetao.dims:
        raise InputError(f"heat_content: thetao has no dimension 'depth'; found {thetao.dims}")
    interfaces = source_interfaces(ds)
    if upper < interfaces[0] * (1 - _CLOSE) or lower > interfaces[-1] * (1 + _CLOSE):
        raise InputError(
            f"heat_content: found {upper:g} to {lower:g} m, but the layers reach from {interfaces[0]:g} to "
            f"{interfaces[-1]:g} m; choose depths within them"
        )
    inside = np.diff(np.clip(interfaces, upper, lower))
    part = xr.DataArray(inside, dims="depth", coords={"depth": ds["depth"]})
    wet = thetao.notnull()
    depth = (wet * part).sum("depth")
    heat = REFERENCE_DENSITY * HEAT_CAPACITY * (thetao.fillna(0.0) * part).sum("depth")
    enough = (depth > 0) & (depth >= least * (lower - upper) * (1 - _CLOSE))
    result = heat.where(enough).astype(thetao.dtype)
    return named(result, "heat_content", comment=f"from {upper:g} to {lower:g} m, of potential temperature above 0 °C")
