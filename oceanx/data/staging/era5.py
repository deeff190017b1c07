"""ERA5 single levels, hourly, from the Climate Data Store: one file a month, through its own client."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from . import tiles
from .tiles import DAY, Tile, Wish

READER, EXTRA, MODULE = "era5", "cds", "cdsapi"
SECRETS = ("CDSAPI_URL", "CDSAPI_KEY")
DATASET = "reanalysis-era5-single-levels"
HOLDS = {  # our words → the Climate Data Store's
    "u10": "10m_u_component_of_wind", "v10": "10m_v_component_of_wind", "t2m": "2m_temperature",
    "d2m": "2m_dewpoint_temperature", "msl": "mean_sea_level_pressure", "sp": "surface_pressure",
    "sst": "sea_surface_temperature", "siconc": "sea_ice_cover", "ssr": "surface_net_solar_radiation",
    "ssrd": "surface_solar_radiation_downwards", "str": "surface_net_thermal_radiation",
    "strd": "surface_thermal_radiation_downwards", "slhf": "surface_latent_heat_flux",
    "sshf": "surface_sensible_heat_flux", "tp": "total_precipitation",
}  # fmt: skip
ACCUMULATED = ("ssr", "ssrd", "str", "strd", "slhf", "sshf", "tp")
DEFAULT = ("u10", "v10", "t2m", "d2m", "msl", "ssr", "strd", "tp")
FATAL = ("InvalidRequest", "InvalidKey")
_HOURS = [f"{hour:02d}:00" for hour in range(24)]


def cut(wish: Wish) -> list[Tile]:
    """One tile a month.

    With accumulated variables there is a day more at the end: the last hour of a day is stamped with the next one.
    """
    variables = tiles.chosen(wish.variables, HOLDS, DEFAULT, "ERA5")
    if set(variables) & set(ACCUMULATED):
        wish = replace(wish, last=wish.last + DAY)
    months = wish.days.astype("datetime64[M]")
    return [_tile(wish, wish.days[months == month], variables) for month in np.unique(months)]


def _tile(wish: Wish, days: np.ndarray, variables: tuple[str, ...]) -> Tile:
    year, month = str(days[0])[:4], str(days[0])[5:7]
    request: dict[str, Any] = {
        "product_type": ["reanalysis"],
        "variable": [HOLDS[name] for name in variables],
        "year": [year],
        "month": [month],
        "day": [str(day)[8:] for day in days],
        "time": _HOURS,
        "data_format": "netcdf",
        "download_format": "unarchived",
    }
    if wish.box is not None:
        west, east, south, north = wish.box
        request["area"] = [north, west, south, east]
    hours = days.astype("datetime64[ns]")[:, None] + np.arange(24) * np.timedelta64(1, "h")
    return Tile(f"era5_{year}{month}.nc", hours.ravel(), variables, request)


def fetcher() -> Callable[[Tile, Path], None]:
    """A function that downloads one tile into a file; `InputError` without the client or the credentials."""
    url, key = tiles.credentials(*SECRETS)
    module, held = tiles.client(MODULE, EXTRA), threading.local()

    def fetch(tile: Tile, path: Path) -> None:
        if not hasattr(held, "client"):  # a client, and its connection, for each thread
            held.client = module.Client(url=url, key=key, quiet=True, progress=False)
        held.client.retrieve(DATASET, tile.request, str(path))

    return fetch
