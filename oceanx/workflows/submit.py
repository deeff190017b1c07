"""Submit: training as jobs of SLURM, rendered from one template in which nothing belongs to a site."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from oceanx.vocabulary.errors import InputError

from .train_config import Schedule, TrainConfig

_TIME = re.compile(r"(\d+-)?\d{1,3}(:\d{2}){0,2}")
_TEMPLATE = Path(__file__).with_name("slurm.sh")


@dataclass(frozen=True)
class Job:
    """What is asked of the cluster.

    Attributes
    ----------
    nodes, gpus
        Nodes, and GPUs and processes on each; without GPUs one process on each.
    time
        The longest that one job may take, as SLURM writes it: `24:00:00`, `1-12`.
    chain
        Jobs that wait for one another, each going on where the one before was stopped. One job alone is put into the
        queue again instead.
    seeds
        Runs of seeds 0, 1, … side by side, as an array; each has a folder of its own, `<to>_seed0` and so on.
    before
        Commands to run first, such as `module load cuda`.
    options
        Further options of sbatch, such as `--qos=long`.
    """

    nodes: int = 1
    gpus: int = 1
    time: str = "24:00:00"
    partition: str | None = None
    chain: int = 1
    seeds: int = 1
    before: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    @property
    def processes(self) -> int:
        """Processes on all nodes together."""
        return self.nodes * max(self.gpus, 1)


def script(job: Job, config: Schedule, preset: str, data: Sequence[str], to: Path, settings: Sequence[str]) -> str:
    """The batch script that trains a config, or goes on with its training.

    Raises
    ------
    InputError
        The time is not as SLURM writes it; a batch cannot be shared by so many processes equally; numbers below 1.
    """
    _check(job, config)
    lines = {
        "job-name": to.name, "nodes": job.nodes, "ntasks-per-node": 1, "time": job.time, "partition": job.partition,
        "gpus-per-node": job.gpus or None, "array": f"0-{job.seeds - 1}" if job.seeds > 1 else None,
        "output": f"{to.name}-{'%A_%a' if job.seeds > 1 else '%j'}.out",
    }  # fmt: skip
    options = [f"--{name}={value}" for name, value in lines.items() if value is not None]
    options += [*job.options, "--requeue" if job.chain == 1 else "--no-requeue"]
    words = [preset, *(word for store in data for word in ("--data", store)), *settings]
    quoted, run = shlex.join(words), shlex.quote(str(to))
    if job.seeds > 1:
        quoted, run = f'{quoted} seed="$SLURM_ARRAY_TASK_ID"', f'{run}_seed"$SLURM_ARRAY_TASK_ID"'
    again = 'scontrol requeue "$SLURM_JOB_ID"' if job.chain == 1 else "echo 'the next job of the chain goes on'"
    filled = {
        "OPTIONS": "\n".join(f"#SBATCH {option}" for option in options), "BEFORE": "\n".join(job.before), "RUN": run,
        "PROCESSES": str(max(job.gpus, 1)), "WORDS": quoted, "AGAIN": again,
    }  # fmt: skip
    return re.sub("@([A-Z]+)@", lambda found: filled[found[1]], _TEMPLATE.read_text())


def submit(text: str, job: Job) -> list[str]:
    """The ids of the jobs that `sbatch` made of a script: one, or a chain in which each waits for the one before."""
    if shutil.which("sbatch") is None:
        raise InputError("sbatch is not in the PATH; submit where SLURM is, or print the script with --dry-run")
    ids: list[str] = []
    for _ in range(job.chain):
        after = [f"--dependency=afterany:{ids[-1]}"] if ids else []
        done = subprocess.run(["sbatch", "--parsable", *after], input=text, capture_output=True, text=True)
        if done.returncode:
            raise InputError(f"sbatch refused the job: {' '.join(done.stderr.split())}; see it with --dry-run")
        ids.append(done.stdout.strip().split(";")[0])
    return ids


def _check(job: Job, config: Schedule) -> None:
    for name, least in (("nodes", 1), ("gpus", 0), ("chain", 1), ("seeds", 1)):
        if getattr(job, name) < least:
            raise InputError(f"--{name} {getattr(job, name)}: expected at least {least}")
    if not _TIME.fullmatch(job.time):
        raise InputError(f"--time {job.time}: expected such as 24:00:00 or 1-12")
    for option in job.options:
        if not option.startswith("-"):
            raise InputError(f"--sbatch {option}: expected an option of sbatch, such as --qos=long")
    if not isinstance(config, TrainConfig):
        if job.processes > 1:
            raise InputError(f"--gpus: a learned analysis is trained by one process, not {job.processes}; say --gpus 1")
        return
    for stage in config.stages:
        share, rest = divmod(stage.batch_size, job.processes)
        if rest or share % config.accumulate:
            raise InputError(
                f"batch_size: {stage.batch_size} windows cannot be shared by {job.processes} processes equally"
                f"{f' in {config.accumulate} parts' if config.accumulate > 1 else ''}"
            )
