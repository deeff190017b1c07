"""Opening stores of this machine, whoever wrote them."""

import json

import dask
import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.data.shelf import catalog
from oceanx.data.shelf.stores import open_store, unpacked
from oceanx.vocabulary.errors import InputError

FILL = np.int16(-32767)
DAYS = np.arange("2020-01-01", "2020-01-05", dtype="datetime64[D]").astype("datetime64[ns]")
AXES = {"time": DAYS, "latitude": np.arange(3.0), "longitude": np.arange(5.0)}
DIMS = tuple(AXES)


def raw_numbers() -> np.ndarray:
    raw = np.random.default_rng(0).integers(-32000, 32000, (4, 3, 5)).astype("i2")
    raw[1, 1, 1] = FILL
    return raw


def written(path, scale, offset, zarr_format=3):
    packing = {"scale_factor": scale, "add_offset": offset}
    attrs = {k: v for k, v in packing.items() if v is not None} | {"_FillValue": FILL, "units": "m"}
    ds = xr.Dataset({"zos": (DIMS, raw_numbers(), attrs)}, AXES)
    ds.to_zarr(path, zarr_format=zarr_format, consolidated=zarr_format == 2, encoding={"zos": {"chunks": (2, 3, 5)}})
    return path


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize(
    ("scale", "offset"), [(7.32444226741791e-4, 21.0), (6.10370188951492e-4, None), (None, -3.25), (0.01, 1e-9)]
)
def test_packed_integers_are_rounded_once(tmp_path, zarr_format, scale, offset):
    ds = open_store(written(tmp_path / "packed.zarr", scale, offset, zarr_format))
    expected = raw_numbers().astype("f8")
    expected = (expected * (1.0 if scale is None else scale) + (offset or 0.0)).astype("f4")
    expected[raw_numbers() == FILL] = np.nan
    assert ds.zos.dtype == np.float32
    assert dask.is_dask_collection(ds.zos.data)
    np.testing.assert_array_equal(ds.zos.values, expected)
    assert ds.zos.encoding["dtype"] == np.int16
    assert ds.zos.encoding.get("scale_factor") == scale
    assert ds.zos.encoding["_FillValue"] == FILL
    assert not {"scale_factor", "add_offset", "_FillValue"} & set(ds.zos.attrs)


@settings(max_examples=50, deadline=None)
@given(
    raw=st.lists(st.integers(-32768, 32767), min_size=1, max_size=20),
    scale=st.floats(1e-6, 10.0),
    offset=st.floats(-1e3, 1e3),
)
def test_any_packing_is_float64_arithmetic_then_float32(raw, scale, offset):
    numbers = np.array(raw, "i2")
    v = xr.Variable("x", numbers, {"scale_factor": scale, "add_offset": offset, "_FillValue": FILL}).chunk(x=3)
    found = unpacked(xr.Dataset({"v": v}))["v"].values
    expected = np.array([np.nan if n == FILL else np.float32(float(n) * scale + offset) for n in raw], "f4")
    np.testing.assert_array_equal(found, expected)


def test_every_variable_says_where_its_bytes_are(tmp_path):
    path = written(tmp_path / "packed.zarr", 0.1, 0.0)
    ds = open_store(path)
    assert ds.encoding["source"] == str(path)
    assert {v.encoding["source"] for v in ds.variables.values()} == {str(path)}
    assert ds.sel(time="2020-01-02").zos.encoding["source"] == str(path)
    assert catalog.merge([ds, ds.rename(zos="sla")], ["a", "b"]).sla.encoding["source"] == str(path)


def test_groups_within_a_store_do_not_disturb(tmp_path):
    path = written(tmp_path / "store.zarr", 0.1, 0.0)
    inside = xr.Dataset({"zos_mean": ((), 1.0)})
    for group in ("statistics", "provenance"):
        inside.to_zarr(path, group=group, mode="a", consolidated=False)
    assert list(open_store(path).data_vars) == ["zos"]
    with pytest.warns(match="Consolidated metadata"):
        zarr.consolidate_metadata(path, zarr_format=3)
    assert list(open_store(path).data_vars) == ["zos"]


def test_observations_are_not_merged_with_fields(tmp_path):
    place = {"time": ("obs", DAYS[:3]), "latitude": ("obs", [1.0, 2, 3]), "longitude": ("obs", [4.0, 5, 6])}
    xr.Dataset({"thetao": ("obs", np.float32([1, 2, 3]))}, place).to_zarr(tmp_path / "obs.zarr", consolidated=False)
    obs = catalog.open(tmp_path / "obs.zarr")
    assert obs.sizes == {"obs": 3}
    with pytest.raises(InputError, match=r"obs\.zarr: holds observations .* open them apart"):
        catalog.open(written(tmp_path / "grid.zarr", 0.1, 0.0), tmp_path / "obs.zarr")


def test_a_damaged_store_is_refused_by_name(tmp_path):
    path = written(tmp_path / "hurt.zarr", 0.1, 0.0)
    (path / "zos" / "zarr.json").write_text("{")
    (path / "zarr.json").write_text(json.dumps({"zarr_format": 3, "node_type": "group", "attributes": {}}))
    with pytest.raises(InputError, match=r"hurt\.zarr: cannot be opened"):
        open_store(path)


def test_an_icechunk_repository_is_opened_like_a_store(tmp_path):
    icechunk = pytest.importorskip("icechunk", reason="ICECHUNK ABSENT: pip install 'oceanx[icechunk]'")
    pytest.importorskip("oceanx.data.writing.targets")
    repository = icechunk.Repository.create(icechunk.local_filesystem_storage(str(tmp_path / "repo")))
    session = repository.writable_session("main")
    zos = np.arange(60, dtype="f4").reshape(4, 3, 5)
    xr.Dataset({"zos": (DIMS, zos)}, AXES).to_zarr(session.store, zarr_format=3, consolidated=False)
    session.commit("made")
    np.testing.assert_array_equal(catalog.open(tmp_path / "repo").zos, zos)
