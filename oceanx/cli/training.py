"""Training at a prompt: on this machine, or as jobs of a cluster."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from ..vocabulary.errors import InputError
from . import words
from .words import Data, Overrides, Overwrite, Resume, To


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


def check_config(preset: str, overrides: Overrides = None) -> None:
    """Resolve a preset or a YAML, and print it with every default written out."""
    import yaml

    from oceanx.workflows.train_config import load_config

    print(yaml.safe_dump(load_config(preset, words.changes(overrides)).dump(), sort_keys=False), end="")


@contextmanager
def _said_once() -> Iterator[None]:
    """What all processes of torchrun find wrong alike, the first of each machine says."""
    try:
        yield
    except InputError:
        if int(os.environ.get("LOCAL_RANK", "0")):
            sys.exit(2)
        raise
