"""Levels: what a column holds is kept, values at exact depths are read off, and the sea floor stays where it is."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import xarray as xr
from hypothesis import example, given, settings
from hypothesis import strategies as st

from oceanx.ocean import grid as grids
from oceanx.ocean.vertical import interpolate_levels, remap_levels, source_interfaces
from oceanx.vocabulary.constants import GLORYS_LEVELS, LEVELS_23
from oceanx.vocabulary.errors import InputError

OCEANBENCH = [0.494025, 47.37369, 92.32607, 222.4752, 318.1274, 541.0889]


def column(depth, values, **coords):
    values = np.asarray(values)
    dims = ("depth", "cell")[: values.ndim]
    return xr.Dataset({"thetao": (dims, values, {"units": "degrees_C"})}, {"depth": np.asarray(depth, float), **coords})


def interfaces(depth):
    """Half-way, the first at the surface, the last as far below the level as the one above it."""
    middle = [(a + b) / 2 for a, b in pairwise(depth)]
    first = [0.0, *middle]
    return [*first, 2 * depth[-1] - first[-1]]


def brute_force(depth, values, target, least):
    """Layer by layer; also how many metres of each new layer are wet."""
    old, out, wet = interfaces(list(depth)), [], []
    for top, bottom in pairwise(target):
        amount = metres = 0.0
        for k, value in enumerate(values):
            part = min(bottom, old[k + 1]) - max(top, old[k])
            if part > 0 and not np.isnan(value):
                amount, metres = amount + part * value, metres + part
        out.append(amount / metres if metres > 0 and metres / (bottom - top) >= least - 1e-9 else np.nan)
        wet.append(metres)
    return np.array(out), np.array(wet)


levels = st.lists(st.integers(1, 400), min_size=1, max_size=8, unique=True).map(lambda found: np.sort(found) / 4.0)


@given(levels, levels, st.integers(0, 8), st.sampled_from([0.0, 0.5, 1.0]), st.integers(0, 99))
@settings(deadline=None, max_examples=80)
def test_remapping_agrees_with_brute_force_and_keeps_the_column(depth, new, floor, least, seed):
    values = np.random.default_rng(seed).normal(size=depth.size)
    values[floor:] = np.nan
    expected, wet = brute_force(depth, values, interfaces(list(new)), least)
    share = wet / np.diff(interfaces(list(new)))
    if least == 0.5 and np.abs(share - 0.5).min() < 1e-6:
        return  # on the threshold itself, rounding decides
    out = remap_levels(column(depth, values), new, least=least)
    np.testing.assert_allclose(out.thetao, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(out.depth, new)
    deepest = min(interfaces(list(new))[-1], interfaces(list(depth))[-1])
    if least == 0.0:
        thick = np.clip(np.minimum(interfaces(list(depth))[1:], deepest) - interfaces(list(depth))[:-1], 0, None)
        assert float((out.thetao * wet).sum()) == pytest.approx(np.nansum(values * thick), rel=1e-9, abs=1e-9)


def test_heat_content_of_glorys_levels_survives_the_way_to_23_and_stays_wet_only():
    rng = np.random.default_rng(0)
    values = 10 + rng.normal(size=(50, 40))
    values[np.arange(50)[:, None] >= rng.integers(0, 50, 40)] = np.nan
    ds = column(GLORYS_LEVELS, values.astype("f4"))
    out = remap_levels(ds, LEVELS_23, least=0)
    for cell in range(40):
        expected, _ = brute_force(GLORYS_LEVELS, values[:, cell], interfaces(list(LEVELS_23)), 0.0)
        np.testing.assert_allclose(out.thetao[:, cell], expected, rtol=1e-6)
    assert out.thetao.dtype == np.float32


def test_layers_by_their_interfaces():
    ds = column([5.0, 15.0, 30.0], [3.0, 6.0, np.nan], thickness=("depth", [10.0, 10.0, 20.0]))
    out = remap_levels(ds, interfaces=[0, 20, 24], least=0)
    np.testing.assert_allclose(out.thetao, [4.5, np.nan])
    np.testing.assert_allclose(out.depth, [10, 22])
    np.testing.assert_allclose(out.thickness, [20, 4])


def test_interfaces_come_from_bounds_then_thickness_then_levels():
    ds = column([1.0, 5.0, 20.0], [1.0, 2.0, 3.0])
    np.testing.assert_allclose(source_interfaces(ds), [0, 3, 12.5, 27.5])
    np.testing.assert_allclose(
        source_interfaces(ds.assign_coords(thickness=("depth", [2.0, 6.0, 24.0]))), [0, 2, 8, 32]
    )
    ds["depth"].attrs["bounds"] = "depth_bnds"
    bounded = ds.assign_coords(depth_bnds=(("depth", "bnds"), [[0.0, 2.5], [2.5, 10.0], [10.0, 40.0]]))
    np.testing.assert_allclose(source_interfaces(bounded), [0, 2.5, 10, 40])
    assert "depth_bnds" not in remap_levels(bounded, [1.0]).variables
    torn = ds.assign_coords(depth_bnds=(("depth", "bnds"), [[0.0, 2.5], [3.5, 10.0], [10.0, 40.0]]))
    with pytest.raises(InputError, match=r"depth_bnds: .* each layer beginning where the one above ends"):
        remap_levels(torn, [1.0])


def test_the_thickness_of_levels_that_were_left_out_is_no_guide():
    ds = column(GLORYS_LEVELS, np.zeros(50))
    ds = ds.assign_coords(thickness=grids.thickness(ds.depth)).isel(depth=slice(None, None, 10))
    with pytest.raises(InputError, match=r"thickness: .* leave the level 15\.8101 m outside"):
        remap_levels(ds, [5.0])
    remap_levels(ds.drop_vars("thickness"), [5.0])


@given(st.floats(-5, 5), st.floats(-1, 1), st.lists(st.floats(0.5, 640), min_size=1, max_size=6, unique=True))
@settings(deadline=None, max_examples=40)
@example(0.0, 1.0, [222.46875])  # the level 222.475204 by another name
def test_interpolation_is_exact_for_straight_lines(at_surface, slope, depths):
    """At the depth, or at the level that it is to 1 part in 10⁴."""
    z, wanted = np.array(LEVELS_23), np.sort(depths)
    out = interpolate_levels(column(z, at_surface + slope * z), wanted)
    nearest = z[np.abs(z - wanted[:, None]).argmin(1)]
    at = np.where(np.abs(nearest - wanted) <= 1e-4 * np.maximum(1, wanted), nearest, wanted)
    np.testing.assert_allclose(out.thetao, at_surface + slope * at, rtol=1e-9, atol=1e-9)


def test_oceanbench_depths_from_23_levels_agree_with_numpy():
    values = np.random.default_rng(0).normal(size=len(LEVELS_23))
    out = interpolate_levels(column(LEVELS_23, values), OCEANBENCH)
    np.testing.assert_allclose(out.thetao, np.interp(OCEANBENCH, LEVELS_23, values), atol=1e-5)
    np.testing.assert_array_equal(out.depth, OCEANBENCH)


def test_interpolation_stops_at_the_sea_floor_and_a_level_stands_for_itself():
    ds = column([1.0, 3.0, 5.0], [[1.0], [2.0], [np.nan]])
    out = interpolate_levels(ds, [1.0, 2.0, 3.00001, 4.0, 5.0]).thetao[:, 0]
    np.testing.assert_allclose(out, [1.0, 1.5, 2.0, np.nan, np.nan])


def test_chunked_is_whole_and_coordinates_follow():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(3, 23, 4, 5)).astype("f4")
    values[:, 15:, :2] = np.nan
    ds = xr.Dataset(
        {"thetao": (("time", "depth", "latitude", "longitude"), values, {"units": "degrees_C"}),
         "zos": (("time", "latitude", "longitude"), values[:, 0])},
        {"depth": ("depth", list(LEVELS_23), {"positive": "down"}), "latitude": np.arange(4.0),
         "longitude": np.arange(5.0)},
        {"title": "kept"},
    )  # fmt: skip
    ds = grids.complete(ds)
    for change in (lambda d: remap_levels(d, [2.0, 50.0, 400.0]), lambda d: interpolate_levels(d, OCEANBENCH)):
        whole = change(ds)
        xr.testing.assert_identical(change(ds.chunk(time=1, depth=4, latitude=3)).compute(), whole)
        assert whole.thetao.dims == ds.thetao.dims
        assert whole.thetao.attrs == {"units": "degrees_C"}
        assert whole.attrs == ds.attrs
        xr.testing.assert_identical(whole.zos.variable, ds.zos.variable)
        np.testing.assert_array_equal(whole.mask, whole.thetao.notnull().all("time"))
        np.testing.assert_allclose(whole.thickness, np.diff(interfaces(whole.depth.values.tolist())))
        assert whole.depth.attrs["positive"] == "down"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda ds: remap_levels(ds), "either depths or interfaces"),
        (lambda ds: remap_levels(ds, [1.0], interfaces=[0, 1]), "either depths or interfaces"),
        (lambda ds: remap_levels(ds, [5.0, 1.0]), "expected ascending metres"),
        (lambda ds: remap_levels(ds, [-1.0]), "expected ascending metres"),
        (lambda ds: remap_levels(ds, interfaces=[5.0]), "interfaces .* two at least"),
        (lambda ds: remap_levels(ds, interfaces=[500.0, 600.0]), "nothing in common"),
        (lambda ds: remap_levels(ds, [1.0], least=2), "least: found 2"),
        (lambda ds: remap_levels(ds.isel(depth=0), [1.0]), "depth: no such axis"),
        (lambda ds: remap_levels(ds.assign(words=("depth", ["a", "b"])), [1.0]), "words: has a depth but no numbers"),
        (lambda ds: interpolate_levels(ds, [0.5]), "0.5 m is outside the levels of the data, 1 to 3 m"),
        (lambda ds: interpolate_levels(ds, [3.1]), "3.1 m is outside"),
        (lambda ds: interpolate_levels(ds, []), "expected ascending metres"),
    ],
)
def test_what_makes_no_sense_is_refused(change, said):
    with pytest.raises(InputError, match=said):
        change(column([1.0, 3.0], [[1.0, 2.0], [3.0, 4.0]]))
