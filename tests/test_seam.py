"""The seam: labels come off and go back on without a trace, and what does not fit is named."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
import toy_dataset
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx import seam
from oceanx.vocabulary.channels import Channels
from oceanx.vocabulary.constants import EARTH_RADIUS
from oceanx.vocabulary.errors import InputError

CANONICAL = ("time", "depth", "latitude", "longitude")
LEVELS = (0.5, 5.0, 47.4, 92.3)


@st.composite
def labelled(draw):
    """A Dataset with dimensions in any order, its Channels, and NaN anywhere."""
    volume = draw(st.lists(st.sampled_from(["thetao", "uo"]), unique=True, min_size=1))
    surface = draw(st.lists(st.sampled_from(["zos", "sst"]), unique=True))
    chosen = sorted(draw(st.lists(st.integers(0, 3), unique=True, min_size=1)))
    sizes = dict(
        zip(CANONICAL, (draw(st.integers(1, 3)), 4, draw(st.integers(1, 3)), draw(st.integers(1, 4))), strict=True)
    )
    dtype = draw(st.sampled_from(["float32", "float64"]))
    random = np.random.default_rng(draw(st.integers(0, 2**31)))
    variables = {}
    for name in draw(st.permutations([*volume, *surface])):
        dims = draw(st.permutations(CANONICAL if name in volume else [d for d in CANONICAL if d != "depth"]))
        values = random.standard_normal([sizes[d] for d in dims]).astype(dtype)
        values[random.random(values.shape) < 0.2] = np.nan
        variables[name] = (dims, values, {"units": "1", "long_name": name.upper()})
    coords = {
        "time": ("time", pd.date_range("2001-01-01", periods=sizes["time"]), {"axis": "T"}),
        "depth": ("depth", np.array(LEVELS), {"positive": "down"}),
        "latitude": np.linspace(0, 5, sizes["latitude"]),
        "longitude": np.linspace(0, 5, sizes["longitude"]),
        "mask": (CANONICAL[1:], np.ones([sizes[d] for d in CANONICAL[1:]], "int8"), {"long_name": "Wet"}),
        "day": ("time", np.arange(sizes["time"])),
    }
    ds = xr.Dataset(variables, coords=coords, attrs={"title": "any ocean"})
    return ds, Channels(volume=volume, surface=surface, depth=[LEVELS[i] for i in chosen])


@given(labelled())
@settings(max_examples=60, deadline=None)
def test_labels_off_and_on_again_is_the_same_dataset(case):
    ds, channels = case
    tensor = seam.to_tensor(ds, channels)
    assert tensor.shape == (ds.sizes["time"], len(channels), ds.sizes["latitude"], ds.sizes["longitude"])
    expected = ds[list(channels.names)].sel(depth=list(channels.depth)).transpose(*CANONICAL)
    xr.testing.assert_identical(seam.to_dataset(tensor, channels, ds), expected)
    xr.testing.assert_identical(seam.to_dataset(seam.to_fields(ds, channels), channels, ds), expected)
    for name in channels.names:
        assert seam.to_dataset(tensor, channels, ds)[name].dtype == ds[name].dtype


@given(labelled())
@settings(max_examples=30, deadline=None)
def test_every_channel_is_the_level_it_is_called(case):
    ds, channels = case
    tensor = seam.to_tensor(ds, channels)
    for name, where in channels.slices.items():
        for channel, depth in zip(range(len(channels))[where], channels.depth, strict=False):
            level = ds[name].sel(depth=depth) if name in channels.volume else ds[name]
            expected = level.transpose("time", "latitude", "longitude").values
            np.testing.assert_array_equal(tensor[:, channel].numpy(), expected)


CHANNELS = Channels(volume=("thetao",), surface=("zos",), depth=(0.494, 92.326))


def test_a_coordinate_goes_back_where_it_fits_and_only_there():
    ds = toy_dataset.ocean(5)
    fields = seam.to_fields(ds, CHANNELS)
    shorter = seam.to_dataset({name: field[:3] for name, field in fields.items()}, CHANNELS, ds)
    assert shorter.sizes["time"] == 3
    assert "time" not in shorter.coords
    members = seam.to_dataset(fields, CHANNELS, ds, dim="member")
    assert set(members.sizes) == {"member", "depth", "latitude", "longitude"}
    assert "time" not in members.coords
    assert members.thetao.attrs == ds.thetao.attrs
    assert {"mask", "cell_area"} <= set(members.coords)


def broadcast(ds):
    """The same values in memory that must not be written to."""
    return ds.copy(data={name: np.broadcast_to(v.values, v.shape) for name, v in ds.data_vars.items()})


@pytest.mark.parametrize("unusual", [broadcast, lambda ds: ds.astype(">f4")])
def test_memory_that_torch_would_not_take_is_copied(unusual):
    ds = toy_dataset.ocean(1)
    surface = unusual(ds[["zos"]].copy(deep=True))
    field = seam.to_fields(surface, Channels(surface=("zos",)))["zos"]
    np.testing.assert_array_equal(field[:, 0].numpy(), ds.zos.values)
    field.zero_()
    np.testing.assert_array_equal(surface.zos.values.astype("float32"), ds.zos.values)


def test_taking_labels_off_stays_lazy_until_then():
    ds = toy_dataset.ocean(5).chunk(time=1)
    assert seam.select(ds, CHANNELS).thetao.chunks is not None
    assert torch.equal(
        seam.to_fields(ds, CHANNELS)["zos"].nan_to_num(), seam.to_fields(ds.compute(), CHANNELS)["zos"].nan_to_num()
    )


@pytest.mark.parametrize(
    ("depth", "found"),
    [((0.494,), [0]), ((0.5, 47.0), [0, 1]), ((0.594, 92.326), [0, 2]), ((46.4, 94.2), [1, 2]), ((), [])],
)
def test_levels_are_the_nearest_within_the_tolerance(depth, found):
    assert seam.levels(toy_dataset.ocean(1), depth) == found


@pytest.mark.parametrize(
    ("depth", "said"),
    [
        ((0.494, 60.0), r"no level near 60 m; the Dataset has 0\.494, 47\.374, 92\.326 m"),
        ((0.62,), "no level near 0.62 m"),
        ((90.0,), "no level near 90 m"),
        ((0.45, 0.5), "name one level twice"),
    ],
)
def test_levels_that_are_not_there_are_named(depth, said):
    with pytest.raises(InputError, match=said):
        seam.levels(toy_dataset.ocean(1), depth)


@pytest.mark.parametrize(
    ("channels", "said"),
    [
        (Channels(surface=("zoss",)), "did you mean 'zos'"),
        (Channels(volume=("zos",), depth=(0.494,)), "zos: expected a volume"),
        (Channels(surface=("thetao",)), "thetao: expected a surface"),
    ],
)
def test_variables_that_do_not_fit_are_named(channels, said):
    with pytest.raises(InputError, match=said):
        seam.to_fields(toy_dataset.ocean(2), channels)


def test_depth_or_time_that_is_missing_is_said():
    ds = toy_dataset.ocean(2)
    with pytest.raises(InputError, match="no `depth`"):
        seam.levels(ds.drop_dims("depth"), (0.494,))
    with pytest.raises(InputError, match=r"zos: expected one dimension beside the grid's \(time\), found \[\]"):
        seam.to_fields(ds.isel(time=0), Channels(surface=("zos",)))
    with pytest.raises(InputError, match=r"zos: .*member"):
        seam.to_fields(ds.expand_dims(member=2), Channels(surface=("zos",)))


def test_land_is_filled_with_zero_in_single_precision():
    ds = toy_dataset.ocean(3)
    labels = seam.grid_of(ds, CHANNELS)
    mask = seam.wet_mask(labels)
    filled = seam.fill_land(seam.to_fields(ds.astype("float64"), CHANNELS), mask, "some days")
    for name, field in filled.items():
        expected = ds[name].sel(depth=[0.494, 92.326]) if name == "thetao" else ds[name].expand_dims("depth", 1)
        assert field.dtype == torch.float32
        np.testing.assert_array_equal(field.numpy(), expected.fillna(0.0).values)


def test_a_wet_cell_without_a_value_is_refused_by_name_and_number():
    ds = toy_dataset.ocean(3)
    ds["zos"][1, 5, 5:8] = np.nan
    mask = seam.wet_mask(seam.grid_of(ds, CHANNELS))
    with pytest.raises(InputError, match="zos: 3 wet cells are NaN at 2001-12-02"):
        seam.fill_land(seam.to_fields(ds, CHANNELS), mask, "2001-12-02")


def test_the_geometry_has_the_labelled_grid_s_metrics():
    ds = toy_dataset.ocean(1)
    geometry = seam.geometry(seam.grid_of(ds, CHANNELS))
    np.testing.assert_allclose(geometry.area.numpy(), ds.cell_area.values, rtol=1e-6)
    np.testing.assert_allclose(geometry.latitude.numpy(), ds.latitude.values, rtol=1e-6)
    np.testing.assert_allclose(geometry.longitude.numpy(), ds.longitude.values, rtol=1e-6)
    np.testing.assert_array_equal(geometry.mask.numpy(), ds.mask.isel(depth=[0, 2]).values)
    assert not geometry.periodic


def test_layers_are_as_thick_as_among_the_chosen_levels():
    geometry = seam.geometry(seam.grid_of(toy_dataset.ocean(1), CHANNELS))
    middle = (0.494 + 92.326) / 2
    assert geometry.thickness.flatten().tolist() == pytest.approx([middle, 2 * (92.326 - middle)])
    assert geometry.depth.tolist() == pytest.approx([0.494, 92.326])


@pytest.mark.parametrize(
    "surface_only", [lambda ds: ds, lambda ds: ds.isel(depth=0), lambda ds: ds.isel(depth=0, drop=True)]
)
def test_the_surface_is_one_layer_of_a_metre(surface_only):
    ds = toy_dataset.ocean(1)
    labels = seam.grid_of(surface_only(ds), Channels(surface=("zos",)))
    geometry = seam.geometry(labels)
    assert geometry.thickness.tolist() == [[[1.0]]]
    np.testing.assert_array_equal(geometry.mask.numpy()[0], ds.mask.isel(depth=0).values)
    assert geometry.layers.volume.shape == (1, 10, 12)


def test_a_global_grid_is_periodic_and_covers_the_earth():
    latitude, longitude = np.linspace(-90, 90, 19), np.arange(-180.0, 180.0, 20.0)
    ds = xr.Dataset(
        {"sst": (("time", "latitude", "longitude"), np.ones((1, 19, 18)))},
        coords={"time": [np.datetime64("2001-01-01", "ns")], "latitude": latitude, "longitude": longitude},
    )
    geometry = seam.geometry(seam.grid_of(ds, Channels(surface=("sst",))))
    assert geometry.periodic
    assert geometry.area.double().sum().item() == pytest.approx(4 * np.pi * EARTH_RADIUS**2, rel=1e-6)


def test_a_grid_of_one_row_is_refused():
    ds = toy_dataset.ocean(1)
    with pytest.raises(InputError, match="single row"):
        seam.geometry(seam.grid_of(ds, CHANNELS).isel(latitude=slice(3, 4)))


def test_statistics_are_one_value_a_level():
    ds = xr.Dataset({"thetao_mean": ("depth", np.array([1.0, 2.0])), "zos_mean": ((), 3.0)})
    found = seam.statistics(ds)
    assert found["thetao_mean"].tolist() == [1.0, 2.0]
    assert found["zos_mean"].tolist() == [3.0]
    assert {value.dtype for value in found.values()} == {torch.float32}
