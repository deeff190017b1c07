"""The ocean as a whole: reproducible, balanced, and of the size of the real one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from oceanx.ocean.synthetic.config import Ocean
from oceanx.ocean.synthetic.mixed import EXPANSION
from oceanx.ocean.synthetic.model import Keys, Model
from oceanx.ocean.synthetic.modes import CONTRACTION
from oceanx.vocabulary.constants import EARTH_RADIUS, GRAVITY, ROTATION

from .conftest import FIRST


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name], equal_nan=True) for name in a)


def test_a_restart_is_the_uninterrupted_run_bit_for_bit(model, spun_up):
    through = list(model.run(spun_up, FIRST, FIRST + 6))
    half = list(model.run(spun_up, FIRST, FIRST + 3))[-1]
    again = list(model.run({k: v.copy() for k, v in half.state.items()}, FIRST + 3, FIRST + 6))
    for a, b in zip(through[3:], again, strict=True):
        assert same(a.ocean, b.ocean)
        assert same(a.air, b.air)
    assert same(through[-1].state, again[-1].state)


def test_a_step_leaves_its_state_alone_and_equals_the_threaded_run(model, spun_up):
    before = {name: field.copy() for name, field in spun_up.items()}
    state, fields = model.step(spun_up, FIRST)
    assert same(before, spun_up)
    (day,) = model.run(spun_up, FIRST, FIRST + 1)
    assert same(day.ocean, fields)
    assert same(day.state, state)


def test_the_seed_decides_everything():
    first, again, other = (Model(Ocean.basin(3.0, seed=seed)) for seed in (4, 4, 5))
    states = [m.start(FIRST) for m in (first, again, other)]
    days = [list(m.run(s, FIRST, FIRST + 2))[-1] for m, s in zip((first, again, other), states, strict=True)]
    assert same(days[0].ocean, days[1].ocean)
    assert same(days[0].state, days[1].state)
    assert np.abs(days[0].air["msl"] - days[2].air["msl"]).mean() > 50  # Pa: other weather


def test_keys_decide_which_future_happens(model, spun_up):
    truth = list(model.run(spun_up, FIRST, FIRST + 2))[-1]
    noise = list(model.run(spun_up, FIRST, FIRST + 2, Keys(noise=(1,))))[-1]
    weather = list(model.run(spun_up, FIRST, FIRST + 2, Keys(weather=(1,), noise=(1,))))[-1]
    assert same(truth.air, noise.air)
    assert not same(truth.ocean, noise.ocean)
    assert not same(truth.air, weather.air)


def centred(field, lat, axis):
    """Fourth-order centred derivative per metre (eddies are a few cells wide); NaN beside land."""
    step = np.radians(lat[1] - lat[0]) * EARTH_RADIUS
    step = step * np.cos(np.radians(lat))[:, None] if axis == -1 else step
    near, far = (np.roll(field, -k, axis) - np.roll(field, k, axis) for k in (1, 2))
    return (8 * near - far) / (12 * step)


def offshore(model, cells=2):
    deep = model.grid.bottom > 600
    return ndimage.binary_erosion(deep, np.ones((3, 3)), cells)


def fit(x, y):
    keep = np.isfinite(x) & np.isfinite(y)
    x, y = x[keep], y[keep]
    assert x.size > 1000
    return np.corrcoef(x, y)[0, 1], (x * y).sum() / (x * x).sum()


def test_sea_level_and_currents_are_in_geostrophic_balance(model, year):
    fields, _, _ = year
    lat, where = model.grid.lat, offshore(model)
    f = 2 * ROTATION * np.sin(np.radians(lat))[:, None]
    level = list(np.round(model.ocean.depth)).index(92)
    for name, axis, sign in (("uo", -2, -1), ("vo", -1, 1)):
        slope = sign * GRAVITY / f * centred(fields["zos"][::30], lat, axis)
        r, gain = fit(slope[:, where], fields[name][::30, level][:, where])
        assert r > 0.97, name
        assert 0.95 < gain < 1.05, name


def test_temperature_and_shear_are_in_thermal_wind_balance_below_the_mixed_layer(model, year):
    fields, _, _ = year
    lat, where = model.grid.lat, offshore(model)
    f = 2 * ROTATION * np.sin(np.radians(lat))[:, None]
    upper, lower = (list(np.round(model.ocean.depth)).index(z) for z in (222, 318))
    apart = model.ocean.depth[lower] - model.ocean.depth[upper]
    buoyancy = EXPANSION * fields["thetao"] - CONTRACTION * (fields["so"] - 35)  # −ρ'/ρ₀
    between = (buoyancy[::30, upper] + buoyancy[::30, lower]) / 2
    for name, axis, sign in (("uo", -2, 1), ("vo", -1, -1)):
        shear = (fields[name][::30, lower] - fields[name][::30, upper]) / apart
        wind = sign * GRAVITY / f * centred(between, lat, axis)
        r, gain = fit(wind[:, where], shear[:, where])
        assert r > 0.95, name
        assert 0.85 < gain < 1.15, name


def anomalies(x):
    """Departure from a two-harmonic year, per cell."""
    t = 2 * np.pi * np.arange(len(x)) / 365.25
    basis = np.stack([np.ones_like(t), np.cos(t), np.sin(t), np.cos(2 * t), np.sin(2 * t)], axis=1)
    flat = np.nan_to_num(x.reshape(len(x), -1).astype(float))
    return (flat - basis @ np.linalg.lstsq(basis, flat, rcond=None)[0]).reshape(x.shape)


def test_its_variability_is_of_the_observed_size(model, year):
    """Standard deviations within the range of the open ocean away from the strongest currents.

    Sea level 2-15 cm and surface speed 0.05-0.3 m/s: Chelton et al. (2011, doi:10.1016/j.pocean.2011.01.002); sea
    surface temperature 0.3-1 K: Frankignoul and Hasselmann (1977, doi:10.1111/j.2153-3490.1977.tb00740.x).
    """
    fields, _, _ = year
    wet = model.grid.wet
    assert 0.3 < anomalies(fields["thetao"][:, 0]).std(axis=0)[wet].mean() < 1.0
    assert 0.02 < anomalies(fields["zos"]).std(axis=0)[wet].mean() < 0.15
    speed = np.hypot(fields["uo"][:, 0], fields["vo"][:, 0])[:, wet]
    assert 0.05 < speed.mean() < 0.3
    assert speed.max() < 2.5


def test_the_year_is_warmest_in_late_summer_and_fades_with_depth(model, year):
    fields, _, _ = year
    north = model.grid.lat > 30
    series = np.nanmean(fields["thetao"][:365][:, :, north], axis=(2, 3))  # (day, level)
    assert 200 < series[:, 0].argmax() < 270  # late July … September
    ranges = np.ptp(series, axis=0)
    assert 4 < ranges[0] < 16
    assert ranges[-1] < 0.2 * ranges[0]


def test_marine_heatwaves_occur(model, year):
    """Runs of five days or more above the 90th percentile of the anomalies: Hobday et al. (2016,
    doi:10.1016/j.pocean.2015.12.014)."""
    fields, _, _ = year
    x = anomalies(fields["thetao"][:, 0])[:, model.grid.wet]
    above = x > np.quantile(x, 0.9, axis=0)
    runs = above.copy()
    for lag in range(1, 5):
        runs[: len(runs) - lag] &= above[lag:]
    starts = runs[1:-5] & ~above[:-6]
    assert 0.5 < starts.sum(axis=0).mean() < 8  # events a cell in about a year


def test_every_field_is_finite_in_water_and_absent_on_land(model, year):
    fields, _, _ = year
    for name, values in fields.items():
        mask = model.column.mask if values.ndim == 4 else model.grid.wet
        assert (np.isfinite(values) == mask).all(), name
    temperature = fields["thetao"]
    assert np.nanmin(temperature) > -2
    assert np.nanmax(temperature) < 33
    assert (
        np.nan_to_num(temperature[:, :-1]) + 1e-3 >= np.nan_to_num(temperature[:, 1:])
    ).all()  # nothing is upside down


def test_the_limit_of_predictability_lies_where_it_should(model, year):
    """With known weather < with unknown weather < climatology, for sea surface temperature and sea level."""
    fields, states, _ = year
    errors = {"true": [], "unknown": [], "climatology": []}
    lead = 6
    for name, pick in (("thetao", 0), ("zos", slice(None))):
        truth = fields[name][:, pick] if name == "thetao" else fields[name]
        departures = anomalies(truth)[:, model.grid.wet]
        total = dict.fromkeys(errors, 0.0)
        for day, state in list(states.items())[1::2]:
            i = day - FIRST + lead
            total["climatology"] += (departures[i] ** 2).mean()
            for key, keys in (("true", Keys(noise=(1,))), ("unknown", Keys((1,), (1,)))):
                last = list(model.run(state, day + 1, day + 1 + lead, keys))[-1].ocean[name]
                last = last[0] if name == "thetao" else last
                total[key] += ((last - truth[i])[model.grid.wet] ** 2).mean()
        assert total["true"] < total["unknown"] < total["climatology"], name
        assert total["true"] > 0


def test_too_much_noise_is_refused_in_words():
    model = Model(Ocean.basin(3.0, noise=3.0))
    state = model.start(FIRST)

    def half_a_year(state):
        for day in range(FIRST, FIRST + 200):
            state = state | model.drive(state, day)[0]

    with pytest.raises(FloatingPointError, match="upper layer thins"):
        half_a_year(state)


def test_the_globe_stays_finite_and_knows_no_seam():
    model = Model(Ocean.globe(3.0, depth=(0.494, 92.33)))
    days = list(model.run(model.start(FIRST), FIRST, FIRST + 10))
    fields, state = days[-1].ocean, days[-1].state
    for name, values in fields.items():
        assert (np.isfinite(values) == (model.column.mask if values.ndim == 3 else model.grid.wet)).all(), name
    for field in (*state["now"], *state["carried"]):
        assert (field[:, 0] == field[:, -2]).all()
        assert (field[:, -1] == field[:, 1]).all()
    assert -1.81 < np.nanmin(fields["thetao"]) < 2  # cold near the poles, but never below freezing
    # Steps across the seam are no larger than elsewhere.
    sst, wet = fields["thetao"][0], model.grid.wet
    seam = np.abs(sst[:, 0] - sst[:, -1])[wet[:, 0] & wet[:, -1]]
    inside = np.abs(np.diff(sst, axis=1))[wet[:, 1:] & wet[:, :-1]]
    assert seam.size > 10
    assert np.median(seam) < 3 * np.median(inside)
    assert np.abs(days[-1].air["msl"][..., 0] - days[-1].air["msl"][..., -1]).max() < 800
