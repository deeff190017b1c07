"""Icechunk repositories of baked stores, and of references to the files themselves."""

import os
import shutil
import time

import netCDF4
import numpy as np
import pytest
import zarr
from raw_files import FILL, six_hourly

import oceanx.data as data
from oceanx.data.formats import netcdf
from oceanx.data.formats.part import Wanted
from oceanx.data.writing import targets, virtual
from oceanx.data.writing.rechunking import rechunk
from oceanx.vocabulary.errors import InputError

icechunk = pytest.importorskip("icechunk", reason="Icechunk targets need the extra: pip install 'oceanx[icechunk]'")

VARIABLES = ("thetao", "so", "uo", "vo", "zos")


def days(glorys, first, last, **options):
    for day in np.arange(first, last, dtype="datetime64[D]"):
        glorys(str(day), **options)


def same(a, b):
    """The same values, bit for bit, and the same labels."""
    assert set(b.data_vars) <= set(a.data_vars)
    for name in b.data_vars:
        assert a[name].dtype == b[name].dtype
        assert {k: v for k, v in a[name].attrs.items() if k in ("units", "standard_name", "cell_methods")} == {
            k: v for k, v in b[name].attrs.items() if k in ("units", "standard_name", "cell_methods")
        }
        np.testing.assert_array_equal(a[name].values.view("u4"), b[name].values.view("u4"))
        for dim in b[name].dims:
            np.testing.assert_array_equal(a[dim], b[dim])


@pytest.mark.parametrize("options", [{}, {"packed": True}, {"zarr_format": 2}])
def test_a_store_becomes_a_snapshot_and_more_days_another(glorys, tmp_path, options):
    days(glorys, "2020-01-01", "2020-01-05")
    path, repo = tmp_path / "a.zarr", tmp_path / "a.icechunk"
    before = data.bake("glorys12", str(tmp_path / "*.nc"), path, **options).load()
    first = targets.to_icechunk(path, repo)
    assert targets.is_icechunk(repo)
    assert not targets.is_icechunk(path)
    same(before, targets.open_icechunk(repo))
    assert targets.open_icechunk(repo).attrs["oceanx_fingerprint"] == before.attrs["oceanx_fingerprint"]
    assert targets.to_icechunk(path, repo) == first  # nothing to commit
    days(glorys, "2020-01-05", "2020-01-08")
    after = data.bake("glorys12", str(tmp_path / "*.nc"), path, append=True, **options)
    second = targets.to_icechunk(path, repo, "three days more")
    assert second != first
    same(after, targets.open_icechunk(repo))
    assert targets.open_icechunk(repo).sizes["time"] == 7
    same(before, targets.open_icechunk(repo, first))
    here = zarr.open_group(targets._repository(repo).readonly_session("main").store, mode="r")
    assert {"statistics", "provenance"} & set(here.group_keys()) == set(zarr.open_group(path, mode="r").group_keys())
    assert "mask" in targets.open_icechunk(repo).coords


def test_only_new_chunks_are_written(glorys, tmp_path, monkeypatch):
    monkeypatch.setattr("oceanx.data.writing.chunking._SMALL", 1)  # one day a chunk
    days(glorys, "2020-01-01", "2020-01-07")
    path, repo = tmp_path / "a.zarr", tmp_path / "a.icechunk"
    data.bake("glorys12", str(tmp_path / "*.nc"), path)
    targets.to_icechunk(path, repo)
    days(glorys, "2020-01-07", "2020-01-08")
    data.bake("glorys12", str(tmp_path / "*.nc"), path, append=True)
    copied, lengthened = [], []
    real, more = targets._copied, targets._lengthened
    monkeypatch.setattr(targets, "_copied", lambda *a: (copied.append(a[1]), real(*a))[1])
    monkeypatch.setattr(targets, "_lengthened", lambda *a: (lengthened.append((a[0].basename, a[2])), more(*a))[1])
    targets.to_icechunk(path, repo)
    assert sorted(lengthened) == sorted((name, 6) for name in VARIABLES)
    assert not set(copied) & set(VARIABLES)
    same(data.open(path), targets.open_icechunk(repo))


def test_another_store_replaces_what_the_repository_held(glorys, tmp_path):
    days(glorys, "2020-01-01", "2020-01-04")
    repo = tmp_path / "a.icechunk"
    data.bake("glorys12", str(tmp_path / "*.nc"), tmp_path / "a.zarr")
    first = targets.to_icechunk(tmp_path / "a.zarr", repo)
    rechunk(tmp_path / "a.zarr", tmp_path / "b.zarr")
    data.bake("glorys12", str(tmp_path / "*.nc"), tmp_path / "c.zarr", variables=["zos"])
    for other in ("b.zarr", "c.zarr"):
        targets.to_icechunk(tmp_path / other, repo)
        same(data.open(tmp_path / other), targets.open_icechunk(repo))
    assert list(targets.open_icechunk(repo).data_vars) == ["zos"]
    same(data.open(tmp_path / "a.zarr"), targets.open_icechunk(repo, first))


def test_the_catalog_opens_a_repository(glorys, tmp_path):
    days(glorys, "2020-01-01", "2020-01-04")
    data.bake("glorys12", str(tmp_path / "*.nc"), tmp_path / "a.zarr")
    targets.to_icechunk(tmp_path / "a.zarr", tmp_path / "a.icechunk")
    same(data.open(tmp_path / "a.zarr"), data.open(tmp_path / "a.icechunk"))


def test_an_interrupted_commit_leaves_the_repository_as_it_was(glorys, tmp_path, monkeypatch):
    days(glorys, "2020-01-01", "2020-01-04")
    path, repo = tmp_path / "a.zarr", tmp_path / "a.icechunk"
    before = data.bake("glorys12", str(tmp_path / "*.nc"), path).load()
    monkeypatch.setattr(targets, "_copied", lambda *a: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        targets.to_icechunk(path, repo)
    assert not repo.exists()
    assert not (tmp_path / "a.icechunk.partial").exists()
    monkeypatch.undo()
    targets.to_icechunk(path, repo)
    days(glorys, "2020-01-04", "2020-01-06")
    data.bake("glorys12", str(tmp_path / "*.nc"), path, append=True)
    monkeypatch.setattr(targets, "_lengthened", lambda *a: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        targets.to_icechunk(path, repo)
    same(before, targets.open_icechunk(repo))


def test_what_is_wrong_is_said(glorys, tmp_path):
    days(glorys, "2020-01-01", "2020-01-03")
    data.bake("glorys12", str(tmp_path / "*.nc"), tmp_path / "a.zarr")
    with pytest.raises(InputError, match=r"no\.zarr: is no Zarr store"):
        targets.to_icechunk(tmp_path / "no.zarr", tmp_path / "x")
    (tmp_path / "mine").mkdir()
    with pytest.raises(InputError, match="mine: is in the way and no Icechunk repository"):
        targets.to_icechunk(tmp_path / "a.zarr", tmp_path / "mine")
    with pytest.raises(InputError, match=r"a\.zarr: is no Icechunk repository"):
        targets.open_icechunk(tmp_path / "a.zarr")
    targets.to_icechunk(tmp_path / "a.zarr", tmp_path / "a.icechunk", "the first")
    with pytest.raises(InputError, match=r"no snapshot 0000.* there are .*\(the first\)"):
        targets.open_icechunk(tmp_path / "a.icechunk", "0000")


# --- references -------------------------------------------------------------------------------------------------------


def test_references_give_what_a_bake_stores(glorys, tmp_path):
    days(glorys, "2020-01-01", "2020-01-08")
    (tmp_path / "mercatorglorys12v1_gl12_mean_20200105_R20200101.nc").unlink()
    files = str(tmp_path / "*.nc")
    baked = data.bake("glorys12", files, tmp_path / "a.zarr")
    seen = []
    ds = virtual.index("glorys12", files, tmp_path / "a.refs", progress=lambda what, done, of: seen.append(done / of))
    assert seen[-1] == 1
    same(baked, ds)
    same(ds, baked)
    assert ds.attrs["missing_times"] == ["2020-01-05"]
    assert np.isnan(ds["thetao"].sel(time="2020-01-05")).all()
    np.testing.assert_array_equal(ds["cell_area"], baked["cell_area"])
    size = sum(p.stat().st_size for p in (tmp_path / "a.refs").rglob("*") if p.is_file())
    assert size < sum(p.stat().st_size for p in tmp_path.glob("*.nc"))
    part = virtual.index("glorys12", files, tmp_path / "b.refs", time="2020-01-02:2020-01-03", variables=["zos"])
    same(baked[["zos"]].sel(time=slice("2020-01-02", "2020-01-03")), part)


def rewritten(path, **storage):
    """The file with its variables stored otherwise: contiguous, with a checksum, big-endian, in smaller chunks."""
    attributes = storage.pop("attributes", {})
    kind = storage.pop("kind", "i2")
    with netCDF4.Dataset(path) as old, netCDF4.Dataset(path.with_suffix(".tmp"), "w") as new:
        for name, dim in old.dimensions.items():
            new.createDimension(name, len(dim))
        for name, v in old.variables.items():
            v.set_auto_maskandscale(False)
            attrs = dict(v.__dict__)
            fill = attrs.pop("_FillValue", None)
            cut = {}
            if name in VARIABLES:
                cut = dict(storage)
                if "chunksizes" in cut:
                    cut["chunksizes"] = (1, *cut["chunksizes"][1 - v.ndim :])
                attrs |= attributes if name == "thetao" else {}
            dtype = np.dtype(kind if name in VARIABLES else v.dtype)
            if cut.get("endian") == "big":
                dtype = dtype.newbyteorder(">")
            w = new.createVariable(name, dtype, v.dimensions, fill_value=fill, **cut)
            w.setncatts(attrs)
            w.set_auto_maskandscale(False)
            w[...] = v[...]
    os.replace(path.with_suffix(".tmp"), path)


@pytest.mark.parametrize(
    "storage",
    [{"contiguous": True}, {"zlib": True, "shuffle": False, "chunksizes": (1, 2, 3, 4)},
     {"zlib": True, "fletcher32": True, "chunksizes": (1, 2, 3, 4)}, {"chunksizes": (1, 1, 2, 5)},
     {"zlib": True, "endian": "big"}, {"zlib": True, "attributes": {"valid_max": np.int16(-9500)}},
     {"zlib": True, "kind": "f4"}],
)  # fmt: skip
def test_references_to_other_layouts(glorys, tmp_path, storage):
    days(glorys, "2020-01-01", "2020-01-04")
    for path in tmp_path.glob("*.nc"):
        rewritten(path, **storage)
    baked = data.bake("glorys12", str(tmp_path / "*.nc"), tmp_path / "a.zarr", max_missing=1)
    ds = virtual.index("glorys12", str(tmp_path / "*.nc"), tmp_path / "a.refs")
    same(baked, ds)


def several(path, times, chunk, first="2020-01-01"):
    """A file of several daily temperatures, in chunks of so many times."""
    with netCDF4.Dataset(path, "w") as nc:
        for name, values, unit in (
            ("time", np.arange(times) * 1.0, f"days since {first}"),
            ("latitude", np.arange(4.0), "degrees_north"),
            ("longitude", np.arange(5.0), "degrees_east"),
        ):
            nc.createDimension(name, values.size)
            nc.createVariable(name, "f8", (name,))[:] = values
            nc[name].units = unit
        v = nc.createVariable("zos", "i2", ("time", "latitude", "longitude"), zlib=True, chunksizes=(chunk, 4, 5),
                              fill_value=FILL)  # fmt: skip
        v.setncatts({"units": "m", "scale_factor": 1e-3, "add_offset": 0.0})
        v.set_auto_maskandscale(False)
        v[:] = np.random.default_rng(times).integers(-999, 999, (times, 4, 5))
    return path


def test_chunks_of_several_times(tmp_path):
    several(tmp_path / "1.nc", 4, 2)
    several(tmp_path / "2.nc", 3, 2, "2020-01-05")
    files = str(tmp_path / "*.nc")
    same(data.bake("glorys12", files, tmp_path / "a.zarr", variables=["zos"]),
         virtual.index("glorys12", files, tmp_path / "a.refs", variables=["zos"]))  # fmt: skip
    with pytest.raises(InputError, match=r"1\.nc: zos has chunks of 2 times that do not meet the time axis"):
        virtual.index("glorys12", files, tmp_path / "b.refs", variables=["zos"], time="2020-01-02:2020-01-07")
    assert not (tmp_path / "b.refs").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [({"packing": {"thetao": (8e-4, 21.0, "degrees_C", 14.0)}}, "thetao is packed otherwise than in .*20200101_R"),
     ({"units": {"thetao": "K"}}, "thetao is in 'K'"), ({"latitude": np.arange(4.0) + 7}, "latitude differs")],
)  # fmt: skip
def test_a_file_unlike_the_others_is_refused_by_name(glorys, tmp_path, change, said):
    glorys("2020-01-01")
    glorys("2020-01-02", **change)
    with pytest.raises(InputError, match=rf"20200102_R20200101\.nc: {said}"):
        virtual.index("glorys12", str(tmp_path / "*.nc"), tmp_path / "a.refs")
    assert not list(tmp_path.glob("a.refs*"))


def test_another_chunking_is_refused_by_name(glorys, tmp_path):
    days(glorys, "2020-01-01", "2020-01-03")
    rewritten(sorted(tmp_path.glob("*.nc"))[1], zlib=True, chunksizes=(1, 1, 2, 5))
    with pytest.raises(InputError, match=r"20200102_R20200101\.nc: thetao has other chunks than in .*bake it instead"):
        virtual.index("glorys12", str(tmp_path / "*.nc"), tmp_path / "a.refs")


def test_what_has_to_be_calculated_or_turned_is_refused(glorys, era5, tmp_path):
    glorys(units={"thetao": "K"}, packing={"thetao": (7e-4, 290.0, "K", 287.0)}, name="k.nc")
    with pytest.raises(InputError, match=r"k\.nc: thetao is in 'K', not 'degrees_C'; bake it instead"):
        virtual.index("glorys12", tmp_path / "k.nc", tmp_path / "a.refs")
    path = era5("x.nc", ("u10",), six_hourly("2020-01-01", 1))
    with pytest.raises(InputError, match=r"virtual: the step .* makes other values"):
        virtual.index("era5_daily", path, tmp_path / "a.refs")
    with pytest.raises(InputError, match=r"x\.nc: latitude is not ascending"):
        virtual.index("cf", path, tmp_path / "a.refs")


def test_a_file_that_changed_since_is_not_read(glorys, tmp_path):
    path = glorys()
    ds = virtual.index("glorys12", path, tmp_path / "a.refs")
    ds["zos"].load()
    os.utime(path, (time.time() + 100, time.time() + 100))
    with pytest.raises(icechunk.IcechunkError):
        targets.open_icechunk(tmp_path / "a.refs")["zos"].load()


def test_the_repository_may_be_moved_but_not_over_another(glorys, tmp_path):
    path = glorys()
    ds = virtual.index("glorys12", path, tmp_path / "a.refs").load()
    with pytest.raises(InputError, match=r"a\.refs: exists already"):
        virtual.index("glorys12", path, tmp_path / "a.refs")
    shutil.move(tmp_path / "a.refs", tmp_path / "b.refs")
    same(ds, targets.open_icechunk(tmp_path / "b.refs"))
    virtual.index("glorys12", glorys("2020-01-02"), tmp_path / "b.refs", overwrite=True)
    assert targets.open_icechunk(tmp_path / "b.refs")["time"].values[0] == np.datetime64("2020-01-02")


def test_paths_with_blanks_and_letters(glorys, tmp_path):
    folder = tmp_path / "Météo 50% fini"
    folder.mkdir()
    path = shutil.move(glorys(), folder / "un jour.nc")
    same(data.bake("glorys12", path, tmp_path / "a.zarr"), virtual.index("glorys12", path, tmp_path / "a.refs"))


def test_places_are_those_that_virtualizarr_finds(glorys, tmp_path):
    pytest.importorskip("virtualizarr", reason="an independent look at the files")
    from obspec_utils.registry import ObjectStoreRegistry
    from obstore.store import LocalStore
    from virtualizarr import open_virtual_dataset
    from virtualizarr.parsers import HDFParser

    path = glorys()
    rewritten(path, zlib=True, chunksizes=(1, 2, 3, 4))
    registry = ObjectStoreRegistry({"file://": LocalStore()})
    with open_virtual_dataset(f"file://{path}", registry, HDFParser()) as theirs:
        for name in ("thetao", "zos"):
            part = netcdf.scan(path, {name: Wanted((name,))})
            held = virtual._held(part, name, [path])
            manifest = theirs[name].data.manifest.dict()
            ours = {
                ".".join(map(str, index)): (int(held.offsets[index]), int(held.sizes[index]))
                for index in np.ndindex(held.offsets.shape)
            }
            assert ours == {key: (entry["offset"], entry["length"]) for key, entry in manifest.items()}


@pytest.mark.real
def test_real_files(real, tmp_path):
    files = [real("glorys/GLORYS_NA_20120101.nc"), real("glorys/GLORYS_NA_20121231.nc")]
    options = {"max_missing": 1, "variables": ["thetao", "so", "zos"]}
    baked = data.bake("glorys12", files, tmp_path / "a.zarr", **options)
    ds = virtual.index("glorys12", files, tmp_path / "a.refs", **options)
    same(baked.isel(time=[0, -1]), ds.isel(time=[0, -1]))
