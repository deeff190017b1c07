"""The files of the published systems: which variable stands in which channel, and how their grids lie.

One table for reading and writing: NeuralOM and NeuralOGCM (HDF5), HybridOM (HDF5), Ocean-E2E (NetCDF). OneForecast's
atmosphere (HDF5), of which an ocean is told the surface, is read only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator, Field

from .config import Config
from .constants import LEVELS_23
from .errors import InputError
from .names import VARIABLES

Rows = Literal["north_to_south", "south_to_north"]
Row = Literal["first", "last", "none"]
Land = Literal["nan", "zero"]
Quantity = Literal["total", "anomaly"]
AbsentDay = Literal["02-29", "12-31"]

LEVELS_12 = LEVELS_23[::2]  # HybridOM at 0.25 degrees
DAYS = ("02-29", "12-31")  # which day a leap year of 365 days may lack
QUANTITY = "oceanx_quantity"  # attribute of a variable: a departure from its day-of-year mean, or (without it) a total


STATE = ("so", "uo", "vo", "thetao", "zos")
FORCING = ("u10", "v10", "t2m", "msl")


@dataclass(frozen=True)
class Layout:
    """What one kind of file holds.

    Attributes
    ----------
    keys
        The file's datasets: one of all channels together (time, channel, row, column), or one for each of `order`
        (time, row, column).
    order
        Our words in order of channels; a volume variable takes one channel a level, downwards.
    anomalies
        Those of `order` that are departures from the day-of-year mean.
    normalised
        Those of `order` that are scaled numbers, which mean something only with their scaling.
    channel_mask
        True where the system's land mask has a channel for each of the state, not one for each level.
    file
        What the file of a year is called.
    before
        How many channels come first that have no word here.
    a_day
        Maps a day.
    """

    system: str
    keys: tuple[str, ...]
    order: tuple[str, ...]
    depth: tuple[float, ...] = ()
    rows: Rows = "south_to_north"
    anomalies: tuple[str, ...] = ()
    normalised: tuple[str, ...] = ()
    channel_mask: bool = False
    file: str = "{year}.h5"
    before: int = 0
    a_day: int = 1

    @property
    def stacked(self) -> bool:
        """True where all variables share one dataset, with channels."""
        return len(self.keys) == 1 and len(self) > 1

    @property
    def at_sea(self) -> tuple[str, ...]:
        """Those of `order` that have no value on land."""
        return tuple(name for name in self.order if name not in FORCING)

    def levels(self, name: str) -> int:
        """How many channels a variable has."""
        return len(self.depth) if VARIABLES[name].volume else 1

    @cached_property
    def slices(self) -> dict[str, slice]:
        """The channels of each variable."""
        found, start = {}, self.before
        for name in self.order:
            found[name] = slice(start, start + self.levels(name))
            start += self.levels(name)
        return found

    def __len__(self) -> int:
        return self.before + sum(self.levels(name) for name in self.order)

    def key(self, name: str) -> str:
        """The dataset that holds a variable."""
        return self.keys[0] if self.stacked else self.keys[self.order.index(name)]


NEURALOM = Layout("NeuralOM", ("fields",), STATE + FORCING, LEVELS_23, "north_to_south", channel_mask=True)
NEURALOM_ANOMALIES = ("so", "thetao", "zos")  # the files hold totals; the system itself takes the mean of the day away
ATMOSPHERE_LEVELS = (50, 100, 150, 200, 250, 300, 400, 500, 600, 700, 850, 925, 1000)  # hPa
ATMOSPHERE_VOLUME = ("z", "q", "t", "u", "v")  # of the system's own atmosphere: statistics only

HYBRIDOM = Layout(
    "HybridOM",
    ("data",),
    ("uo", "vo", "zos", "thetao", "so", "siconc", "sithick", "usi", "vsi", "u10", "v10", "t2m"),
    LEVELS_23,
    anomalies=("thetao", "so", "zos"),
    file="GLORYS_05_{year}.h5",
)
_FLUXES = ("str", "ssr", "sshf", "slhf", "tauuo", "tauvo", "evs", "mtpr")
WENHAI = Layout("WenHai forcing", ("data",), _FLUXES, normalised=_FLUXES, file="WenHai_forcing_05_{year}.h5")

_E2E = Layout("Ocean-E2E", ("mhws_variables",), (), anomalies=("sst",))
OCEAN_E2E = {
    "mhw": replace(_E2E, order=("sst", "zos", "u10", "v10", "t2m"), file="mhw_{year}.nc"),
    "baseline": replace(_E2E, order=("sst", "u10", "v10", "t2m"), file="mhw_{year}.nc"),
    "geostrophic": replace(_E2E, order=("ugos", "vgos"), file="geo_{year}.nc", anomalies=()),
    "forcing": replace(_E2E, order=("sst", "zos", "u10", "v10", "t2m"), file="025res_{year}.nc"),
    "anomaly": replace(_E2E, keys=("ssta_highres",), order=("sst",), normalised=("sst",), file="CMEMS_{year}_norm.nc"),
    "altimetry": replace(
        _E2E, keys=("ugos", "vgos"), order=("ugos", "vgos"), anomalies=(), file="SSH_low_processed_{year}.nc"
    ),
}


def _divides_the_globe(degrees: float) -> float:
    if degrees <= 0 or abs(180 / degrees - round(180 / degrees)) > 1e-6:
        raise ValueError("expected degrees that divide 180, such as 0.5")
    return degrees


class Orientation(Config):
    """How the rows and columns of a file lie on the globe.

    Without `latitude` and `longitude` the grid is global: rows `resolution` degrees apart from pole to pole, both
    poles included, but for the `dropped_row` (in the file's order) where the file has one row fewer; columns
    eastwards from `first_longitude`. `latitude` and `longitude` are the first and last cell centres of a region,
    south to north and west to east.
    """

    rows: Rows = "south_to_north"
    resolution: Annotated[float, AfterValidator(_divides_the_globe)] = 0.5
    first_longitude: float = Field(-180.0, ge=-360, le=360)
    dropped_row: Row = "last"
    latitude: tuple[float, float] | None = None
    longitude: tuple[float, float] | None = None

    def latitudes(self, count: int, where: str) -> np.ndarray:
        """Latitudes in the file's order of rows; `InputError` naming `where` if there are not so many."""
        if self.latitude is not None:
            south, north = self.latitude
            if not -90 <= south < north <= 90:
                raise InputError(f"{where}: latitude [{south:g}, {north:g}]; expected south, north within -90 to 90")
            return self._in_order(np.linspace(south, north, count))
        complete = round(180 / self.resolution) + 1
        held = self._in_order(np.linspace(-90, 90, complete))
        if count == complete:
            return held
        if count != complete - 1:
            raise InputError(
                f"{where}: has {count} rows; expected {complete} (or {complete - 1}) at resolution "
                f"{self.resolution:g}; say another resolution, or latitude: [south, north] and longitude: [west, east]"
            )
        if self.dropped_row == "none":
            raise InputError(
                f"{where}: has {count} rows, one fewer than from pole to pole; say dropped_row: first or last"
            )
        return held[1:] if self.dropped_row == "first" else held[:-1]

    def longitudes(self, count: int, where: str) -> np.ndarray:
        """Longitudes eastwards, as the columns lie, not yet brought into [-180, 180)."""
        if self.longitude is not None:
            west, east = self.longitude
            return np.linspace(west, east if east > west else east + 360, count)
        whole = round(360 / self.resolution)
        if count != whole:
            raise InputError(
                f"{where}: has {count} columns; expected {whole} at resolution {self.resolution:g}; "
                "say another resolution, or latitude: [south, north] and longitude: [west, east]"
            )
        return self.first_longitude + 360 * np.arange(count) / count

    def _in_order(self, ascending: np.ndarray) -> np.ndarray:
        return ascending[::-1] if self.rows == "north_to_south" else ascending


def year_of(path: Path) -> int | None:
    """The year in a file's name, if there is exactly one: 2020.h5, GLORYS_05_2020.h5."""
    found = re.findall(r"(?<!\d)(?:19|20)\d\d(?!\d)", path.stem)
    return int(found[0]) if len(found) == 1 else None


def days_of(year: int, absent: str | None = None) -> np.ndarray:
    """Every day of a year as datetime64[ns]; without the `absent` one ("02-29" or "12-31") if the year is a leap year.

    Examples
    --------
    >>> len(days_of(2020)), len(days_of(2020, "02-29")), len(days_of(2019, "02-29"))
    (366, 365, 365)
    """
    days = np.arange(f"{year}-01-01", f"{year + 1}-01-01", dtype="datetime64[D]").astype("datetime64[ns]")
    if absent and days.size == 366:
        days = days[days != np.datetime64(f"{year}-{absent}")]
    return days


def first_days(first: date, count: int, a_day: int = 1) -> np.ndarray:
    """`count` times from a date on, so many a day, as datetime64[ns]."""
    return within_days(np.datetime64(first, "D") + np.arange(-(-count // a_day)), a_day)[:count]


def within_days(days: np.ndarray, a_day: int) -> np.ndarray:
    """So many times on each of these days, the first at 00:00, as datetime64[ns]."""
    apart = np.timedelta64(24 * 3600 // a_day, "s")
    return (days.astype("datetime64[ns]")[:, None] + apart * np.arange(a_day)).ravel()


def anomaly_attrs(name: str, units: str | None = None) -> dict[str, str]:
    """Attributes of a variable that is a departure from its day-of-year mean, under the base standard name."""
    row = VARIABLES[name]
    degrees = (units or row.units) in ("degrees_C", "K")
    # CF-1.11 tells a difference of temperatures from a temperature by this attribute.
    difference = {"units_metadata": "temperature: difference"} if degrees else {}
    return {QUANTITY: "anomaly", "long_name": f"{row.long_name} anomaly"} | difference


ATMOSPHERE_CHANNELS = len(ATMOSPHERE_VOLUME) * len(ATMOSPHERE_LEVELS) + len(FORCING)


def atmosphere_slices() -> dict[str, slice]:
    """The channels of NeuralOM's atmosphere: five variables on pressure levels, then four at the surface."""
    n = len(ATMOSPHERE_LEVELS)
    volume = {name: slice(k * n, (k + 1) * n) for k, name in enumerate(ATMOSPHERE_VOLUME)}
    start = n * len(ATMOSPHERE_VOLUME)
    return volume | {name: slice(start + k, start + k + 1) for k, name in enumerate(FORCING)}


ONEFORECAST = Layout(
    "OneForecast", ("fields",), FORCING, rows="north_to_south", before=atmosphere_slices()["u10"].start, a_day=4
)
