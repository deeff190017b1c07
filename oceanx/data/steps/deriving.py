"""Steps that calculate variables from others: density, mixed layer, geostrophy, what sea and air exchange.

They come at the moment where they stand among the steps: fluxes calculated before `daily_mean` are means of fluxes,
after it they are fluxes of means.
"""

from __future__ import annotations

from collections.abc import Sequence

import xarray as xr

from ...ocean import derived, fluxes
from ...ocean.fields import refuse_present
from .converting import convert_units


def density(ds: xr.Dataset, kind: derived.Kind = "sigma0") -> xr.Dataset:
    """The Dataset with `sigma0` (potential density anomaly) or `rho` (density in situ) from thetao and so."""
    refuse_present(ds, [kind], "density")
    return ds.assign({kind: derived.density(_ours(ds, "thetao", "so"), kind)})


def mixed_layer_depth(
    ds: xr.Dataset, threshold: float = 0.03, reference_depth: float = 10.0, method: derived.Method = "teos10"
) -> xr.Dataset:
    """The Dataset with `mlotst` from thetao and so; `threshold` in kg m-3, `reference_depth` in m."""
    refuse_present(ds, ["mlotst"], "mixed_layer_depth")
    found = derived.mixed_layer_depth(_ours(ds, "thetao", "so"), threshold, reference_depth, method)
    return ds.assign(mlotst=found)


def geostrophic_velocity(ds: xr.Dataset, equator: float = 5.0) -> xr.Dataset:
    """The Dataset with `ugos` and `vgos` from zos; none within `equator` degrees of the equator."""
    refuse_present(ds, ["ugos", "vgos"], "geostrophic_velocity")
    return ds.assign(derived.geostrophic_velocity(_ours(ds, "zos"), equator).data_vars)


def wind_stress(ds: xr.Dataset, currents: bool = False, density: float = fluxes.NEUTRAL_DENSITY) -> xr.Dataset:
    """The Dataset with `tauuo` and `tauvo` from u10 and v10 in neutral air; see `turbulent_fluxes` for the better."""
    refuse_present(ds, fluxes.TURBULENT[:2], "wind_stress")
    fields = _ours(ds, "u10", "v10", *_CURRENTS[currents])
    return ds.assign(fluxes.wind_stress(fields, currents=currents, density=density).data_vars)


def turbulent_fluxes(ds: xr.Dataset, currents: bool = False, iterations: int = 5) -> xr.Dataset:
    """The Dataset with `tauuo`, `tauvo`, `sshf`, `slhf`, `evs` from u10, v10, t2m, d2m, msl and sst (or thetao)."""
    refuse_present(ds, fluxes.TURBULENT, "turbulent_fluxes")
    fields = _ours(ds, "u10", "v10", "t2m", "d2m", "msl", *_SEA, *_CURRENTS[currents])
    return ds.assign(fluxes.turbulent_fluxes(fields, currents=currents, iterations=iterations).data_vars)


def net_longwave(ds: xr.Dataset, emissivity: float = 1.0) -> xr.Dataset:
    """The Dataset with `str`, net long-wave radiation downward, from strd and sst (or thetao)."""
    refuse_present(ds, ["str"], "net_longwave")
    return ds.assign(fluxes.net_longwave(_ours(ds, "strd", *_SEA), emissivity=emissivity).data_vars)


_SEA = ("sst", "thetao")
_CURRENTS: dict[bool, Sequence[str]] = {False: (), True: ("uo", "vo")}


def _ours(ds: xr.Dataset, *names: str) -> xr.Dataset:
    """Those of the variables that are there, in our units."""
    return convert_units(ds[[name for name in names if name in ds.data_vars]])
