"""Real methods in a cycle: what the whole labelled chain gives is what the same few matrices give in plain NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import toy_dataset
import xarray as xr
from toy_assimilation import everywhere, observations

import oceanx as ox
from oceanx.ocean import climatology as climatologies
from oceanx.tensors.state import Forcing, State
from oceanx.vocabulary.channels import Channels, Task
from oceanx.vocabulary.errors import InputError
from oceanx.workflows.assimilation.background_errors import background_errors
from oceanx.workflows.assimilation.methods import KINDS
from oceanx.workflows.model import Model

TESTS = {"tests": ["out_of_range", "outside_grid", "on_land"]}
FIRST, LAST = "2002-03-01", "2002-03-12"


@pytest.fixture(scope="module")
def sea() -> xr.Dataset:
    """Sea surface heights alone: 100 wet cells that remember."""
    return toy_dataset.ocean(500, start="2001-01-01")[["zos"]].drop_vars(["depth", "thickness"], errors="ignore")


@pytest.fixture(scope="module")
def learned(sea: xr.Dataset) -> xr.Dataset:
    return sea.sel(time=slice("2001-01-01", "2002-02-28"))


@pytest.fixture(scope="module")
def swell(sea: xr.Dataset) -> xr.Dataset:
    """Heights that hang together over the whole sea: six patterns that remember, by chance."""
    random = np.random.default_rng(1)
    amplitude = np.zeros((sea.sizes["time"], 6))
    for day in range(1, len(amplitude)):
        amplitude[day] = 0.95 * amplitude[day - 1] + 0.02 * random.standard_normal(6)
    j, i = np.meshgrid(np.linspace(0, np.pi, 10), np.linspace(0, np.pi, 12), indexing="ij")
    patterns = np.stack([np.cos(k * j) * np.cos(m * i) for k, m in ((0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (2, 0))])
    heights = sea.zos.copy(data=np.einsum("tk,kji->tji", amplitude, patterns).astype("float32"))
    return sea.assign(zos=heights.where(sea.zos.notnull()))


@pytest.fixture(scope="module")
def seen(sea: xr.Dataset) -> xr.Dataset:
    return eight_a_day(sea)


def eight_a_day(sea: xr.Dataset) -> xr.Dataset:
    """Eight wet cells a day, with errors of 2 cm; on one day none."""
    random, wet = np.random.default_rng(0), np.argwhere(np.isfinite(sea.zos[0].values))
    parts: dict[str, list[np.ndarray]] = {name: [] for name in ("time", "latitude", "longitude", "value")}
    for day in sea.time.sel(time=slice(FIRST, LAST)).values:
        if str(day)[:10] == "2002-03-06":
            continue
        rows, columns = wet[random.choice(len(wet), 8, replace=False)].T
        truth = sea.zos.sel(time=day).values[rows, columns]
        made = (np.full(8, day), sea.latitude.values[rows], sea.longitude.values[columns])
        for name, values in zip(parts, (*made, truth + 0.02 * random.standard_normal(8)), strict=True):
            parts[name].append(values)
    columns = {name: np.concatenate(values) for name, values in parts.items()}
    return observations(columns | {"depth": np.zeros(88), "error_std": np.full(88, 0.02)}, ["zos"])


def vectors(da: xr.DataArray, wet: np.ndarray) -> np.ndarray:
    """Wet values, (time, cell)."""
    return da.transpose(..., "latitude", "longitude").values[..., wet].astype(float)


def observed(seen: xr.Dataset, sea: xr.Dataset, wet: np.ndarray, day: np.datetime64) -> tuple[np.ndarray, np.ndarray]:
    """H and y of a day, its places being centres of cells."""
    number = np.cumsum(wet.ravel()).reshape(wet.shape) - 1
    mine = seen.isel(obs=np.flatnonzero(seen.time.values.astype("M8[D]") == day.astype("M8[D]")))
    h = np.zeros((mine.sizes["obs"], wet.sum()))
    for row, (lat, lon) in enumerate(zip(mine.latitude.values, mine.longitude.values, strict=True)):
        j, i = np.abs(sea.latitude.values - lat).argmin(), np.abs(sea.longitude.values - lon).argmin()
        h[row, number[j, i]] = 1
    return h, mine.value.values


@pytest.mark.parametrize("method", ["kalman", "oi"])
def test_the_chain_is_a_kalman_filter(
    method: str, sea: xr.Dataset, learned: xr.Dataset, seen: xr.Dataset, tmp_path: Path
) -> None:
    """x' = c' + ρ (x − c) with P_f = M P Mᵀ + Q, or with the same P every day, against a loop over matrices."""
    model = ox.damped_persistence(learned, lead="2D")
    errors = background_errors(model, learned, count=60, samples=60, residuals=50)
    words = {"kind": method, "background": {"kind": "samples", "length": None}}
    an = ox.assimilate(model, seen, background=sea, time=slice(FIRST, LAST, "1D"), method=words, errors=errors,
                       quality=TESTS, bounds=False)  # fmt: skip

    wet = np.isfinite(sea.zos[0].values)
    p = np.cov(vectors(errors.zos_sample, wet).T)
    q = np.cov(vectors(errors.zos_residual, wet).T)
    rho = vectors(model.damping.zos_damping.isel(lead_time=0), wet)
    usual = vectors(climatologies.at(model.climatology, sea.time.sel(time=slice(FIRST, LAST))).zos, wet)
    x = vectors(sea.zos.sel(time=FIRST), wet)
    used = 0
    for number, day in enumerate(an.time.values):
        if number:
            x = usual[number] + rho * (x - usual[number - 1])
            if method == "kalman":
                p = rho[:, None] * p * rho + q
        h, y = observed(seen, sea, wet, day)
        there = slice(used, used + len(y))
        used += len(y)
        if len(y):
            d, s = y - h @ x, h @ p @ h.T + 0.02**2 * np.eye(len(y))
            gain = p @ h.T @ np.linalg.inv(s)
            x = x + gain @ d
            after = p - gain @ h @ p
            np.testing.assert_allclose(an.departure_background[there], d, atol=1e-6)
            np.testing.assert_allclose(an.departure_analysis[there], y - h @ x, atol=1e-6)
            np.testing.assert_allclose(an.departure_background_std[there], np.sqrt(np.diag(h @ p @ h.T)), rtol=1e-4)
            np.testing.assert_allclose(an.departure_analysis_std[there], np.sqrt(np.diag(h @ after @ h.T)), rtol=1e-3)
            assert float(an.chi_squared[number]) == pytest.approx(d @ np.linalg.solve(s, d) / len(y), rel=1e-3)
            assert float(an.degrees_of_freedom[number]) == pytest.approx(np.trace(h @ gain), rel=1e-4)
            p = after if method == "kalman" else p
        np.testing.assert_allclose(vectors(an.zos[number], wet), x, atol=1e-6)
        if method == "kalman":
            np.testing.assert_allclose(vectors(an.zos_std[number], wet), np.sqrt(np.diag(p)), rtol=1e-3)
    assert used == 88


@pytest.mark.parametrize(
    "method",
    ["oi", {"kind": "3dvar", "tolerance": 1e-8, "iterations": 500}, {"kind": "kalman", "uncorrelated": 1.0}, "4dvar"],
    ids=["oi", "3dvar", "kalman", "4dvar"],
)
def test_perfect_observations_everywhere_are_the_truth(method: Any, sea: xr.Dataset) -> None:
    """Whatever the method, observations of a thousandth of a millimetre in every cell leave nothing to a background."""
    perfect = everywhere(sea, ["2002-03-01", "2002-03-02"], error=1e-6, names=("zos",))
    an = ox.assimilate(ox.persistence(), perfect, background=sea, time=slice("2002-03-01", "2002-03-02", "1D"),
                       method=method, quality=TESTS)  # fmt: skip
    np.testing.assert_allclose(an.zos, sea.zos.sel(time=an.time), atol=2e-5)


def severed(state: State, forcing: Forcing) -> State:
    """The same state again, by numbers that nothing can be derived from."""
    return State({name: torch.from_numpy(x.detach().numpy().copy()) for name, x in state.items()})


def test_a_step_without_gradient(sea: xr.Dataset, learned: xr.Dataset, seen: xr.Dataset) -> None:
    """4D-Var over several days is refused in one line; over single ones it needs none."""
    model = Model("severed", severed, task=Task(prognostic=Channels(surface=("zos",))))
    words = {"background": sea, "method": "4dvar", "errors": slice("2001-06", "2001-12"), "quality": TESTS}
    with pytest.raises(InputError, match="4dvar: the model's step has no gradient"):
        ox.assimilate(model, seen, time=slice(FIRST, LAST, "3D"), **words)
    ox.assimilate(model, seen, time=slice(FIRST, "2002-03-02", "1D"), **words)


def test_an_ensemble_goes_on_to_the_same_bits(sea: xr.Dataset, seen: xr.Dataset, tmp_path: Path) -> None:
    """Adaptive inflation, relaxation, additive noise and rotations of members, after an interruption."""
    inflation = {"rtps": 0.3, "additive": 0.2, "adaptive": {"std": 0.1}}
    method = {"kind": "letkf", "members": 6, "rotate": True, "inflation": inflation}
    words = {"background": sea, "method": method, "time": slice(FIRST, LAST, "2D"), "start": "climatology", "seed": 5}
    whole = ox.assimilate(ox.persistence(), seen, keep=["members"], to=tmp_path / "whole.zarr", **words)

    def stop(what: str, done: int, total: int) -> None:
        if "analyses" in what and done == 3:
            raise KeyboardInterrupt

    again = {"keep": ["members"], "to": tmp_path / "again.zarr"} | words
    with pytest.raises(KeyboardInterrupt):
        ox.assimilate(ox.persistence(), seen, progress=stop, **again)
    resumed = ox.assimilate(ox.persistence(), seen, resume=True, **again)
    for name in whole.data_vars:
        np.testing.assert_array_equal(resumed[name].values, whole[name].values, err_msg=str(name))
    assert len(np.unique(whole.method_inflation[::2])) > 3
    assert float(whole.zos_members.std("member").mean()) > 0.005


def test_members_are_spread_as_the_background_errs(sea: xr.Dataset, seen: xr.Dataset) -> None:
    """Their mean is the background, to rounding, and their spread in each cell what the errors say."""
    errors = background_errors(ox.persistence(), sea.sel(time="2001"), count=40, samples=2)
    an = ox.assimilate(ox.persistence(), seen, background=sea, time=slice("2002-02-01", "2002-02-01", "1D"),
                       method={"kind": "letkf"}, members=80, errors=errors)  # fmt: skip
    np.testing.assert_allclose(an.zos[0], sea.zos.sel(time="2002-02-01"), atol=1e-6)
    ratio = (an.zos_std[0] / errors.zos_std).values
    assert np.nanmean(ratio) == pytest.approx(1, abs=0.1)
    assert np.nanstd(ratio) < 2 / np.sqrt(2 * 80)


@pytest.mark.parametrize("method", sorted(set(KINDS) - {"learned"}))
def test_every_method_comes_nearer_to_what_it_did_not_see(method: str, swell: xr.Dataset) -> None:
    """From the climatology on, with eight cells a day of a hundred; and says how certain it is, or says nothing."""
    seen, window = eight_a_day(swell), "3D" if method == "4dvar" else "1D"
    members = {"members": 20} if method in ("etkf", "letkf", "hybrid") else {}
    an = ox.assimilate(ox.persistence(), seen, background=swell, time=slice(FIRST, LAST, window), method=method,
                       start="climatology", errors=slice("2001-01", "2002-02"), quality=TESTS, **members)  # fmt: skip
    error = np.sqrt(((an.zos - swell.zos) ** 2).mean(("latitude", "longitude"))).values
    usual = float(swell.zos.sel(time=slice(FIRST, LAST)).std())
    assert error[-6:].mean() < 0.5 * usual
    if "zos_std" in an:
        stated = an.zos_std.values[~np.isnan(an.zos_std.values)]
        assert (stated >= 0).all()
        assert 0.001 < stated.mean() < usual
