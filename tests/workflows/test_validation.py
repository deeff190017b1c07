"""Validation while training: errors in physical units, the best weights, and no trace in what is trained."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from oceanx.vocabulary.errors import InputError
from oceanx.workflows import training
from oceanx.workflows.runs import load, tensors
from oceanx.workflows.train_config import TrainConfig
from oceanx.workflows.training import learning_rate, train

SPRING = {"period": ["2002-04-01", "2002-05-10"], "every": 4, "starts": 3, "lead": "3D"}


def changed(config: TrainConfig, **changes: Any) -> TrainConfig:
    return TrainConfig.parse(config.dump() | changes)


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "validation.csv").open() as file:
        return list(csv.DictReader(file))


def test_errors_of_persistence_are_those_of_numpy(tiny: TrainConfig, ocean: xr.Dataset, tmp_path: Path) -> None:
    """A network that has learned next to nothing persists; start dates are spread evenly over the period."""
    task = tiny.task.model_copy(update={"anomalies": False})
    config = changed(tiny, task=task.dump(), learning_rate=1e-12, validation=SPRING)
    found = rows(train(config, ocean, tmp_path / "run"))
    spring = ocean.sel(time=slice("2002-04-01", "2002-05-10"))
    starts = [0, 18, 36]  # the last window begins 3 days before the end of the 40
    area = ocean.cell_area.values
    for row in found:
        lead = int(row["lead_days"])
        field = spring[row["variable"]]
        wet = ocean.mask.isel(depth=0).values == 1
        if row["depth"]:
            field = field.sel(depth=float(row["depth"]), method="nearest")
            wet = ocean.mask.sel(depth=float(row["depth"]), method="nearest").values == 1
        values = field.values.astype("float64")
        squares = [np.average((values[s] - values[s + lead])[wet] ** 2, weights=area[wet]) for s in starts]
        assert float(row["rmse"]) == pytest.approx(np.sqrt(np.mean(squares)), rel=1e-4), row
    assert {row["iteration"] for row in found} == {"4", "8"}
    assert len(found) == 2 * 3 * (3 * 3 + 2)  # times, leads, levels of three volume variables and two at the surface


def test_validation_leaves_no_trace_and_resumes(
    tiny: TrainConfig, ocean: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same bits are trained with it and without; interrupted, its table and its best weights are the same."""
    plain = changed(tiny, average=0.9, learning_rate=5e-3)
    config = changed(plain, validation=SPRING | {"every": 2}, keep=20, checkpoint_every=1)
    whole = train(config, ocean, tmp_path / "whole")
    usual = tensors(train(plain, ocean, tmp_path / "plain") / "weights.safetensors")
    assert all(torch.equal(tensors(whole / "weights.safetensors")[name], usual[name]) for name in usual)

    best, at = tensors(whole / "best.safetensors"), whole.about["best_iteration"]
    kept = tensors(whole / f"checkpoint-{at:08d}.safetensors")
    assert all(torch.equal(value, kept[f"average.{name}"]) for name, value in best.items())
    loaded = load(whole, weights="best").step.state_dict()  # type: ignore[attr-defined]
    assert all(torch.equal(value, best[name]) for name, value in loaded.items())

    def interrupted(*given: Any) -> float:
        if given[1] == 5:
            raise KeyboardInterrupt
        return learning_rate(*given)

    monkeypatch.setattr(training, "learning_rate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(changed(config, checkpoint_every=3), ocean, tmp_path / "run")
    monkeypatch.undo()
    run = train(config, ocean, tmp_path / "run", resume=True)
    assert rows(run) == rows(whole)
    assert (run / "best.safetensors").read_bytes() == (whole / "best.safetensors").read_bytes()
    assert run.about["best"] == whole.about["best"]


def test_the_score_is_the_mean_error_in_spreads_and_the_lowest_is_best(
    tiny: TrainConfig, ocean: xr.Dataset, tmp_path: Path
) -> None:
    run = train(changed(tiny, weights={}, validation=SPRING), ocean, tmp_path / "run")
    statistics = run.dataset("statistics")
    assert statistics is not None
    scores = []
    for iteration in ("4", "8"):
        by_name: dict[str, list[float]] = {}
        for row in rows(run):
            if row["iteration"] == iteration:
                spread = np.atleast_1d(statistics[f"{row['variable']}_std"].values)
                level = [f"{z:g}" for z in tiny.task.prognostic.depth].index(row["depth"]) if row["depth"] else 0
                by_name.setdefault(row["variable"], []).append(float(row["rmse"]) / spread[level])
        scores.append(np.mean([np.mean(values) for values in by_name.values()]))
    assert run.about["best"] == pytest.approx(min(scores), rel=1e-4)
    assert run.about["best_iteration"] == (4, 8)[int(np.argmin(scores))]


def test_refusals(tiny: TrainConfig, ocean: xr.Dataset, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"validation: 2003-01-01 to 2003-02-01 is not all in the Dataset"):
        train(changed(tiny, validation=SPRING | {"period": ["2003-01-01", "2003-02-01"]}), ocean, tmp_path / "run")
    late = SPRING | {"period": ["2002-05-01", "2002-05-10"], "lead": "30D"}
    with pytest.raises(InputError, match="no 31 consecutive times"):
        train(changed(tiny, validation=late), ocean, tmp_path / "run")
    with pytest.raises(InputError, match=r"`validation\.lead` is no whole number of steps of 1D"):
        changed(tiny, validation=SPRING | {"lead": "36h"})
    assert not (tmp_path / "run").exists()
    run = train(tiny, ocean, tmp_path / "run")
    with pytest.raises(InputError, match="has no best weights, because it was trained without `validation`"):
        load(run, weights="best")
