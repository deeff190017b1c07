"""Thresholds written and read back: the same, cut for reading beside series, and refused if they do not say enough."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import zarr

from oceanx.heatwaves import (
    detect,
    events,
    fixed_threshold,
    open_threshold,
    rolling_threshold,
    threshold,
    write_threshold,
)
from oceanx.vocabulary.errors import InputError


def field():
    time = pd.date_range("2001-01-01", "2003-12-31")
    values = np.random.default_rng(7).normal(20, 1, size=(len(time), 4, 5)).astype(np.float32)
    values[:, 0, 0] = np.nan
    coords = {"time": time, "latitude": np.arange(4.0), "longitude": np.arange(5.0)}
    return xr.DataArray(values, dims=("time", "latitude", "longitude"), coords=coords, attrs={"units": "degrees_C"})


@pytest.mark.parametrize("kind", ["plain", "lazy", "detrended", "rolling", "fixed"])
def test_what_is_written_is_read(tmp_path, kind):
    sst = field()
    made = {
        "plain": lambda: threshold(sst, (2001, 2003)),
        "lazy": lambda: threshold(sst.chunk(latitude=1), (2001, 2003)),
        "detrended": lambda: threshold(sst, (2001, 2003), detrend=True),
        "rolling": lambda: rolling_threshold(sst, (2002, 2003), 1),
        "fixed": lambda: fixed_threshold(22.0, threshold(sst, (2001, 2003))),
    }[kind]()
    back = write_threshold(made, tmp_path / "limit.zarr")
    xr.testing.assert_identical(back.compute(), made.compute())
    late = sst.sel(time=slice("2002", None))
    pd.testing.assert_frame_equal(events(late, back), events(late, made))
    xr.testing.assert_identical(detect(late, back).compute(), detect(late, made).compute())
    assert [p.name for p in tmp_path.iterdir()] == ["limit.zarr"]


def test_chunks_are_whole_years_of_some_cells(tmp_path, monkeypatch):
    monkeypatch.setattr("oceanx.heatwaves.product.CHUNK_CELLS", 10)
    write_threshold(threshold(field(), (2001, 2003)), tmp_path / "limit.zarr")
    assert zarr.open_group(tmp_path / "limit.zarr", mode="r")["threshold"].chunks == (366, 2, 5)


def test_netcdf_is_read_too(tmp_path):
    made = threshold(field(), (2001, 2003))
    made.to_netcdf(tmp_path / "limit.nc")
    xr.testing.assert_identical(open_threshold(tmp_path / "limit.nc").compute(), made)


def test_what_does_not_say_enough_is_refused(tmp_path):
    made = threshold(field(), (2001, 2003))
    for attrs, words in (
        ({k: v for k, v in made.attrs.items() if k != "oceanx_baseline"}, r"does not say.*\(oceanx_baseline\)"),
        (made.attrs | {"oceanx_threshold_version": 2}, "of version 2, this oceanx reads up to 1"),
    ):
        other = made.copy()
        other.attrs = attrs
        other.to_zarr(tmp_path / "bad.zarr", mode="w", consolidated=False)
        with pytest.raises(InputError, match=words):
            open_threshold(tmp_path / "bad.zarr")
        with pytest.raises(InputError, match=words):
            write_threshold(other, tmp_path / "new.zarr")
    assert not (tmp_path / "new.zarr").exists()
    made.drop_vars("climatology").to_zarr(tmp_path / "bad.zarr", mode="w", consolidated=False)
    with pytest.raises(InputError, match="expected `climatology` and `threshold`"):
        open_threshold(tmp_path / "bad.zarr")
    made.isel(dayofyear=slice(365)).to_zarr(tmp_path / "bad.zarr", mode="w", consolidated=False)
    with pytest.raises(InputError, match="days of the year 1 to 366"):
        open_threshold(tmp_path / "bad.zarr")
    (tmp_path / "torn.nc").write_bytes(b"nothing")
    with pytest.raises(InputError, match="cannot be read as a threshold"):
        open_threshold(tmp_path / "torn.nc")
    with pytest.raises(InputError, match="no such threshold"):
        open_threshold(tmp_path / "none.zarr")


def test_what_exists_is_kept_unless_told(tmp_path):
    made = threshold(field(), (2001, 2003))
    write_threshold(made, tmp_path / "limit.zarr")
    with pytest.raises(InputError, match="exists already"):
        write_threshold(made, tmp_path / "limit.zarr")
    other = threshold(field(), (2001, 2003), 95)
    assert write_threshold(other, tmp_path / "limit.zarr", overwrite=True).attrs["oceanx_percentile"] == 95
