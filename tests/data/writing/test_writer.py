"""What a store may be, and how it may be written; always the same values."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
import zarr
from raw_files import PACKING

import oceanx.data as data
from oceanx.vocabulary.errors import InputError


@pytest.fixture
def days(glorys, tmp_path, monkeypatch):
    """Ten raw days, in chunks of three."""
    monkeypatch.setattr("oceanx.data.writing.chunking._SMALL", 3 * 4 * 3 * 4 * 5)
    for day in np.arange("2020-01-01", "2020-01-11", dtype="datetime64[D]"):
        glorys(str(day))
    return str(tmp_path / "*.nc")


def bits(ds):
    """Values to the last bit, NaN alike."""
    return {str(name): np.nan_to_num(v.values, nan=-999.0) for name, v in ds.data_vars.items()}


def same(a, b):
    """Two stores hold the same, bit for bit, and say so."""
    assert set(a.data_vars) == set(b.data_vars)
    for name, values in bits(a).items():
        assert a[name].dtype == b[name].dtype == np.float32
        np.testing.assert_array_equal(values, bits(b)[name], strict=True)
    for name in a.coords:
        np.testing.assert_array_equal(a[name].values, b[name].values)
    assert a.attrs["oceanx_fingerprint"] == b.attrs["oceanx_fingerprint"]
    assert a.attrs["missing_times"] == b.attrs["missing_times"]


def test_zarr_reads_what_was_encoded_without_it(days, tmp_path):
    ds = data.bake("glorys12", days, tmp_path / "a.zarr")
    assert ds.thetao.encoding["chunks"] == (3, 3, 4, 5)
    group = zarr.open_group(tmp_path / "a.zarr", mode="r")
    rewritten = zarr.create_array(tmp_path / "z", name="x", data=group["thetao"][...], chunks=(3, 3, 4, 5))
    np.testing.assert_array_equal(rewritten[...], ds.thetao.values)


@pytest.mark.parametrize("workers", [1, 4])
def test_any_number_of_workers_writes_the_same_bytes(days, tmp_path, workers):
    data.bake("glorys12", days, tmp_path / "a.zarr", workers=2)
    data.bake("glorys12", days, tmp_path / "b.zarr", workers=workers)
    for file in (tmp_path / "a.zarr").rglob("c.*"):
        assert file.read_bytes() == (tmp_path / "b.zarr" / file.relative_to(tmp_path / "a.zarr")).read_bytes()


@pytest.mark.parametrize("first", [1, 3, 4, 9])
def test_days_added_equal_the_whole(days, tmp_path, first):
    whole = data.bake("glorys12", days, tmp_path / "whole.zarr")
    store = tmp_path / "grown.zarr"
    data.bake("glorys12", days, store, time=f"2020-01-01:2020-01-{first:02d}")
    before = data.open(store).attrs["oceanx_fingerprint"]
    grown = data.bake("glorys12", days, store, append=True)
    assert grown.attrs["oceanx_fingerprint"] != before
    same(grown, whole)
    assert not (tmp_path / "grown.zarr.partial").exists()
    assert grown.attrs["history"].count("bake of") == 2
    with pytest.raises(InputError, match=r"holds times to 2020-01-10, and the files give none after that"):
        data.bake("glorys12", days, store, append=True)
    same(data.open(store), whole)


def test_a_gap_before_what_is_added_is_missing(days, tmp_path):
    store = tmp_path / "a.zarr"
    data.bake("glorys12", days, store, time="2020-01-01:2020-01-04")
    grown = data.bake("glorys12", days, store, time="2020-01-08:2020-01-10", append=True)
    assert grown.sizes["time"] == 10
    assert grown.attrs["missing_times"] == ["2020-01-05", "2020-01-06", "2020-01-07"]
    assert np.isnan(grown.thetao[4:7]).all()
    assert np.isfinite(grown.thetao[7:, 0, 1:]).all()


@pytest.mark.parametrize(
    ("change", "said"),
    [({"variables": ["thetao", "zos"]}, "was baked by another recipe"), ({"title": "x"}, "was baked by another")],
)
def test_another_recipe_cannot_add(days, tmp_path, change, said):
    store = tmp_path / "a.zarr"
    data.bake("glorys12", days, store, time="2020-01-01:2020-01-04")
    with pytest.raises(InputError, match=said):
        data.bake("glorys12", days, store, append=True, **change)
    assert data.open(store).sizes["time"] == 4


def test_another_grid_cannot_be_added(days, glorys, tmp_path):
    store = tmp_path / "a.zarr"
    data.bake("glorys12", days, store)
    other = glorys("2020-01-11", latitude=np.array([50.0, 50.5, 51.0, 51.5], "f4"))
    with pytest.raises(InputError, match=r"a\.zarr: its latitude \(4 values, 40 to 41\.5\) is not that of the files"):
        data.bake("glorys12", other, store, append=True)
    with pytest.raises(InputError, match=r"no\.zarr: no such store to add to"):
        data.bake("glorys12", other, tmp_path / "no.zarr", append=True)


def test_nothing_is_added_to_a_store_that_was_cut_otherwise(days, tmp_path):
    data.bake("glorys12", days, tmp_path / "a.zarr", time="2020-01-01:2020-01-04")
    from oceanx.data.writing.rechunking import rechunk

    rechunk(tmp_path / "a.zarr", tmp_path / "b.zarr", "timeseries")
    with pytest.raises(InputError, match=r"b\.zarr: thetao has chunks .*was it rechunked"):
        data.bake("glorys12", days, tmp_path / "b.zarr", append=True)


def test_the_parts_of_a_job_array_make_the_whole(days, tmp_path):
    whole = data.bake("glorys12", days, tmp_path / "whole.zarr")
    target = tmp_path / "parts.zarr"
    done = np.zeros(whole.sizes["time"], dtype=bool)
    for number in (2, 3):
        said = data.bake("glorys12", days, target, part=f"{number}/3")
        assert not target.exists()
        assert list(said.data_vars) == ["complete"]  # nothing that could be taken for values
        np.testing.assert_array_equal(said.time, whole.time)
        assert (said.complete.values >= done).all()
        done = said.complete.values
    assert not done.all()
    same(data.bake("glorys12", days, target, part="1/3"), whole)
    assert not (tmp_path / "parts.zarr.partial").exists()
    same(data.bake("glorys12", days, target, part="2/3"), whole)  # a task that is run again


@pytest.mark.parametrize("part", ["0/3", "4/3", "x", "3"])
def test_a_part_that_is_none(days, tmp_path, part):
    with pytest.raises(InputError, match=r"part: .*expected such as 3/16"):
        data.bake("glorys12", days, tmp_path / "a.zarr", part=part)


def test_distributed_workers_make_the_whole(days, tmp_path, monkeypatch):
    distributed = pytest.importorskip("distributed")
    whole = data.bake("glorys12", days, tmp_path / "whole.zarr")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
    ) as cluster:  # fmt: skip
        ds = data.bake("glorys12", days, tmp_path / "there.zarr", scheduler=cluster.scheduler_address)
    same(ds, whole)


def test_slurm_starts_workers_of_its_own(days, tmp_path, monkeypatch):
    distributed = pytest.importorskip("distributed")
    asked = {}

    class Jobs(distributed.LocalCluster):
        """dask-jobqueue's cluster, with this machine in Slurm's place."""

        def __init__(self):
            super().__init__(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None)

        def adapt(self, **options):
            asked.update(options)

    monkeypatch.setitem(sys.modules, "dask_jobqueue", None)
    with pytest.raises(InputError, match="scheduler: slurm needs dask-jobqueue: pip install 'oceanx"):
        data.bake("glorys12", days, tmp_path / "there.zarr", scheduler="slurm")
    monkeypatch.setitem(sys.modules, "dask_jobqueue", SimpleNamespace(SLURMCluster=Jobs))
    monkeypatch.setenv("OCEANX_SLURM_JOBS", "3")
    same(
        data.bake("glorys12", days, tmp_path / "there.zarr", scheduler="slurm"),
        data.bake("glorys12", days, tmp_path / "here.zarr"),
    )
    assert asked == {"maximum_jobs": 3}


def test_a_job_travels(days, tmp_path):
    import cloudpickle

    from oceanx.data.recipe import load_recipe
    from oceanx.data.sources import Sources, files
    from oceanx.data.writing import store

    sources = Sources.scan(load_recipe("glorys12"), files(days), tmp_path, (None, None))
    plan = store.draft(load_recipe("glorys12"), sources)
    job = cloudpickle.loads(cloudpickle.dumps(store.begun(plan, tmp_path / "x.partial")))
    for block in plan.blocks:
        job.make(block)
        assert job.done(block)


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("options", [{}, {"packed": True}, {"compression": "zstd"}, {"for": "timeseries"}], ids=str)
def test_every_kind_of_store_holds_the_same(days, tmp_path, zarr_format, options):
    plain = data.bake("glorys12", days, tmp_path / "plain.zarr")
    other = data.bake("glorys12", days, tmp_path / "other.zarr", zarr_format=zarr_format, **options)
    same(other, plain)
    raw = zarr.open_group(tmp_path / "other.zarr", mode="r")
    assert raw.metadata.zarr_format == zarr_format
    assert raw["thetao"].dtype == (np.int16 if "packed" in options else np.float32)
    if "packed" in options:
        assert raw["thetao"].attrs["scale_factor"] == PACKING["thetao"][0]
    opened = xr.open_zarr(tmp_path / "other.zarr", chunks=None)  # without us: the same numbers, in float64 if packed
    np.testing.assert_array_equal(opened.thetao.values.astype("f4"), plain.thetao.values)


@pytest.mark.filterwarnings("error")
def test_a_store_opens_without_a_warning(days, tmp_path):
    data.bake("glorys12", days, tmp_path / "a.zarr")
    assert xr.open_zarr(tmp_path / "a.zarr", consolidated=False).sizes["time"] == 10
    assert data.open(tmp_path / "a.zarr").sizes["time"] == 10


def test_another_packing_cannot_stay_packed(days, glorys, tmp_path):
    glorys("2020-01-05", packing={"so": (1e-3, 1.0, "1e-3", 20.0)})
    with pytest.raises(InputError, match=r"20200105_R20200101\.nc: so is packed otherwise than in .*20200101"):
        data.bake("glorys12", days, tmp_path / "a.zarr", packed=True)
    ds = data.bake("glorys12", days, tmp_path / "b.zarr")  # decoded one by one, that is no trouble
    assert 18.9 < float(ds.so[4].min()) < float(ds.so[4].max()) < 21.1


def test_calculations_cannot_stay_packed(days, tmp_path):
    steps = [{"daily_mean": {}}]
    with pytest.raises(InputError, match="packed: the step daily_mean calculates"):
        data.bake("glorys12", days, tmp_path / "a.zarr", packed=True, steps=steps)


def test_missing_days_of_a_packed_store(days, tmp_path):
    kept = [p for p in sorted(tmp_path.glob("*.nc")) if "0105" not in p.name.split("_")[3]]
    plain = data.bake("glorys12", kept, tmp_path / "plain.zarr")
    packed = data.bake("glorys12", kept, tmp_path / "packed.zarr", packed=True)
    assert plain.attrs["missing_times"] == ["2020-01-05"]
    same(packed, plain)
    assert np.isnan(packed.thetao[4]).all()


@pytest.mark.parametrize("precision", [0.1, 0.001])
def test_rounding_is_as_good_as_it_says(days, tmp_path, precision):
    exact = data.bake("glorys12", days, tmp_path / "a.zarr", variables=["thetao", "so"])
    rounded = data.bake("glorys12", days, tmp_path / "b.zarr", variables=["thetao", "so"], round={"thetao": precision})
    error = np.abs(rounded.thetao.astype("f8") - exact.thetao.astype("f8"))
    assert 0 < float(error.max()) <= precision
    np.testing.assert_array_equal(rounded.so, exact.so)
    assert "rounded" in rounded.thetao.attrs["comment"]
    assert "comment" not in rounded.so.attrs
    with pytest.raises(InputError, match="round: uo is not among"):
        data.bake("glorys12", days, tmp_path / "c.zarr", variables=["thetao"], round={"uo": 0.1})


@pytest.mark.parametrize(("keep", "expected"), [("first", 14.0), ("last", 20.0)])
def test_duplicates_by_the_recipes_word(days, glorys, tmp_path, keep, expected):
    glorys("2020-01-05", name="z_again.nc", packing={"thetao": (7.32444226741791e-4, 21.0, "degrees_C", 20.0)})
    with pytest.raises(InputError, match=r"z_again\.nc: thetao of 2020-01-05 is also in .*; .*duplicates=first"):
        data.bake("glorys12", days, tmp_path / "a.zarr")
    ds = data.bake("glorys12", days, tmp_path / "a.zarr", duplicates=keep)
    assert abs(float(ds.thetao[4].mean()) - expected) < 0.5
    assert ds.sizes["time"] == 10


def test_the_plan_is_what_comes_out(days, tmp_path):
    before = sorted(p.name for p in tmp_path.iterdir())
    plan = data.plan("glorys12", days, tmp_path / "a.zarr")
    assert sorted(p.name for p in tmp_path.iterdir()) == before
    ds = data.bake("glorys12", days, tmp_path / "a.zarr")
    assert dict(plan.dims) == dict(ds.sizes)
    assert plan.period == ("2020-01-01", "2020-01-10")
    assert plan.tasks == 4
    raw = zarr.open_group(tmp_path / "a.zarr", mode="r")
    for name, array in plan.arrays.items():
        assert array.chunks == raw[name].chunks
        assert array.shards == raw[name].shards
        assert array.chunk_bytes == 4 * np.prod(raw[name].chunks)
        assert array.files == len(list((tmp_path / "a.zarr" / name).glob("c.*")))
    size = sum(f.stat().st_size for f in (tmp_path / "a.zarr").rglob("c.*") if f.parent.name in plan.arrays)
    assert 0.5 * size < plan.store_bytes < 2 * size
    text = str(plan)
    assert "10 files → 10 time × 3 depth × 4 latitude × 5 longitude, 2020-01-01 to 2020-01-10, 0 missing times" in text
    assert "chunk 3×3×4×5 (720 B)" in text


def test_large_maps_are_cut_into_shards(glorys, tmp_path, monkeypatch):
    monkeypatch.setattr("oceanx.data.writing.chunking._SMALL", 1)
    monkeypatch.setattr("oceanx.data.writing.chunking._LARGE", 4 * 4 * 5)  # bytes of one level
    path = glorys()
    ds = data.bake("glorys12", path, tmp_path / "a.zarr")
    raw = zarr.open_group(tmp_path / "a.zarr", mode="r")["thetao"]
    assert raw.shards == (1, 3, 4, 5)
    assert raw.chunks == (1, 1, 4, 5)
    monkeypatch.undo()
    np.testing.assert_array_equal(ds.thetao, data.bake("glorys12", path, tmp_path / "b.zarr").thetao)


def test_statistics_are_kept_with_the_store(days, tmp_path):
    from oceanx.data.writing import statistics
    from oceanx.ocean.statistics import statistics as computed

    ds = data.bake("glorys12", days, tmp_path / "a.zarr", statistics=["2020-01-01", "2020-01-06"])
    kept = statistics.read(tmp_path / "a.zarr")
    expected = computed(ds.sel(time=slice("2020-01-01", "2020-01-06")))
    for name in expected.data_vars:
        np.testing.assert_array_equal(kept[name], expected[name])
    # by hand: the mean over wet cells and six days, weighted by area
    field, area = ds.thetao[:6, 0].values.astype("f8"), ds.cell_area.values
    wet = np.isfinite(field[0])
    mean = (field[:, wet] * area[wet]).sum() / (6 * area[wet].sum())
    np.testing.assert_allclose(float(kept.thetao_mean[0]), mean, rtol=1e-6)
    assert kept.attrs["oceanx_recipe"] == ds.attrs["oceanx_recipe"]
    assert kept.attrs["oceanx_fingerprint"] == ds.attrs["oceanx_fingerprint"]
    with pytest.raises(InputError, match="1993"):
        data.bake("glorys12", days, tmp_path / "b.zarr", statistics=[1993, 1994])


def test_grid_files_lie_beside_the_data(days, tmp_path):
    import netCDF4
    from raw_files import DEPTH, DRY, LATITUDE, LONGITUDE

    path = tmp_path / "grid.cdf"
    floor = np.arange(20, dtype="f4").reshape(4, 5) * 100
    with netCDF4.Dataset(path, "w") as nc:
        for dim, values in (("depth", DEPTH), ("latitude", LATITUDE), ("longitude", LONGITUDE)):
            nc.createDimension(dim, values.size)
            axis = nc.createVariable(dim, "f4", (dim,))
            axis.setncatts({"standard_name": dim, "units": "m" if dim == "depth" else "degrees"})
            axis[:] = values
        v = nc.createVariable("deptho", "f4", ("latitude", "longitude"), fill_value=np.float32(1e20))
        v.setncatts({"units": "m", "standard_name": "sea_floor_depth_below_geoid"})
        v[:] = floor
        m = nc.createVariable("mask", "i1", ("depth", "latitude", "longitude"))
        m.setncatts({"units": "1", "standard_name": "sea_binary_mask"})
        wet = np.ones((3, 4, 5), "i1")
        wet[:, DRY[0], DRY[1]] = 0
        wet[2, 3, 4] = 0
        m[:] = wet
    ds = data.bake("glorys12", days, tmp_path / "a.zarr", static=str(path))
    np.testing.assert_array_equal(ds.coords["deptho"], floor)
    assert "grid files: 0 cells wet there and dry here, 1 the other way round" in ds.attrs["mask_disagreement"]
    assert int(ds.mask[2, 3, 4]) == 1  # the data speak for themselves


def test_edges_of_cells_are_in_the_store(days, tmp_path):
    data.bake("glorys12", days, tmp_path / "a.zarr")
    raw = zarr.open_group(tmp_path / "a.zarr", mode="r")
    assert raw["latitude"].attrs["bounds"] == "latitude_bnds"
    np.testing.assert_allclose(raw["latitude_bnds"][0], [39.75, 40.25])
    np.testing.assert_allclose(raw["depth_bnds"][0], [0, (0.494025 + 15.81007) / 2], rtol=1e-6)
    np.testing.assert_array_equal(raw["time_bnds"][:, 1] - raw["time_bnds"][:, 0], 86400)


@pytest.mark.parametrize("form", ["icechunk", "virtual"])
def test_other_forms_hold_the_same(days, tmp_path, form):
    pytest.importorskip("icechunk")
    plain = data.bake("glorys12", days, tmp_path / "plain.zarr")
    other = data.bake("glorys12", days, tmp_path / "other", form=form)
    for name, values in bits(plain).items():
        np.testing.assert_array_equal(values, bits(other)[name], strict=True)
    np.testing.assert_array_equal(plain.time, other.time)
    assert not (tmp_path / "other.zarr").exists()
    with pytest.raises(InputError, match=f"form: {form} is written by one process"):
        data.bake("glorys12", days, tmp_path / "x", form=form, part="1/2")
    with pytest.raises(InputError, match="unknown form 'zar'; did you mean 'zarr'"):
        data.bake("glorys12", days, tmp_path / "x", form="zar")
