"""Killed at any moment, training goes on to the same bits; asked to stop, it leaves a checkpoint and says so."""

from __future__ import annotations

import csv
import multiprocessing
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
import torch
import toy_dataset

from oceanx.workflows import runs
from oceanx.workflows.runs import Run, tensors
from oceanx.workflows.train_config import TrainConfig
from oceanx.workflows.training import train

pytestmark = pytest.mark.skipif(os.name != "posix", reason="POSIX signals")

TRACED = tuple(
    os.path.join("oceanx", *path.split("/"))
    for path in (
        "workflows/training.py",
        "workflows/learner.py",
        "workflows/checkpoints.py",
        "workflows/validation.py",
        "workflows/logs.py",
        "workflows/runs.py",
        "vocabulary/files.py",
    )
)
KILLS = 5


class Moment:
    """Counts the lines of training as they are run, and sends this process a signal at one of them."""

    def __init__(self, at: int, number: int):
        self.at, self.number, self.count = at, number, 0

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Moment | None:
        if not frame.f_code.co_filename.endswith(TRACED):
            return None
        if event == "line":
            self.count += 1
            if self.count == self.at:
                os.kill(os.getpid(), self.number)
        return self


def learn(config: Path, run: Path, at: int, number: int) -> None:
    """Train, or go on; the signal comes at a line. How many lines it took is written beside the run."""
    moment = Moment(at, number)
    ocean = toy_dataset.ocean(500, start="2001-01-01")
    sys.settrace(moment)
    train(TrainConfig.load(config), ocean, run, resume=True)
    sys.settrace(None)
    run.with_suffix(".lines").write_text(str(moment.count))


def learn_torn(config: Path, run: Path, which: int) -> None:
    """Train, or go on; of one of the files of weights only half is written when the end comes."""
    write, written = runs.save_file, []

    def half(saved: Any, path: str) -> None:
        write(saved, path)
        written.append(path)
        if len(written) == which:
            os.truncate(path, os.path.getsize(path) // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    runs.save_file = half  # type: ignore[assignment]
    train(TrainConfig.load(config), toy_dataset.ocean(500, start="2001-01-01"), run, resume=True)


def in_a_process(work: Any, *words: Any) -> int | None:
    """The exit status of this work in a process of its own; negative: the signal that ended it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["oceanx.workflows.training"])
    process = context.Process(target=work, args=words)
    process.start()
    process.join(300)
    return process.exitcode


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was never interrupted, with its config beside it: all that could be forgotten is in it."""
    folder = tmp_path_factory.mktemp("killed")
    net = {"kind": "resnet", "widths": [4, 8], "blocks": [1, 1], "groups": 2, "dropout": 0.5}
    config = TrainConfig.parse(
        {
            "model": {"kind": "emulator", "net": net},
            "task": {
                "prognostic": {"volume": ["thetao", "uo", "vo"], "surface": ["zos"], "depth": toy_dataset.DEPTH},
                "forcing": {"surface": ["u10", "t2m"]},
            },
            "train": ["2001-01-01", "2002-03-31"],
            "rollout": [1, 2],
            "iterations": [5, 4],
            "batch_size": [4, 4],
            "trains": [["network.net.head", "network.net.layers.1"], []],
            "learning_rate": [5e-3, 2e-3],
            "warmup": 1,
            "average": 0.9,
            "accumulate": 2,
            "checkpoint_every": 2,
            "keep": 2,
            "log": [],
            "validation": {"period": ["2002-04-01", "2002-05-10"], "every": 2, "starts": 3, "lead": "3D"},
        }
    )
    config.save(folder / "config.yaml")
    assert in_a_process(learn, folder / "config.yaml", folder / "whole", 0, 0) == 0
    return folder / "whole"


def assert_same(run: Path, whole: Path) -> None:
    """Weights, running mean, optimiser, best weights and both tables are the same to the last bit."""
    for file in ("weights", "checkpoint", "best"):
        ours, theirs = (tensors(path / f"{file}.safetensors") for path in (run, whole))
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs if name != "seconds"), file
    for file, columns in (("log", 6), ("validation", 5)):
        ours, theirs = ([row[:columns] for row in csv.reader((p / f"{file}.csv").open())] for p in (run, whole))
        assert ours == theirs, file
    about, expected = Run(run).about, Run(whole).about
    assert {**about, "seconds": 0} == {**expected, "seconds": 0}
    names = [sorted(path.name for path in folder.iterdir()) for folder in (run, whole)]
    assert names[0] == names[1]


def test_killed_again_and_again(whole: Path, tmp_path: Path) -> None:
    """At random lines: in a step, in validation, while a checkpoint, a row of a table or weights are written."""
    lines = int(whole.with_suffix(".lines").read_text())
    config, run, random = whole.parent / "config.yaml", tmp_path / "run", np.random.default_rng(0)
    ends = [in_a_process(learn, config, run, at, signal.SIGKILL) for at in random.integers(1, lines // 2, KILLS)]
    assert ends.count(-signal.SIGKILL) >= KILLS - 1
    assert in_a_process(learn, config, run, 0, 0) == 0
    assert_same(run, whole)


def test_killed_half_way_through_a_file(whole: Path, tmp_path: Path) -> None:
    """Of a checkpoint or of the best weights: what stood there before stays whole."""
    config, run = whole.parent / "config.yaml", tmp_path / "run"
    for which in (1, 2, 4):
        assert in_a_process(learn_torn, config, run, which) == -signal.SIGKILL
        for path in run.glob("*.safetensors"):
            assert tensors(path)
    assert in_a_process(learn, config, run, 0, 0) == 0
    assert_same(run, whole)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1"])
def test_asked_to_stop_it_leaves_with_75(name: str, whole: Path, tmp_path: Path) -> None:
    lines = int(whole.with_suffix(".lines").read_text())
    config, run = whole.parent / "config.yaml", tmp_path / "run"
    assert in_a_process(learn, config, run, lines // 2, getattr(signal, name)) == 75
    assert Run(run).about["stopped"] == name
    assert not (run / "weights.safetensors").exists()
    assert in_a_process(learn, config, run, 0, 0) == 0
    assert_same(run, whole)
