"""Logs: what a row holds, and who else is told."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import xarray as xr
from torch import nn

from oceanx.physics.coefficients import Coefficient
from oceanx.vocabulary.errors import InputError
from oceanx.workflows import logs
from oceanx.workflows.train_config import TrainConfig
from oceanx.workflows.training import train


def changed(config: TrainConfig, **changes: Any) -> TrainConfig:
    return TrainConfig.parse(config.dump() | changes)


def test_rows_tell_speed_waiting_and_memory(tiny: TrainConfig, ocean: xr.Dataset, tmp_path: Path) -> None:
    run = train(changed(tiny, log=[]), ocean, tmp_path / "run")
    with (run / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["iteration"]) for row in rows] == list(range(1, 9))
    for row in rows:
        assert float(row["samples_per_second"]) > 0
        assert 0 <= float(row["waiting"]) <= 1
        assert 0 < float(row["memory_gib"]) < 100


class Diffusive(nn.Module):
    """A model with a learned coefficient and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.viscosity = Coefficient(500.0, "m2 s-1")


def test_coefficients_are_logged_in_si_units() -> None:
    assert logs.learned(Diffusive()) == {"viscosity [m2 s-1]": 500.0}
    model = Diffusive()
    model.coefficients = lambda: {"ν [m2 s-1]": 7.0}  # type: ignore[assignment]
    assert logs.learned(model) == {"ν [m2 s-1]": 7.0}
    assert logs.learned(nn.Linear(2, 2)) == {}


def test_the_sinks_hear_every_iteration_and_the_validation(
    tiny: TrainConfig, ocean: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stand-ins with the packages' own words: what is not installed on every machine can still be called rightly."""
    told: dict[str, list[tuple[dict[str, float], int]]] = {"tensorboard": [], "mlflow": [], "wandb": []}
    closed: list[str] = []

    class SummaryWriter:
        def __init__(self, log_dir: str):
            assert Path(log_dir) == tmp_path / "run" / "tensorboard"

        def add_scalar(self, tag: str, value: float, global_step: int) -> None:
            told["tensorboard"].append(({tag: value}, global_step))

        def close(self) -> None:
            closed.append("tensorboard")

    mlflow = SimpleNamespace(
        start_run=lambda run_name: None, log_dict=lambda config, name: None, end_run=lambda: closed.append("mlflow"),
        log_metrics=lambda metrics, step: told["mlflow"].append((metrics, step)),
    )  # fmt: skip
    board = SimpleNamespace(
        log=lambda numbers, step: told["wandb"].append((numbers, step)), finish=lambda: closed.append("wandb")
    )
    wandb = SimpleNamespace(init=lambda name, id, resume, dir, config: board)
    tensorboard = ModuleType("torch.utils.tensorboard")
    tensorboard.SummaryWriter = SummaryWriter  # type: ignore[attr-defined]
    for name, module in {"torch.utils.tensorboard": tensorboard, "mlflow": mlflow, "wandb": wandb}.items():
        monkeypatch.setitem(sys.modules, name, module)  # type: ignore[arg-type]
    spring = {"period": ["2002-04-01", "2002-05-10"], "every": 8, "starts": 2, "lead": "2D"}
    train(changed(tiny, log=["tensorboard", "mlflow", "wandb"], validation=spring), ocean, tmp_path / "run")
    assert sorted(closed) == ["mlflow", "tensorboard", "wandb"]
    for name, heard in told.items():
        losses = [at for numbers, at in heard if "loss" in numbers]
        assert losses == list(range(1, 9)), name
        validated = {key: at for numbers, at in heard for key in numbers if key.startswith("rmse/")}
        assert validated["rmse/thetao_47.374/2d"] == 8
        assert validated["rmse/zos/1d"] == 8


def test_what_is_not_installed(
    tiny: TrainConfig, ocean: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without TensorBoard nothing is said; what was asked for by name is refused with the word that installs it."""
    for name in ("torch.utils.tensorboard", "mlflow", "wandb"):
        monkeypatch.setitem(sys.modules, name, None)
    assert train(tiny, ocean, tmp_path / "run").about["finished"]
    for name in ("mlflow", "wandb"):
        with pytest.raises(InputError, match=rf"log: {name} is not installed; pip install 'oceanx\[{name}\]'"):
            train(changed(tiny, log=[name]), ocean, tmp_path / name)
    with pytest.raises(InputError, match="log"):
        changed(tiny, log=["paper"])


def test_a_table_keeps_the_rows_up_to_an_iteration(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    logs.restart(path, ("iteration", "value"), 0)
    logs.add(path, [(1, "a"), (2, "b"), (2, "c"), (3, "d")])
    logs.restart(path, ("iteration", "value"), 2)
    assert path.read_text().split() == ["iteration,value", "1,a", "2,b", "2,c"]
    with path.open("a") as file:
        file.write("1")  # of 12,e: its writer was killed
    logs.restart(path, ("iteration", "value"), 2)
    assert path.read_text().split() == ["iteration,value", "1,a", "2,b", "2,c"]
    logs.restart(path, ("iteration", "value"), 0)
    assert path.read_text().split() == ["iteration,value"]
