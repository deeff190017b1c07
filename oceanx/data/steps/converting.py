"""Steps that change what numbers mean: units, and rates from accumulations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import xarray as xr

from ...vocabulary.errors import InputError
from ...vocabulary.names import VARIABLES
from ...vocabulary.published import QUANTITY
from .. import units

ANOMALY = "anomaly"  # the `QUANTITY` of a variable that is a departure from a climatology


def convert_units(ds: xr.Dataset, to: Mapping[str, str] | None = None) -> xr.Dataset:
    """The Dataset in oceanx's units (the table in `vocabulary/names.py`), or in those named by `to`.

    An anomaly marked as such is a difference, so 1 K of it is 1 °C.

    Raises
    ------
    InputError
        Naming the variable whose unit does not convert.
    """
    changed = {}
    for name, v in ds.data_vars.items():
        wanted = (to or {}).get(str(name)) or (VARIABLES[str(name)].units if name in VARIABLES else None)
        if wanted is None or v.attrs.get("units") == wanted:
            continue
        convert = units.conversion(str(v.attrs.get("units", "")), wanted, str(name))
        if v.attrs.get(QUANTITY) == ANOMALY:
            convert = replace(convert, plus=0.0)
        changed[name] = v.copy(data=convert(v.data)).assign_attrs(units=wanted)
    return ds.assign(changed)


def deaccumulate(ds: xr.Dataset, seconds: float, variables: Sequence[str] | None = None) -> xr.Dataset:
    """Accumulations over `seconds` as mean rates: J m-2 → W m-2, m → m s-1.

    Works on `variables`, where given and present, else on all that are in J m-2. The value stays at its time, the
    end of the accumulation; `cell_methods` says that it is a mean.
    """
    rates = {"J m-2": "W m-2", "m": "m s-1"}
    changed = {}
    for name, v in ds.data_vars.items():
        unit = units.normal(str(v.attrs.get("units", "")))
        if (name not in variables) if variables is not None else (unit != "J m-2"):
            continue
        if unit not in rates:
            raise InputError(f"{name}: found units {unit!r}; expected an accumulation in {' or '.join(rates)}")
        note = {"units": rates[unit], "cell_methods": "time: mean", "comment": f"mean over the {seconds:g} s before"}
        changed[name] = (v / seconds).assign_attrs(v.attrs | note)
    return ds.assign(changed)
