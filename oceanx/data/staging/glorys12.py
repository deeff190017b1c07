"""GLORYS12 daily means from the Copernicus Marine Service: one file a day, through its own toolbox."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from . import tiles
from .tiles import Tile, Wish

READER, EXTRA, MODULE = "glorys12", "cmems", "copernicusmarine"
SECRETS = ("COPERNICUSMARINE_SERVICE_USERNAME", "COPERNICUSMARINE_SERVICE_PASSWORD")
DATASET = "cmems_mod_glo_phy_my_0.083deg_P1D-m"
HOLDS = ("thetao", "so", "uo", "vo", "zos", "mlotst", "bottomT", "siconc", "sithick", "usi", "vsi")
DEFAULT = ("thetao", "so", "uo", "vo", "zos")
FATAL = (  # the toolbox's errors that no second attempt mends
    "CoordinatesOutOfDatasetBounds", "CredentialsCannotBeNone", "DatasetNotFound", "DatasetVersionNotFound",
    "InvalidUsernameOrPassword", "ProductNotFound", "VariableDoesNotExistInTheDataset", "WrongDatetimeFormat",
)  # fmt: skip


def cut(wish: Wish) -> list[Tile]:
    """One tile a day."""
    variables = tiles.chosen(wish.variables, HOLDS, DEFAULT, "GLORYS12")
    request: dict[str, object] = {"dataset_id": DATASET, "variables": list(variables)}
    if wish.box is not None:
        edges = ("minimum_longitude", "maximum_longitude", "minimum_latitude", "maximum_latitude")
        request |= dict(zip(edges, wish.box, strict=True))
    if wish.depth is not None:
        request |= dict(zip(("minimum_depth", "maximum_depth"), wish.depth, strict=True))
    return [
        Tile(
            f"glorys12_{str(day).replace('-', '')}.nc",
            wish.days[number : number + 1].astype("datetime64[ns]"),
            variables,
            request | {"start_datetime": f"{day}T00:00:00", "end_datetime": f"{day}T23:59:59"},
        )
        for number, day in enumerate(wish.days)
    ]


def fetcher() -> Callable[[Tile, Path], None]:
    """A function that downloads one tile into a file; `InputError` without the toolbox or the credentials."""
    username, password = tiles.credentials(*SECRETS)
    subset = tiles.client(MODULE, EXTRA).subset

    def fetch(tile: Tile, path: Path) -> None:
        subset(
            **tile.request,
            username=username,
            password=password,
            output_directory=str(path.parent),
            output_filename=path.name,
            overwrite=True,
            disable_progress_bar=True,
            netcdf_compression_level=1,
        )

    return fetch
