"""Scores of yes and no against their definitions in counts, and what random and perfect forecasts get."""

from __future__ import annotations

import math

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.ocean import contingency as c

ALL = (c.hit_rate, c.false_alarm_ratio, c.false_alarm_rate, c.base_rate, c.critical_success_index, c.heidke, c.sedi)
COUNT = st.integers(1, 1000)


@settings(max_examples=20, deadline=None)
@given(COUNT, COUNT, COUNT, COUNT)
def test_scores_equal_a_loop_over_cases(a, m, f, r):
    """Every case written out as a pair of yes and no."""
    cases = [(1, 1)] * a + [(0, 1)] * m + [(1, 0)] * f + [(0, 0)] * r
    said, done = np.array(cases).T
    assert float(c.hit_rate(a, m, f, r)) == pytest.approx(said[done == 1].mean())
    assert float(c.false_alarm_ratio(a, m, f, r)) == pytest.approx(1 - done[said == 1].mean())
    assert float(c.false_alarm_rate(a, m, f, r)) == pytest.approx(said[done == 0].mean())
    assert float(c.base_rate(a, m, f, r)) == pytest.approx(done.mean())
    assert float(c.critical_success_index(a, m, f, r)) == pytest.approx((said & done).sum() / (said | done).sum())
    right = (said == done).mean()
    chance = said.mean() * done.mean() + (1 - said.mean()) * (1 - done.mean())
    assert float(c.heidke(a, m, f, r)) == pytest.approx((right - chance) / (1 - chance))
    hit, alarm = said[done == 1].mean(), said[done == 0].mean()
    logs = [math.log(x) for x in (alarm, hit, 1 - alarm, 1 - hit)]
    assert float(c.sedi(a, m, f, r)) == pytest.approx((logs[0] - logs[1] - logs[2] + logs[3]) / sum(logs))


@settings(max_examples=20, deadline=None)
@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_chance_has_no_skill(base, rate):
    """Said and done independently, whatever their frequencies."""
    shares = base * rate, base * (1 - rate), (1 - base) * rate, (1 - base) * (1 - rate)
    assert float(c.sedi(*shares)) == pytest.approx(0, abs=1e-9)
    assert float(c.heidke(*shares)) == pytest.approx(0, abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(COUNT, COUNT, COUNT, COUNT)
def test_sedi_is_symmetric_and_knows_the_wrong_way_round(a, m, f, r):
    """Events and non-events may change places; saying the opposite changes the sign."""
    assert float(c.sedi(r, f, m, a)) == pytest.approx(float(c.sedi(a, m, f, r)))
    assert float(c.sedi(m, a, r, f)) == pytest.approx(-float(c.sedi(a, m, f, r)), abs=1e-12)
    assert -1 <= float(c.sedi(a, m, f, r)) <= 1


def test_perfect_forecasts_and_nothing_to_divide_by():
    assert float(c.sedi(3, 0, 0, 7)) == float(c.heidke(3, 0, 0, 7)) == float(c.critical_success_index(3, 0, 0, 7)) == 1
    for score in (c.hit_rate, c.critical_success_index, c.heidke, c.sedi, c.false_alarm_ratio):
        assert np.isnan(float(score(0, 0, 0, 9)))
    assert np.isnan(float(c.sedi(0, 2, 3, 5)))
    assert float(c.base_rate(0, 0, 0, 9)) == 0


def test_fields_keep_their_labels():
    counts = [xr.DataArray([1.0, 0.0], coords={"lead_time": [1, 2]}, dims="lead_time") for _ in range(4)]
    for score in ALL:
        found = score(*counts)
        assert found.dims == ("lead_time",)
        assert found["lead_time"].values.tolist() == [1, 2]
        assert found.isnull().values.tolist() == [False, True]
