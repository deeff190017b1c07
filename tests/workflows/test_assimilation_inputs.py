"""What is wrong with an assimilation's input is said in one line, or treated as documented."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy_dataset
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_assimilation import Nudging, Wobbling, observations, scattered
from toy_members import DRIFTING

import oceanx as ox
from oceanx.ocean.observations import CODES
from oceanx.vocabulary.errors import InputError
from oceanx.workflows.assimilation.windows import spans

DAYS = slice("2002-01-02", "2002-01-06", "1D")


@pytest.fixture(scope="module")
def ds() -> xr.Dataset:
    return toy_dataset.ocean(20, start="2002-01-01")


@pytest.fixture(scope="module")
def seen(ds: xr.Dataset) -> xr.Dataset:
    return scattered(ds, slice("2002-01-01", "2002-01-10"))


def run(ds: xr.Dataset, seen: xr.Dataset, **words: Any) -> xr.Dataset:
    return ox.assimilate(DRIFTING, seen, **({"background": ds, "time": DAYS, "method": Nudging(gain=0.1)} | words))


def changed(seen: xr.Dataset, name: str, value: Any, row: int = 5) -> xr.Dataset:
    """The table with another value at one row."""
    values = seen[name].values.copy()
    values[row] = value
    return seen.assign({name: ("obs", values, seen[name].attrs)}) if name in seen.data_vars else seen.assign_coords(
        {name: ("obs", values, seen[name].attrs)}
    )  # fmt: skip


def said(ds: xr.Dataset, seen: xr.Dataset, **words: Any) -> str:
    """The one line that refuses."""
    with pytest.raises(InputError) as refused:
        run(ds, seen, **words)
    text = str(refused.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"method": "4dvr"}, "unknown method '4dvr'; did you mean '4dvar'?"),
        ({"method": {"kind": "letkf", "radios": 3}}, "method: radios: unknown key 'radios'"),
        ({"method": Nudging(), "members": 5}, "members: nudging carries no ensemble"),
        ({"method": {"kind": "letkf", "members": 5}, "members": 6}, "members: is 5 in the method's settings"),
        ({"method": "letkf", "members": 0}, "members: found 0; expected how many"),
        ({"spread": "slowly"}, "unknown spread 'slowly'"),
        ({"keep": ["forecast"]}, "unknown word of keep 'forecast'"),
        ({"forcing": "guessed"}, "unknown forcing 'guessed'"),
        ({"forcing": "climatology"}, "this model carries none of"),
        ({"start": "rest"}, "unknown start 'rest'"),
        ({"start": "climatology"}, "less than a year outside the assimilated period"),
        ({"withhold": ["ship"]}, "unknown platform 'ship'; did you mean 'ships'?"),
        ({"time": "2002-01-02"}, "expected a first and a last date and the length of a window"),
        ({"time": slice("2002-01-06", "2002-01-02")}, "before it begins"),
        ({"time": slice("2002-01-02", "2002-01-06", "36h")}, "not a multiple of the model's step 1D"),
        ({"time": slice("2002-01-02", "the end", "1D")}, "expected such as slice"),
        ({"time": slice("2001-12-30", "2002-01-06", "1D")}, "lacks"),
        ({"time": slice("2002-01-18", "2002-01-25", "1D")}, "forcing 'observed': the Dataset lacks"),
        ({"bounds": {"salt": (0, 1)}}, "unknown variable of bounds 'salt'"),
        ({"bounds": {"thetao": (5, 1)}}, "expected the least and the largest value"),
        ({"quality": {"test": []}}, "quality: test: unknown key 'test'"),
        ({"representation": {"warmth": 1.0}}, "unknown variable 'warmth'"),
        ({"representation": {"thetao": -1.0}}, "representation: thetao"),
        ({"resume": True}, "what is kept in memory cannot be gone on with"),
    ],
)  # fmt: skip
def test_words_that_mean_nothing(ds: xr.Dataset, seen: xr.Dataset, words: dict[str, Any], expected: str) -> None:
    assert expected in said(ds, seen, **words)


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("error_std", 0.0, "error_std: has 0.0; expected values above 0"),
        ("error_std", -1.0, "error_std: has -1.0; expected values above 0"),
        ("error_std", np.nan, "error_std: 1 of 200 are missing (first at row 5)"),
        ("value", np.nan, "value: 1 of 200 are missing (first at row 5)"),
        ("longitude", 345.0, "longitude: has 345.0; expected values from -180 to below 180"),
        ("latitude", -91.0, "latitude: has -91.0; expected values from -90 to 90"),
        ("depth", -5.0, "depth: has -5.0; expected values positive down"),
        ("time", np.datetime64("2002-01-09"), "time: is not sorted"),
    ],
)
def test_tables_that_cannot_be(ds: xr.Dataset, seen: xr.Dataset, column: str, value: Any, expected: str) -> None:
    assert expected in said(ds, changed(seen, column, value))


def test_what_is_no_table(ds: xr.Dataset) -> None:
    assert "no 'obs'; expected a table of observations" in said(ds, ds)


def test_kelvins_are_told_from_degrees(ds: xr.Dataset, seen: xr.Dataset) -> None:
    assert "kelvins" in said(ds, seen.assign(value=seen.value + 273.15))


def test_a_background_of_another_grid(ds: xr.Dataset, seen: xr.Dataset, ocean: xr.Dataset) -> None:
    model = ox.damped_persistence(ocean[["thetao", "zos"]].isel(time=slice(380)))
    shifted = ds.assign_coords(longitude=ds.longitude + 0.25)
    with pytest.raises(InputError, match="longitude"):
        ox.assimilate(model, seen, background=shifted, time=DAYS, method=Nudging())


def test_a_background_without_the_forcing(ds: xr.Dataset, seen: xr.Dataset) -> None:
    assert "u10: the Dataset lacks this variable" in said(ds.drop_vars("u10"), seen)


def test_no_observation_in_a_window(ds: xr.Dataset, seen: xr.Dataset) -> None:
    """The background goes on, and its window says that none was used."""
    gap = seen.isel(obs=np.flatnonzero(seen.time.dt.day.values != 4))
    an = run(ds, gap)
    assert an.observations_used.sel(time="2002-01-04") == 0
    by_hand = an.zos.sel(time="2002-01-03") * (1 + 0.01 * ds.u10.sel(time="2002-01-04"))
    np.testing.assert_allclose(an.zos.sel(time="2002-01-04"), by_hand, rtol=1e-6)
    assert not (an.departure_time == np.datetime64("2002-01-04")).any()


def test_all_rejected(ds: xr.Dataset, seen: xr.Dataset, caplog: pytest.LogCaptureFixture) -> None:
    """Said aloud; the background goes on."""
    beyond = seen.assign_coords(latitude=seen.latitude + 20)
    with caplog.at_level(logging.WARNING, "oceanx.workflows"):
        an = run(ds, beyond)
    assert "2002-01-03: all" in caplog.text
    assert "the background goes on" in caplog.text
    free = ox.forecast(DRIFTING, ds, "2002-01-02", "4D", forcing="observed", analysis=True)
    np.testing.assert_array_equal(an.thetao.values, free.thetao.isel(init_time=0).values)
    assert set(np.unique(an.departure_qc)) == {CODES["outside_grid"]}
    assert np.isnan(an.departure_background).all()


def test_duplicates_enter_once(ds: xr.Dataset, seen: xr.Dataset) -> None:
    twice = xr.concat([seen, seen], "obs").sortby("time")
    an, once = run(ds, twice), run(ds, seen)
    np.testing.assert_allclose(an.thetao, once.thetao, atol=1e-6)
    assert (an.departure_qc == CODES["repeated"]).sum() == once.sizes["obs"]


def test_data_outside_the_period_are_counted_and_left(
    ds: xr.Dataset, seen: xr.Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    within = int(((seen.time >= np.datetime64("2002-01-02")) & (seen.time < np.datetime64("2002-01-07"))).sum())
    with caplog.at_level(logging.INFO, "oceanx.workflows"):
        an = run(ds, seen)
    assert f"{200 - within} of 200 lie outside the period" in caplog.text
    assert an.sizes["obs"] == within
    assert an.departure_row.values[0] == int((seen.time < np.datetime64("2002-01-02")).sum())
    alone = seen.isel(obs=an.departure_row.values)
    np.testing.assert_array_equal(an.thetao, run(ds, alone).thetao)


def test_flags_of_the_table_are_heeded(ds: xr.Dataset, seen: xr.Dataset) -> None:
    flagged = changed(seen, "value", 44.0, row=60)
    qc = np.zeros(200, "uint8")
    qc[60] = CODES["repeated"]
    an = run(ds, flagged.assign(qc=("obs", qc, seen.qc.attrs | {"flag_values": np.array([0, 7], "uint8"),
                                                               "flag_meanings": "good repeated"})))  # fmt: skip
    clean = run(ds, seen.isel(obs=np.delete(np.arange(200), 60)))
    np.testing.assert_array_equal(an.thetao, clean.thetao)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        (lambda ds: ds, "expected members of one date along `member`"),
        (lambda ds: _members(ds, 2), "start: has 2 members; the method is to have 3"),
        (lambda ds: _members(ds, 3, ["2002-01-02", "2002-01-02", "2002-01-03"]), "its members are of unequal time"),
        (lambda ds: _members(ds, 3, ["2002-01-03"] * 3), "the analyses begin on 2002-01-02"),
    ],
)
def test_members_that_do_not_fit(ds: xr.Dataset, seen: xr.Dataset, members: Any, expected: str) -> None:
    assert expected in said(ds, seen, method=Wobbling(), start=members(ds))


def _members(ds: xr.Dataset, count: int, times: list[str] | None = None) -> xr.Dataset:
    made = ds.isel(time=list(range(count))).drop_vars("time").rename(time="member")
    return made if times is None else made.assign_coords(time=("member", np.array(times, "datetime64[ns]")))


def test_sea_level_anomalies_need_a_mean_topography(ds: xr.Dataset) -> None:
    """Which is added; sea level is then compared but for its mean over the window."""
    random, size = np.random.default_rng(0), 60
    place = {"latitude": random.uniform(32, 34.5, size), "longitude": random.uniform(-18.9, -14.5, size)}
    anomaly = observations({"time": ["2002-01-03T06:00"] * size, "value": random.normal(0, 0.05, size), **place,
                            "depth": np.zeros(size)}, ["sla"])  # fmt: skip
    assert "mean_topography" in said(ds, anomaly)
    topography = (0 * ds.zos[0] + 0.6).drop_vars("time").assign_attrs(title="flat", units="m")
    an = run(ds, anomaly, mean_topography=topography)
    used = an.departure_qc.values == 0
    assert used.sum() > 30
    assert abs(float(an.departure_background.values[used].mean())) < 1e-6
    assert an.attrs["oceanx_mean_topography"] == "flat"


def test_a_disk_that_cannot_be_written(ds: xr.Dataset, seen: xr.Dataset, tmp_path: Path) -> None:
    assert "its folder" in said(ds, seen, to=tmp_path / "nowhere" / "an.zarr")


def test_the_climatology_test_is_made_where_one_is_given(ds: xr.Dataset, seen: xr.Dataset) -> None:
    """What is further from the climatology than so many standard deviations is not used, whatever the background."""
    row = int(np.searchsorted(seen.time.values, np.datetime64("2002-01-04")))
    mean = ds.thetao.mean("time")
    # Constant through the year, with a spread of 1 °C: 12 °C away is 12 / √(1² + 0.5²) > 5 of them.
    year = xr.concat([mean] * 366, "dayofyear").assign_coords(dayofyear=np.arange(1, 367)).to_dataset(name="thetao")
    year["thetao_std"] = xr.ones_like(mean)
    far = changed(seen, "value", float(seen.value[row]) + 12.0, row)
    loose = {"quality": {"tests": ["far_from_climatology", "no_equivalent"]}}
    kept, an = run(ds, far, **loose), run(ds, far, climatology=year, **loose)
    place = int(np.flatnonzero(an.departure_row.values == row)[0])
    assert kept.departure_qc.values[place] == 0
    assert an.departure_qc.values[place] == CODES["far_from_climatology"]
    assert an.attrs["oceanx_quality_climatology"] != kept.attrs["oceanx_quality_climatology"] == "none"


@given(st.integers(1, 5), st.integers(1, 12), st.integers(0, 2**31))
@settings(max_examples=20, deadline=None)
def test_every_observation_of_the_period_falls_into_one_window(length: int, days: int, seed: int) -> None:
    begin, day = np.datetime64("2002-01-03", "ns"), np.timedelta64(1, "D")
    moments = np.sort(begin + np.random.default_rng(seed).integers(-(10**14), (days + 1) * 86400 * 10**9, 300))
    found = spans(slice(str(begin), str(begin + (days - 1) * day), f"{length}D"), "1D", moments)
    inside = np.flatnonzero((moments >= begin) & (moments < begin + days * day))
    np.testing.assert_array_equal(np.concatenate([np.arange(300)[span.rows] for span in found]), inside)
    for span in found:
        assert (moments[span.rows] >= span.begin).all()
        assert (moments[span.rows] < span.times[-1] + day).all()
