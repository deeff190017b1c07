"""What sea and air exchange at the surface, from the weather and the sea's temperature: bulk formulae on Datasets.

All fluxes of heat and momentum are positive downward, into the sea, as their standard names say; evaporation is
positive upward. The formulae are in `oceanx/ocean/bulk.py`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr

from ..vocabulary.constants import ZERO_CELSIUS
from ..vocabulary.errors import InputError
from . import bulk
from .fields import field, named, surface

NEUTRAL_DENSITY = 1.22  # kg m-3, of air where nothing is known of it (Large and Yeager 2004)
TURBULENT = ("tauuo", "tauvo", "sshf", "slhf", "evs")
_SCHEME = "bulk formulae of Large and Yeager (2009), doi:10.1007/s00382-008-0441-3"


def turbulent_fluxes(ds: xr.Dataset, *, currents: bool = False, iterations: int = 5) -> xr.Dataset:
    """Wind stress `tauuo`, `tauvo`, heat fluxes `sshf`, `slhf` and evaporation `evs` from u10, v10, t2m, d2m, msl, sst.

    Large and Yeager's formulae, iterated for stability, with wind at 10 m and air at 2 m; humidity from the dew
    point. Where there is no `sst`, the topmost level of `thetao` stands for it. Wherever an input is NaN, as on land,
    so are the fluxes. Lazy where `ds` is lazy.

    Parameters
    ----------
    currents
        Take the wind relative to the surface currents `uo` and `vo`.
    iterations
        How often stability and coefficients are brought to agree.

    Raises
    ------
    InputError
        If a variable is missing or not in our units.

    References
    ----------
    Large and Yeager (2009), The global climatology of an interannually varying air-sea flux data set,
    doi:10.1007/s00382-008-0441-3
    """
    if iterations < 1:
        raise InputError(f"turbulent_fluxes: found iterations={iterations}; expected 1 or more")
    what = "turbulent_fluxes"
    u, v = _wind(ds, what, currents)
    air, dew, msl = (field(ds, name, what) for name in ("t2m", "d2m", "msl"))
    fluxes = _lazily(bulk.turbulent, 5, u, v, air, dew, msl, _sea(ds, what), iterations=iterations)
    note = {"comment": f"{_SCHEME}; wind relative to {'the surface current' if currents else 'the ground'}"}
    return _dataset(ds, dict(zip(TURBULENT, fluxes, strict=True)), note)


def wind_stress(ds: xr.Dataset, *, currents: bool = False, density: float = NEUTRAL_DENSITY) -> xr.Dataset:
    """Wind stress `tauuo`, `tauvo` from u10 and v10 alone, as if the air were neutral: τ = ρ C_DN |U| U.

    Over land too, unless `currents` is asked for. Where temperature and humidity are known, `turbulent_fluxes` is
    better.

    Parameters
    ----------
    currents
        Take the wind relative to the surface currents `uo` and `vo`.
    density
        Of the air, kg m-3.

    References
    ----------
    Large and Yeager (2009), doi:10.1007/s00382-008-0441-3, equation 11
    """
    stress = _lazily(bulk.neutral_stress, 2, *_wind(ds, "wind_stress", currents), density=density)
    where = "the surface current" if currents else "the ground"
    note = {"comment": f"neutral drag of Large and Yeager (2009), air of {density:g} kg m-3, wind relative to {where}"}
    return _dataset(ds, dict(zip(TURBULENT[:2], stress, strict=True)), note)


def net_longwave(ds: xr.Dataset, *, emissivity: float = 1.0) -> xr.Dataset:
    """Net long-wave radiation `str`, positive downward, from strd and sst: ε (L − σ T_s⁴).

    What the sea reflects, (1 − ε) L, is taken off; Large and Yeager (2004) take ε = 1.
    """
    if not 0.0 < emissivity <= 1.0:
        raise InputError(f"net_longwave: found emissivity={emissivity:g}; expected more than 0 and at most 1")
    down, sea = field(ds, "strd", "net_longwave"), _sea(ds, "net_longwave")
    net = _lazily(_stacked_longwave, 1, down, sea, emissivity=emissivity)
    return _dataset(ds, {"str": net[0]}, {"comment": f"strd less black-body emission, emissivity {emissivity:g}"})


def _wind(ds: xr.Dataset, what: str, currents: bool) -> tuple[xr.DataArray, xr.DataArray]:
    u, v = field(ds, "u10", what), field(ds, "v10", what)
    if currents:
        u, v = u - surface(field(ds, "uo", what)), v - surface(field(ds, "vo", what))
    return u, v


def _sea(ds: xr.Dataset, what: str) -> xr.DataArray:
    """Temperature of the sea surface in K."""
    name = "sst" if "sst" in ds.data_vars or "thetao" not in ds.data_vars else "thetao"
    return surface(field(ds, name, what)).astype(np.float64) + ZERO_CELSIUS


def _lazily(
    function: Callable[..., np.ndarray], count: int, *fields: xr.DataArray, **options: float
) -> list[xr.DataArray]:
    """The `count` arrays that `function` stacks, of fields brought to one shape, in the first field's dtype."""

    def of_arrays(*arrays: np.ndarray) -> np.ndarray:
        return np.moveaxis(function(*arrays, **options).astype(fields[0].dtype, copy=False), 0, -1)

    stacked = xr.apply_ufunc(
        of_arrays,
        *xr.broadcast(*xr.align(*fields, join="exact", copy=False)),
        output_core_dims=[["flux"]],
        keep_attrs=True,  # the coordinates'
        dask="parallelized",
        output_dtypes=[fields[0].dtype],
        dask_gufunc_kwargs={"output_sizes": {"flux": count}},
    )
    return [stacked.isel(flux=i) for i in range(count)]


def _stacked_longwave(downward: np.ndarray, sea: np.ndarray, emissivity: float) -> np.ndarray:
    return bulk.net_longwave(downward, sea, emissivity)[None]


def _dataset(ds: xr.Dataset, fluxes: dict[str, xr.DataArray], note: dict[str, str]) -> xr.Dataset:
    air = ds["u10"] if "u10" in ds.data_vars else ds["strd"]
    means = {key: air.attrs[key] for key in ("cell_methods",) if key in air.attrs}
    made = {name: named(v.transpose(*air.dims, ...), name, **means, **note) for name, v in fluxes.items()}
    return xr.Dataset(made, attrs=ds.attrs)
