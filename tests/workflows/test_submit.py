"""Submitting to SLURM: the script's text, its behaviour with a scheduler made of a few lines, and what is refused."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Oceanx

from oceanx.vocabulary.errors import InputError
from oceanx.workflows.submit import Job, script, submit
from oceanx.workflows.train_config import TrainConfig, preset

DATA = ["my ocean.zarr", "atmosphere.zarr"]


def text(job: Job | None = None, settings: tuple[str, ...] = (), to: str = "runs/a") -> str:
    config = preset("hybrid_small", batch_size=[8])
    return script(job or Job(), config, "hybrid_small", DATA, Path(to), settings)


def parses(script: str) -> None:
    done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def command(path: Path, name: str, body: str) -> None:
    """A command of this name, in a folder that stands first in the PATH."""
    (path / name).write_text(f"#!/bin/bash\n{body}\n")
    (path / name).chmod(0o755)


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A scheduler that numbers its jobs and writes down what it is told."""
    path = tmp_path / "bin"
    path.mkdir()
    command(path, "sbatch", f'echo "$@" >> {path}/told; cat > {path}/job; echo "$((40 + $(wc -l < {path}/told)));here"')
    command(path, "scontrol", f'[ "$1" = show ] && printf "node7\\nnode8\\n" || echo "$@" >> {path}/requeued')
    command(path, "srun", 'shift; exec "$@"')
    monkeypatch.setenv("PATH", f"{path}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    for name, value in {"SLURM_JOB_NODELIST": "node[7-8]", "SLURM_JOB_ID": "20041", "SLURM_NNODES": "2"}.items():
        monkeypatch.setenv(name, value)
    return path


@pytest.mark.parametrize(
    "job",
    [Job(), Job(gpus=0), Job(2, 4, "1-12", "gpu", chain=3), Job(seeds=3, before=("module load x", "a=1")),
     Job(options=("--qos=long", "--account=me")),],
)  # fmt: skip
def test_every_script_is_bash_and_says_what_was_asked(job: Job) -> None:
    found = text(job, ("train=[1993, 2017]", "model.net.widths=[8, 16]"))
    parses(found)
    assert not re.search("@[A-Z]+@", found)
    options = re.findall("^#SBATCH (.*)$", found, re.M)
    assert f"--nodes={job.nodes}" in options
    assert ("--partition=gpu" in options) == (job.partition == "gpu")
    assert (f"--gpus-per-node={job.gpus}" in options) == (job.gpus > 0)
    assert ("--array=0-2" in options) == (job.seeds == 3)
    assert "--signal=USR1@120" in options
    assert ("--requeue" in options) == (job.chain == 1)
    assert set(job.options) <= set(options)
    assert all(line in found.splitlines() for line in job.before)
    # Options after the first command are not read.
    assert found.index("#SBATCH --open-mode") < found.index("run=")


def test_a_job_starts_torchrun_on_every_node_with_the_words_that_were_given(cluster: Path) -> None:
    command(cluster, "torchrun", f'printf "%s\\n" "$@" > {cluster}/words')
    done = subprocess.run(["bash"], input=text(Job(2, 4), ("train=[1993, 2017]",)), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    words = (cluster / "words").read_text().splitlines()
    assert words == [
        "--nnodes=2", "--nproc-per-node=4", "--rdzv-backend=c10d", "--rdzv-endpoint=node7:20041",
        "--rdzv-id=20041.0", "-m", "oceanx", "train", "hybrid_small", "--data", "my ocean.zarr", "--data",
        "atmosphere.zarr", "train=[1993, 2017]", "--to", "runs/a", "--resume",
    ]  # fmt: skip


def test_an_array_trains_each_seed_in_a_folder_of_its_own(cluster: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command(cluster, "torchrun", f'printf "%s\\n" "$@" > {cluster}/words')
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "2")
    subprocess.run(["bash"], input=text(Job(seeds=3), to="my runs/a"), check=True, text=True)
    words = (cluster / "words").read_text().splitlines()
    assert words[-4:] == ["seed=2", "--to", "my runs/a_seed2", "--resume"]


@pytest.mark.parametrize(("said", "again"), [("SIGUSR1", True), ("", False)])
def test_a_job_that_was_stopped_goes_back_into_the_queue_and_one_that_failed_does_not(
    said: str, again: bool, cluster: Path
) -> None:
    """torchrun hides its processes' exit status: what counts is what training wrote into its run."""
    told = f'mkdir -p runs/a; echo \'{{\n "stopped": "{said}"\n}}\' > runs/a/run.json; exit 1'
    command(cluster, "torchrun", told)
    done = subprocess.run(["bash"], input=text(Job(2, 4)), capture_output=True, text=True)
    assert done.returncode == 1
    assert (cluster / "requeued").exists() == again
    assert not again or (cluster / "requeued").read_text() == "requeue 20041\n"


def test_torchrun_lives_through_the_signal_that_its_processes_hear(cluster: Path) -> None:
    listens = "import os, signal; print(signal.getsignal(signal.SIGUSR1).name)"
    command(cluster, "torchrun", f"exec {sys.executable} -c '{listens}'")
    done = subprocess.run(["bash"], input=text(Job(2, 4)), capture_output=True, text=True)
    assert done.stdout == "SIG_IGN\n"


def test_jobs_of_a_chain_wait_for_one_another(cluster: Path) -> None:
    job = Job(chain=3)
    assert submit(text(job), job) == ["41", "42", "43"]
    told = (cluster / "told").read_text().splitlines()
    assert told == ["--parsable", "--parsable --dependency=afterany:41", "--parsable --dependency=afterany:42"]
    assert (cluster / "job").read_text() == text(job)


def test_the_command_prints_or_sends(cluster: Path, oceanx: Oceanx, small: TrainConfig) -> None:
    words = ["submit", "hybrid_small", "--data", "a.zarr", "--to", "runs/b", "--time", "2:00:00", "seed=3"]

    def said(*more: str) -> str:
        answer = oceanx(*words, *more)
        assert answer.code == 0, answer.err
        return answer.out

    printed = said("--dry-run")
    assert not (cluster / "told").exists()
    assert "#SBATCH --time=2:00:00\n" in printed
    assert "oceanx train hybrid_small --data a.zarr seed=3 --to" in printed
    assert said() == "41\n"
    assert (cluster / "job").read_text() == printed


def test_refusals(cluster: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for job, expected in {
        Job(3, 4): "batch_size: 8 windows cannot be shared by 12 processes equally",
        Job(time="a day"): "--time a day: expected such as 24:00:00",
        Job(nodes=0): "--nodes 0: expected at least 1",
        Job(options=("qos=long",)): "--sbatch qos=long: expected an option of sbatch",
    }.items():
        with pytest.raises(InputError, match=expected):
            text(job)
    command(cluster, "sbatch", "echo 'Invalid partition' >&2; exit 1")
    with pytest.raises(InputError, match="sbatch refused the job: Invalid partition"):
        submit(text(), Job())
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(InputError, match="sbatch is not in the PATH"):
        submit(text(), Job())
