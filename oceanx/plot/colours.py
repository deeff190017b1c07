"""Which colour map and which range suit a field."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache
from typing import Literal, cast

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.colors import Colormap, Normalize

from ..vocabulary.errors import InputError
from .words import row

Kind = Literal["value", "error"]
Spread = Literal["range", "symmetric", "from zero", "either"]  # "either": symmetric where both signs are common
Extend = Literal["neither", "min", "max", "both"]

_ERRORS = ("error", "bias", "anomaly", "anomalies", "difference", "increment", "tendency", "trend")
_SIZES = ("rmse", "rmsd", "mae", "std", "spread", "variance", "eke", "crps")

_BY_NAME: dict[str, tuple[str, Spread]] = {
    "thetao": ("thermal", "range"), "sst": ("thermal", "range"), "bottomT": ("thermal", "range"),
    "t2m": ("thermal", "range"), "d2m": ("thermal", "range"),
    "so": ("haline", "range"),
    "zos": ("balance", "either"), "sla": ("balance", "symmetric"),
    "uo": ("balance", "symmetric"), "vo": ("balance", "symmetric"),
    "usi": ("balance", "symmetric"), "vsi": ("balance", "symmetric"),
    "u10": ("balance", "symmetric"), "v10": ("balance", "symmetric"),
    "slhf": ("balance", "symmetric"), "sshf": ("balance", "symmetric"),
    "speed": ("speed", "from zero"), "si10": ("speed", "from zero"),
    "mlotst": ("deep", "from zero"), "deptho": ("deep", "from zero"),
    "siconc": ("ice", "from zero"), "sithick": ("ice", "from zero"),
    "ssr": ("solar", "from zero"), "tp": ("rain", "from zero"),
}  # fmt: skip

# What is told from other variables. An "anomaly" of density is a density less 1000 kg m⁻³, and no error.
_DERIVED: dict[str, tuple[str, Spread]] = {
    "sigma0": ("dense", "range"), "rho": ("dense", "range"), "heat_content": ("thermal", "range"),
    "ugos": ("balance", "symmetric"), "vgos": ("balance", "symmetric"), "intensity": ("balance", "symmetric"),
}  # fmt: skip


@dataclass(frozen=True)
class Scale:
    """A colour map, a range, and which ends of the range some values lie beyond."""

    cmap: Colormap
    norm: Normalize
    extend: Extend


def is_error(field: xr.DataArray) -> bool:
    """Whether the name or the long name says that this is an error or an anomaly."""
    if field.attrs.get("oceanx_quantity") == "anomaly":
        return True
    words = f"{field.name or ''} {field.attrs.get('long_name', '')} {field.attrs.get('standard_name', '')}".lower()
    return any(word in words.replace("_", " ").split() for word in _ERRORS)


def family(field: xr.DataArray, kind: Kind | None = None) -> tuple[str, Spread]:
    """The name of the colour map for a field and how its range is found."""
    derived = _DERIVED.get(str(field.name)) if field.attrs.get("oceanx_quantity") != "anomaly" else None
    if kind == "error" or (kind is None and not derived and is_error(field)):
        return "balance", "symmetric"
    if derived:
        return derived
    words = str(field.name or "").lower().split("_")
    if any(word in words for word in _SIZES):
        return "amp", "from zero"
    if "speed" in words:
        return "speed", "from zero"
    known = row(field)
    return _BY_NAME.get(known.name if known else "", ("viridis", "range"))


def scale(
    *fields: xr.DataArray,
    kind: Kind | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
    cmap: str | Colormap | None = None,
) -> Scale:
    """The `Scale` that several fields of one variable share.

    The range holds 98 % of the values, unless `vmin` or `vmax` say otherwise; of a symmetric range either one gives
    the other.

    Raises
    ------
    InputError
        Without a finite value, for an unknown colour map, or for `vmin` not below `vmax`.
    """
    values = np.concatenate([np.ravel(field.values) for field in fields]).astype(float)
    values = values[np.isfinite(values)]
    if not values.size:
        raise InputError(f"{fields[0].name or 'the field'}: no finite value to draw; is this a missing day?")
    name, spread = family(fields[0], kind)
    low, high = _limits(values, spread, vmin, vmax)
    if spread == "either" and low != -high:
        name = "deep"
    return Scale(colormap(cmap or name), Normalize(low, high), _extend(values, low, high))


def _limits(values: np.ndarray, spread: Spread, vmin: float | None, vmax: float | None) -> tuple[float, float]:
    low, high = (float(v) for v in np.percentile(values, [1, 99]))
    if spread == "symmetric" or (spread == "either" and _both_signs(low, high)):
        given = [abs(v) for v in (vmin, vmax) if v is not None]
        reach = max(given or [abs(low), abs(high)])
        low, high = -reach, reach
    elif spread == "from zero":
        low = min(low, 0.0)
    low, high = low if vmin is None else float(vmin), high if vmax is None else float(vmax)
    if vmin is not None and vmax is not None and low >= high:
        raise InputError(f"vmin={vmin:g} is not below vmax={vmax:g}; exchange them or leave one out")
    if low >= high:  # a constant field: any range around it will do
        room = 0.1 * abs(low) or 1.0
        if vmin is None and spread != "from zero":
            low = (high if vmax is not None else low) - room
        high = high if vmax is not None else low + 2 * room
    return low, high


def _both_signs(low: float, high: float) -> bool:
    """Whether a range reaches so far to both sides of zero that a symmetric one would be well used."""
    return low < 0 < high and min(-low, high) > 0.25 * max(-low, high)


def _extend(values: np.ndarray, low: float, high: float) -> Extend:
    below, above = bool((values < low).any()), bool((values > high).any())
    return cast(Extend, {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}[below, above])


@cache
def _cmocean() -> dict[str, Colormap]:
    """The colour maps of cmocean by name, without the warnings its import draws from newer matplotlibs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from cmocean import cm
    return dict(cm.cmap_d)


def colormap(name: str | Colormap) -> Colormap:
    """A colour map of cmocean, or else of matplotlib, by its name."""
    if isinstance(name, Colormap):
        return name
    found = _cmocean().get(name.removeprefix("cmo."))
    if found is not None:
        return found
    if name not in colormaps:
        raise InputError(f"cmap {name!r}: neither cmocean nor matplotlib has it; try 'thermal', 'balance' or 'viridis'")
    return colormaps[name]
