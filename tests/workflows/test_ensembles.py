"""Ensembles: their words, chances that depend on nothing else, and spread that grows as it should."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import toy_dataset
import xarray as xr
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2
from toy_members import DAY, DRIFTING, KINDS, SURFACE, drifting, prepared

import oceanx as ox
from oceanx.ocean import grid, labels
from oceanx.tensors.state import State
from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.names import DIMENSIONS, VARIABLES
from oceanx.workflows.ensembles import Members, ensemble
from oceanx.workflows.model import Model


@pytest.fixture(scope="module")
def month() -> xr.Dataset:
    return toy_dataset.ocean(40)


class TestWords:
    def test_a_name_a_mapping_a_file_and_itself(self, tmp_path: Path) -> None:
        assert ensemble("bred", 4, 2).model_dump()["kind"] == "bred"
        words = {"kind": "gaussian", "length": 150, "amplitude": {"thetao": 0.3}}
        (tmp_path / "members.yaml").write_text(yaml.safe_dump(words))
        found = [ensemble(given, 4, 2) for given in (words, tmp_path / "members.yaml")]
        assert found[0] == found[1] == ensemble(found[0], 4, 2)
        assert (found[0].members, found[0].seed) == (4, 2)

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            ("gausian", "unknown kind of ensemble 'gausian'; did you mean 'gaussian'"),
            ({"length": 100}, "unknown kind of ensemble 'None'"),
            ({"kind": "gaussian", "lenght": 100}, "lenght: unknown key 'lenght'; did you mean 'length'"),
            ({"kind": "gaussian", "length": -1}, "length: Input should be greater than 0, found -1"),
            ({"kind": "gaussian", "amplitude": {"zos": -0.1}}, "`amplitude` of zos is -0.1; expected 0 or more"),
            ({"kind": "gaussian", "share": 0}, "nothing would be perturbed"),
            ({"kind": "stochastic", "limit": 1.5}, "limit: .* less than or equal to 1"),
            ({"kind": "lagged", "lag": "soon"}, "lag: "),
            ({"kind": "lagged", "seed": 5}, "seed is 5 in its settings, but 0 is asked for"),
            ("checkpoints", "runs: Field required"),
            ({"kind": "checkpoints", "runs": ["a", "b", "a"]}, "names a twice: two members would be one"),
            ("nowhere.yaml", "no such file"),
        ],
    )
    def test_bad_words_are_refused(self, words: Any, message: str) -> None:
        with pytest.raises(InputError, match=message):
            ensemble(words, 4, 0)

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            ({"kind": "lagged", "lag": "36h"}, "lag 36h: expected a multiple of the model's step 1D"),
            ({"kind": "bred", "cycle": "6h"}, "cycle 6h: expected a multiple"),
            ({"kind": "gaussian", "amplitude": {"thetoa": 1}}, "unknown variable of amplitude 'thetoa'.*'thetao'"),
            ({"kind": "gaussian", "amplitude": {"thetao": [1, 2]}}, "amplitude.thetao has 2 values; .* the 3 levels"),
        ],
    )
    def test_what_does_not_fit_the_model_is_refused(self, month: xr.Dataset, words: Any, message: str) -> None:
        with pytest.raises(InputError, match=message):
            prepared(words, ox.persistence(), month)

    @pytest.mark.parametrize("kind", ["gaussian", "bred", "lagged"])
    def test_a_past_that_is_not_there_is_refused(self, month: xr.Dataset, kind: str) -> None:
        """Before anything is computed, and so is a day without a value."""
        starts = month.time.values[[0]]
        with pytest.raises(InputError, match=r"2001-1[12]-\d\d.*start later"):
            prepared(kind, ox.persistence(), month).check(starts)
        holed = month.isel(time=np.delete(np.arange(40), slice(14, 30)))
        with pytest.raises(InputError, match=r"2001-12.*start later"):
            prepared(kind, ox.persistence(), holed).check(month.time.values[[30]])
        with pytest.raises(InputError, match=r"2001-12.*start later"):
            ox.forecast(ox.persistence(), holed, month.time.values[30], "2D", members=3, ensemble=kind)


class TestChance:
    @settings(max_examples=12, deadline=None)
    @given(kind=st.sampled_from(sorted(KINDS)), data=st.data())
    def test_a_member_is_the_same_in_any_company(self, kind: str, data: st.DataObject) -> None:
        """Alone, among others, in any order: the same numbers to the bit, at the start and in each step."""
        ds = toy_dataset.ocean(40)
        pairs = [(start, member) for start in (20, 25, 31) for member in range(5)]
        chosen = data.draw(st.lists(st.sampled_from(pairs), min_size=1, max_size=6, unique=True))
        words = {"kind": kind, **KINDS[kind]}
        everyone, some = (prepared(words, DRIFTING, ds, members=size, seed=3) for size in (5, 8))

        def states(members: Members, which: list[tuple[int, int]]) -> list[State]:
            starts = ds.time.values[[start for start, _ in which]]
            numbers = np.array([member for _, member in which])
            begun = members.begin(starts, numbers)
            if members.amend is None:
                return [begun]
            return [
                begun,
                *(members.amend(begun, begun.map(lambda x: 1.1 * x), starts, numbers, n * DAY) for n in (1, 2)),
            ]

        rows = [pairs.index(pair) for pair in chosen]
        for all_, few in zip(states(everyone, pairs), states(some, chosen), strict=True):
            for name in few:
                np.testing.assert_array_equal(few[name], all_[name][rows])

    @pytest.mark.parametrize("kind", sorted(KINDS))
    def test_processes_that_share_the_work_make_the_same(self, month: xr.Dataset, kind: str, tmp_path: Path) -> None:
        """In memory at once, or in a store by three that know nothing of each other."""
        asked = {"init_time": month.time.values[[20, 24]], "lead": "3D", "members": 4, "seed": 5}
        asked["ensemble"] = {"kind": kind, **KINDS[kind]}
        whole = ox.forecast(DRIFTING, month, **asked)
        for part in ("2/3", "1/3", "3/3"):
            shared = ox.forecast(DRIFTING, month, **asked, to=tmp_path / "fc.zarr", part=part)
        xr.testing.assert_identical(shared.load().drop_attrs(), whole.drop_attrs())
        assert shared.attrs["oceanx_ensemble"] == whole.attrs["oceanx_ensemble"]

    @pytest.mark.parametrize("kind", ["gaussian", "bred", "stochastic"])
    def test_another_seed_start_or_member_is_another_chance(self, month: xr.Dataset, kind: str) -> None:
        def change(seed: int, start: int, member: int) -> np.ndarray:
            made = prepared({"kind": kind, **KINDS[kind]}, DRIFTING, month, seed=seed)
            starts, numbers = month.time.values[[start]], np.array([member])
            before = made.begin(starts, numbers)
            if made.amend is not None:
                before = made.amend(before, before.map(lambda x: x + 1), starts, numbers, DAY)
            analysis = prepared("lagged", DRIFTING, month).begin(starts, np.array([0]))
            return (before["thetao"] - analysis["thetao"]).numpy()

        one = change(0, 20, 0)
        np.testing.assert_array_equal(one, change(0, 20, 0))
        for other in (change(1, 20, 0), change(0, 21, 0), change(0, 20, 2)):
            assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.9
            assert not np.array_equal(one, other)

    def test_numbers_of_one_variable_do_not_follow_another(self, month: xr.Dataset) -> None:
        """Whatever else a task forecasts."""
        words = {"kind": "gaussian", "amplitude": {"zos": 0.1}, "share": 0}
        alone, among = (
            prepared(words, model, month).begin(month.time.values[[9]], np.array([2]))["zos"]
            for model in (Model("alone", drifting, task=SURFACE), ox.persistence())
        )
        np.testing.assert_array_equal(alone, among)


ROWS, CELLS, SCALE = 20, 40, 0.25  # independent seas, cells in each, and metres of height for one unit of Lorenz's


def lorenz(x: torch.Tensor) -> torch.Tensor:
    """One step of 0.05 of the Lorenz (1996) system along each row, by RK4."""

    def change(x: torch.Tensor) -> torch.Tensor:
        return (x.roll(-1, -1) - x.roll(2, -1)) * x.roll(1, -1) - x + 8.0

    a = change(x)
    b = change(x + 0.025 * a)
    c = change(x + 0.025 * b)
    return x + 0.05 / 6 * (a + 2 * b + 2 * c + change(x + 0.05 * c))


CHAOTIC = Model("chaotic", lambda state, forcing: State({"zos": SCALE * lorenz(state["zos"] / SCALE)}), task=SURFACE)


@pytest.fixture(scope="module")
def chaotic() -> xr.Dataset:
    """Days of twenty chaotic seas that know nothing of each other, all round a globe."""
    x = 8 + torch.from_numpy(np.random.default_rng(0).standard_normal((1, 1, ROWS, CELLS))).float()
    days = []
    for day in range(260):
        x = lorenz(x)
        if day >= 100:
            days.append(SCALE * x[0, 0].numpy())
    coords = {
        "time": ("time", pd.date_range("2001-01-01", periods=len(days)), DIMENSIONS["time"]),
        "latitude": ("latitude", np.linspace(-30.0, 30.0, ROWS), DIMENSIONS["latitude"]),
        "longitude": ("longitude", np.arange(-180, 180, 360 / CELLS), DIMENSIONS["longitude"]),
    }
    dims = ("time", "latitude", "longitude")
    ds = xr.Dataset({"zos": (dims, np.stack(days), VARIABLES["zos"].attrs)}, coords=coords)
    return grid.complete(ds.assign_coords(mask=(dims[1:], np.ones((ROWS, CELLS), "int8"))))


class TestSpread:
    SMALL = {"amplitude": {"zos": 0.01 * SCALE}, "length": 1}  # noqa: RUF012

    def test_it_grows_on_a_chaotic_sea(self, chaotic: xr.Dataset) -> None:
        """The leading exponent of this system is about 1.7 a unit of time: in two units spread grows manyfold."""
        starts = chaotic.time.values[[60, 80, 100, 120]]
        spread = {}
        for kind, words in {"gaussian": self.SMALL, "bred": self.SMALL | {"cycles": 40}, "stochastic": {}}.items():
            fc = ox.forecast(
                CHAOTIC, chaotic, starts, "40D", members=8, ensemble={"kind": kind, **words}, analysis=True
            )
            labels.check(fc)
            assert fc.attrs["oceanx_seed"] == "0"
            assert json.loads(fc.attrs["oceanx_ensemble"])["kind"] == kind
            spread[kind] = np.sqrt(fc.zos.var("member", ddof=1).mean(("init_time", "latitude", "longitude"))).values
        for kind in ("gaussian", "bred"):
            assert spread[kind][-1] > 5 * spread[kind][0]
        assert spread["stochastic"][0] < 1e-6
        assert (np.diff(spread["stochastic"])[:20] > 0).all()
        # What was bred grows at once, noise must first find out how.
        growth = {kind: spread[kind][1:6] / spread[kind][0] for kind in ("gaussian", "bred")}
        assert (growth["bred"] > growth["gaussian"]).all()
        assert growth["bred"][0] > 1.05 > growth["gaussian"][0]

    def test_ranks_of_a_perfect_model_are_flat(self, chaotic: xr.Dataset) -> None:
        """Truth drawn as the members are, another seed's: its rank among nine of them is uniform, by χ² at 1 %."""
        starts = chaotic.time.values[30:130:4]
        words = {"kind": "gaussian", "amplitude": {"zos": 0.3 * SCALE}, "length": 1}
        several = ox.forecast(CHAOTIC, chaotic, starts, "30D", members=9, ensemble=words, seed=1)
        truth = ox.forecast(CHAOTIC, chaotic, starts, "30D", members=1, ensemble=words, seed=2).isel(member=0)
        for lead in ("1D", "10D", "30D"):
            one = {"longitude": 7}  # one cell of each sea: independent of all others
            below = several.zos.sel(lead_time=lead).isel(one) < truth.zos.sel(lead_time=lead).isel(one)
            counts = np.bincount(below.sum("member").values.ravel(), minlength=10)
            expected = counts.sum() / 10
            assert ((counts - expected) ** 2 / expected).sum() < chi2.ppf(0.99, 9)
