"""Words that mean no forecast: one line that names what is wrong, before anything is made; and what is recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy_dataset
import xarray as xr
from command_line import Oceanx

import oceanx as ox
from oceanx.ocean import labels
from oceanx.tensors.state import Forcing, State
from oceanx.vocabulary.channels import Channels, Task
from oceanx.vocabulary.errors import InputError
from oceanx.workflows import ensembles, forecasting
from oceanx.workflows.ensembles import Members
from oceanx.workflows.model import Model
from oceanx.workflows.stepping import beginning

TASK = Task(prognostic=Channels(surface=("zos",)), forcing=Channels(surface=("u10",)))


def never(state: State, forcing: Forcing) -> State:
    raise AssertionError("a step was taken")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"members": 0}, "members: found 0; expected how many, such as 8"),
        ({"members": -2}, "members: found -2"),
        ({"members": 2.5}, "members: found 2.5"),
        ({"members": True}, "members: found True"),
        ({"members": "8"}, "members: found '8'"),
        ({"ensemble": "gaussian"}, "ensemble: how many members is it to have"),
        ({"members": 2, "ensemble": "gausian"}, "gausian'.*did you mean 'gaussian'"),
        ({"members": 2, "ensemble": {"kind": "lagged", "lag": "36h"}}, "lag 36h: expected a multiple of the model's"),
        ({"members": 30, "ensemble": "lagged"}, "ensemble lagged: needs"),
        ({"members": 2, "seed": -1}, "seed"),
        ({"stabilise": {"clip": {"limits": {"thetao": 0.5}}}}, "unknown variable .*'thetao'"),
        ({"stabilise": {"clipp": {}}}, "stabilise: .*unknown key 'clipp'; did you mean 'clip'"),
        ({"stabilise": "published"}, "stabilise 'published'"),
        ({"region": "atlantis"}, "unknown region 'atlantis'"),
        ({"init_time": "2001-11-30"}, "init_time 2001-11-30 .*: not in the Dataset"),
        ({"lead": "6h"}, "lead '6h': expected a multiple of the model's step 1D"),
        ({"lead": "soon"}, "lead 'soon': is no duration"),
        ({"part": "1/2", "to": None}, "part 1/2: .*say which, to="),
    ],
)
def test_refused_before_a_step_is_taken(tmp_path: Path, words: dict[str, Any], message: str) -> None:
    ds = toy_dataset.ocean(40)
    given = {"init_time": "2001-12-20", "lead": "2D", "to": tmp_path / "fc.zarr"} | words
    with pytest.raises(InputError, match=message):
        ox.forecast(Model("never", never, task=TASK), ds, **given)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("at_once", [forecasting.STATES_AT_ONCE, 1])
def test_members_that_do_not_differ_are_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, at_once: int) -> None:
    """Members of one beginning and one model, whose steps nothing amends, are one forecast under several names.

    Also where each is made by itself.
    """
    monkeypatch.setattr(forecasting, "STATES_AT_ONCE", at_once)
    taken: list[State] = []

    def step(state: State, forcing: Forcing) -> State:
        taken.append(state)
        return state

    def prepare(ensemble, model, ds, task, mask, grid):
        return Members({}, lambda starts, members: beginning(ds, task, starts, mask), lambda member: model)

    monkeypatch.setattr(ensembles, "prepare", prepare)
    ds = toy_dataset.ocean(40)
    with pytest.raises(InputError, match=r"members: 1 begins on 2001-12-20.* as 0 does, and nothing differs in their"):
        ox.forecast(Model("still", step, task=TASK), ds, "2001-12-20", "2D", members=3, to=tmp_path / "fc.zarr")
    alone = at_once == 1
    assert len(taken) == (2 if alone else 0)  # two days of the first member
    assert [path.name for path in tmp_path.iterdir()] == (["fc.zarr.partial"] if alone else [])


def test_a_model_of_its_own_for_each_member(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one block, each member is stepped by its own model alone, and those that share one by that one together."""
    batches: list[tuple[int, int]] = []

    def adding(number: int) -> Model:
        def step(state: State, forcing: Forcing) -> State:
            batches.append((number, len(state["zos"])))
            return state.map(lambda field: field + number)

        return Model("adding", step, task=TASK)

    models = [adding(1), adding(2)]
    models = [models[0], models[1], models[1], models[0]]

    def prepare(ensemble, model, ds, task, mask, grid):
        def begin(starts, members):
            state = beginning(ds, task, starts, mask)
            more = np.asarray(members, dtype="float32")[:, None, None, None] * 100
            return state.map(lambda field: field + field.new_tensor(more))

        return Members({}, begin, lambda member: models[member])

    monkeypatch.setattr(ensembles, "prepare", prepare)
    ds = toy_dataset.ocean(40)
    fc = ox.forecast(models[0], ds, ds.time.values[[3, 4]], "2D", members=4)
    assert batches == [(1, 2)] * 2 + [(2, 4)] * 2 + [(1, 2)] * 2
    for member, by in enumerate((1, 2, 2, 1)):
        for i, lead in ((0, 1), (1, 2)):
            expected = ds.zos.isel(time=3 + i) + 100 * member + by * lead
            np.testing.assert_allclose(fc.zos.isel(member=member, init_time=i, lead_time=lead - 1), expected, rtol=1e-6)


def test_what_is_known_of_the_future_is_in_the_title(ocean: xr.Dataset) -> None:
    """A simulation is called one, wherever its name is read."""
    model = Model("windy", lambda state, forcing: state, task=TASK)
    told = {
        forcing: ox.forecast(model, ocean, "2001-03-01", "2D", forcing=forcing) for forcing in ("observed", "persisted")
    }
    assert told["observed"].attrs["title"] == "Ocean simulations by windy"
    assert "simulation" in told["observed"].attrs["oceanx_forcing"]
    assert told["persisted"].attrs["title"] == "Ocean forecasts by windy"
    # Who is told nothing of the weather cannot know its future.
    plain = ox.forecast(ox.persistence(), ocean, "2001-03-01", "2D", forcing="observed")
    assert plain.attrs["title"] == "Ocean forecasts by persistence"
    # An atmosphere that was itself told the future hands that on.
    air = Task(prognostic=Channels(surface=("u10",)), forcing=Channels(surface=("t2m",)))
    knowing = ox.forecast(Model("air", lambda s, f: s, task=air), ocean, "2001-03-01", "2D", forcing="observed")
    through = ox.forecast(model, ocean, "2001-03-01", "2D", forcing=knowing)
    assert through.attrs["title"] == "Ocean simulations by windy"


class TestAtAPrompt:
    @pytest.fixture
    def shelf(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        toy_dataset.ocean(40).drop_vars(["u10", "t2m"]).to_zarr(tmp_path / "ocean.zarr", consolidated=False)
        monkeypatch.chdir(tmp_path)
        return tmp_path

    WORDS = ("forecast", "persistence", "--data", "ocean.zarr", "--init", "2001-12-10:2001-12-20:5D", "--lead", "2D")

    def test_members_a_region_and_parts(self, shelf: Path, oceanx: Oceanx) -> None:
        """The same words as in Python, and the same numbers."""
        words = [*self.WORDS, "--members", "2", "--seed", "4", "--box=-19,-16,31,33", "ensemble.length=300"]
        words += ["stabilise.smooth.sigma.zos=[1, 1]", "--to", "fc.zarr"]
        code, out, err = oceanx(*words, "--part", "2/2")
        assert code == 0, err
        assert out == (
            "fc.zarr: part 2/2 is done; 3 of 6 forecasts are missing, the first of 2001-12-10; "
            "the store is complete when all parts are\n"
        )
        code, _, err = oceanx("check", "forecast", "fc.zarr")
        assert code == 2
        assert err.startswith("error: fc.zarr: is not finished, 3 of 6 forecasts are there; go on with the same")
        code, out, err = oceanx(*words, "--part", "1/2")
        assert code == 0, err
        assert out.startswith("fc.zarr: 2 member × 3 init_time × 2 lead_time")
        code, out, err = oceanx("check", "forecast", "fc.zarr")
        assert code == 0, err
        assert "a labelled forecast, 2 member" in out
        fc = labels.open_forecast("fc.zarr").load()
        box = {"minimum_longitude": -19, "maximum_longitude": -16, "minimum_latitude": 31, "maximum_latitude": 33}
        same = ox.forecast(
            ox.persistence(), ox.open("ocean.zarr"), slice("2001-12-10", "2001-12-20", "5D"), "2D", members=2, seed=4,
            ensemble={"kind": "gaussian", "length": 300}, stabilise={"smooth": {"sigma": {"zos": [1, 1]}}}, region=box,
        )  # fmt: skip
        for name in fc.data_vars:
            np.testing.assert_array_equal(fc[name], same[name])
        assert json.loads(fc.attrs["oceanx_ensemble"])["length"] == 300
        assert fc.attrs["oceanx_region"] == same.attrs["oceanx_region"]

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["--region", "tasman_sea", "--box", "1,2,3,4"], "error: --region, --box: choose one"),
            (["--box", "1,2,3"], "error: --box '1,2,3': expected 4 numbers with commas"),
            (
                ["model.substeps=3"],
                "error: model.substeps=3: settings of a forecast begin with ensemble. or stabilise.",
            ),
            (["ensemble=gaussian"], "error: ensemble=gaussian: write it as an option, --ensemble"),
            (["--members", "0"], "error: members: found 0; expected how many"),
            (["--part", "3/2"], "error: part: '3/2'; expected such as 3/16, counted from 1"),
            (["--stabilise", "as_published", "stabilise.clip.begins=2"], "error: --stabilise as_published: says all"),
            (["--members", "2", "ensemble.lenght=3"], "unknown key 'lenght'; did you mean 'length'"),
            (["--region", "nino34"], "error: region 'nino34': no cell of this grid lies in it"),
        ],
    )
    def test_what_is_no_forecast(self, shelf: Path, oceanx: Oceanx, words: list[str], message: str) -> None:
        code, out, err = oceanx(*self.WORDS, "--to", "fc.zarr", *words)
        assert code == 2
        assert message in err
        assert len(err.strip().splitlines()) == 1
        assert not out
        assert sorted(path.name for path in shelf.iterdir()) == ["ocean.zarr"]

    def test_settings_in_a_file(self, shelf: Path, oceanx: Oceanx) -> None:
        (shelf / "noise.yaml").write_text("kind: gaussian\nlength: 200\n")
        (shelf / "calm.yaml").write_text("clip: {limits: {zos: 0.1}}\n")
        words = [
            *self.WORDS,
            "--to",
            "fc.zarr",
            "--members",
            "1",
            "--ensemble",
            "noise.yaml",
            "--stabilise",
            "calm.yaml",
        ]
        code, _, err = oceanx(*words, "ensemble.share=0.2", "stabilise.clip.begins=2")
        assert code == 0, err
        attrs = labels.open_forecast("fc.zarr").attrs
        assert json.loads(attrs["oceanx_ensemble"])["length"] == 200
        assert json.loads(attrs["oceanx_ensemble"])["share"] == 0.2
        assert json.loads(attrs["oceanx_stabilise"])["clip"] == {"limits": {"zos": 0.1}, "begins": 2}
