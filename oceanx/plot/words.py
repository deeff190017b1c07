"""What figures say: names, units, dates, depths and degrees, read from the labels of an array."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axis import Axis
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.ticker import FuncFormatter, MultipleLocator

from ..vocabulary.errors import InputError
from ..vocabulary.names import VARIABLES, Variable, ours

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
CATEGORIES = ("Moderate", "Strong", "Severe", "Extreme")
LINE = 36  # letters of a name, beyond which it would not fit beside an axis
_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 20, 30, 60, 90)  # degrees between ticks
_PLAIN = {"1": "", "": "", "degrees_C": "°C", "degC": "°C", "degree_C": "°C", "celsius": "°C", "percent": "%"}


def expect(field: Any, dims: Iterable[str], what: str) -> None:
    """Refuse what has not exactly these dimensions, naming those that must be selected first."""
    dims = tuple(dims)
    if not isinstance(field, xr.DataArray):
        raise InputError(
            f"{what} draws a DataArray, found {type(field).__name__}; choose one variable, as ds['thetao']"
        )
    name = field.name or "the field"
    missing = [dim for dim in dims if dim not in field.dims]
    if missing:
        found = ", ".join(map(str, field.dims)) or "none"
        raise InputError(f"{name}: {what} needs the dimension {' and '.join(missing)}; its dimensions: {found}")
    extra = [str(dim) for dim in field.dims if dim not in dims]
    if extra:
        chosen = ", ".join(f"{dim}=0" for dim in extra)
        raise InputError(
            f"{name}: {what} has the dimensions {' × '.join(dims)} alone; "
            f"select {' and '.join(extra)} first, as .isel({chosen})"
        )
    for dim in dims:
        if dim not in field.coords:
            raise InputError(f"{name}: the dimension {dim} has no coordinate; {what} needs its values")


def row(field: xr.DataArray) -> Variable | None:
    """The vocabulary's row for this field, found by its name or else by its `standard_name`."""
    known = ours(str(field.name))
    if known:
        return VARIABLES[known]
    standard = field.attrs.get("standard_name")
    return next((v for v in VARIABLES.values() if standard and v.standard_name == standard), None)


def title_of(field: xr.DataArray) -> str:
    """The field's long name, or the vocabulary's where it has none or a very long one, or its bare name."""
    known = row(field)
    text = str(field.attrs.get("long_name") or "")
    if not text or (known and len(text) > LINE):
        text = known.long_name if known else text or str(field.name or "Field")
    return textwrap.fill(capital(text.replace("_", " ")), LINE)


def label_of(field: xr.DataArray) -> str:
    """What stands at an axis or a colour bar: the name and the unit."""
    return with_units(title_of(field), units_of(field))


def capital(text: str) -> str:
    """The text with its first letter large, the others as they are."""
    return text[:1].upper() + text[1:]


def units_of(field: xr.DataArray) -> str:
    """The field's units, as one prints them: `m s-1` becomes `m s⁻¹`, salinity's `1e-3` becomes `psu`."""
    known = row(field)
    text = str(field.attrs.get("units", known.units if known else ""))
    if text in ("1e-3", "0.001") and known and known.name == "so":
        return "psu"
    return pretty_units(text)


def pretty_units(text: str) -> str:
    """CF units with raised exponents and a degree sign."""
    if text in _PLAIN:
        return _PLAIN[text]
    text = re.sub(r"\bdegrees?_C(?![a-z])", "°C", re.sub(r"\((\S+)\)", r"\1", text))
    return re.sub(r"(?<=[A-Za-z)])-?\d+", lambda found: found.group().translate(_RAISED), text)


def power_of(low: float, high: float) -> int:
    """The power of ten that numbers of a range are counted in: 0 for most, 9 for billions."""
    largest = max(abs(low), abs(high))
    power = int(np.floor(np.log10(largest))) if largest > 0 and np.isfinite(largest) else 0
    return power if power >= 5 or power <= -4 else 0


def counted_in(units: str, power: int) -> str:
    """The units with that power of ten before them."""
    return f"10{str(power).translate(_RAISED)} {units}".strip() if power else units


def with_units(text: str, units: str) -> str:
    """`text (units)`, or `text` alone for a number without units."""
    return f"{text} ({units})" if units else text


def date(value: Any) -> str:
    """A date as 2020-06-01, with hours and minutes where they are not midnight; any calendar."""
    if hasattr(value, "strftime") and not isinstance(value, pd.Timestamp):
        midnight = (value.hour, value.minute) == (0, 0)
        return str(value.strftime("%Y-%m-%d" if midnight else "%Y-%m-%d %H:%M"))
    stamp = pd.Timestamp(value)
    return stamp.strftime("%Y-%m-%d" if stamp == stamp.normalize() else "%Y-%m-%d %H:%M")


def days(lead: Any) -> np.ndarray:
    """Lead times in days, float64, from timedelta64."""
    values = np.asarray(lead)
    if not np.issubdtype(values.dtype, np.timedelta64):
        raise InputError(f"lead_time: expected timedelta64, found {values.dtype}; decode it when opening the file")
    return values / np.timedelta64(1, "D")


def lead_text(lead: Any) -> str:
    """A lead time as `5 days` or `6 hours`."""
    count, unit = float(days(lead)), "day"
    if count != round(count):
        count, unit = count * 24, "hour"
    return f"{count:g} {unit}{'' if count == 1 else 's'}"


def _scalar(field: xr.DataArray, name: str) -> Any:
    """The value of a scalar coordinate, or None."""
    if name not in field.coords or field.coords[name].ndim:
        return None
    value = field.coords[name].values[()]
    return None if pd.isnull(value) else value


def valid_time(field: xr.DataArray) -> Any:
    """When a field is valid (`time`, `valid_time`, or `init_time + lead_time`), or None if it does not say."""
    for name in ("valid_time", "time"):
        value = _scalar(field, name)
        if value is not None:
            return value
    start, lead = _scalar(field, "init_time"), _scalar(field, "lead_time")
    return None if start is None or lead is None else start + lead


def when(field: xr.DataArray) -> str:
    """The date of a field; of a forecast also its lead and its start."""
    valid, start, lead = valid_time(field), _scalar(field, "init_time"), _scalar(field, "lead_time")
    parts = [] if valid is None else [date(valid)]
    if start is not None and lead is not None:
        parts.append(f"lead {lead_text(lead)} from {date(start)}")
    elif lead is not None:
        parts.append(f"lead {lead_text(lead)}")
    elif start is not None:
        parts.append(f"forecast from {date(start)}")
    member = _scalar(field, "member")
    return capital(", ".join(parts + ([] if member is None else [f"member {member}"])))


def where(field: xr.DataArray) -> str:
    """The depth and the place of a field, as far as they are single values."""
    parts = []
    depth = _scalar(field, "depth")
    if depth is not None:
        parts.append(depth_text(depth))
    for name, axis in (("latitude", "y"), ("longitude", "x")):
        value = _scalar(field, name)
        if value is not None:
            parts.append(degrees(float(value), axis))
    return ", ".join(parts + _ends(field))


def _ends(field: xr.DataArray) -> list[str]:
    """From where to where a transect goes."""
    axes = [(field.coords.get(name), axis) for name, axis in (("latitude", "y"), ("longitude", "x"))]
    if any(values is None or values.dims != ("distance",) for values, _ in axes):
        return []
    first, last = (
        " ".join(degrees(round(float(values[place]), 2), axis) for values, axis in axes if values is not None)
        for place in (0, -1)
    )
    return [f"{first} to {last}"]


def category_text(field: xr.DataArray) -> str:
    """The category of heatwave that a score is of and above, as `Strong or stronger`, or nothing."""
    value = _scalar(field, "category")
    if value is None:
        return ""
    text = str(value)
    text = CATEGORIES[int(text) - 1] if text in ("1", "2", "3", "4") else capital(text.replace("_", " "))
    return f"{text} or stronger" if text in CATEGORIES[:-1] else text


def depth_text(depth: Any) -> str:
    """A depth as `0.49 m`, `92 m` or `1062 m`."""
    return f"{float(depth):.2g} m" if float(depth) < 10 else f"{float(depth):.0f} m"


def heading(field: xr.DataArray, text: str | None = None) -> str:
    """Two lines for a title: what and how deep; when."""
    first = ", ".join(part for part in (text or title_of(field), category_text(field), where(field)) if part)
    return "\n".join(line for line in (first, when(field)) if line)


def degrees(value: float, axis: str) -> str:
    """A latitude (`y`) or a longitude (`x`) as 60°W, 4.5°N, 0° or 180°."""
    if axis == "x":
        value = (value + 180) % 360 - 180
    size = f"{round(abs(value), 3):g}°"
    if size in ("0°", "180°"):
        return size
    return size + (("E" if value > 0 else "W") if axis == "x" else ("N" if value > 0 else "S"))


def degree_axis(axis: Axis, which: Literal["x", "y"], span: float, most: int) -> None:
    """Give an axis ticks at round degrees, in at most `most` steps, written with their hemisphere."""
    step = next((step for step in _STEPS if span <= step * most * 1.01), _STEPS[-1])
    axis.set_major_locator(MultipleLocator(step))
    axis.set_major_formatter(FuncFormatter(lambda value, _: degrees(value, which)))


def dates(time: xr.DataArray) -> np.ndarray:
    """Times as matplotlib's day numbers; only the standard calendar has dates that matplotlib knows."""
    if not np.issubdtype(time.dtype, np.datetime64):
        raise InputError(f"{time.name}: expected datetime64, found {time.dtype}; use convert_calendar('standard')")
    return np.asarray(date2num(time.values))


def date_axis(axis: Axis) -> None:
    """Give an axis of day numbers ticks that are dates."""
    axis.axes.xaxis_date() if axis.axis_name == "x" else axis.axes.yaxis_date()  # type: ignore[attr-defined]
    locator = AutoDateLocator(minticks=3, maxticks=9)
    axis.set_major_locator(locator)
    axis.set_major_formatter(ConciseDateFormatter(locator))


def model_text(model: str) -> str:
    """A model's name as one prints it."""
    return str(model).replace("_", " ")
