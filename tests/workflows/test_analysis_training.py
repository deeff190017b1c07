"""Training a learned analysis: through cycles, gone on with to the bit, on truth or on observations alone."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import toy_dataset
import xarray as xr

import oceanx as ox
from oceanx.models.analysis_network import LearnedAnalysis
from oceanx.objectives.analysis import AnalysisLoss
from oceanx.ocean import grid, observations
from oceanx.ocean.observing.sea import Sea
from oceanx.tensors.state import Fields, State
from oceanx.variational.analysis import Setting
from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.names import VARIABLES
from oceanx.workflows import runs
from oceanx.workflows.assimilation import analysis_training
from oceanx.workflows.assimilation.analysis_config import AnalysisTraining
from oceanx.workflows.assimilation.analysis_cycles import Cycles
from oceanx.workflows.assimilation.analysis_pool import UNBORN, Pool, Trajectories
from oceanx.workflows.assimilation.analysis_sources import Reality, Twin
from oceanx.workflows.assimilation.analysis_training import fine_tune
from oceanx.workflows.assimilation.learned import LearnedConfig
from oceanx.workflows.assimilation.random_networks import PLATFORMS, Cells, RandomNetwork, Room, table
from oceanx.workflows.runs import Run
from oceanx.workflows.submit import Job, script
from oceanx.workflows.train_config import TrainConfig

DAYS = ("2001-01-01", "2002-03-31")


@pytest.fixture(scope="module")
def forecaster(ocean: xr.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An emulator trained a little."""
    config = TrainConfig.parse(
        {
            "model": {"kind": "emulator", "net": {"kind": "unet", "widths": [4, 8], "groups": 2}},
            "task": {
                "prognostic": {"volume": ["thetao", "uo"], "surface": ["zos"], "depth": list(toy_dataset.DEPTH)},
                "forcing": {"surface": ["u10"]},
                "anomalies": True,
            },
            "train": DAYS,
            "iterations": [3],
            "batch_size": [2],
            "log": [],
        }
    )
    return ox.train(config, ocean, tmp_path_factory.mktemp("runs") / "forecaster")


@pytest.fixture(scope="module")
def small(forecaster: Path) -> AnalysisTraining:
    """An analysis that trains in seconds."""
    return ox.preset(
        "analysis_small",
        **{
            "forecaster": str(forecaster),
            "train": DAYS,
            "model.net": {"kind": "unet", "widths": [8, 8], "groups": 2},
            "weights": {},
            "iterations": [5],
            "batch_size": [2],
            "rollout": [2],
            "pool": 4,
            "warmup": 0,
            "checkpoint_every": 2,
            "log": [],
        },
    )


def changed(config: AnalysisTraining, **values: Any) -> AnalysisTraining:
    return AnalysisTraining.parse(config.dump() | values)


@pytest.fixture(scope="module")
def trained(small: AnalysisTraining, ocean: xr.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of five iterations."""
    return ox.train(small, ocean, tmp_path_factory.mktemp("analyses") / "run")


def test_the_run_folder_explains_itself(trained: Run, forecaster: Path) -> None:
    assert trained.config.forecaster == str(forecaster)
    assert trained.config.task == ox.load(forecaster).task
    assert trained.about["finished"]
    assert trained.about["period"] == "2001-01-01 to 2002-03-31"
    assert "'thetao', 'uo', 'zos'" in repr(trained)
    rows = (trained / "log.csv").read_text().splitlines()
    assert len(rows) == 6
    for name in ("grid", "statistics", "climatology"):
        assert trained.dataset(name).identical(Run(forecaster).dataset(name))


def test_interrupted_and_gone_on_with_it_ends_with_the_same_bits(
    trained: Run, small: AnalysisTraining, ocean: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(Exception):
        pass

    astray = analysis_training._astray

    def killed_at_the_fourth(loss: float, norm: float, checkpoint: Any) -> bool:
        if checkpoint.iteration == 3:
            with pytest.raises(InputError, match="another process is writing it"):
                ox.train(small, ocean, tmp_path / "run", resume=True)
            raise KilledError
        return astray(loss, norm, checkpoint)

    with monkeypatch.context() as patch:
        patch.setattr(analysis_training, "_astray", killed_at_the_fourth)
        with pytest.raises(KilledError):
            ox.train(small, ocean, tmp_path / "run")
    run = ox.train(small, ocean, tmp_path / "run", resume=True)
    for name in ("weights.safetensors", "checkpoint.safetensors"):
        one, other = runs.tensors(trained / name), runs.tensors(run / name)
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one if key != "seconds")


def test_trajectories_that_go_astray_begin_again_and_teach_nothing(
    small: AnalysisTraining, ocean: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgotten: list[list[int]] = []
    forget = Pool.forget

    def noted(pool: Pool, rows: list[int]) -> None:
        forget(pool, rows)
        forgotten.append([row for row in range(len(pool)) if pool.tensors["time"][row] == UNBORN and row in rows])

    with monkeypatch.context() as patch:
        patch.setattr(Pool, "forget", noted)
        patch.setattr(analysis_training, "_astray", lambda loss, norm, checkpoint: checkpoint.iteration in (1, 2))
        run = ox.train(small, ocean, tmp_path / "run")
    assert [len(rows) for rows in forgotten] == [small.batch_size[0]] * 2
    assert run.about["iteration"] == small.total
    with monkeypatch.context() as patch:
        patch.setattr(analysis_training, "_astray", lambda loss, norm, checkpoint: checkpoint.iteration >= 1)
        with pytest.raises(InputError, match=r"4 times in a row; lower learning_rate"):
            ox.train(small, ocean, tmp_path / "other")


def cycles(trained: Run, ocean: xr.Dataset, config: AnalysisTraining, untrained: bool = False) -> Cycles:
    geometry, statistics = runs.described(trained)
    learned = runs.build(trained.config, geometry, statistics)
    assert isinstance(learned, LearnedAnalysis)
    if not untrained:
        runs.restore(learned, runs.tensors(trained / "weights.safetensors"), trained)
    model, grid = ox.load(config.forecaster), trained.dataset("grid")
    source = Twin(config, model, ocean, grid, statistics)
    loss = AnalysisLoss(source.task.prognostic, geometry, statistics, {}, 0.1)
    step = model.step.requires_grad_(False)
    return Cycles(learned, step, source, loss)


def begun(whole: Cycles, days: list[str]) -> Trajectories:
    times = np.array(days, "datetime64[ns]")
    state = whole.source.usual(times)
    nothing = Fields({name: torch.zeros_like(field) for name, field in state.items()})
    return Trajectories(state, nothing, times.astype(np.int64), np.arange(len(days)))


def test_a_gradient_goes_back_through_four_cycles(trained: Run, small: AnalysisTraining, ocean: xr.Dataset) -> None:
    whole = cycles(trained, ocean, small)
    start = begun(whole, ["2001-03-01", "2001-07-01"])
    start.state = start.state.map(lambda x: x.requires_grad_())
    heard: list[State] = []

    class Only(torch.nn.Module):
        def forward(self, state: State, truth: State, log_variance: Fields) -> torch.Tensor:
            heard.append(state)
            return ((state["zos"] - truth["zos"]) ** 2).mean() if len(heard) == 8 else state["zos"].sum() * 0

    whole.loss = Only()  # type: ignore[assignment]
    value, reached = whole(start, 4, (0, 0))
    value.backward()
    assert len(heard) == 8
    assert start.state["zos"].grad is not None
    assert start.state["zos"].grad.abs().sum() > 0
    assert (reached.time - start.time == 4 * 86400 * 10**9).all()


def test_untrained_a_cycle_is_a_free_forecast(trained: Run, small: AnalysisTraining, ocean: xr.Dataset) -> None:
    whole = cycles(trained, ocean, small, untrained=True)
    start = begun(whole, ["2001-03-01"])
    _, reached = whole(start, 2, (0, 0))
    free = ox.forecast(
        ox.load(small.forecaster),
        _with_start(ocean, start),
        "2001-03-01",
        lead="2D",
        forcing="observed",
    )
    expected = np.nan_to_num(free["zos"].sel(lead_time="2D").values[0])
    assert np.array_equal(reached.state["zos"][0, 0].detach().numpy(), expected)


def _with_start(ocean: xr.Dataset, start: Trajectories) -> xr.Dataset:
    ds = ocean.copy(deep=True)
    at = {"time": ds.indexes["time"].get_loc("2001-03-01")}
    for name, field in start.state.items():
        values = field[0].detach().numpy()
        ds[name][at] = values if "depth" in ds[name].dims else values[0]
    return ds


def test_windows_of_one_seed_are_observed_alike_and_those_of_another_are_not(
    trained: Run, small: AnalysisTraining, ocean: xr.Dataset
) -> None:
    source = cycles(trained, ocean, small).source
    assert isinstance(source, Twin)
    day = np.datetime64("2001-05-05", "ns")
    truth = source.truth(np.array([day]))
    first, again, other = (source.observed(truth, day, 3, seed) for seed in ((0, 1), (0, 1), (0, 2)))
    assert torch.equal(first.values, again.values)
    assert len(first) != len(other) or not torch.equal(first.values, other.values)
    error = (first.values - first.operator([truth])[0].double()) / first.std
    assert float(error.std()) == pytest.approx(1.0, abs=0.25)


def test_random_networks_observe_water_within_their_words(trained: Run, ocean: xr.Dataset) -> None:
    task, (_, statistics) = trained.config.task, runs.described(trained)
    spread = {name: statistics[f"{name}_std"].numpy() for name in task.prognostic.names}
    room = Room(Sea.of(trained.dataset("grid")), task.prognostic, spread)
    seen = set()
    for number in range(20):
        network, rng = RandomNetwork(PLATFORMS, room, number), np.random.default_rng(number)
        for places in network.window(rng):
            assert (room.sea.cell(places.longitude, places.latitude) >= 0).all()
            assert (places.error_std > 0).all()
            if places.latitude.size:
                seen.add(places.name)
        drawn = network.window(rng)
        rows = table(drawn, np.datetime64("2001-01-01", "ns"))
        assert rows.sizes["obs"] == sum(places.latitude.size for places in drawn)
        observations.check(rows)
    assert seen == {"thetao", "uo", "zos"}
    share = Cells(variable="zos", share=(0.25, 0.25), error=(0.5, 0.5))
    (places,) = RandomNetwork([share], room, 0).window(np.random.default_rng(0))
    assert places.latitude.size == round(0.25 * room.sea.cells.size)
    assert places.error_std == pytest.approx(0.5 * float(spread["zos"][0]))
    missing = RandomNetwork([share], room, 0, missing=1.0)
    assert not missing.window(np.random.default_rng(0))


def some_observations(ocean: xr.Dataset) -> xr.Dataset:
    return ox.observe(ocean, network="sst+nadir3", time=slice("2001-02-01", "2001-02-20"), seed=3)


def test_fine_tuning_reads_no_truth(trained: Run, ocean: xr.Dataset, tmp_path: Path) -> None:
    """The Dataset has no ocean at all, and the analysis learns all the same."""
    air = ocean[["u10"]].sel(time=slice("2001-02-01", "2001-02-20"))
    run = fine_tune(trained, some_observations(ocean), air, tmp_path / "tuned", iterations=[3])
    assert run.config.truth == "none"
    assert run.config.begins == str(trained)
    assert run.about["period"] == "2001-02-01 to 2001-02-20"
    before, after = (runs.tensors(each / "weights.safetensors") for each in (trained, run))
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert all(np.isfinite(float(row.split(",")[3])) for row in (run / "log.csv").read_text().splitlines()[1:])


def test_what_is_kept_back_is_not_shown(trained: Run, small: AnalysisTraining, ocean: xr.Dataset) -> None:
    model, grid = ox.load(small.forecaster), trained.dataset("grid")
    _, statistics = runs.described(trained)
    config = changed(small, truth="none")
    source = Reality(config, model, ocean[["u10"]], grid, statistics, some_observations(ocean))
    whole = source.observed(np.datetime64("2001-02-03", "ns"))
    shown, back = source.parted(whole, (0, 1))
    assert len(shown) + len(back) == len(whole)
    assert len(back) == pytest.approx(0.2 * len(whole), abs=4 * (0.16 * len(whole)) ** 0.5)
    together = torch.cat([shown.values, back.values]).sort().values
    assert torch.equal(together, whole.values.sort().values)


def test_a_run_is_refused_for_another_forecaster_and_grid(
    trained: Run, small: AnalysisTraining, ocean: xr.Dataset
) -> None:
    config, model = LearnedConfig(run=str(trained)), ox.load(small.forecaster)
    geometry = runs.described(trained)[0]
    channels = trained.config.task.prognostic
    assert model.task is not None
    config.check(model)
    assert config.build(Setting(channels, geometry, {}, {}, {})).members == 1
    other = replace(model, step=copy.deepcopy(model.step))
    with torch.no_grad():
        next(iter(other.step.parameters())).add_(1.0)
    with pytest.raises(InputError, match=r"was trained with the forecaster .* not with"):
        config.check(other)
    LearnedConfig(run=str(trained), any_forecaster=True).check(other)
    with pytest.raises(InputError, match="was trained for another Task"):
        config.check(ox.persistence())
    moved = copy.deepcopy(geometry)
    moved.longitude += 1.0
    with pytest.raises(InputError, match="another grid, its longitude differs"):
        config.build(Setting(channels, moved, {}, {}, {}))
    with pytest.raises(InputError, match="was trained for"):
        config.build(Setting(channels.only(["zos"]), geometry, {}, {}, {}))


def test_bad_input_is_one_line(small: AnalysisTraining, trained: Run, ocean: xr.Dataset, tmp_path: Path) -> None:
    def refused(match: str, **values: Any) -> None:
        with pytest.raises(InputError, match=match) as caught:
            ox.train(changed(small, **values), ocean, tmp_path / "run")
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "run").exists()

    refused("say which trained run steps the ocean", forecaster="")
    refused("2002-01-01 is withheld", withheld=["2002", "2002"])
    refused("not all in the Dataset", train=["2001", "2009"])
    refused("holds fewer trajectories", pool=1)
    refused("`observations` are read with `truth: none`", observations=["x.zarr"])
    refused("say which stores hold them", truth="none")
    refused("the smaller first", platforms=[{"kind": "cells", "share": [0.5, 0.1]}])
    refused("`weights` names", weights={"so": 1.0}, task=ox.load(small.forecaster).task.dump())
    with pytest.raises(InputError, match="is a learned analysis"):
        ox.load(trained)
    with pytest.raises(InputError, match="is no run of a learned analysis"):
        LearnedConfig(run=small.forecaster).check(ox.load(small.forecaster))
    with pytest.raises(InputError, match="trained by one process, not 4"):
        script(Job(gpus=4), small, "analysis_small", ["ocean.zarr"], tmp_path / "run", [])
    with pytest.raises(InputError, match="expected 'analysis'"):
        ox.preset("analysis_small", kind="synthesis")
    days = ocean[["u10"]].sel(time=slice("2001-06-01", "2001-06-20"))
    with pytest.raises(InputError, match="none that is good from 2001-06-01"):
        fine_tune(trained, some_observations(ocean), days, tmp_path / "run")


def test_a_pool_is_given_back_what_it_gave() -> None:
    like = State({"zos": torch.zeros(1, 1, 2, 3)})
    pool = Pool(4, like)
    rows = pool.take([1, 3])
    moved = Trajectories(
        rows.state.map(lambda x: x + 1.5), rows.expected.map(lambda x: x - 1), rows.time * 0 + 7, rows.network + 3
    )
    pool.put([1, 3], moved)
    again, other = pool.take([1, 3]), pool.take([0, 2])
    assert (again.state["zos"] == 1.5).all()
    assert (again.expected["zos"] == -1).all()
    assert (again.time == 7).all()
    assert (again.network == 3).all()
    assert (other.state["zos"] == 0).all()
    assert (other.time < 0).all()


def test_it_assimilates_by_the_name_of_its_folder(trained: Run, small: AnalysisTraining, ocean: xr.Dataset) -> None:
    obs = some_observations(ocean)
    an = ox.assimilate(
        ox.load(small.forecaster), obs, background=ocean, time=slice("2001-02-01", "2001-02-04", "1D"),
        method=str(trained),
    )  # fmt: skip
    assert an.sizes["time"] == 4
    assert np.isfinite(an["chi_squared"]).all()
    wet = ocean["mask"].isel(depth=0).values.astype(bool)
    assert (an["zos_std"].values[:, wet] > 0).all()
    assert json.loads(an.attrs["oceanx_method"])["run"] == str(trained)


def test_surface_temperature_alone_without_forcing_is_enough(ocean: xr.Dataset, tmp_path: Path) -> None:
    sst = ocean["thetao"].isel(depth=0, drop=True).rename("sst").assign_attrs(VARIABLES["sst"].attrs)
    alone = grid.complete(sst.to_dataset().assign_coords(mask=ocean["mask"].isel(depth=0, drop=True)))
    net = {"kind": "unet", "widths": [8], "groups": 2}
    plain = ox.preset("sst_emulator", **{"model.net": net, "iterations": [2], "rollout": [1], "batch_size": [2]})
    steps = ox.train(plain.model_copy(update={"log": ()}), alone, tmp_path / "sst")
    settings = {"model.net": net, "iterations": [2], "batch_size": [2], "rollout": [2], "pool": 4, "log": []}
    run = ox.train(ox.preset("analysis_sst", forecaster=str(steps), **settings), alone, tmp_path / "analysis")
    obs = ox.observe(alone, network={"kind": "cells", "share": 0.2}, time=slice("2001-02-01", "2001-02-03"), seed=1)
    an = ox.assimilate(
        ox.load(steps), obs, background=alone, time=slice("2001-02-01", "2001-02-03", "1D"), method=str(run)
    )
    assert float(abs(an["sst_increment_max"]).max()) > 0
