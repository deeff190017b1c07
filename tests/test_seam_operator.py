"""The observation operator across the seam: the same numbers as NumPy's, exact where fields are linear."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx import seam
from oceanx.ocean import grid
from oceanx.ocean.interpolation import weights
from oceanx.ocean.observations import table
from oceanx.tensors.state import State
from oceanx.vocabulary.channels import Channels

NAMES = ("thetao", "zos", "so")  # `so` is no channel
DEPTH = np.array([5.0, 30.0, 100.0])
CHANNELS = Channels(volume=("thetao",), surface=("zos",), depth=tuple(DEPTH))
DAY = np.datetime64("2020-03-01", "ns")
quick = settings(max_examples=12, deadline=None)


def sea(globe: bool = True, days: int = 3, wet: np.ndarray | None = None) -> xr.Dataset:
    """The labelled grid of a window: all round the earth or part of it, with some land."""
    latitude = np.array([-30.0, -10.0, 15.0, 35.0, 50.0])
    longitude = np.arange(0.0, 360.0, 30.0) if globe else np.arange(10.0, 70.0, 10.0)
    shape = (3, 5, longitude.size)
    wet = np.ones(shape, bool) if wet is None else wet
    fields = {"thetao": (("depth", "latitude", "longitude"), np.where(wet, 1.0, np.nan).astype("f4"))}
    fields["zos"] = (("latitude", "longitude"), np.where(wet[0], 1.0, np.nan).astype("f4"))
    coords = {"depth": DEPTH, "latitude": latitude, "longitude": longitude}
    ds = grid.complete(xr.Dataset(fields, coords))
    return seam.grid_of(ds, CHANNELS).assign_coords(time=DAY + np.arange(days) * np.timedelta64(1, "D"))


def coast(globe: bool, seed: int) -> np.ndarray:
    wet = np.random.default_rng(seed).random((3, 5, 12 if globe else 6)) > 0.3
    return np.logical_and.accumulate(wet, axis=0)


def points(seed: int, n: int = 60, names: tuple[str, ...] = NAMES, days: int = 3) -> xr.Dataset:
    """Observations anywhere, in and out of the grid."""
    rng = np.random.default_rng(seed)
    variable = rng.integers(0, len(names), n).astype("i1")
    columns = {
        "time": np.sort(DAY + (rng.random(n) * days * 86400e9).astype("m8[ns]")),
        "latitude": rng.uniform(-40, 60, n),
        "longitude": rng.uniform(-180, 180, n),
        "depth": np.where(variable == 1, 0.0, rng.uniform(0, 120, n)),
        "variable": variable,
        "value": np.zeros(n),
        "error_std": np.ones(n),
        "platform": np.zeros(n, "i4"),
        "feature": np.arange(n),
        "qc": np.zeros(n, "u1"),
    }
    return table(columns, names, ["here"])


def state(field: dict[str, np.ndarray]) -> State:
    """Fields `(depth, latitude, longitude)` and `(latitude, longitude)` as a State with a batch."""
    tensors = {"thetao": torch.from_numpy(field["thetao"]), "zos": torch.from_numpy(field["zos"])}
    return State({"thetao": tensors["thetao"][None], "zos": tensors["zos"][None, None]})


def of_numpy(labelled: xr.Dataset, obs: xr.Dataset, fields: dict[str, np.ndarray], time: str | None) -> np.ndarray:
    """What NumPy's weights make of fields `(time, …)`: NaN where nothing is found."""
    expected = np.full(obs.sizes["obs"], np.nan)
    for code, name in enumerate(NAMES[:2]):
        rows = np.flatnonzero(obs.variable.values == code)
        space = labelled if name == "thetao" else labelled.isel(depth=0, drop=True)
        h = weights(space, obs.isel(obs=rows), time=time)
        expected[rows] = h.apply(fields[name] if time else fields[name][0])
    return expected


@given(seed=st.integers(0, 10_000), globe=st.booleans(), time=st.sampled_from([None, "day", "linear", "nearest"]))
@quick
def test_it_is_that_of_numpy(seed, globe, time):
    labelled = sea(globe, wet=coast(globe, seed))
    rng = np.random.default_rng(seed)
    n = labelled.sizes["longitude"]
    fields = {"thetao": rng.normal(size=(3, 3, 5, n)), "zos": rng.normal(size=(3, 5, n))}
    obs = points(seed)
    h, found = seam.operator(obs, labelled, CHANNELS, time)
    expected = of_numpy(labelled, obs, fields, time)
    np.testing.assert_array_equal(found, np.isfinite(expected))
    assert not found[obs.variable.values == 2].any()
    window = [state({name: field[t] for name, field in fields.items()}) for t in range(3)]
    ours = h(window if time else window[0])[0].numpy()
    np.testing.assert_allclose(ours, expected[found], rtol=0, atol=1e-12)


@given(seed=st.integers(0, 10_000), time=st.sampled_from([None, "day", "linear"]))
@quick
def test_its_adjoint_is_that_of_numpy(seed, time):
    labelled = sea(wet=coast(True, seed))
    obs = points(seed)
    h, found = seam.operator(obs, labelled, CHANNELS, time)
    y = np.random.default_rng(seed).normal(size=int(found.sum()))
    back = h.adjoint(torch.from_numpy(y)[None])
    everywhere = np.zeros(obs.sizes["obs"])
    everywhere[found] = y
    for code, name in enumerate(NAMES[:2]):
        rows = np.flatnonzero(obs.variable.values == code)
        space = labelled if name == "thetao" else labelled.isel(depth=0, drop=True)
        expected = weights(space, obs.isel(obs=rows), time=time).adjoint(everywhere[rows])
        expected = expected if time else expected[None]
        if name in h.parts:
            ours = np.stack([change[name][0].numpy() for change in back])
            np.testing.assert_allclose(ours.reshape(expected.shape), expected, rtol=0, atol=1e-12)


@given(seed=st.integers(0, 10_000), slopes=st.tuples(*[st.floats(-3, 3)] * 4))
@quick
def test_it_is_exact_where_fields_are_linear(seed, slopes):
    labelled = sea(globe=False)
    obs = points(seed, 200)
    h, found = seam.operator(obs, labelled, CHANNELS, "linear")
    a, b, c, d = slopes
    y, x = np.meshgrid(labelled.latitude.values, labelled.longitude.values, indexing="ij")
    window = []
    for t in range(3):
        surface = a * y + b * x + d * (t + 0.5)  # a daily mean speaks for noon
        window.append(state({"thetao": surface + c * DEPTH[:, None, None], "zos": surface}))
    at = obs.isel(obs=found)
    days = (at.time.values - DAY) / np.timedelta64(1, "D")
    depth = np.where(at.variable == 0, np.maximum(at.depth, DEPTH[0]), 0.0)
    expected = a * at.latitude + b * at.longitude + c * depth + d * days
    np.testing.assert_allclose(h(window)[0].numpy(), expected, rtol=0, atol=1e-10)
    inside = (at.latitude >= -30) & (at.latitude <= 50) & (at.longitude >= 10) & (at.longitude <= 60)
    assert inside.all()
    assert (at.depth <= 100).all()
    assert found.sum() > 0


def test_across_the_seam_of_longitude_it_is_linear():
    labelled = sea()
    obs = points(0, 4, ("zos",)).assign_coords(
        longitude=("obs", np.array([-30.0, -20.0, -10.0, 0.0])), latitude=("obs", np.full(4, 15.0))
    )
    ramp = np.zeros((5, 12))
    ramp[:, 11] = 3.0  # at 330° E, 0 at 0°
    h, found = seam.operator(obs, labelled, CHANNELS)
    assert found.all()
    ours = h(state({"thetao": np.zeros((3, 5, 12)), "zos": ramp}))[0].numpy()
    np.testing.assert_allclose(ours, [3.0, 2.0, 1.0, 0.0], rtol=0, atol=1e-12)


@given(seed=st.integers(0, 10_000))
@quick
def test_land_has_no_say(seed):
    wet = coast(True, seed)
    h, _ = seam.operator(points(seed), sea(wet=wet), CHANNELS)
    fields = {"thetao": np.where(wet, 1.0, np.nan), "zos": np.where(wet[0], 1.0, np.nan)}
    np.testing.assert_allclose(h(state(fields))[0].numpy(), 1.0, rtol=0, atol=1e-12)
    (back,) = h.adjoint(torch.ones(1, h.size, dtype=torch.float64))
    for name, levels in (("thetao", wet), ("zos", wet[:1])):
        if name in back:
            assert not back[name][0].numpy()[~levels].any()


def test_what_is_outside_is_not_found():
    obs = points(0, 6, ("thetao",)).assign_coords(
        latitude=("obs", np.array([15.0, 51.0, 15.0, 15.0, 15.0, 15.0])),
        longitude=("obs", np.array([30.0, 30.0, 61.0, 30.0, 9.0, 30.0])),
        depth=("obs", np.array([30.0, 30.0, 30.0, 101.0, 30.0, 100.0])),
    )
    h, found = seam.operator(obs, sea(globe=False), CHANNELS)
    np.testing.assert_array_equal(found, [True, False, False, False, False, True])
    assert h.size == 2


def test_what_is_before_or_after_the_window_is_not_found():
    obs = points(0, 3, ("zos",)).assign_coords(
        time=("obs", DAY + np.array([-1, 12, 80], "m8[h]").astype("m8[ns]")),
        latitude=("obs", np.full(3, 15.0)), longitude=("obs", np.full(3, 30.0)),
    )  # fmt: skip
    for time in ("day", "linear"):
        np.testing.assert_array_equal(seam.operator(obs, sea(), CHANNELS, time)[1], [False, True, False])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_precision_of_the_state_is_kept(dtype):
    h, _ = seam.operator(points(1), sea(), CHANNELS)
    fields = {"thetao": torch.ones(2, 3, 5, 12, dtype=dtype), "zos": torch.ones(2, 1, 5, 12, dtype=dtype)}
    assert h(State(fields)).dtype == dtype
