import os

import dask
import numpy as np
import pytest
import xarray as xr
import yaml
from raw_files import six_hourly

import oceanx.data as data
from oceanx.data.recipe import load_recipe
from oceanx.data.shelf import catalog
from oceanx.data.shelf import listing as shelf_module
from oceanx.vocabulary.errors import InputError


@pytest.fixture
def stores(glorys, era5, tmp_path):
    """An ocean and an atmosphere on one grid, overlapping on 2 and 3 January."""
    for day in ("2020-01-01", "2020-01-02", "2020-01-03"):
        glorys(day)
    data.bake("glorys12", tmp_path / "merc*.nc", tmp_path / "ocean.zarr")
    data.bake("era5_daily", era5("u.nc", ("u10", "t2m"), six_hourly("2020-01-02", 4)), tmp_path / "air.zarr")
    return tmp_path


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    monkeypatch.setenv("OCEANX_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "config" / "oceanx" / "catalog").mkdir(parents=True)
    return tmp_path / "config" / "oceanx" / "catalog"


def test_stores_are_merged_lazily_on_common_times(stores):
    ds = data.open(stores / "ocean.zarr", stores / "air.zarr")
    assert {"thetao", "zos", "u10", "t2m"} <= set(ds.data_vars)
    assert ds.time.dt.day.values.tolist() == [2, 3]
    assert all(dask.is_dask_collection(v.data) for v in ds.data_vars.values())
    np.testing.assert_array_equal(ds.zos, data.open(stores / "ocean.zarr").zos[1:])
    np.testing.assert_array_equal(ds.u10, data.open(stores / "air.zarr").u10[:2])
    assert {"mask", "cell_area", "thickness"} <= set(ds.coords)


def test_masks_are_those_cells_wet_in_all(stores):
    ocean = data.open(stores / "ocean.zarr")
    sst = ocean[["zos"]].rename(zos="sst")
    mask = ocean.mask.isel(depth=0, drop=True).copy()
    mask[2, 2] = 0
    merged = catalog.merge([ocean, sst.assign_coords(mask=mask)], ["ocean", "sst"])
    assert int(merged.mask.sum()) == int(ocean.mask.sum()) - 1
    assert merged.mask[0, 2, 2] == 0
    assert merged.mask[1, 2, 2] == 1


def test_coordinates_within_tolerance_are_the_first_ones(stores):
    ocean, air = data.open(stores / "ocean.zarr"), data.open(stores / "air.zarr")
    moved = air.assign_coords(latitude=air.latitude + 5e-5)
    merged = catalog.merge([ocean, moved], ["ocean", "air"])
    np.testing.assert_array_equal(merged.latitude, ocean.latitude)
    with pytest.raises(InputError, match="ocean and air: latitude: grids differ"):
        catalog.merge([ocean, air.assign_coords(latitude=air.latitude + 1e-3)], ["ocean", "air"])


def test_missing_times_are_united(stores):
    ocean, air = data.open(stores / "ocean.zarr"), data.open(stores / "air.zarr")
    ocean.attrs["missing_times"], air.attrs["missing_times"] = (
        ["2020-01-01", "2020-01-02"],
        ["2020-01-03", "2020-01-05"],
    )
    assert catalog.merge([ocean, air], ["a", "b"]).attrs["missing_times"] == ["2020-01-02", "2020-01-03"]


def test_the_fingerprint_tells_what_was_merged(stores):
    both = data.open(stores / "ocean.zarr", stores / "air.zarr").attrs["oceanx_fingerprint"]
    assert both not in {data.open(stores / n).attrs["oceanx_fingerprint"] for n in ("ocean.zarr", "air.zarr")}


def test_stores_that_do_not_go_together_are_refused(stores, era5):
    with pytest.raises(InputError, match="is in both"):
        data.open(stores / "ocean.zarr", stores / "ocean.zarr")
    data.bake("era5_daily", era5("late.nc", ("u10",), six_hourly("2021-01-02", 2)), stores / "late.zarr")
    with pytest.raises(InputError, match=r"no time in common .*2020-01-01 to 2020-01-03.*2021-01-02"):
        data.open(stores / "ocean.zarr", stores / "late.zarr")


@pytest.mark.parametrize(
    ("name", "said"),
    [("no.zarr", "no such store"), ("file.zarr", "is not a Zarr store"), ("folder.zarr", "is not a Zarr store")],
)
def test_a_path_without_a_store_is_refused(tmp_path, name, said):
    (tmp_path / "file.zarr").touch()
    (tmp_path / "folder.zarr").mkdir()
    with pytest.raises(InputError, match=rf"{name}: {said}"):
        data.open(tmp_path / name)


def test_an_interrupted_bake_beside_it_is_mentioned(tmp_path):
    (tmp_path / "x.zarr.partial").mkdir()
    with pytest.raises(InputError, match="interrupted bake lies beside it"):
        data.open(tmp_path / "x.zarr")


def test_packaged_entries_belong_to_recipes(shelf):
    entries = catalog.entries()
    assert {"glorys12", "era5_daily", "oisst"} <= set(entries)
    for entry in entries.values():
        assert entry.recipe is None or load_recipe(entry.recipe)


def test_a_name_opens_what_lies_below_the_data_folder(stores, shelf):
    (stores / "air.zarr").rename(stores / "era5_daily.zarr")
    assert list(data.open("era5_daily").data_vars) == ["t2m", "u10"]
    table = catalog.catalog()
    assert table.loc["era5_daily", "baked"]
    assert not table.loc["glorys12", "baked"]


def test_a_users_entry_lies_over_the_packaged_one(stores, shelf):
    entry = {"name": "glorys12", "description": "Mine", "path": str(stores / "ocean.zarr")}
    (shelf / "mine.yaml").write_text(yaml.safe_dump(entry))
    assert "zos" in data.open("glorys12")
    assert catalog.catalog().loc["glorys12", "description"] == "Mine"


def entry(folder, name, description, **more):
    folder.mkdir(parents=True, exist_ok=True)
    values = {"name": name, "description": description, "path": "x.zarr"} | more
    (folder / f"{name}.yaml").write_text(yaml.safe_dump({k: v for k, v in values.items() if v is not None}))


def test_later_catalogs_lie_over_earlier_ones(shelf, tmp_path, monkeypatch):
    """Packaged, then the site's in their order, then the user's, then the one that is given."""
    one, two, given = tmp_path / "site1", tmp_path / "site2", tmp_path / "given"
    for folder, names in ((one, "abcd"), (two, "bcd"), (shelf, "cd"), (given, "d")):
        for name in names:
            entry(folder, name, folder.name)
    entry(one, "glorys12", "The site's")
    monkeypatch.setenv("OCEANX_CATALOG", os.pathsep.join(map(str, (one, two))))
    table = catalog.catalog(given)
    assert table.loc[list("abcd"), "description"].tolist() == ["site1", "site2", "catalog", "given"]
    assert table.loc[list("abcd"), "origin"].tolist() == ["site", "site", "user", "given"]
    assert table.loc["glorys12", ["description", "origin"]].tolist() == ["The site's", "site"]
    assert table.loc["oisst", "origin"] == "packaged"
    assert "d" in catalog.catalog().index


def test_a_catalog_that_is_not_there_is_refused(shelf, tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"catalog: .*nowhere is no folder"):
        catalog.catalog(tmp_path / "nowhere")
    monkeypatch.setenv("OCEANX_CATALOG", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"OCEANX_CATALOG: .*nowhere is no folder"):
        data.open("glorys12")


def test_a_name_twice_in_one_folder_is_refused(shelf):
    entry(shelf, "a", "")
    (shelf / "b.yaml").write_text((shelf / "a.yaml").read_text())
    with pytest.raises(InputError, match=r"b\.yaml: name 'a' is that of .*a\.yaml too"):
        catalog.entries()


def hand_made(path):
    """A store of three days, written by xarray alone."""
    days = np.arange("2020-01-01", "2020-01-04", dtype="datetime64[D]").astype("datetime64[ns]")
    place = {"time": days, "latitude": np.arange(4.0), "longitude": np.arange(5.0)}
    zos = xr.DataArray(np.zeros((3, 4, 5), "f4"), place, tuple(place), attrs={"units": "m"})
    zos.to_dataset(name="zos").to_zarr(path, consolidated=False)
    return path


def test_the_shelf_says_what_there_is(shelf, tmp_path, capsys):
    store = hand_made(tmp_path / "mine.zarr")
    entry(shelf, "mine", "Mine", path="mine.zarr", licence="CC0; no more", citation="A. Mariner (1993)")
    entry(shelf, "cloudy", "Theirs", path=None, url="gs://b/x.zarr", period=["1993-01-01", "1994-12-31"])
    table = catalog.catalog()
    assert table.loc["mine", ["state", "period", "baked"]].tolist() == ["baked", "2020-01-01 to 2020-01-03", True]
    total = sum(file.stat().st_size for file in store.rglob("*") if file.is_file())
    assert table.loc["mine", "size"] == f"{total / 1000:.3g} kB"
    assert table.loc["cloudy", ["state", "period", "size"]].tolist() == ["cloud", "1993-01-01 to 1994-12-31", ""]
    assert table.loc["glorys12", "state"] == "not baked"
    catalog.printed(table)
    shown = capsys.readouterr().out
    lines = shown.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("mine "))
    assert lines[at].split() == [
        "mine",
        "baked",
        *table.loc["mine", "size"].split(),
        "2020-01-01",
        "to",
        "2020-01-03",
        "user",
    ]
    assert lines[at + 1].strip() == "Mine; CC0"
    assert len(lines) == 2 * len(table)


def test_one_entry_in_full(shelf, tmp_path):
    hand_made(tmp_path / "mine.zarr")
    entry(shelf, "mine", "Mine", path="mine.zarr", citation="A. Mariner (1993)")
    told = catalog.describe("mine")
    assert told["citation"] == "A. Mariner (1993)"
    assert told["dimensions"] == "3 time × 4 latitude × 5 longitude"
    assert told["path"] == str(tmp_path / "mine.zarr")
    told = catalog.describe("glorys12")
    assert told["to make it"] == f"oceanx bake glorys12 --source 'raw/*' --to {tmp_path / 'glorys12.zarr'}"
    assert "10.48670/moi-00021" in told["references"]
    with pytest.raises(InputError, match="unknown catalog entry 'glorys21'; did you mean 'glorys12'"):
        catalog.describe("glorys21")


def test_a_size_that_takes_too_long_is_a_lower_bound(tmp_path):
    store = hand_made(tmp_path / "mine.zarr")
    assert shelf_module.stored(store, patience=-1.0).startswith("> ")
    assert not shelf_module.stored(store, patience=60.0).startswith("> ")


def test_a_store_without_a_readable_time_axis_is_still_listed(shelf, tmp_path):
    (hand_made(tmp_path / "mine.zarr") / "time" / "zarr.json").unlink()
    entry(shelf, "mine", "Mine", path="mine.zarr")
    assert catalog.catalog().loc["mine", ["state", "period"]].tolist() == ["baked", ""]


def test_packaged_entries_say_where_they_are_from_and_what_is_owed(shelf):
    for name, found in catalog.shelved().items():
        assert name == found.file.stem
        assert found.entry.licence, name
        told = catalog.describe(name)
        assert told.get("citation") or told.get("references") or told.get("source"), name
        assert found.entry.url or found.entry.recipe, name


@pytest.mark.parametrize(
    ("entry", "said"),
    [({"name": "../x", "description": "", "path": "x"}, r"name '\.\./x'"),
     ({"name": "a..b", "description": "", "path": "x"}, r"name 'a\.\.b'"),
     ({"name": "x", "description": "", "path": "../../etc"}, "leads out of the data folder"),
     ({"name": "x", "description": "", "url": "gs://bucket/../../x.zarr"}, "leads out of the data folder"),
     ({"name": "x", "description": "", "path": "x", "licens": ""}, "unknown key 'licens'; did you mean 'licence'")],
)  # fmt: skip
def test_a_name_or_path_that_leads_elsewhere_is_refused(shelf, entry, said):
    (shelf / "bad.yaml").write_text(yaml.safe_dump(entry))
    with pytest.raises(InputError, match=rf"bad\.yaml: .*{said}"):
        catalog.catalog()


def test_names_nobody_knows(shelf, monkeypatch):
    with pytest.raises(InputError, match="unknown dataset 'glorys21'; did you mean 'glorys12'"):
        data.open("glorys21")
    with pytest.raises(InputError, match="is not a Zarr store"):
        data.open("..")
    with pytest.raises(InputError, match="no name given"):
        data.open()
    monkeypatch.delenv("OCEANX_DATA")
    with pytest.raises(InputError, match="glorys12: set OCEANX_DATA"):
        data.open("glorys12")


def test_a_store_without_time_joins(stores):
    ocean = data.open(stores / "ocean.zarr")
    depth = xr.Dataset(
        {"deptho": (("latitude", "longitude"), np.ones((4, 5)))}, {d: ocean[d] for d in ("latitude", "longitude")}
    )
    assert catalog.merge([ocean, depth], ["a", "b"]).sizes["time"] == 3
