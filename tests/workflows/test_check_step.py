"""check_step: every model and network of the tables keeps its promises, and a model broken on purpose is caught."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pytest
import torch
import toy_dataset
import xarray as xr
from torch import nn
from toy_nets import SMALL

import oceanx as ox
from oceanx.models.emulator import Emulator, EmulatorConfig
from oceanx.models.registry import ModelConfig
from oceanx.nn.unet import UNetConfig
from oceanx.ocean import grid
from oceanx.tensors.state import Increment, State
from oceanx.vocabulary.channels import Channels, Task
from oceanx.vocabulary.config import Config
from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.names import VARIABLES
from oceanx.workflows.checks import check_step
from oceanx.workflows.model import Model
from oceanx.workflows.promises import PROMISES

ROOT = Path(__file__).parents[2]
UNET = UNetConfig(widths=(4, 8, 16), groups=2)
TASK = Task(
    prognostic=Channels(volume=("thetao", "uo", "vo"), surface=("zos", "mlotst"), depth=toy_dataset.DEPTH),
    forcing=Channels(surface=("u10", "t2m")),
    anomalies=True,
)
SURFACE = Task(
    prognostic=Channels(surface=("sst", "zos", "ugos", "vgos")),
    forcing=Channels(surface=("u10", "t2m")),
    anomalies=True,
)
CORE = Task(
    prognostic=Channels(volume=("thetao", "so", "uo", "vo"), surface=("zos",), depth=toy_dataset.DEPTH),
    forcing=TASK.forcing,
    anomalies=True,
)
PARENT = tuple(f"{name}_parent" for name in CORE.prognostic.volume)
NESTED = Task(
    prognostic=CORE.prognostic,
    forcing=Channels(volume=PARENT, surface=TASK.forcing.surface, depth=toy_dataset.DEPTH),
    anomalies=True,
)
# What a kind of model is tried on, where it is not TASK, and settings that make it small. Its networks are small ones.
KINDS: dict[str, tuple[Task, dict[str, Any]]] = {
    "hybridom": (CORE, {"substeps": 2}),
    "hybridom_regional": (NESTED, {"substeps": 2}),
    "neuralogcm": (CORE, {}),
    "neuralom": (TASK, {"stages": (UNET, UNET)}),
    "ocean_e2e": (SURFACE, {"substeps": 2}),
}


@pytest.fixture(scope="module")
def globe() -> xr.Dataset:
    """400 toy days on a band round the globe."""
    ds = toy_dataset.ocean(400, start="2001-01-01", nlon=24).drop_vars("cell_area")
    ds = ds.assign_coords(longitude=ds.longitude.copy(data=-180 + 15 * (np.arange(24) + 0.5)))
    top = ds.isel(depth=0, drop=True)
    like = {"so": ds.thetao * 0.2 + 31, "sst": top.thetao, "ugos": top.uo, "vgos": top.vo}
    ds = ds.assign({name: field.assign_attrs(VARIABLES[name].attrs) for name, field in like.items()})
    return grid.complete(ds.assign({f"{name}_parent": ds[name] for name in CORE.prognostic.volume}))


@pytest.fixture(autouse=True)
def plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Physics is not compiled, which takes longer than to run it."""
    monkeypatch.setenv("OCEANX_COMPILE", "0")


def models() -> dict[str, type[Config]]:
    """The Config classes of the table of models, by kind."""
    union = get_args(ModelConfig)[0]
    return {config.model_fields["kind"].default: config for config in get_args(union)}


def small(kind: str) -> tuple[Config, Task]:
    """A small model of a kind: a U-Net in place of every network it has."""
    made = models()[kind]
    task, settings = KINDS.get(kind, (TASK, {}))
    fields = {name: field.get_default(call_default_factory=True) for name, field in made.model_fields.items()}
    nets = {name: UNET for name, value in fields.items() if type(value).__module__.startswith("oceanx.nn.")}
    return made.model_validate({**nets, **settings}), task


@pytest.mark.parametrize("kind", models())
def test_every_model_of_the_table_keeps_its_promises(kind: str, globe: xr.Dataset) -> None:
    config, task = small(kind)
    found = check_step(config, globe, task=task)
    assert list(found.index) == [promise for promise in PROMISES if promise != "compiled"]
    assert set(found.outcome) <= {"kept", "not promised"}, found
    assert (found.outcome.drop("longitude") == "kept").all(), found


@pytest.mark.parametrize("net", SMALL)
def test_every_network_of_the_table_keeps_them_in_an_emulator(net: str, globe: xr.Dataset) -> None:
    found = check_step(EmulatorConfig(net=SMALL[net]), globe, task=TASK)
    assert (found.outcome.drop("longitude") == "kept").all(), found
    assert found.outcome["longitude"] == ("not promised" if net in ("afno", "cirt", "mesh") else "kept")


# Models that are broken on purpose


class Loses(Emulator):
    def forward(self, state, forcing):
        return State({name: field for name, field in super().forward(state, forcing).items() if name != "zos"})


class Flattens(Emulator):
    def forward(self, state, forcing):
        after = super().forward(state, forcing)
        return State({**after, "thetao": after["thetao"][:, :1]})


class Normalises(Emulator):
    def forward(self, state, forcing):
        after = super().forward(state, forcing)
        return State({**after, "thetao": (after["thetao"] - self.network.thetao_mean) / self.network.thetao_std})


class Floods(Emulator):
    def forward(self, state, forcing):
        return super().forward(state, forcing) + Increment({"uo": torch.full_like(state["uo"], 1e-3)})


class Idles(Emulator):
    def __init__(self, *given):
        super().__init__(*given)
        self.idle = nn.Parameter(torch.ones(3))


class Stumbles(Emulator):
    """A square root at 0, whose slope is no number."""

    def __init__(self, *given):
        super().__init__(*given)
        self.zero = nn.Parameter(torch.zeros(()), requires_grad=True)

    def forward(self, state, forcing):
        root = (0.0 * self.zero**2).sqrt()
        return super().forward(state, forcing) + Increment({"zos": root * torch.ones_like(state["zos"])})


class Grows(Emulator):
    def forward(self, state, forcing):
        return super().forward(state, forcing) + Increment({"thetao": 0.3 * state["thetao"]})

    def skeleton(self, state, forcing):
        return super().skeleton(state, forcing) + Increment({"thetao": 0.3 * state["thetao"]})


class Bursts(Emulator):
    def forward(self, state, forcing):
        return State({name: field / (field < field.amax()) for name, field in super().forward(state, forcing).items()})


class Speaks(Emulator):
    def __init__(self, *given):
        super().__init__(*given)
        nn.init.normal_(self.network.net.head.weight, std=0.01)


class Drifts(Emulator):
    """Its networks are silent, and it is still not what it says it is."""

    def forward(self, state, forcing):
        return super().forward(state, forcing) + Increment({"thetao": 1e-3 * state["thetao"]})


class Mixes(Emulator):
    def forward(self, state, forcing):
        said = self.network(state, forcing)
        mixed = said + said.map(lambda field: 0.1 * (field.mean(0, keepdim=True) - field))
        return self.skeleton(state, forcing) + mixed


class Looks(Emulator):
    """It knows where longitude begins."""

    def __init__(self, *given):
        super().__init__(*given)
        self.places = nn.Parameter(torch.zeros(self.network.geometry.area.shape[-1]))

    def forward(self, state, forcing):
        return super().forward(state, forcing) + Increment(
            {"thetao": 0.1 * self.places * state["thetao"] * self.network.geometry.mask}
        )


class Forgets(Emulator):
    """A number that is drawn when it is built, and saved nowhere."""

    def __init__(self, *given):
        super().__init__(*given)
        self.drawn = float(torch.rand(()))

    def forward(self, state, forcing):
        return self.skeleton(state, forcing) + self.network(state, forcing) * self.drawn


class Cheats(Emulator):
    def forward(self, state, forcing):
        said = self.network(state, forcing)
        return self.skeleton(state, forcing) + said * (2.0 if torch.compiler.is_compiling() else 1.0)


FAULTS = {name: made for name, made in globals().items() if inspect.isclass(made) and issubclass(made, Emulator)}


class FaultyConfig(Config):
    """An emulator with a fault."""

    kind: Literal["faulty"] = "faulty"
    fault: str

    def build(self, task, geometry, statistics):
        return FAULTS[self.fault](EmulatorConfig(net=UNET), task, geometry, statistics)


CAUGHT = {
    "Loses": [r"names: zos is lost: a step gives \['thetao', 'uo', 'vo', 'mlotst'\]"],
    "Flattens": [r"names: thetao is \(2, 1, 10, 24\) of torch.float32; expected \(2, 3, 10, 24\)"],
    "Normalises": [r"names: thetao moves by 2[0-9].* degrees_C in one step, while in all it varies by"],
    "Floods": [r"land: uo is up to 0.001 m s-1 in \d+ of \d+ cells", "skeleton: .*untrained .* not its skeleton: uo"],
    "Idles": [r"gradients: no gradient reaches idle \(3,\)"],
    "Stumbles": [r"gradients: the gradient of zero is no number in 1 of 1 places"],
    "Grows": [r"bounded: thetao reaches .* degrees_C after \d+ days; the ocean has"],
    "Bursts": [r"names: .* in one step"],
    "Speaks": [r"skeleton: untrained it is not its skeleton: thetao differs by up to .* degrees_C, allowed"],
    "Drifts": [r"skeleton: untrained it is not its skeleton: thetao differs by up to"],
    "Mixes": [r"batch: in a batch it is not what it is alone: thetao differs by up to"],
    "Looks": [r"longitude: turned by 4 columns it is not the same: thetao differs by up to"],
    "Forgets": [r"saved: loaded it is not what was saved: thetao differs by up to"],
    "Cheats": [r"compiled: compiled it is not what it is plainly: thetao differs by up to"],
}


@pytest.fixture
def quick_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """`torch.compile` that traces the model, and leaves the machine's code to PyTorch."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))


def by_itself(test: str) -> None:
    """The test in a process of its own: shape checks at run time, which others are run with, cannot be compiled."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", test]
    known = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(command, env=known | {"TRACED": "1"}, cwd=ROOT, capture_output=True, text=True)
    assert "1 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_model_is_caught(fault: str, globe: xr.Dataset, quick_compiler: None) -> None:
    """By the promise it breaks, and no other."""
    if fault in ("Emulator", "Cheats") and "TRACED" not in os.environ:
        by_itself(f"{__file__}::test_a_broken_model_is_caught[{fault}]")
        return
    if fault == "Emulator":
        assert (check_step(FaultyConfig(fault=fault), globe, task=TASK, compiled=True, days=5).outcome == "kept").all()
        return
    with pytest.raises(InputError) as caught:
        check_step(FaultyConfig(fault=fault), globe, task=TASK, compiled=fault == "Cheats", days=5)
    title, *lines = str(caught.value).splitlines()
    assert title.startswith("faulty breaks ")
    assert len(lines) == len(CAUGHT[fault]), lines
    for pattern, line in zip(CAUGHT[fault], lines, strict=True):
        assert re.match(pattern, line), line


# What may be checked, and what not


def test_a_step_without_weights_is_held_against_what_it_can_promise(globe: xr.Dataset) -> None:
    found = check_step(ox.persistence(), globe)
    assert found.outcome.to_dict() == {
        "names": "kept", "land": "kept", "gradients": "not promised", "bounded": "kept", "skeleton": "not promised",
        "batch": "kept", "longitude": "not promised", "saved": "not promised",
    }  # fmt: skip


def test_a_function_is_caught_too(globe: xr.Dataset) -> None:
    def warming(state: State, forcing: Any) -> State:
        return State({**state, "thetao": state["thetao"] + 1.0})

    with pytest.raises(InputError, match=r"warming breaks 2 promises\nland: thetao .*\nbounded: thetao reaches"):
        check_step(Model("warming", warming, task=TASK), globe, days=20)

    def stumbling(state: State, forcing: Any) -> State:
        return State({"thetao": state["temperature"]})

    with pytest.raises(InputError, match="stumbling breaks a promise\nnames: a step fails: KeyError: 'temperature'"):
        check_step(Model("stumbling", stumbling, task=TASK), globe)


def test_a_run_and_a_model_of_it(small: Any, ocean: xr.Dataset, tmp_path: Any) -> None:
    """A run folder knows how it is built; a Model that was loaded may be trained, and is not held to its skeleton."""
    run = ox.train(small, ocean, tmp_path / "run")
    known, loaded = check_step(run, ocean), check_step(ox.load(run), ocean)
    assert known.outcome["skeleton"] == "kept"
    assert loaded.outcome["skeleton"] == "not checked"
    assert (loaded.outcome.drop(["skeleton", "longitude"]) == "kept").all()
    assert "does not go round the globe" in known.found["longitude"]
    with pytest.raises(InputError, match="run was made for a grid; give a Dataset of it"):
        check_step(ox.load(run))


@pytest.mark.parametrize("name", ["emulator_small", "sst_emulator"])
def test_without_a_dataset_an_ocean_is_made_up(name: str) -> None:
    config = ox.preset(name, **{"model.net.widths": [4, 8]})
    found = check_step(config, only=("names", "land", "bounded", "skeleton", "longitude"))
    assert list(found.index) == ["names", "land", "bounded", "skeleton", "longitude"]
    assert (found.outcome == "kept").all()


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("emulator_smal", {}, "did you mean 'emulator_small'"),
        (EmulatorConfig(net=UNET), {}, "EmulatorConfig does not say what it is to forecast; give it a task="),
        (3, {}, "found int; expected a preset's name, a run folder, a config, or a Model"),
        ("emulator_small", {"only": ("lands",)}, "did you mean 'land'"),
        ("emulator_small", {"ds": toy_dataset.ocean(400)}, "depth: no level near 222.475 m"),
        (EmulatorConfig(net=UNET), {"ds": toy_dataset.ocean(30), "task": TASK}, "is shorter than a year"),
    ],
)
def test_what_cannot_be_checked_is_said(model: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_step(model, **options)
