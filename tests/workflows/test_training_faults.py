"""What goes wrong in the midst of training, or is stopped: one line that names the thing, and nothing good is lost."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import xarray as xr

from oceanx.vocabulary.errors import InputError
from oceanx.workflows import faults, training
from oceanx.workflows.batching import GlobalBatches, Windows
from oceanx.workflows.learner import Learner
from oceanx.workflows.processes import Processes
from oceanx.workflows.runs import tensors
from oceanx.workflows.stopping import Stopped, Stopping
from oceanx.workflows.train_config import TrainConfig
from oceanx.workflows.training import train


def changed(config: TrainConfig, **changes: Any) -> TrainConfig:
    return TrainConfig.parse(config.dump() | changes)


def rates(monkeypatch: pytest.MonkeyPatch, by_iteration: dict[int, float], usual: float = 1e-4) -> None:
    """Learning rates that a schedule would never give."""
    monkeypatch.setattr(training, "learning_rate", lambda config, at, share: by_iteration.get(at, usual))


def test_divergence_names_the_variable_and_the_days(
    tiny: TrainConfig, ocean: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates(monkeypatch, {2: 1e30})
    with pytest.raises(InputError) as said:
        train(tiny, ocean, tmp_path / "run")
    windows = Windows(ocean.sel(time=slice("2001-01-01", "2002-03-31")), tiny.task, 1, ocean)
    batch = list(GlobalBatches(len(windows), 4, seed=tiny.seed))[3]
    days = ", ".join(str(windows.window_times(index)[0])[:10] for index in batch)
    expected = f"no longer a number at iteration 4: thetao is no number after step 1, in windows from {days};"
    assert expected in str(said.value)
    assert int(tensors(tmp_path / "run" / "checkpoint.safetensors")["iteration"]) == 2


def test_a_loss_that_explodes_stops_before_it_is_no_number(
    tiny: TrainConfig, ocean: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates(monkeypatch, {4: 10.0})
    monkeypatch.setattr(faults, "PATIENCE", 3)
    with pytest.raises(
        InputError, match=r"the loss is [\d.e+]+ times its running mean at iteration 6: \w+ is furthest"
    ):
        train(changed(tiny, rollout=[1], iterations=[8], batch_size=[4], explodes=50.0), ocean, tmp_path / "run")
    assert int(tensors(tmp_path / "run" / "checkpoint.safetensors")["iteration"]) == 4


def test_an_ocean_without_water(tiny: TrainConfig, ocean: xr.Dataset, tmp_path: Path) -> None:
    dry = ocean.assign_coords(mask=ocean.mask * 0)
    with pytest.raises(InputError, match="mask: no cell of the task's levels is wet"):
        train(tiny, dry, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_full_gpu_says_which_settings_help(
    tiny: TrainConfig, ocean: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gradients = Learner.gradients
    long = (
        "CUDA out of memory. Tried to allocate 3.00 GiB. GPU 0 has a total capacity of 14.74 GiB of which 3.06 MiB is "
        "free. Of the allocated memory 14 GiB is allocated by PyTorch, and so on. See documentation"
    )

    def full(self: Learner, batch: Any) -> torch.Tensor:
        if self.stage.rollout == 2 and not self.config.recompute:
            raise torch.OutOfMemoryError(long)
        return gradients(self, batch)

    monkeypatch.setattr(Learner, "gradients", full)
    with pytest.raises(InputError) as said:
        train(tiny, ocean, tmp_path / "run")
    assert str(said.value) == (
        "the GPU's memory does not hold 2 windows at once, rolled out 2 steps (CUDA out of memory. Tried to allocate "
        "3.00 GiB. GPU 0 has a total capacity of 14.74 GiB of which 3.06 MiB is free); go on with --resume and "
        "recompute=true, accumulate=2; or train anew with precision=bf16, a smaller batch_size"
    )
    run = train(changed(tiny, recompute=True), ocean, tmp_path / "run", resume=True)
    assert run.about["finished"]


@pytest.mark.parametrize(
    ("given", "count", "said"),
    [
        ({}, 1, "go on with --resume and accumulate=2; or train anew with precision=bf16, a smaller batch_size"),
        ({"batch_size": [12, 6]}, 1, "go on with --resume and accumulate=2; or .*bf16, a smaller batch_size"),
        ({"batch_size": [12, 6], "accumulate": 2}, 1, "6 windows at once, rolled out 1 step .*accumulate=3; or "),
        ({"precision": "bf16"}, 2, "--resume and sharding=full; or train anew with a smaller batch_size$"),
        (
            {"precision": "bf16", "sharding": "full"},
            2,
            r"\(CUDA out of memory\); train anew with a smaller batch_size$",
        ),
        (
            {"batch_size": [1], "rollout": [4], "iterations": [1]},
            1,
            "and recompute=true; or .*precision=bf16$",
        ),
        (
            {"batch_size": [1], "precision": "bf16", "rollout": [4], "iterations": [1], "recompute": True},
            1,
            "1 window at once, rolled out 4 steps.*; train anew with a smaller model, or shorter rollouts",
        ),
    ],
)
def test_only_settings_that_help_are_named(given: dict[str, Any], count: int, said: str, tiny: TrainConfig) -> None:
    """Those that are set already, or that no stage's batches allow, are left out."""
    config = changed(tiny, **given)
    here = Processes(0, count, torch.device("cpu"))
    learner = SimpleNamespace(config=config, stage=config.stages[0], here=here)
    with pytest.raises(InputError, match=said), faults.memory_explained(learner):  # type: ignore[arg-type]
        raise torch.OutOfMemoryError("CUDA out of memory.")


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="POSIX signals")
def test_a_signal_stops_at_the_next_iteration_and_the_run_goes_on_to_the_same_bits(
    tiny: TrainConfig, ocean: xr.Dataset, tmp_path: Path
) -> None:
    def send(what: str, done: int, total: int) -> None:
        if what.startswith("train") and done == 3:
            os.kill(os.getpid(), signal.SIGUSR1)

    config = changed(tiny, average=0.9, checkpoint_every=100)
    handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)]
    with pytest.raises(Stopped) as left:
        train(config, ocean, tmp_path / "run", progress=send)
    assert left.value.code == 75
    assert "SIGUSR1 after iteration 3" in left.value.why
    assert json.loads((tmp_path / "run" / "run.json").read_text())["stopped"] == "SIGUSR1"
    assert int(tensors(tmp_path / "run" / "checkpoint.safetensors")["iteration"]) == 3
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)] == handlers
    run = train(config, ocean, tmp_path / "run", resume=True)
    assert run.about["stopped"] == ""
    whole = train(config, ocean, tmp_path / "whole")
    ours, theirs = (tensors(path / "weights.safetensors") for path in (run, whole))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_run_is_trained_by_one_process_at_a_time(tiny: TrainConfig, ocean: xr.Dataset, tmp_path: Path) -> None:
    def again(what: str, done: int, total: int) -> None:
        if what.startswith("train") and done == 3:
            with pytest.raises(InputError, match="another process is writing it; wait for that one, or stop it"):
                train(tiny, ocean, tmp_path / "run", resume=True)

    run = train(tiny, ocean, tmp_path / "run", progress=again)
    whole = train(tiny, ocean, tmp_path / "whole")
    ours, theirs = (tensors(path / "weights.safetensors") for path in (run, whole))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert len((run / "log.csv").read_text().splitlines()) == len((whole / "log.csv").read_text().splitlines())


def test_signals_are_only_remembered_within() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Stopping() as stopping:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        assert stopping.asked == "SIGTERM"
    assert signal.getsignal(signal.SIGTERM) == before


def test_the_last_checkpoints_are_kept(tiny: TrainConfig, ocean: xr.Dataset, tmp_path: Path) -> None:
    """Any of them may take the checkpoint's place, and training goes on from it to the same bits."""
    config = changed(tiny, keep=2, average=0.9)
    run = train(config, ocean, tmp_path / "run")
    kept = sorted(path.name for path in run.glob("checkpoint-*"))
    assert kept == ["checkpoint-00000006.safetensors", "checkpoint-00000008.safetensors"]
    assert (run / kept[1]).read_bytes() == (run / "checkpoint.safetensors").read_bytes()
    end = tensors(run / "weights.safetensors")
    os.replace(run / kept[0], run / "checkpoint.safetensors")
    run.note(finished=False)
    again = tensors(train(config, ocean, run, resume=True) / "weights.safetensors")
    assert all(torch.equal(again[name], end[name]) for name in end)
