"""The forecast contract: labels recomputed from scratch, round trips that need no arguments, and what is refused."""

from __future__ import annotations

import warnings

import cf_xarray  # noqa: F401  (registers .cf)
import netCDF4
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.ocean.labels import ORDER, check, forecast_labels, label, open_forecast
from oceanx.vocabulary.errors import InputError

DAY = np.timedelta64(1, "D")


def grid():
    """Two levels of 3 × 4 cells, one column of land and a dry cell below."""
    mask = np.ones((2, 3, 4), dtype=np.int8)
    mask[:, 0, 0] = mask[1, 2, 3] = 0
    return xr.Dataset(
        coords={
            "depth": [0.5, 50.0],
            "latitude": [40.0, 41.0, 42.0],
            "longitude": [-20.0, -19.0, -18.0, -17.0],
            "mask": (("depth", "latitude", "longitude"), mask),
        }
    )


def forecast(inits=3, leads=4, members=None, freq="1D", seed=0):
    """A labelled forecast of random numbers at sea."""
    ds = forecast_labels(
        pd.date_range("2019-12-30", periods=inits, freq="2D"),
        pd.timedelta_range(freq, periods=leads, freq=freq),
        grid(),
        member=None if members is None else np.arange(members),
        attrs={"oceanx_seed": seed},
    )
    rng = np.random.default_rng(seed)
    lead_dims = ORDER[1:] if members is None else ORDER
    for name, dims in (("thetao", lead_dims), ("zos", tuple(d for d in lead_dims if d != "depth"))):
        wet = ds["mask"] if "depth" in dims else ds["mask"].isel(depth=0, drop=True)
        values = xr.DataArray(rng.normal(size=[ds.sizes[d] for d in dims]).astype(np.float32), dims=dims)
        ds[name] = values.where(wet.astype(bool)).transpose(*dims)
    return label(ds)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.integers(1, 5), st.sampled_from(["1D", "6h", "5D", "30min"]), st.booleans())
def test_labels_recomputed_from_scratch(inits, leads, step, ensemble):
    ds = forecast(inits, leads, members=2 if ensemble else None, freq=step)
    check(ds)
    start = pd.Timestamp("2019-12-30")
    for i in range(inits):
        assert pd.Timestamp(ds["init_time"].values[i]) == start + i * pd.Timedelta("2D")
        for j in range(leads):
            expected = start + i * pd.Timedelta("2D") + (j + 1) * pd.Timedelta(step)
            assert pd.Timestamp(ds["valid_time"].values[i, j]) == expected
    assert pd.Timedelta(ds["lead_time"].values[0]) == pd.Timedelta(step)


def test_cf_names():
    ds = forecast(members=2)
    names = {c: ds[c].attrs.get("standard_name") for c in ORDER}
    assert names == {
        "member": "realization",
        "init_time": "forecast_reference_time",
        "lead_time": "forecast_period",
        "depth": "depth",
        "latitude": "latitude",
        "longitude": "longitude",
    }
    assert ds["valid_time"].attrs["standard_name"] == "time"
    assert ds["thetao"].attrs["standard_name"] == "sea_water_potential_temperature"
    assert ds["depth"].attrs["positive"] == "down"
    assert ds.cf["depth"].name == "depth"
    assert ds.attrs["Conventions"].startswith("CF-")
    assert ds.attrs["oceanx_seed"] == 0


def test_label_orders_dimensions_and_leaves_its_argument_alone():
    ds = forecast()
    plain = xr.Dataset(
        {n: (v.dims, v.values) for n, v in ds.data_vars.items()},
        coords={c: ds[c].values for c in ("init_time", "lead_time", "depth", "latitude", "longitude")},
    ).transpose("longitude", "depth", "lead_time", "init_time", "latitude")
    before = plain.copy(deep=True)
    labelled = label(plain)
    xr.testing.assert_identical(plain, before)
    assert labelled["thetao"].dims == ORDER[1:]
    np.testing.assert_array_equal(labelled["thetao"], ds["thetao"])
    check(labelled)


@pytest.mark.parametrize("step", ["1D", "6h", "45min"])
@pytest.mark.parametrize("members", [None, 2])
def test_round_trip_with_no_arguments_and_no_warnings(tmp_path, step, members):
    ds = forecast(members=members, freq=step)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message="Consolidated metadata is currently not part")
        ds.to_zarr(tmp_path / "fc.zarr", zarr_format=3, consolidated=True)
        ds.to_netcdf(tmp_path / "fc.nc")
        warnings.simplefilter("error")
        for back in (xr.open_zarr(tmp_path / "fc.zarr"), xr.open_dataset(tmp_path / "fc.nc")):
            xr.testing.assert_identical(back.load(), ds)
            assert back["lead_time"].dtype == np.dtype("timedelta64[ns]")
            back.close()
        for name in ("fc.zarr", "fc.nc"):
            xr.testing.assert_identical(open_forecast(tmp_path / name, values=True).load(), ds)
    with netCDF4.Dataset(tmp_path / "fc.nc") as raw:
        lead = raw["lead_time"]
        assert lead.dtype == np.int64
        assert lead.getncattr("dtype") == "timedelta64[ns]"
        seconds = {"hours": 3600, "seconds": 1}[lead.units]
        assert lead[:].tolist() == [pd.Timedelta(step).total_seconds() * k / seconds for k in (1, 2, 3, 4)]


def test_lead_zero_survives_where_it_is_asked_for(tmp_path):
    ds = forecast()
    ds = ds.assign_coords(lead_time=ds["lead_time"] - DAY)
    with pytest.raises(InputError, match="lead_time: found 0D"):
        check(ds)
    analysed = label(ds)
    check(analysed)
    analysed.to_zarr(tmp_path / "fc.zarr", consolidated=False)
    assert open_forecast(tmp_path / "fc.zarr")["lead_time"].values[0] == np.timedelta64(0)


def broken(how):
    """One forecast for each way of breaking the contract."""
    ds = forecast()
    dry = xr.DataArray(np.ones((3, 4)), dims=("latitude", "longitude"))
    return {
        "dims": lambda: ds.assign(thetao=ds["thetao"].transpose("lead_time", "init_time", ...)),
        "time": lambda: ds.isel(lead_time=0, drop=True),
        "valid": lambda: ds.drop_vars("valid_time"),
        "shifted": lambda: ds.assign_coords(valid_time=ds["valid_time"] + DAY),
        "one label": lambda: ds.assign_coords(
            valid_time=ds["valid_time"].where(ds["lead_time"] != 2 * DAY, ds["valid_time"] + DAY)
        ),
        "integers": lambda: ds.assign_coords(lead_time=[1, 2, 3, 4]),
        "negative": lambda: label(ds.assign_coords(lead_time=ds["lead_time"] - 9 * DAY)),
        "latitude": lambda: ds.isel(latitude=slice(None, None, -1)),
        "longitude": lambda: ds.assign_coords(longitude=ds["longitude"] + 360),
        "depth": lambda: ds.isel(depth=slice(None, None, -1)),
        "elevation": lambda: ds.assign_coords(depth=-ds["depth"]).isel(depth=slice(None, None, -1)),
        "name": lambda: ds.rename(thetao="thetaoo"),
        "standard_name": lambda: ds.assign(zos=ds["zos"].assign_attrs(standard_name="sea_level")),
        "units": lambda: ds.assign(thetao=ds["thetao"].assign_attrs(units="K")),
        "no units": lambda: ds.assign(thetao=ds["thetao"].drop_attrs()),
        "empty": lambda: ds.assign(zos=ds["zos"].where(ds["init_time"] != ds["init_time"][1])),
        "land": lambda: ds.assign(zos=ds["zos"].fillna(0.0)),
        "sea": lambda: ds.assign(thetao=ds["thetao"].where(dry.where(dry.longitude != 2) == 1)),
        "unsorted": lambda: ds.isel(init_time=[1, 0, 2]),
        "twice": lambda: ds.isel(init_time=[0, 0, 1]),
    }[how]()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("dims", r"thetao: found dimensions \('lead_time', 'init_time'"),
        ("time", "no dimension 'lead_time'"),
        ("valid", "no coordinate 'valid_time'"),
        (
            "shifted",
            "valid_time: found 2020-01-01 for init_time 2019-12-30 and lead_time 1D, expected",
        ),
        ("one label", "valid_time: found 2020-01-02 for init_time 2019-12-30 and lead_time 2D"),
        ("integers", "lead_time: found int64, expected timedelta64.*to_timedelta"),
        ("negative", "lead_time: found -8D"),
        ("latitude", "latitude: expected ascending"),
        ("longitude", r"longitude: found 340 to 343, expected \[-180, 180\)"),
        ("depth", "depth: expected ascending"),
        ("elevation", "depth: found -50.*positive down"),
        ("name", "unknown variable 'thetaoo'; did you mean 'thetao'"),
        ("standard_name", "zos: found standard_name='sea_level'"),
        ("units", "thetao: found units='K', expected 'degrees_C'"),
        ("no units", "thetao: found standard_name=None"),
        ("empty", "zos: no value at all for init_time 2020-01-01"),
        ("land", "zos: a value on land in 4 cells for init_time 2019-12-30"),
        ("sea", "thetao: no value at sea in"),
        ("unsorted", "init_time: expected increasing"),
        ("twice", "init_time: expected increasing"),
    ],
)
def test_every_breach_is_named(how, message):
    check(forecast())
    with pytest.raises(InputError, match=f"forecast: {message}"):
        check(broken(how))


def test_values_are_not_read_unless_asked():
    check(broken("land"), values=False)


def test_open_names_the_file(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.zarr: no such forecast"):
        open_forecast(tmp_path / "nothing.zarr")
    (tmp_path / "empty.nc").touch()
    with pytest.raises(InputError, match=r"empty\.nc: cannot be read"):
        open_forecast(tmp_path / "empty.nc")
    (tmp_path / "empty.zarr").mkdir()
    with pytest.raises(InputError, match=r"empty\.zarr: cannot be read"):
        open_forecast(tmp_path / "empty.zarr")
    broken("valid").to_zarr(tmp_path / "bad.zarr", consolidated=False)
    with pytest.raises(InputError, match=r"bad\.zarr: no coordinate 'valid_time'"):
        open_forecast(tmp_path / "bad.zarr")


@pytest.mark.parametrize(("unit", "count"), [("days", 1), ("hours", 24), ("second", 86400), ("minutes", 1440)])
@pytest.mark.parametrize("kind", ["i4", "f8"])
def test_leads_stored_as_numbers_of_a_stated_unit_are_understood(tmp_path, unit, count, kind):
    ds = forecast()
    numbers = ds.assign_coords(lead_time=("lead_time", np.arange(1, 5).astype(kind) * count, {"units": unit}))
    numbers.drop_vars("valid_time").to_zarr(tmp_path / "bare.zarr", consolidated=False, zarr_format=2)
    numbers.to_zarr(tmp_path / "theirs.zarr", consolidated=False, zarr_format=2)
    with pytest.warns(UserWarning, match=rf"theirs\.zarr: lead_time holds numbers, .*taken as {unit.rstrip('s')}s"):
        back = open_forecast(tmp_path / "theirs.zarr", values=True)
    np.testing.assert_array_equal(back["lead_time"], ds["lead_time"])
    xr.testing.assert_equal(label(back).load(), ds)
    with (
        pytest.warns(UserWarning, match="lead_time holds numbers"),
        pytest.raises(InputError, match=r"bare\.zarr: no coordinate 'valid_time'; add it with .*label"),
    ):
        open_forecast(tmp_path / "bare.zarr")


@pytest.mark.parametrize("attrs", [{}, {"units": "steps"}])
def test_leads_stored_as_numbers_of_who_knows_what_are_refused(tmp_path, attrs):
    ds = forecast()
    ds.assign_coords(lead_time=("lead_time", [1, 2, 3, 4], attrs)).to_zarr(tmp_path / "theirs.zarr", consolidated=False)
    with pytest.raises(
        InputError, match=r"theirs\.zarr: lead_time: found int64, expected timedelta64.*if it counts days"
    ):
        open_forecast(tmp_path / "theirs.zarr")


def test_a_region_across_the_date_line_goes_on_beyond_180():
    ds = forecast()
    check(ds.assign_coords(longitude=[178.0, 179.0, 180.0, 181.0]))
    check(ds.assign_coords(longitude=[-180.0, -100.0, 0.0, 100.0]))
    for globe in ([0.0, 90.0, 180.0, 359.0], [-60.0, 60.0, 180.0, 240.0], [180.0, 181.0, 182.0, 183.0]):
        with pytest.raises(InputError, match=r"longitude: found .* expected \[-180, 180\)"):
            check(ds.assign_coords(longitude=globe))
