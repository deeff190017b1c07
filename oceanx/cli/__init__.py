"""The verbs at a prompt. Nothing heavy is imported until a command runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from oceanx.vocabulary.errors import InputError

from . import (
    assimilation,
    data,
    forecasts,
    heatwaves,
    innovations,
    mapping,
    observations,
    pictures,
    scores,
    training,
    words,
)

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
app.add_typer(heatwaves.heatwaves, name="heatwaves")


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


for command in (
    data.catalog,
    data.stage,
    data.bake,
    data.rechunk,
    observations.observe,
    training.train,
    training.submit,
    forecasts.forecast,
    assimilation.background_errors,
    assimilation.assimilate,
    mapping.map_observations,
    mapping.score_analyses,
    scores.score,
    innovations.innovations,
    data.export,
    pictures.plot,
    pictures.report,
):
    app.command()(command)
check.command("dataset")(data.check_dataset)
check.command("forecast")(forecasts.check_forecast)
check.command("config")(training.check_config)


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


def _leave(code: int, message: str, debug: bool) -> None:
    if debug:
        import traceback

        traceback.print_exc()
    print(" ".join(message.split()), file=sys.stderr)
    sys.exit(code)
