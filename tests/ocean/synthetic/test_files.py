"""Raw files in the providers' layouts, resumable writing, and the oracle on top of them."""

from __future__ import annotations

import netCDF4
import numpy as np
import pytest
import xarray as xr
from hypothesis import example, given
from hypothesis import strategies as st

from oceanx.ocean import synthetic
from oceanx.ocean.synthetic import files
from oceanx.ocean.synthetic.config import Ocean
from oceanx.ocean.synthetic.model import Model
from oceanx.vocabulary.errors import InputError

OCEAN = Ocean.basin(2.0, spinup=60, seed=3)
DATES = {"start": "2000-01-20", "end": "2000-03-05"}
KEEP = ["2000-02-10", "2000-02-20"]


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    heard = []
    paths = synthetic.write(
        tmp_path_factory.mktemp("raw"), ocean=OCEAN, keep=KEEP, progress=lambda *a: heard.append(a), **DATES
    )
    assert heard[0] == ("spin-up", 1, 60)
    assert heard[-1] == ("days", 46, 46)
    return paths


def everything(folder):
    return {p.relative_to(folder): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_the_names_are_the_native_ones(paths):
    names = sorted(p.name for p in paths.glorys.iterdir())
    assert len(names) == 46
    assert names[0] == "mercatorglorys12v1_gl12_mean_20000120_R20000126.nc"  # the Wednesday after
    assert sorted(p.name for p in paths.era5.iterdir()) == [
        f"era5_2000{m}_data_stream-oper_stepType-{kind}.nc" for m in ("01", "02", "03") for kind in ("accum", "instant")
    ]
    assert files.glorys_name(files.day_number("1993-01-01")).endswith("19930101_R19930106.nc")


def test_glorys_files_are_packed_as_promised(paths, real):
    """Scale, offset, fill, dims and units, read without decoding."""
    expected = {
        "thetao": (7.32444226741791e-4, 21.0), "so": (1.52592547237873e-3, -1.52592547237873e-3),
        "uo": (6.10370188951492e-4, 0.0), "vo": (6.10370188951492e-4, 0.0),
        "zos": (3.05185094475746e-4, 0.0), "mlotst": (0.152592554688454, -0.152592554688454),
    }  # fmt: skip
    with netCDF4.Dataset(paths.glorys / files.glorys_name(files.day_number("2000-02-29"))) as file:
        file.set_auto_maskandscale(False)
        assert file["time"].units == "hours since 1950-01-01"
        assert float(file["time"][0]) == (np.datetime64("2000-02-29T12") - np.datetime64("1950-01-01T00")).astype(float)
        assert [file[d].dtype for d in ("depth", "latitude", "longitude")] == [np.float32] * 3
        assert (np.diff(file["latitude"][:]) > 0).all()
        for name, (scale, offset) in expected.items():
            variable = file[name]
            assert variable.dtype == np.int16
            assert (variable.scale_factor, variable.add_offset, variable._FillValue) == (scale, offset, -32767)
            surface = ("time", "latitude", "longitude")
            assert variable.dimensions == (surface if name in ("zos", "mlotst") else ("time", "depth", *surface[1:]))
            assert variable.filters()["complevel"] == 1
            assert (variable[:] == -32767).any()
            assert (variable[:] != -32767).any()


@pytest.mark.real
def test_glorys_attributes_are_those_of_a_real_file(paths, real):
    ours = next(iter(sorted(paths.glorys.iterdir())))
    with netCDF4.Dataset(real("glorys/GLORYS_NA_20120101.nc")) as theirs, netCDF4.Dataset(ours) as mine:
        for name in ("thetao", "so", "uo", "vo", "zos", "latitude", "longitude", "depth", "time"):
            for key in ("standard_name", "units", "unit_long", "long_name", "axis", "positive", "calendar"):
                if key in theirs[name].ncattrs():
                    assert getattr(mine[name], key) == getattr(theirs[name], key), (name, key)
            assert mine[name].dtype == theirs[name].dtype
            assert mine[name].dimensions == theirs[name].dimensions
            for key in ("scale_factor", "add_offset", "_FillValue"):
                if mine[name].dtype == np.int16:
                    assert getattr(mine[name], key) == pytest.approx(getattr(theirs[name], key), rel=1e-12)


@pytest.mark.real
def test_era5_layout_is_that_of_a_real_download(paths, real):
    for kind, names in (("instant", ("u10", "v10", "t2m", "msl")), ("accum", ("ssr",))):
        theirs = netCDF4.Dataset(real(f"era5/cds_new_valdivia/data_stream-oper_stepType-{kind}.nc"))
        mine = netCDF4.Dataset(paths.era5 / f"era5_200002_data_stream-oper_stepType-{kind}.nc")
        with theirs, mine:
            for name in ("number", "valid_time", "latitude", "longitude", "expver"):
                assert mine[name].dtype == theirs[name].dtype, name
                assert mine[name].dimensions == theirs[name].dimensions, name
                assert {k: v for k, v in mine[name].__dict__.items() if k != "_FillValue"} == {
                    k: v for k, v in theirs[name].__dict__.items() if k != "_FillValue"
                }, name
            for name in names:
                assert mine[name].dtype == np.float32
                assert mine[name].dimensions == ("valid_time", "latitude", "longitude")
                assert mine[name].coordinates == "number valid_time latitude longitude expver"
            assert (np.diff(mine["latitude"][:]) < 0).all()
            assert (np.diff(mine["longitude"][:]) > 0).all()
            assert mine["longitude"][:].min() >= 0
            assert mine["longitude"][:].max() < 360


def test_delivered_days_are_what_the_ocean_made_and_what_drove_it(paths):
    """The files against a run from the kept state: ocean to half a packing step, weather's daily means exactly."""
    model, day = Model(OCEAN), files.day_number("2000-02-21")
    with np.load(paths.state(day - 1)) as stored:
        (made,) = model.run(dict(stored), day, day + 1)
    with xr.open_dataset(paths.glorys / files.glorys_name(day)) as file:
        for name, (scale, _) in files.PACKING.items():
            np.testing.assert_allclose(file[name].values[0], made.ocean[name], atol=0.51 * scale, err_msg=name)
        np.testing.assert_allclose(file.latitude, model.grid.lat, rtol=1e-6)
    instant, accumulated = (xr.open_dataset(paths.era5 / name) for name in files.era5_names("2000-02"))
    with instant, accumulated:
        day_of = {"valid_time": "2000-02-21"}
        for name in ("u10", "v10", "t2m", "msl"):
            mean = instant[name].sel(day_of).astype("f8").mean("valid_time").values[::-1]
            np.testing.assert_array_equal(mean, made.air[name].astype("f8").mean(axis=0), err_msg=name)
        # The hours that end within the day: 06, 12, 18 and 24.
        hours = {"valid_time": slice("2000-02-21T01", "2000-02-22T00")}
        assert accumulated.ssr.sel(hours).sizes["valid_time"] == 4
        flux = accumulated.ssr.sel(hours).astype("f8").mean("valid_time").values[::-1] / 3600
        np.testing.assert_allclose(flux, made.air["ssr"].astype("f8").mean(axis=0), rtol=1e-12)
        assert accumulated.ssr.units == "J m**-2"
        np.testing.assert_allclose(instant.longitude, model.grid.lon % 360)


@given(st.sampled_from(sorted(files.PACKING)), st.lists(st.floats(-3, 30), min_size=1, max_size=20))
@example("thetao", [-3.0])
def test_packing_and_unpacking_err_by_half_a_step_at_most(name, values):
    """The lowest number is the fill's: -3 °C would be land, and is kept at the number above it instead."""
    scale, offset = files.PACKING[name]
    field = np.clip(np.array([*values, np.nan], np.float32), -5, 9 if name in ("uo", "vo", "zos") else 40)
    back = files.unpack(name, files.pack(name, field))
    assert np.isnan(back[-1])
    assert np.isfinite(back[:-1]).all()
    held = np.maximum(field[:-1], offset + scale * (files.FILL + 1))
    assert np.abs(back[:-1] - held).max() <= 0.5001 * scale + 4e-6


def test_writing_again_changes_nothing_and_an_interruption_costs_nothing(paths, tmp_path):
    whole = everything(paths.root)
    stamps = {p: p.stat().st_mtime_ns for p in paths.root.rglob("*.nc")}
    synthetic.write(paths.root, ocean=OCEAN, keep=KEEP, **DATES)
    assert {p: p.stat().st_mtime_ns for p in paths.root.rglob("*.nc")} == stamps

    def interrupt(what, done, total):
        if what == "days" and done == 25:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        synthetic.write(tmp_path, ocean=OCEAN, keep=KEEP, progress=interrupt, **DATES)
    spun = []
    again = synthetic.write(tmp_path, ocean=OCEAN, keep=KEEP, progress=lambda what, *_: spun.append(what), **DATES)
    assert "spin-up" not in spun
    assert 0 < len(spun) < 46  # it went on from the end of January
    resumed = everything(again.root)
    assert resumed.keys() == whole.keys()
    for name, content in whole.items():
        if name.suffix == ".nc":
            with xr.open_dataset(paths.root / name) as a, xr.open_dataset(again.root / name) as b:
                assert a.identical(b), name
        elif name.suffix != ".npz":
            assert resumed[name] == content
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ocean": Ocean.basin(2.0, spinup=60, seed=4)}, "another built-in ocean"),
        ({"start": "2000-01-21"}, "another built-in ocean"),
        ({"start": "2000-13-01"}, "not dates"),
        ({"end": "1999-01-01"}, "swap them"),
        ({"keep": ["2010-01-01"]}, "outside"),
        ({"start": "1950-01-10"}, "start later"),
    ],
)
def test_wrong_requests_are_refused_and_nothing_is_touched(paths, changes, words):
    before = sorted(paths.root.rglob("*"))
    with pytest.raises(InputError, match=words):
        synthetic.write(paths.root, **({"ocean": OCEAN, "keep": KEEP} | DATES | changes))
    assert sorted(paths.root.rglob("*")) == before


def test_a_folder_of_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="other files"):
        synthetic.write(tmp_path, ocean=OCEAN, **DATES)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_the_oracle_that_knows_everything_is_the_truth(paths):
    known = synthetic.oracle(paths.root, "2000-02-20", lead=5, weather="true", noise="true", members=1)
    for lead in range(5):
        date = np.datetime64("2000-02-21") + lead
        assert known.valid_time.values[0, lead] == date
        with xr.open_dataset(paths.glorys / files.glorys_name(files.day_number(date))) as file:
            for name in files.PACKING:
                np.testing.assert_array_equal(known[name].values[0, 0, lead], file[name].values[0].astype(np.float32))


def test_the_oracle_is_labelled_by_the_forecast_contract(paths, tmp_path):
    made = synthetic.oracle(paths.root, np.array(KEEP, "datetime64[ns]"), lead=2, weather="unknown", members=2)
    assert made.thetao.dims == ("member", "init_time", "lead_time", "depth", "latitude", "longitude")
    assert made.zos.dims == ("member", "init_time", "lead_time", "latitude", "longitude")
    assert (made.lead_time.values == np.array([1, 2]) * np.timedelta64(24, "h")).all()
    assert (made.valid_time == made.init_time + made.lead_time).all()
    assert made.init_time.attrs["standard_name"] == "forecast_reference_time"
    assert made.thetao.attrs["units"] == "degrees_C"
    assert made.thetao.dtype == np.float32
    members = made.zos.values
    assert np.nanmax(np.abs(members[0] - members[1])) > 0
    one = synthetic.oracle(paths.root, KEEP[1], lead=2, weather="unknown", members=1)
    np.testing.assert_array_equal(one.zos.values[0, 0], members[0, 1])  # neither the others nor the order matter


def test_the_oracle_names_the_dates_it_knows(paths):
    with pytest.raises(InputError, match="20000220"):
        synthetic.oracle(paths.root, "2000-02-01")
    with pytest.raises(InputError, match="did you mean 'true'"):
        synthetic.oracle(paths.root, KEEP[0], weather="ture")
    with pytest.raises(InputError, match="holds no built-in ocean"):
        synthetic.oracle(paths.root / "nowhere", KEEP[0])
