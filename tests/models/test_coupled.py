"""Coupled: the ocean is told of the atmosphere before and after its step, the atmosphere of the ocean as it is."""

from __future__ import annotations

import pytest
import torch
import toy_tensors as toy

from oceanx.models.coupled import Coupled, coupled_task
from oceanx.models.emulator import EmulatorConfig
from oceanx.nn.unet import UNetConfig
from oceanx.tensors.integrate import rollout
from oceanx.tensors.state import Fields, Forcing, State
from oceanx.vocabulary.channels import CLIMATOLOGY, Channels, Task
from oceanx.vocabulary.errors import InputError

SST = Channels(volume=("thetao",), depth=(5.0,))
WIND = Task(prognostic=Channels(surface=("u10",)))
NET = EmulatorConfig(net=UNetConfig(widths=(4, 8), groups=2))


def slower(state, forcing):
    return state.map(lambda wind: 0.5 * wind)


def warmed(state, forcing):
    """Each degree of the sea makes a metre a second of wind."""
    return State({"u10": state["u10"] + forcing.now["thetao"] + 0 * forcing.next["thetao"]})


def whole(geometry, batch=1, anomalies=False):
    """Ocean and wind at the start; on land the wind, too, is 0."""
    sea = toy.state(toy.task(anomalies), geometry, batch)
    wind = toy.fields(Channels(surface=("u10",)), geometry, batch, seed=3)["u10"]
    return State({**sea, "u10": wind * geometry.surface})


def nothing():
    return Forcing(Fields({}), Fields({}))


def test_the_ocean_is_told_of_the_weather_before_and_after():
    told, geometry = [], toy.geometry()

    def ocean(state, forcing):
        told.append(forcing)
        return state

    model = Coupled(ocean, slower, toy.task(), WIND, geometry)
    start = whole(geometry)
    last = list(rollout(model, start, [nothing()] * 3))[-1]
    for day, forcing in enumerate(told):
        assert torch.equal(forcing.now["u10"], start["u10"] * 0.5**day)
        assert torch.equal(forcing.next["u10"], start["u10"] * 0.5 ** (day + 1))
    assert last.keys() == set(model.task.prognostic.names)
    assert torch.equal(last["u10"], start["u10"] / 8)


def test_the_atmosphere_is_shown_the_uppermost_level_of_the_sea_as_it_is():
    geometry, start = toy.geometry(), whole(toy.geometry())
    model = Coupled(
        lambda sea, _: sea.map(torch.zeros_like), warmed, toy.task(), WIND.model_copy(update={"forcing": SST}), geometry
    )
    after = model(start, nothing())
    assert torch.equal(after["u10"], start["u10"] + start["thetao"][:, :1])
    assert not after["thetao"].any()


def trained(anomalies):
    torch.manual_seed(0)
    geometry, ocean = toy.geometry(), toy.task(anomalies)
    air = WIND.model_copy(update={"anomalies": anomalies, "forcing": Channels(surface=("zos",))})
    models = [NET.build(task, geometry, toy.statistics(task)) for task in (ocean, air)]
    for seed, model in enumerate(models):
        toy.train_a_little(model, seed)
    return Coupled(*models, ocean, air, geometry), geometry


def climatologies(geometry, steps, batch=1):
    """What a task with anomalies is told of every variable, without the weather itself."""
    told = toy.forcings(toy.task(anomalies=True), geometry, steps, batch)
    return [
        Forcing(*(Fields({name: x for name, x in fields.items() if name.endswith(CLIMATOLOGY)}) for fields in pair))
        for pair in told
    ]


@pytest.mark.parametrize("anomalies", [True, False])
def test_it_is_both_models_one_after_the_other(anomalies):
    model, geometry = trained(anomalies)
    start = whole(geometry)
    forcings = climatologies(geometry, 3) if anomalies else [nothing()] * 3
    sea, air = start.only(model.sea), start.only(model.air)
    for state, forcing in zip(rollout(model, start, forcings), forcings, strict=True):
        surface = {"zos": sea["zos"]}
        later = model.atmosphere(air, Forcing(*(Fields({**fields, **surface}) for fields in forcing)))
        told = []
        for fields, weather in zip(forcing, (air, later), strict=True):
            land = fields["u10_climatology"] if anomalies else weather["u10"]
            told.append(Fields({**fields, "u10": torch.where(geometry.surface > 0, weather["u10"], land)}))
        sea, air = model.ocean(sea, Forcing(*told)), later
        for name, field in {**sea, **air}.items():
            assert torch.equal(state[name], field)


def test_on_land_the_ocean_is_told_the_usual_weather():
    told, geometry = [], toy.geometry()
    forcing = climatologies(geometry, 1)[0]
    tasks = [task.model_copy(update={"anomalies": True}) for task in (toy.task(), WIND)]

    def ocean(state, forcing):
        told.append(forcing)
        return state

    Coupled(ocean, slower, *tasks, geometry)(whole(geometry), forcing)
    land = geometry.surface[None] == 0
    for given, fields in zip(told[0], forcing, strict=True):
        assert torch.equal(given["u10"][land], fields["u10_climatology"][land])


def test_what_the_ocean_gets_wrong_reaches_the_atmosphere_and_back():
    model, geometry = trained(anomalies=False)
    start = whole(geometry).map(lambda field: field.requires_grad_())
    last = list(rollout(model, start, [nothing()] * 2))[-1]
    last["thetao"].square().sum().backward()
    for leaf in (*start.values(), *model.parameters()):
        assert leaf.grad.isfinite().all()
        assert leaf.grad.any()


def test_a_batch_of_two_is_two_singles():
    model, geometry = trained(anomalies=True)
    start, forcings = whole(geometry, batch=2), climatologies(geometry, 2, batch=2)
    together = list(rollout(model, start, forcings))[-1]
    for i in range(2):

        def single(fields, i=i):
            return fields.map(lambda field: field[i : i + 1])

        alone = list(rollout(model, single(start), [Forcing(*map(single, pair)) for pair in forcings]))[-1]
        for name in alone:
            assert torch.allclose(alone[name][0], together[name][i], atol=1e-4)


def test_together_they_are_told_what_neither_steps():
    ocean = toy.task().model_copy(update={"forcing": Channels(surface=("u10", "t2m"))})
    air = WIND.model_copy(update={"forcing": Channels(volume=("thetao",), surface=("t2m", "msl"), depth=(5.0,))})
    both = coupled_task(ocean, air)
    assert both.prognostic.names == ("thetao", "uo", "vo", "zos", "u10")
    assert both.prognostic.depth == ocean.prognostic.depth
    assert both.forcing.names == ("t2m", "msl")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"step": "6h"}, "steps by 1D and the atmosphere by 6h"),
        ({"anomalies": True}, "anomalies"),
        ({"prognostic": Channels(volume=("u10",), depth=(5.0,))}, "no levels"),
        ({"prognostic": Channels(surface=("u10", "zos"))}, "both step \\['zos'\\]"),
        ({"prognostic": Channels(surface=("t2m",))}, "none of which the ocean is told"),
        ({"forcing": Channels(volume=("so",), depth=(5.0,))}, "\\['so'\\] at depth"),
    ],
)
def test_two_that_do_not_fit_are_refused(changes, said):
    with pytest.raises(InputError, match=said):
        coupled_task(toy.task(), WIND.model_copy(update=changes))
