"""Decoding against netCDF4's own, and the trap of a fill value that decodes to a plausible number."""

import netCDF4
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_files import FILL

from oceanx.data.formats.dates import dates
from oceanx.data.formats.netcdf import scan
from oceanx.data.formats.part import Wanted, decode
from oceanx.vocabulary.errors import InputError


def file(path, raw, **attrs):
    fill = attrs.pop("_FillValue", None)
    with netCDF4.Dataset(path, "w") as nc:
        for dim, size in (("time", 1), ("lat", raw.shape[0]), ("lon", raw.shape[1])):
            nc.createDimension(dim, size)
        for dim, unit in (("time", "days since 2000-01-01"), ("lat", "degrees_north"), ("lon", "degrees_east")):
            axis = nc.createVariable(dim, "f8", (dim,))
            axis.units = unit
            axis[:] = np.arange(len(axis))
        v = nc.createVariable("sst", raw.dtype, ("time", "lat", "lon"), fill_value=fill)
        v.setncatts({"units": "degrees_C", **attrs})
        v.set_auto_maskandscale(False)
        v[0] = raw
    return path


def independently(path):
    with netCDF4.Dataset(path) as nc:
        return np.ma.filled(nc["sst"][:].astype("f8"), np.nan).astype("f4")


def ours(path):
    part = scan(path, {"sst": Wanted(("sst",))})
    with part.open() as source:
        return part.read(source, "sst", [0])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_decoding_is_netcdf4s_to_the_bit(tmp_path_factory, data):
    kind = data.draw(st.sampled_from(["i1", "i2", "i4", "f4", "f8", "u1", "u2"]))
    dtype = np.dtype(kind)
    if dtype.kind == "f":
        numbers = st.floats(-100, 100, width=32) | st.just(float("nan"))
    else:
        numbers = st.integers(max(np.iinfo(dtype).min, -(2**20)), min(np.iinfo(dtype).max, 2**20))
    raw = np.array(data.draw(st.lists(numbers, min_size=6, max_size=6)), dtype).reshape(2, 3)
    attrs = {}
    if data.draw(st.booleans()):
        attrs["scale_factor"] = data.draw(st.sampled_from([np.float64(7.32444226741791e-4), np.float32(0.01)]))
        attrs["add_offset"] = attrs["scale_factor"].dtype.type(data.draw(st.sampled_from([0.0, 21.0, -3.7])))
    if data.draw(st.booleans()):
        attrs["_FillValue"] = raw.ravel()[0]
    if data.draw(st.booleans()):
        attrs["missing_value"] = raw.ravel()[1]
    if data.draw(st.booleans()):
        low, high = sorted((raw.ravel()[2], raw.ravel()[3]))
        if low == low and high == high:
            attrs |= {"valid_min": low, "valid_max": high}
    path = file(tmp_path_factory.mktemp("decode") / "x.nc", raw, **attrs)
    np.testing.assert_array_equal(ours(path), independently(path))


def test_a_fill_value_that_decodes_to_a_plausible_temperature_is_missing():
    packing = {"_FillValue": FILL, "scale_factor": np.float64(7.32444226741791e-4), "add_offset": np.float64(21.0)}
    assert FILL * packing["scale_factor"] + packing["add_offset"] == pytest.approx(-3.0, abs=0.01)
    values = decode(np.array([FILL, FILL + 1, 0], "i2"), packing)
    assert np.isnan(values).tolist() == [True, False, False]


def test_unsigned_bytes():
    raw = np.array([-1, 0, 1, -128], "i1")  # 255, 0, 1, 128
    np.testing.assert_array_equal(decode(raw, {"_Unsigned": "true", "_FillValue": np.int8(-1)}), [np.nan, 0, 1, 128])


@pytest.mark.parametrize("calendar", ["standard", "gregorian", "proleptic_gregorian"])
@pytest.mark.parametrize(
    "unit", ["days since 1950-01-01", "hours since 1900-01-01 00:00:00.0", "seconds since 1970-01-01T00:00:00Z",
             "days since 2003-01-01 12:00:00", "minutes since 1970-1-1"]
)  # fmt: skip
def test_dates_are_cftimes(unit, calendar):
    import cftime

    numbers = np.array([0.0, 1.5, 17532.25, 376944.0])
    expected = [
        np.datetime64(t.isoformat())
        for t in cftime.num2date(numbers, unit.removesuffix("Z"), calendar, only_use_cftime_datetimes=False)
    ]
    np.testing.assert_array_equal(dates(numbers, unit, calendar, "file"), np.array(expected, "datetime64[ns]"))


@pytest.mark.parametrize(
    ("unit", "calendar", "said"),
    [("months since 1955-01-01", "standard", "months since"),
     ("days since 2000-01-01", "360_day", "calendar '360_day'"),
     ("", "standard", "units ''"), ("days since yesterday-ish", "standard", "yesterday-ish")],
)  # fmt: skip
def test_times_that_are_no_dates_are_refused(unit, calendar, said):
    with pytest.raises(InputError, match=f"file.nc: time: .*{said}"):
        dates(np.array([1.0]), unit, calendar, "file.nc: time")


def test_a_marker_beyond_float32_is_missing_without_a_word():
    marker = np.float64(-1.797e308)
    with np.errstate(all="raise"):
        np.testing.assert_array_equal(decode(np.array([marker, 1.5]), {"_FillValue": marker}), [np.nan, 1.5])
