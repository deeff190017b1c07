"""Run folders: everything a trained model needs, and everything training needs to go on.

config.yaml          resolved, every default written out       weights.safetensors      the model
statistics.nc        what the network normalises by            checkpoint.safetensors   model, optimiser, counters
climatology.nc       harmonics, if the task wants anomalies    log.csv                  one row an iteration shown
grid.nc              coordinates, mask, area, thickness        run.json                 versions, data, period

With `validation`, best.safetensors and validation.csv too; with `keep`, the last checkpoints by their iteration.
"""

from __future__ import annotations

import json
import pathlib
from pathlib import Path
from typing import Any, Literal

import torch
import xarray as xr
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from oceanx import seam
from oceanx.tensors.geometry import Geometry
from oceanx.vocabulary import files
from oceanx.vocabulary.config import read_yaml
from oceanx.vocabulary.errors import InputError

from .model import Model
from .train_config import Schedule, read_config


class Run(type(pathlib.Path())):  # type: ignore[misc]
    """The path of a run folder, which explains itself."""

    def __repr__(self) -> str:
        config, about = self.config, self.about
        return (
            f"<oceanx run {str(self)!r}: {config.model.kind}, {list(config.task.prognostic.names)} by "
            f"{config.task.step}, {about.get('iteration', 0)} iterations, trained on {about.get('period', '?')}>"
        )

    @property
    def config(self) -> Any:
        """The resolved config: a TrainConfig, or the AnalysisTraining of a learned analysis."""
        return read_config(read_yaml(self / "config.yaml"), where=str(self / "config.yaml"))

    @property
    def about(self) -> dict[str, Any]:
        """Versions, data and progress."""
        try:
            return dict(json.loads((self / "run.json").read_text()))
        except (OSError, ValueError) as error:
            raise InputError(f"{self / 'run.json'}: cannot be read ({error}); train again") from None

    def dataset(self, name: str) -> xr.Dataset | None:
        """`statistics`, `climatology` or `grid`, or None if the run has none."""
        path = self / f"{name}.nc"
        try:
            return xr.load_dataset(path, engine="netcdf4") if path.exists() else None
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: is damaged or truncated ({error}); train again") from None

    def save_dataset(self, name: str, ds: xr.Dataset) -> None:
        """Write `statistics`, `climatology` or `grid`."""
        with files.replacing(self / f"{name}.nc", overwrite=True) as path:
            ds.to_netcdf(path, engine="netcdf4")

    def note(self, **about: Any) -> None:
        """Add to `run.json`."""
        known = self.about if (self / "run.json").exists() else {}
        with files.replacing(self / "run.json", overwrite=True) as path:
            path.write_text(json.dumps(known | about, indent=1))


def load(run: str | Path, weights: Literal["last", "best"] = "last") -> Model:
    """The trained Model in a run folder: a Step with `.task`. The folder needs nothing else.

    Parameters
    ----------
    weights
        Those at the end of training, or the best by its validation.

    Raises
    ------
    InputError
        The folder is no run, or its weights are of another model.
    """
    run = Run(run)
    if not (run / "weights.safetensors").exists():
        begun = "has no weights yet; go on with its training, train(…, resume=True) or --resume"
        what = begun if (run / "config.yaml").exists() else "is not a run folder; give one that train made"
        raise InputError(f"{run}: {what}")
    if getattr(run.config, "kind", "") == "analysis":
        raise InputError(f"{run}: is a learned analysis, no forecast model; give it to assimilate, method={str(run)!r}")
    module = build(run.config, *described(run))
    path = run / ("best.safetensors" if weights == "best" else "weights.safetensors")
    if not path.exists():
        raise InputError(f"{run}: has no best weights, because it was trained without `validation`; load the last ones")
    restore(module, tensors(path), path)
    return _labelled(run, module, run.name)


def untrained(run: str | Path) -> Model:
    """The Model of a run as it was before training: the skeleton that the network was added to."""
    run = Run(run)
    return _labelled(run, build(run.config, *described(run)), "untrained")


def _labelled(run: Run, module: nn.Module, name: str) -> Model:
    about = run.about
    return Model(
        name=name,
        step=module.eval(),
        task=run.config.task,
        grid=run.dataset("grid"),
        climatology=run.dataset("climatology"),
        attrs={f"oceanx_{key}": str(about[key]) for key in ("config", "data", "period", "iteration") if key in about}
        | getattr(module, "attrs", {}),
    )


def described(run: Run) -> tuple[Geometry, dict[str, Tensor]]:
    """The geometry and the statistics that a run was started with."""
    labelled, statistics = run.dataset("grid"), run.dataset("statistics")
    if labelled is None or statistics is None:
        raise InputError(f"{run}: grid.nc or statistics.nc is missing; the run folder is not complete")
    return seam.geometry(labelled), seam.statistics(statistics)


def build(config: Schedule, geometry: Geometry, statistics: dict[str, Tensor]) -> nn.Module:
    """The untrained model of a config; the seed decides its first weights."""
    torch.manual_seed(config.seed)
    try:
        return config.model.build(config.task, geometry, statistics)
    except ValueError as error:
        raise InputError(f"model: {error}") from None


def tensors(path: Path, mend: str = "copy it again, or train again") -> dict[str, Tensor]:
    """The tensors in a safetensors file; nothing is ever unpickled. A damaged one is told with how to `mend` it."""
    try:
        with safe_open(str(path), framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: not a safetensors file, or cut short ({error}); {mend}") from None


def restore(module: nn.Module, saved: dict[str, Tensor], where: Path) -> None:
    """Put saved tensors into a module; `InputError` names the first that does not fit."""
    own = module.state_dict()
    for name in own:
        if name not in saved:
            raise InputError(f"{where}: has no {name}; it is a checkpoint of another model")
        if own[name].shape != saved[name].shape:
            found, expected = tuple(saved[name].shape), tuple(own[name].shape)
            raise InputError(
                f"{where}: {name} is {found}, expected {expected}; it is a checkpoint of another model or Task"
            )
    stranger = next((name for name in saved if name not in own), None)
    if stranger:
        raise InputError(f"{where}: {stranger} is unknown to this model; it is a checkpoint of another one")
    module.load_state_dict(saved)


def save_tensors(path: Path, saved: dict[str, Tensor]) -> None:
    """Write a safetensors file, complete or not at all."""
    with files.replacing(path, overwrite=True) as building:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in saved.items()}, str(building))
