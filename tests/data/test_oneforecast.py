"""OneForecast's atmosphere: the last four of 69 channels under their labels, analyses and forecasts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from published_files import write_hdf5

import oceanx.data as data
from oceanx.data.readers import oneforecast
from oceanx.ocean import labels
from oceanx.vocabulary.errors import InputError

SMALL = {"resolution": 60, "first_longitude": 0}
SURFACE = {"u10": 65, "v10": 66, "t2m": 67, "msl": 68}
UNITS = {"u10": 5.0, "v10": -5.0, "t2m": 280.0, "msl": 101000.0}


def maps(count: int, rows: int = 4, columns: int = 6) -> np.ndarray:
    """(map, 69, row, column); every number tells its map, row and column, and at the surface its variable."""
    where = np.arange(count * rows * columns, dtype="f4").reshape(count, rows, columns) / 1000
    values = np.repeat(where[:, None], 69, axis=1)
    for name, channel in SURFACE.items():
        values[:, channel] += UNITS[name]
    return values


def test_analyses_every_six_hours(tmp_path: Path) -> None:
    raw = maps(9)
    ds = oneforecast.read(write_hdf5(tmp_path / "x.h5", "fields", raw), first_day="2020-02-28", **SMALL)
    assert set(ds.data_vars) == set(SURFACE)
    assert ds.time.values[[0, 1, 8]].astype("M8[h]").tolist() == [
        np.datetime64(t).astype("M8[h]").item() for t in ("2020-02-28T00", "2020-02-28T06", "2020-03-01T00")
    ]
    assert ds.latitude.values.tolist() == [-90, -30, 30, 90]
    assert ds.longitude.values.tolist() == [-180, -120, -60, 0, 60, 120]
    for name, channel in SURFACE.items():  # rows run north to south, the fourth column is that of the date line
        expected = raw[:, channel, ::-1][..., [3, 4, 5, 0, 1, 2]]
        np.testing.assert_array_equal(ds[name].values, expected)


def test_the_recipe_gives_daily_means(tmp_path: Path) -> None:
    raw = maps(365 * 4, rows=3)
    path = write_hdf5(tmp_path / "2019.h5", "fields", raw)
    options = {f"options.{key}": value for key, value in SMALL.items()}
    ds = data.bake("oneforecast", path, tmp_path / "s.zarr", **options)
    assert ds.sizes["time"] == 365
    assert ds.time.values[0] == np.datetime64("2019-01-01")
    expected = raw[:, 65].reshape(365, 4, 3, 6).mean(1, dtype="f8")[:, ::-1][..., [3, 4, 5, 0, 1, 2]]
    np.testing.assert_allclose(ds.u10.values, expected, rtol=1e-6)
    assert ds.u10.attrs["cell_methods"] == "time: mean"


@pytest.mark.parametrize("flat", [True, False])
def test_forecasts_have_start_and_lead(tmp_path: Path, flat: bool) -> None:
    starts, leads = ["2020-01-01", "2020-01-08", "2020-01-15"], 5
    raw = maps(15)
    path = write_hdf5(tmp_path / "fc.h5", "fields", raw if flat else raw.reshape(3, 5, 69, 4, 6))
    fc = oneforecast.forecasts(path, starts, **SMALL)
    labels.check(fc)
    assert fc.u10.dims == ("init_time", "lead_time", "latitude", "longitude")
    assert (fc.lead_time.values / np.timedelta64(6, "h")).tolist() == [1, 2, 3, 4, 5]
    for i, start in enumerate(starts):
        for lead in range(leads):
            one = fc.sel(init_time=start).isel(lead_time=lead)
            assert one.valid_time.values == np.datetime64(start) + np.timedelta64(6 * (lead + 1), "h")
            for name, channel in SURFACE.items():
                expected = raw[i * leads + lead, channel, ::-1][:, [3, 4, 5, 0, 1, 2]]
                np.testing.assert_array_equal(one[name].values, expected)


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((8, 69, 4, 6), {"first_longitude": None}, "does not say where its columns begin; say first_longitude"),
        ((8, 70, 4, 6), {}, "has 70 channels; expected 69"),
        ((8, 69, 4, 7), {}, "has 7 columns; expected 6"),
        ((8, 69, 4, 6), {"first_day": None}, "the name tells no year"),
        ((1460, 69, 4, 6), {"first_day": None, "year": 2020}, "has 1460 times; expected 1464 in 2020; .*absent_day"),
    ],
)
def test_analyses_that_are_refused(tmp_path: Path, shape: tuple[int, ...], options: dict, message: str) -> None:
    path = write_hdf5(tmp_path / "x.h5", "fields", np.zeros(shape, "f4"))
    told = {**SMALL, "first_day": "2020-01-01", **options}
    with pytest.raises(InputError, match=message):
        oneforecast.read(path, **{key: value for key, value in told.items() if value is not None})


@pytest.mark.parametrize(
    ("shape", "starts", "options", "message"),
    [
        ((6, 69, 4, 6), 2, {"first_longitude": None}, "does not say where its columns begin"),
        ((6, 69, 4, 6), 4, {}, "has 6 maps, which 4 starts do not share evenly"),
        ((2, 3, 69, 4, 6), 3, {}, "has 2 starts; init_time names 3"),
        ((2, 3, 97, 4, 6), 2, {}, r"has shape \(2, 3, 97, 4, 6\); expected \(start, lead, 69, row, column\)"),
        ((2, 3, 69, 9, 6), 2, {}, "has 9 rows; expected 4"),
        ((2, 3, 69, 4, 6), 2, {"key": "predicted"}, "holds fields; expected 'predicted'"),
    ],
)
def test_forecasts_that_are_refused(
    tmp_path: Path, shape: tuple[int, ...], starts: int, options: dict, message: str
) -> None:
    path = write_hdf5(tmp_path / "x.h5", "fields", np.zeros(shape, "f4"))
    dates = [f"2020-01-{day + 1:02d}" for day in range(starts)]
    with pytest.raises(InputError, match=message):
        oneforecast.forecasts(path, dates, **{**SMALL, **options})
