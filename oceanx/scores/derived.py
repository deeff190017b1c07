"""What forecasts and truth are scored on beside what they hold: variables calculated from theirs, both sides alike."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import xarray as xr

from ..ocean import derived as physics
from ..ocean.climatology import anomaly
from ..ocean.fields import field, named
from ..ocean.heat import heat_content
from ..vocabulary.errors import InputError, unknown

_HEAT = re.compile(r"heat_content_(\d+(?:\.\d+)?)_(\d+(?:\.\d+)?)")


def derive(ds: xr.Dataset, names: Sequence[str], climatology: xr.Dataset | None = None) -> xr.Dataset:
    """The Dataset with variables calculated from its own, lazily; what is in it already under such a name is replaced.

    ==================================  =============================================================================
    `mixed_layer_depth`                 `mlotst` (m): density 0.03 kg m-3 above that at 10 m
    `density`                           `sigma0` (kg m-3), by TEOS-10
    `heat_content_<top>_<bottom>`       of that name (J m-2): ρ₀ c_p ∫ θ dz between two depths in m
    `speed`                             `speed` (m s-1): (u² + v²)^½
    `eke`                               `eke` (m2 s-2): ½ (u′² + v′²), departures from the climatology's uo and vo
    `geostrophic`                       `ugos`, `vgos` (m s-1) from zos, none within 5° of the equator
    ==================================  =============================================================================

    Heat content is of the water there is: over shallow ground the integral ends at the sea floor, in forecast and
    truth at the depth that each has; it is missing where there is no water between the two depths.

    Parameters
    ----------
    ds
        Labelled forecast, or Dataset with `time`.
    names
        Of the first column.
    climatology
        Of `oceanx.ocean.climatology`, for `eke`.

    Raises
    ------
    InputError
        If a name is unknown, a variable it needs is missing, or `eke` has no climatology of uo and vo.
    """
    added: dict[str, xr.DataArray] = {}
    for name in [names] if isinstance(names, str) else names:
        added |= _calculated(ds, name, climatology)
    return ds.assign(added)


def derived_names(names: Sequence[str]) -> list[str]:
    """The variables that `derive` adds under these names."""
    given = [names] if isinstance(names, str) else names
    return [made for name in given for made in ([name] if _HEAT.fullmatch(name) else _known(name)[0])]


def _calculated(ds: xr.Dataset, name: str, climatology: xr.Dataset | None) -> dict[str, xr.DataArray]:
    depths = _HEAT.fullmatch(name)
    if depths:
        top, bottom = map(float, depths.groups())
        return {name: heat_content(ds, top, bottom).rename(name)}
    made, function = _known(name)
    values = function(ds, climatology)
    return {n: values[n] for n in made} if isinstance(values, xr.Dataset) else {made[0]: values}


def _eke(ds: xr.Dataset, climatology: xr.Dataset | None) -> xr.DataArray:
    lacking = [n for n in ("uo", "vo") if climatology is None or n not in climatology.data_vars]
    if climatology is None or lacking:
        raise InputError(f"eke: needs a climatology of {' and '.join(lacking)}; give climatology=...")
    away = anomaly(xr.Dataset({n: field(ds, n, "eke") for n in ("uo", "vo")}), climatology[["uo", "vo"]])
    return named(0.5 * (away["uo"] ** 2 + away["vo"] ** 2), "eke")


def _speed(ds: xr.Dataset, climatology: xr.Dataset | None) -> xr.DataArray:
    u, v = field(ds, "uo", "speed"), field(ds, "vo", "speed")
    return named((u**2 + v**2) ** 0.5, "speed")


DERIVED: dict[str, tuple[tuple[str, ...], Callable[[xr.Dataset, xr.Dataset | None], xr.DataArray | xr.Dataset]]] = {
    "mixed_layer_depth": (("mlotst",), lambda ds, _: physics.mixed_layer_depth(ds)),
    "density": (("sigma0",), lambda ds, _: physics.density(ds)),
    "speed": (("speed",), _speed),
    "eke": (("eke",), _eke),
    "geostrophic": (("ugos", "vgos"), lambda ds, _: physics.geostrophic_velocity(ds)),
}


def _known(name: str) -> tuple[tuple[str, ...], Callable[[xr.Dataset, xr.Dataset | None], xr.DataArray | xr.Dataset]]:
    if name not in DERIVED:
        raise unknown("derived variable", name, [*DERIVED, "heat_content_0_300"])
    return DERIVED[name]
