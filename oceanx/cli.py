"""The verbs at a prompt. Nothing heavy is imported until a command runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from oceanx import cli_data
from oceanx import cli_words as words
from oceanx.cli_words import Overrides, Overwrite, Resume, To
from oceanx.vocabulary.errors import InputError, unknown

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Ocean forecasting from raw files to scored, labelled forecasts.",
    epilog="Exit codes: 0 done, 2 the input is wrong (one line says what and how), 1 our fault. --debug: tracebacks.",
)
check = typer.Typer(
    no_args_is_help=True, help="Say what is wrong with a store, a forecast or a config, and the remedy."
)
app.add_typer(check, name="check")

FIGURES = (".png", ".pdf", ".svg")
DRAWN = ("map", "skill", "section", "hovmoller", "profile")  # figures made of one file; others take several fields

Data = Annotated[list[str], typer.Option("--data", help="Store or catalog name; give it again to merge several.")]


def main() -> None:
    """Run the command line; leave with 0, 2 for the user's mistakes and 1 for ours."""
    debug = "--debug" in sys.argv
    arguments = [word for word in sys.argv[1:] if word != "--debug"]
    try:
        app(arguments, standalone_mode=True)
    except InputError as error:
        _leave(2, f"error: {error}", debug)
    except SystemExit as left:
        if left.code == 75 and not int(os.environ.get("RANK", "0")):  # training was asked to stop, and says by what
            _leave(75, f"{getattr(left, 'why', 'stopped')}; run the same command with --resume to go on", debug)
        if left.code == 130:  # typer's word for Ctrl-C
            _leave(130, "interrupted; run the same command again (with --resume where it has one) to go on", debug)
        raise
    except BrokenPipeError:
        os._exit(0)
    except Exception as error:
        _leave(1, f"oceanx failed: {type(error).__name__}: {error} (--debug shows where)", debug)


@app.command()
def demo(
    directory: Annotated[Path, typer.Argument(help="Where to work; made if absent.")] = Path("demo"),
    train_minutes: Annotated[float | None, typer.Option(help="Train for so long instead of a fixed effort.")] = None,
) -> None:
    """Make an ocean, train on three years of it, forecast a fourth, score it, and write a report."""
    from oceanx.workflows.demo import demo as run
    from oceanx.workflows.demo import summary

    with words.progress() as progress:
        made = run(directory, train_minutes=train_minutes, progress=progress)
    print(summary(made))


for command in (cli_data.catalog, cli_data.stage, cli_data.bake, cli_data.rechunk, cli_data.export):
    app.command()(command)
check.command("dataset")(cli_data.check_dataset)


@app.command()
def train(
    preset: Annotated[str, typer.Argument(help="A shipped preset, or the path of a YAML.")],
    data: Data,
    to: To,
    resume: Resume = False,
    overwrite: Overwrite = False,
    overrides: Overrides = None,
) -> None:
    """Train a model: torchrun -m oceanx train … does it with many processes."""
    import oceanx as ox
    from oceanx.workflows.train_config import load_config

    with _said_once():
        config, ds = load_config(preset, words.changes(overrides)), ox.open(*data)
    with words.progress() as progress:
        run = ox.train(config, ds, to, resume=resume, overwrite=overwrite, progress=progress)
    if not int(os.environ.get("RANK", "0")):
        print(repr(run))


@app.command()
def submit(
    preset: Annotated[str, typer.Argument(help="A shipped preset, or the path of a YAML.")],
    data: Data,
    to: To,
    nodes: Annotated[int, typer.Option(help="Nodes.")] = 1,
    gpus: Annotated[int, typer.Option(help="GPUs and processes on each node; 0 for one process without.")] = 1,
    time: Annotated[str, typer.Option(help="The longest that one job may take, as SLURM writes it.")] = "24:00:00",
    partition: Annotated[str | None, typer.Option(help="Partition.")] = None,
    chain: Annotated[int, typer.Option(help="Jobs that wait for one another, instead of one put back in line.")] = 1,
    seeds: Annotated[int, typer.Option(help="Runs of seeds 0, 1, … side by side, as an array.")] = 1,
    before: Annotated[list[str] | None, typer.Option(help="A command to run first; again for several.")] = None,
    sbatch: Annotated[list[str] | None, typer.Option(help="A further option of sbatch; again for several.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the script, send nothing.")] = False,
    overrides: Overrides = None,
) -> None:
    """Train as jobs of SLURM, which are stopped with a checkpoint and go on by themselves."""
    from oceanx.workflows.submit import Job, script
    from oceanx.workflows.submit import submit as send
    from oceanx.workflows.train_config import load_config

    config = load_config(preset, words.changes(overrides))
    job = Job(nodes, gpus, time, partition, chain, seeds, tuple(before or ()), tuple(sbatch or ()))
    text = script(job, config, preset, data, to, overrides or [])
    print(text if dry_run else "\n".join(send(text, job)), end="" if dry_run else "\n")


@app.command()
def forecast(
    model: Annotated[str, typer.Argument(help=f"A run folder, or one of {', '.join(words.REFERENCES)}.")],
    data: Data,
    init: Annotated[
        str, typer.Option("--init", help="Start date, or first:last:step such as 2020-01-01:2020-12-31:7D.")
    ],
    to: To,
    lead: Annotated[str, typer.Option(help="Longest lead.")] = "10D",
    forcing: Annotated[
        str, typer.Option(help="persisted, climatology, observed (a simulation), a forecast's store or a run.")
    ] = "persisted",
    forcing_within: Annotated[str, typer.Option(help="How old that forecast may be at the start.")] = "0D",
    forcing_regrid: Annotated[bool, typer.Option("--forcing-regrid", help="Bring it to the ocean's grid.")] = False,
    train: Annotated[str | None, typer.Option(help="Training years of a reference, first:last.")] = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
) -> None:
    """Forecast from many start dates into one labelled Zarr store."""
    import oceanx as ox

    ds = ox.open(*data)
    step = words.model(model, ds, train, lead)
    with words.progress() as progress:
        fc = ox.forecast(
            step,
            ds,
            words.dates(init),
            lead,
            forcing=forcing,
            forcing_within=forcing_within,
            forcing_regrid=forcing_regrid,
            to=to,
            resume=resume,
            overwrite=overwrite,
            progress=progress,
        )
    print(f"{to}: {words.sizes(fc)}; {', '.join(map(str, fc.data_vars))}")


@app.command()
def score(
    forecasts: Annotated[list[Path], typer.Argument(help="Forecast stores; each names its own model.")],
    truth: Annotated[list[str], typer.Option("--truth", help="Store or catalog name.")],
    to: To,
    climatology: Annotated[str | None, typer.Option(help="Store to fit the climatology from (for acc).")] = None,
    train: Annotated[str | None, typer.Option(help="Years to fit the climatology over, first:last.")] = None,
    metrics: Annotated[str, typer.Option(help="Metrics, with commas.")] = "rmse",
    by: Annotated[str | None, typer.Option(help="Also by season, region or init_time, with commas.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Score forecasts against truth, by lead and depth."""
    import oceanx as ox
    from oceanx.ocean.labels import open_forecast
    from oceanx.vocabulary import files

    files.refuse_existing(to, overwrite=overwrite)
    named: dict[str, Any] = {}
    for path in forecasts:
        fc = open_forecast(path)
        names = (str(fc.attrs.get("oceanx_model", path.stem)), path.stem, str(path))
        name = next((name for name in names if name not in named), None)
        if name is None:
            raise InputError(f"{path}: give each forecast once")
        named[name] = fc
    base = words.years(ox.open(climatology), train) if climatology else None
    with words.progress() as progress:
        result = ox.score(
            named,
            ox.open(*truth),
            climatology=ox.climatology(base) if base is not None else None,
            metrics=metrics.split(","),
            by=by.split(",") if by else (),
            progress=progress,
        )
    with files.replacing(to, overwrite=overwrite) as path:
        result.to_netcdf(path)
    words.print_scores(result)
    print(to)


@app.command()
def plot(
    kind: Annotated[str, typer.Argument(help=f"One of {', '.join(DRAWN)}.")],
    file: Annotated[Path, typer.Argument(help="A store, forecast or score file.")],
    to: To,
    var: Annotated[str | None, typer.Option("--var", help="Variable.")] = None,
    select: Annotated[
        list[str] | None, typer.Option("--select", help="dim=label, such as depth=0.5 lead_time=5D.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Draw a figure into a PNG, PDF or SVG."""
    from oceanx.plot import KINDS
    from oceanx.vocabulary import files

    if kind not in DRAWN:
        raise unknown("kind of plot", kind, DRAWN)
    files.refuse_existing(to, overwrite=overwrite)
    if to.suffix not in FIGURES:
        raise InputError(f"{to}: expected a name that ends in {', '.join(FIGURES)}")
    figure = KINDS[kind](*words.plotted(kind, file, var, select or []))
    with files.replacing(to, overwrite=overwrite) as path:
        figure.savefig(path, format=to.suffix.lstrip("."))
    print(to)


@check.command("forecast")
def check_forecast(store: Path) -> None:
    """Hold a forecast store against the contract: dimensions, times, units, masks."""
    from oceanx.ocean.labels import open_forecast

    print(f"{store}: a labelled forecast, {words.sizes(open_forecast(store, values=True))}")


@check.command("config")
def check_config(preset: str, overrides: Overrides = None) -> None:
    """Resolve a preset or a YAML, and print it with every default written out."""
    import yaml

    from oceanx.workflows.train_config import load_config

    print(yaml.safe_dump(load_config(preset, words.changes(overrides)).dump(), sort_keys=False), end="")


@app.command()
def doctor() -> None:
    """Say what this machine and this installation offer."""
    import platform
    from importlib.metadata import version

    import psutil
    import torch

    print(f"oceanx {version('oceanx')}, Python {platform.python_version()}, {platform.platform()}")
    print(f"{os.cpu_count()} CPU cores, {psutil.virtual_memory().total / 2**30:.0f} GiB of memory")
    for name in ("torch", "xarray", "zarr", "dask", "xbatcher", "numba"):
        print(f"{name} {version(name)}")
    print(f"GPU: {torch.cuda.get_device_name(0) if torch.cuda.is_available() else 'none'}")


@contextmanager
def _said_once() -> Iterator[None]:
    """What all processes of torchrun find wrong alike, the first of each machine says."""
    try:
        yield
    except InputError:
        if int(os.environ.get("LOCAL_RANK", "0")):
            sys.exit(2)
        raise


def _leave(code: int, message: str, debug: bool) -> None:
    if debug:
        import traceback

        traceback.print_exc()
    print(" ".join(message.split()), file=sys.stderr)
    sys.exit(code)
