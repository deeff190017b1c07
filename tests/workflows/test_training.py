"""Training: exact resumption, any number of processes, and what it refuses."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import toy_dataset
import xarray as xr

from oceanx.vocabulary.errors import InputError
from oceanx.workflows import training
from oceanx.workflows.runs import load, tensors
from oceanx.workflows.train_config import TrainConfig, preset, presets
from oceanx.workflows.training import learning_rate, train


def weights(run: Path) -> dict[str, torch.Tensor]:
    return tensors(run / "weights.safetensors")


def changed(config: TrainConfig, **changes: object) -> TrainConfig:
    return TrainConfig.parse(config.dump() | changes)


def test_training_lowers_the_loss(small: TrainConfig, ocean: xr.Dataset, tmp_path: Path) -> None:
    longer = changed(small, rollout=[1], iterations=[60], batch_size=[8], warmup=5, learning_rate=5e-3)
    run = train(longer, ocean, tmp_path / "run")
    with (run / "log.csv").open() as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    assert len(losses) == 60
    assert np.mean(losses[-10:]) < np.mean(losses[:5])


def test_resumed_equals_uninterrupted_to_the_last_bit(
    small: TrainConfig, ocean: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted in either stage, training goes on to the same weights, optimiser and log."""
    small = changed(small, average=0.9)
    whole = train(small, ocean, tmp_path / "whole")
    for stop in (3, 7):
        run = tmp_path / f"stopped_{stop}"

        def interrupted(*args: object, stop: int = stop) -> float:
            if args[1] == stop:
                raise KeyboardInterrupt
            return learning_rate(*args)  # type: ignore[arg-type]

        monkeypatch.setattr(training, "learning_rate", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(small, ocean, run)
        monkeypatch.undo()
        assert not (run / "weights.safetensors").exists()
        train(small, ocean, run, resume=True)
        ours, theirs = weights(run), weights(whole)
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
        ours, theirs = tensors(run / "checkpoint.safetensors"), tensors(whole / "checkpoint.safetensors")
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs if name != "seconds")
        columns = [[row[:5] for row in csv.reader((path / "log.csv").open())] for path in (run, whole)]
        assert columns[0] == columns[1]


def test_two_processes_train_the_same(small: TrainConfig, ocean: xr.Dataset, tmp_path: Path) -> None:
    """Two gloo processes on the same global batches end where one process does, to float32 rounding."""
    alone = train(small, ocean, tmp_path / "one")
    ocean.drop_encoding().to_zarr(tmp_path / "ocean.zarr", consolidated=False)
    small.save(tmp_path / "small.yaml")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += ["-m", "oceanx", "train", str(tmp_path / "small.yaml"), "--data", str(tmp_path / "ocean.zarr")]
    command += ["--to", str(tmp_path / "two")]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=300
    )
    assert done.returncode == 0, done.stderr
    two, one = weights(tmp_path / "two"), weights(alone)
    for name in one:
        torch.testing.assert_close(two[name], one[name], rtol=1e-5, atol=1e-7, msg=name)


def test_run_folder_is_complete(small: TrainConfig, ocean: xr.Dataset, tmp_path: Path) -> None:
    run = train(small, ocean, tmp_path / "run")
    names = {path.name for path in run.iterdir()}
    assert names == {
        "config.yaml", "grid.nc", "statistics.nc", "climatology.nc", "weights.safetensors", "checkpoint.safetensors",
        "log.csv", "run.json",
    }  # fmt: skip
    moved = tmp_path / "elsewhere"
    run.rename(moved)
    model = load(moved)
    assert model.task == small.task
    assert "hybrid" in repr(run.__class__(moved))
    assert "2001-01-01 to 2002-03-31" in repr(run.__class__(moved))


def test_every_preset_is_valid() -> None:
    assert {"hybrid_small", "emulator_small", "sst_emulator"} <= set(presets())
    for name in presets():
        config = preset(name)
        assert type(config).parse(config.dump()) == config


def test_preset_overrides() -> None:
    config = preset(
        "hybrid_small", **{"model.substeps": 12, "rollout": [1, 2, 4], "iterations": [10], "batch_size": [2]}
    )
    assert config.model.substeps == 12  # type: ignore[union-attr]
    assert [stage.rollout for stage in config.stages] == [1, 2, 4]
    assert config.stages[-1].until == 1.0
    with pytest.raises(InputError, match=r"did you mean 'substeps'"):
        preset("hybrid_small", **{"model.substep": 12})
    with pytest.raises(InputError, match=r"did you mean 'hybrid_small'"):
        preset("hybrid_smal")


def test_learning_rate_warms_up_and_falls_to_zero(small: TrainConfig) -> None:
    assert learning_rate(small, 0, 0.0) == pytest.approx(small.learning_rate / (small.warmup + 1))
    assert learning_rate(small, 1000, 0.5) == pytest.approx(small.learning_rate / 2)
    assert learning_rate(small, 1000, 1.0) == pytest.approx(0.0, abs=1e-12)


class TestRefuses:
    """What training refuses, in one line that names the thing."""

    def test_a_date_outside_the_store(self, small: TrainConfig, ocean: xr.Dataset, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"train: 1999-01-01 to 2001-06-01 is not all in the Dataset"):
            train(changed(small, train=["1999-01-01", "2001-06-01"]), ocean, tmp_path / "run")
        assert not (tmp_path / "run").exists()

    def test_a_missing_variable_or_level(self, small: TrainConfig, ocean: xr.Dataset, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="zos: the Dataset lacks this variable"):
            train(small, ocean.drop_vars("zos"), tmp_path / "run")
        with pytest.raises(InputError, match=r"no level near 47\.374 m"):
            train(small, ocean.isel(depth=[0, 2]), tmp_path / "run")
        assert not (tmp_path / "run").exists()

    def test_an_existing_target(self, small: TrainConfig, ocean: xr.Dataset, tmp_path: Path) -> None:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "precious").write_text("kept")
        with pytest.raises(InputError, match="exists already"):
            train(small, ocean, tmp_path / "run")
        assert (tmp_path / "run" / "precious").read_text() == "kept"

    def test_another_config_or_other_data(self, small: TrainConfig, ocean: xr.Dataset, tmp_path: Path) -> None:
        run = train(small, ocean, tmp_path / "run")
        with pytest.raises(InputError, match="was started with seed=0, now 1"):
            train(changed(small, seed=1), ocean, run, resume=True)
        with pytest.raises(InputError, match="was started on data toy-0, now toy-3"):
            train(small, toy_dataset.ocean(500, start="2001-01-01", seed=3), run, resume=True)

    def test_a_checkpoint_of_another_model(self, small: TrainConfig, ocean: xr.Dataset, tmp_path: Path) -> None:
        run = train(small, ocean, tmp_path / "run")
        wider = changed(small, model={**small.dump()["model"], "net": {"kind": "unet", "widths": [8, 24]}})
        wider.save(run / "config.yaml")
        with pytest.raises(InputError, match=r"weights\.safetensors: .* expected .*another model or Task"):
            load(run)

    def test_no_run_at_all(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="is not a run folder"):
            load(tmp_path)
        (tmp_path / "weights.safetensors").write_bytes(b"")
        with pytest.raises(InputError, match=r"config\.yaml: no such file"):
            load(tmp_path)

    def test_divergence_keeps_the_last_checkpoint(
        self, small: TrainConfig, ocean: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def exploding(config: TrainConfig, iteration: int, share: float) -> float:
            return 1e30 if iteration == 3 else 1e-3

        monkeypatch.setattr(training, "learning_rate", exploding)
        with pytest.raises(InputError, match="the loss is no longer a number at iteration"):
            train(small, ocean, tmp_path / "run")
        assert int(tensors(tmp_path / "run" / "checkpoint.safetensors")["iteration"]) == 2
        assert not (tmp_path / "run" / "weights.safetensors").exists()
