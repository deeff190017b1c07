import numpy as np
import pytest

from oceanx.data import axis
from oceanx.vocabulary.errors import InputError


def test_span_means_whole_periods():
    first, last = axis.span("1993:1994-02")
    assert first == np.datetime64("1993-01-01")
    assert np.datetime64("1994-02-28T23:59:59") < last < np.datetime64("1994-03-01")
    assert axis.span(slice("2020-01-05", None)) == (np.datetime64("2020-01-05"), None)
    assert axis.span("2020-01-05")[0] == axis.span(slice("2020-01-05", "2020-01-05"))[0]
    assert axis.span(None) == (None, None)


@pytest.mark.parametrize("text", ["yesterday", "1993-13-01:1994", "1994:1993", "1:2:3"])
def test_what_is_no_date_is_refused(text):
    with pytest.raises(InputError, match="time:"):
        axis.span(text)


def days(*texts):
    return np.array(texts, "datetime64[ns]")


def test_regular_axis_has_every_step_from_first_to_last():
    held = days("2020-02-27", "2020-02-28", "2020-03-02")
    assert axis.regular(held, "1D", str).size == 5  # 2020 is a leap year
    assert axis.regular(held, None, str).size == 5


def test_months_are_regular_though_their_lengths_are_not():
    held = days("2020-01-01", "2020-02-01", "2020-04-01")
    np.testing.assert_array_equal(axis.regular(held, None, str), days(*(f"2020-0{m}-01" for m in range(1, 5))))


def test_times_off_the_axis_are_refused_with_their_file():
    held = days("2020-01-01", "2020-01-02T06:00", "2020-01-03")
    with pytest.raises(InputError, match=r"file.nc: time 2020-01-02T06.* set regular=false"):
        axis.regular(held, "1D", lambda time: "file.nc")
    with pytest.raises(InputError, match=r"file.nc: .* breaks the step of 24 h"):
        axis.regular(days("2020-01-01", "2020-01-02", "2020-01-03T06:00"), None, lambda time: "file.nc")


def test_long_gaps_are_refused_unless_allowed():
    whole = axis.regular(days("2020-01-01", "2020-12-31"), "1D", str)
    with pytest.raises(InputError, match="364 of 366 times from 2020-01-01 to 2020-12-31 are in no file"):
        axis.refuse_gaps(whole, whole[1:-1], 0.5)
    axis.refuse_gaps(whole, whole[1:-1], 1.0)
