"""Stabilisers against their closed forms: limits, ramps, and smoothing that is stored but not fed back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import toy_dataset
import xarray as xr
import yaml
from toy_members import DAY, DRIFTING, WINDY

import oceanx as ox
from oceanx import seam
from oceanx.tensors.state import Forcing, State
from oceanx.vocabulary.channels import Channels, Task
from oceanx.vocabulary.errors import InputError
from oceanx.workflows.model import Model
from oceanx.workflows.stabilisers import AS_PUBLISHED, Stabilise, Stabiliser, stabiliser

NOBODY = (np.array(["2001-12-01"], "M8[ns]"), np.array([0]))  # start dates and members, which make no difference


@pytest.fixture(scope="module")
def month() -> xr.Dataset:
    return toy_dataset.ocean(40)


def made(words: Any, ds: xr.Dataset, task: Task = WINDY) -> Stabiliser:
    where = seam.grid_of(ds, task.prognostic)
    return stabiliser(words, where, task, seam.wet_mask(where))


def states(seed: int = 0) -> tuple[State, State]:
    """A state, and one with changes of about 1."""
    random = torch.Generator().manual_seed(seed)
    sizes = {"thetao": 3, "uo": 3, "zos": 1}
    before = {name: torch.randn(2, levels, 10, 12, generator=random) for name, levels in sizes.items()}
    return State(before), State({n: x + torch.randn(x.shape, generator=random) for n, x in before.items()})


def test_nothing_is_done_unless_asked_for(month: xr.Dataset) -> None:
    for words in (None, {}, Stabilise()):
        assert made(words, month) == Stabiliser()
    assert "oceanx_stabilise" not in ox.forecast(DRIFTING, month, month.time.values[5], "2D").attrs


@pytest.mark.parametrize("step", [1, 3, 4, 9])
def test_clip(month: xr.Dataset, step: int) -> None:
    """|Δx| ≤ limit from its step on, and other variables untouched."""
    before, after = states()
    amend = made({"clip": {"limits": {"thetao": 0.5, "zos": 0.2}, "begins": 4}}, month).amend
    found = amend(before, after, *NOBODY, step * DAY)
    for name, limit in {"thetao": 0.5, "zos": 0.2, "uo": np.inf}.items():
        change = (after[name] - before[name]).double()
        expected = before[name] + (change.clamp(-limit, limit) if step >= 4 else change)
        torch.testing.assert_close(found[name].double(), expected, atol=1e-6, rtol=0)
    assert torch.equal(found["uo"], after["uo"])


@pytest.mark.parametrize(
    ("step", "factor"), [(1, 1.0), (4, 1.0), (5, 0.9), (8, 0.75), (10, 0.65), (13, 0.5), (40, 0.5)]
)
def test_damping_follows_its_ramp(month: xr.Dataset, step: int, factor: float) -> None:
    """From 0.95 at step 4 to 0.5 at step 13, 0.05 a step, in force from step 5 on."""
    before, after = states()
    amend = made({"damp": {"factors": {"thetao": [0.95, 0.5]}, "between": [4, 13], "begins": 5}}, month).amend
    found = amend(before, after, *NOBODY, step * DAY)
    torch.testing.assert_close(found["thetao"], before["thetao"] + factor * (after["thetao"] - before["thetao"]))
    assert torch.equal(found["zos"], after["zos"])


def test_what_is_clipped_is_damped_after(month: xr.Dataset) -> None:
    before, after = states()
    words = {"clip": {"limits": {"uo": 0.4}}, "damp": {"factors": {"uo": [0.5, 0.5]}}}
    found = made(words, month).amend(before, after, *NOBODY, DAY)
    expected = before["uo"] + 0.5 * (after["uo"] - before["uo"]).clamp(-0.4, 0.4)
    torch.testing.assert_close(found["uo"], expected)


class TestSmoothing:
    WORDS = {"smooth": {"sigma": {"thetao": [0.0, 2.0]}, "between": [2, 6]}}  # noqa: RUF012

    def test_it_ramps_and_leaves_land_and_means(self, month: xr.Dataset) -> None:
        """σ 0 at step 2 and 2 from step 6 on: more and more of the variance goes, the mean of the sea stays."""
        output = made(self.WORDS, month).output
        _, state = states()
        wet = month.mask.values == 1
        weight = month.cell_area.values * wet
        variance = []
        for step in (1, 2, 3, 4, 6, 9):
            found = output(state, state, *NOBODY, step * DAY)
            np.testing.assert_array_equal(found["thetao"][:, ~wet], state["thetao"][:, ~wet])
            assert torch.equal(found["uo"], state["uo"])
            for field in (found, state):
                variance.append(float((field["thetao"].double().numpy() ** 2 * weight).sum()))
            means = [
                (field["thetao"].double().numpy() * weight).sum((2, 3)) / weight.sum((1, 2)) for field in (found, state)
            ]
            np.testing.assert_allclose(*means, atol=1e-6)
        smoothed = np.array(variance[::2])
        assert smoothed[0] == smoothed[1] == variance[1]
        assert (np.diff(smoothed[1:5]) < 0).all()
        assert smoothed[4] == smoothed[5]

    def test_it_is_stored_but_not_fed_back(self, month: xr.Dataset) -> None:
        """The next step begins from the unsmoothed state: each lead is the plain forecast's, smoothed."""
        start = month.time.values[5]
        words = {"smooth": {"sigma": {"thetao": [1.0, 1.0], "uo": [80.0, 80.0]}, "unit": "km"}}
        plain = ox.forecast(DRIFTING, month, start, "4D", analysis=True)
        fc = ox.forecast(DRIFTING, month, start, "4D", analysis=True, stabilise=words)
        output = made(words, month).output
        for lead in range(1, 5):
            state = {name: np.nan_to_num(plain[name].values[:, lead]).reshape(1, -1, 10, 12) for name in plain}
            found = output(State({}), State({n: torch.from_numpy(x) for n, x in state.items()}), *NOBODY, lead * DAY)
            for name in plain.data_vars:
                expected = np.where(np.isnan(plain[name].values[0, lead]), np.nan, found[name][0].numpy().squeeze())
                np.testing.assert_allclose(fc[name].values[0, lead], expected, atol=1e-6)
        xr.testing.assert_equal(fc.isel(lead_time=0).drop_attrs(), plain.isel(lead_time=0).drop_attrs())
        assert float(abs(fc.uo - plain.uo).max()) > 0.01

    def test_no_coast_is_cooled_by_land(self) -> None:
        """The zeros that a state holds on land do not reach the sea: 18 °C beside a coast stay 18 °C."""
        ds = toy_dataset.ocean(5)
        words = {"smooth": {"sigma": {"thetao": [2.0, 2.0]}}}
        wet = torch.from_numpy(ds.mask.values).bool()
        state = State({name: x * 0 for name, x in states()[0].items()} | {"thetao": torch.where(wet, 18.0, 0.0)[None]})
        found = made(words, ds).output(state, state, *NOBODY, DAY)["thetao"][0]
        assert torch.equal(found, state["thetao"][0])


class TestAsPublished:
    @pytest.mark.parametrize(
        ("step", "clipped", "factors", "sigma"),
        [
            (10, False, (1, 1, 1), (0, 0, 0)),
            (11, False, (1, 1, 1), (0.5, 0.5, 0.5)),
            (12, True, (0.99, 0.984, 0.998), (0.5, 0.5 + 0.2 / 29, 0.5 + 0.2 / 29)),
            (36, True, (0.75, 0.6, 0.95), (0.5, 0.5 + 0.2 * 25 / 29, 0.5 + 0.2 * 25 / 29)),
            (61, True, (0.5, 0.2, 0.9), (0.5, 0.7, 0.7)),
        ],
    )
    def test_the_global_system(
        self, step: int, clipped: bool, factors: tuple[float, ...], sigma: tuple[float, ...]
    ) -> None:
        """As its code has it: day d counted from 0 is clipped and damped from 11 on, with 1 − (1 − f)(d − 10)/50."""
        config = AS_PUBLISHED["global"]
        assert (step >= config.clip.begins) == clipped
        assert config.clip.limits == {"thetao": 0.5, "so": 0.5, "uo": 0.2, "vo": 0.2}
        named = ("thetao", "so", "uo")
        found = config.damp.at(step)
        np.testing.assert_allclose([found.get(name, 1.0) for name in named], factors, rtol=1e-9)
        width = config.smooth.at(step)
        np.testing.assert_allclose([width.get(name, 0.0) for name in ("thetao", "so", "zos")], sigma, rtol=1e-9)

    def test_the_regional_system(self) -> None:
        config = AS_PUBLISHED["regional"]
        assert config.clip.limits == {"thetao": 1.0, "so": 1.0, "uo": 1.5, "vo": 1.5}
        assert config.damp.at(31) == pytest.approx({"thetao": 0.775, "so": 0.775, "uo": 0.95, "vo": 0.95})
        assert config.damp.at(11) == {}
        assert set(config.smooth.at(11).values()) == {1.0}
        assert config.smooth.at(10) == {}

    def test_by_name_for_the_variables_and_the_system_at_hand(self, month: xr.Dataset) -> None:
        found = json.loads(made("as_published", month).attrs["oceanx_stabilise"])
        assert found["clip"]["limits"] == {"thetao": 0.5, "uo": 0.2}
        assert found["smooth"]["sigma"] == {"thetao": [0.5, 0.5], "uo": [0.5, 0.7], "zos": [0.5, 0.7]}
        parent = Task(prognostic=WINDY.prognostic, forcing=Channels(surface=("zos_parent",)))
        found = json.loads(made("as_published", month, parent).attrs["oceanx_stabilise"])
        assert found["clip"]["limits"] == {"thetao": 1.0, "uo": 1.5}
        with pytest.raises(InputError, match="names no variable; this model forecasts mlotst"):
            made("as_published", month, Task(prognostic=Channels(surface=("mlotst",))))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("as_pubished", "expected 'as_published'"),
        ({"clp": {}}, "unknown key 'clp'; did you mean 'clip'"),
        ({"clip": {"limits": {"thetao": 0}}}, "clip.limits.thetao: Input should be greater than 0"),
        ({"clip": {"limits": {"thetoa": 1}}}, "unknown variable of stabilise 'thetoa'.*'thetao'"),
        ({"damp": {"factors": {"thetao": [1, 0.5]}}}, "`between` which steps does thetao go"),
        ({"damp": {"factors": {"thetao": [1, 0.5]}, "between": [9, 9]}}, "first step before the last"),
        ({"damp": {"factors": {"thetao": [1, 1.5]}, "between": [1, 9]}}, "less than or equal to 1"),
        ({"smooth": {"sigma": {"thetao": [-1, 1]}, "between": [1, 9]}}, "greater than or equal to 0"),
        ({"smooth": {"sigma": {"thetao": [1, 1]}, "unit": "miles"}}, "smooth.unit"),
        ({"clip": {"limits": {}}}, "names no variable"),
    ],
)
def test_bad_words_are_refused(month: xr.Dataset, words: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        made(words, month)


def test_a_forecast_that_is_stabilised_says_so(month: xr.Dataset, tmp_path: Path) -> None:
    """By settings or by a file of them; what runs away is held."""

    def running_away(state: State, forcing: Forcing) -> State:
        return state.map(lambda x: x + torch.sign(x))

    model, start = Model("away", running_away, task=Task(prognostic=Channels(surface=("zos",)))), month.time.values[5]
    words = {"clip": {"limits": {"zos": 0.01}, "begins": 3}}
    (tmp_path / "stable.yaml").write_text(yaml.safe_dump(words))
    plain = ox.forecast(model, month, start, "4D")
    for given in (words, tmp_path / "stable.yaml", str(tmp_path / "stable.yaml")):
        fc = ox.forecast(model, month, start, "4D", stabilise=given)
        assert json.loads(fc.attrs["oceanx_stabilise"]) == words
        xr.testing.assert_equal(fc.zos[:, :2].drop_attrs(), plain.zos[:, :2].drop_attrs())
        step = abs(fc.zos.diff("lead_time"))
        np.testing.assert_allclose(step[:, 0].max(), 1.0, rtol=1e-5)
        np.testing.assert_allclose(step[:, 1:].max(), 0.01, rtol=1e-4)
