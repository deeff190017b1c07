"""Assimilation at a prompt."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..vocabulary.errors import InputError
from . import words
from .words import Data, Overrides, Overwrite, Resume, To

if TYPE_CHECKING:
    import xarray as xr

_OWN = ("quality", "representation")  # what key=value may belong to beside the method
_OPTIONS = ("kind", "members", "start", "errors", "withhold", "spread", "keep", "seed")


def assimilate(
    model: Annotated[str, typer.Argument(help=f"A run folder, or one of {', '.join(words.REFERENCES)}.")],
    obs: Annotated[list[str], typer.Option("--obs", help="Observations; again for several stores.")],
    background: Annotated[
        list[str],
        typer.Option("--background", help="Store of the first state and the forcing; again to merge several."),
    ],
    time: Annotated[str, typer.Option(help="first:last:window such as 2020-01-01:2020-12-31:1D.")],
    to: To,
    method: Annotated[
        str, typer.Option(help="oi, 3dvar, 4dvar, kalman, enoi, etkf, letkf, hybrid, a YAML, or a learned run.")
    ] = "letkf",
    members: Annotated[int | None, typer.Option(help="States that an ensemble carries.")] = None,
    errors: Annotated[
        str | None, typer.Option(help="Background errors: a file, or first:last of the background to find them in.")
    ] = None,
    start: Annotated[str, typer.Option(help="background or climatology.")] = "background",
    forcing: Annotated[str, typer.Option(help="observed, persisted or climatology.")] = "observed",
    withhold: Annotated[
        list[str] | None, typer.Option(help="A platform to keep back, or a pattern; again for more.")
    ] = None,
    mean_topography: Annotated[str | None, typer.Option(help="What sea level anomalies are added to.")] = None,
    basins: Annotated[str | None, typer.Option(help="Codes of the basins whose mean sea level is left out.")] = None,
    spread: Annotated[str, typer.Option(help="Increments: 'at once' or 'over the window'.")] = "at once",
    no_bounds: Annotated[bool, typer.Option("--no-bounds", help="Let increments go beyond what is possible.")] = False,
    keep: Annotated[str | None, typer.Option(help="background, members: stored too; with commas.")] = None,
    train: Annotated[str | None, typer.Option(help="Training years of a reference, first:last.")] = None,
    train_data: Annotated[
        list[str] | None, typer.Option(help="Store of those years, where the background has not got them.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of all random numbers.")] = 0,
    resume: Resume = False,
    overwrite: Overwrite = False,
    overrides: Overrides = None,
) -> None:
    """Assimilate observations, window after window, into one Zarr store of analyses."""
    import oceanx as ox

    settings, when = _settings(method, overrides), _window(time)
    ds = ox.open(*background)
    with words.progress() as progress:
        an = ox.assimilate(
            words.model(model, ox.open(*train_data) if train_data else ds, train, _lead(when)),
            ox.open(*obs),
            background=ds,
            time=when,
            members=members,
            errors=words.span(errors) if errors and ":" in errors and not Path(errors).exists() else errors,
            start=start,
            forcing=forcing,
            withhold=withhold or (),
            mean_topography=_field(mean_topography, "mean-topography"),
            basins=_field(basins, "basins"),
            spread=spread,  # type: ignore[arg-type]
            bounds=not no_bounds,
            keep=[word.strip() for word in keep.split(",")] if keep else (),
            seed=seed,
            to=to,
            resume=resume,
            overwrite=overwrite,
            progress=progress,
            **settings,
        )
    used, rejected = (int(an[f"observations_{what}"].sum()) for what in ("used", "rejected"))
    print(f"{to}: {an.sizes['time']} times; {used} observations used, {rejected} not")
    for key in ("oceanx_drift", "oceanx_ensemble"):
        if key in an.attrs:
            print(f"{key.removeprefix('oceanx_')}: {an.attrs[key]}")


def background_errors(
    model: Annotated[str, typer.Argument(help=f"A run folder, or one of {', '.join(words.REFERENCES)}.")],
    data: Data,
    time: Annotated[str, typer.Option(help="The dates to take, first:last; never those of the test.")],
    to: To,
    method: Annotated[
        str, typer.Option(help="forecasts (of twice the lead and the lead), errors (against the store) or anomalies.")
    ] = "forecasts",
    lead: Annotated[str | None, typer.Option(help="How far forecasts go; one step by default.")] = None,
    count: Annotated[int, typer.Option(help="Differences that the statistics are of.")] = 100,
    samples: Annotated[int, typer.Option(help="How many of them are kept.")] = 40,
    residuals: Annotated[int, typer.Option(help="Errors of one step that are kept, for a Kalman filter.")] = 0,
    scale: Annotated[float, typer.Option(help="Times the differences.")] = 1.0,
    forcing: Annotated[str, typer.Option(help="What the forecasts are told of the atmosphere.")] = "observed",
    train: Annotated[str | None, typer.Option(help="Training years of a reference, first:last.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Find how large a background's errors are and how far they reach, for `assimilate --errors`."""
    import oceanx as ox
    from oceanx.workflows.assimilation.background_errors import background_errors as run

    ds = ox.open(*data)
    with words.progress() as progress:
        errors = run(
            words.model(model, ds, train, lead or "10D"),
            ds,
            period=words.span(time),
            method=method,  # type: ignore[arg-type]
            lead=lead,
            count=count,
            samples=samples,
            residuals=residuals,
            scale=scale,
            forcing=forcing,
            to=to,
            overwrite=overwrite,
            progress=progress,
        )
    for name in (str(name).removesuffix("_length") for name in errors.data_vars if str(name).endswith("_length")):
        spread = errors[f"{name}_std"]
        told = f"{name}: {float(spread.mean()):.3g} {spread.attrs['units']}, {float(errors[f'{name}_length']):.3g} km"
        print(told + (f", {float(errors[f'{name}_height']):.3g} m" if f"{name}_height" in errors else ""))


def _settings(method: str, overrides: list[str] | None) -> dict[str, Any]:
    """The method with its settings, and those of quality and representation."""
    from oceanx.vocabulary.config import override, read_yaml

    changes = words.changes(overrides, options=_OPTIONS)
    found: dict[str, Any] = {}
    for name in _OWN:
        mine = {key.partition(".")[2]: value for key, value in changes.items() if key.startswith(f"{name}.")}
        if mine:
            found[name] = override({}, mine)
    rest = {key: value for key, value in changes.items() if key.partition(".")[0] not in _OWN}
    if not rest:
        return found | {"method": method}
    if Path(method).is_dir():
        raise InputError(f"{next(iter(rest))}: a learned analysis has the settings it was trained with; leave it out")
    start = read_yaml(method) if method.endswith((".yaml", ".yml")) else {"kind": method}
    return found | {"method": override(start, rest)}


def _lead(time: slice) -> str:
    """How far a damped persistence is to know: two windows, of which errors may be told, and ten days at least."""
    import pandas as pd

    try:
        return str(max(pd.Timedelta("10D"), 2 * pd.Timedelta(time.step or "1D")))
    except ValueError:
        return "10D"  # what is wrong with the window is said where it is looked at


def _window(text: str) -> slice:
    parts = text.split(":")
    if len(parts) not in (2, 3):
        raise InputError(f"--time {text!r}: expected first:last:window, such as 2020-01-01:2020-12-31:1D")
    return slice(*(part or None for part in parts))


def _field(store: str | None, option: str) -> xr.DataArray | None:
    """The one variable by latitude and longitude that a store or NetCDF file holds."""
    if store is None:
        return None
    import xarray as xr

    import oceanx as ox

    ds = xr.open_dataset(store) if Path(store).is_file() else ox.open(store)
    names = [name for name, v in ds.data_vars.items() if set(v.dims) == {"latitude", "longitude"}]
    if len(names) != 1:
        raise InputError(f"--{option} {store}: holds {len(names)} variables by latitude and longitude; expected one")
    return ds[names[0]]
