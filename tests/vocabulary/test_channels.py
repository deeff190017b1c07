"""Channels: lengths, slices and what is refused; Task: its step."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.vocabulary.channels import Channels, Task
from oceanx.vocabulary.errors import InputError

WORDS = st.lists(st.sampled_from(["thetao", "so", "uo", "vo", "zos", "mlotst", "sst", "u10"]), unique=True)


@st.composite
def any_channels(draw):
    names = draw(WORDS)
    cut = draw(st.integers(0, len(names)))
    depths = st.lists(st.floats(0, 6000), unique=True, min_size=1, max_size=5).map(sorted)
    return Channels(volume=names[:cut], surface=names[cut:], depth=draw(depths))


def test_volume_variables_come_level_by_level_then_surface_ones():
    channels = Channels(volume=("thetao", "uo"), surface=("zos", "mlotst"), depth=(0.5, 50.0, 90.0))
    assert len(channels) == 2 * 3 + 2
    assert channels.names == ("thetao", "uo", "zos", "mlotst")
    assert channels.slices == {"thetao": slice(0, 3), "uo": slice(3, 6), "zos": slice(6, 7), "mlotst": slice(7, 8)}
    assert [channels.levels(name) for name in channels.names] == [3, 3, 1, 1]


@given(any_channels())
@settings(max_examples=50, deadline=None)
def test_slices_cover_every_channel_once_and_in_order(channels):
    positions = [i for name in channels.names for i in range(*channels.slices[name].indices(len(channels)))]
    assert positions == list(range(len(channels)))
    assert Channels.parse(channels.dump()) == channels


def test_no_channels_are_no_channels():
    assert len(Channels()) == 0
    assert Channels().slices == {}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"surface": ["zos", "zos"]}, "'zos'"),
        ({"volume": ["thetao"], "surface": ["thetao"], "depth": [1.0]}, "'thetao'"),
        ({"volume": ["thetao"]}, "depth"),
        ({"volume": ["thetao"], "depth": [10.0, 1.0]}, "increase"),
        ({"volume": ["thetao"], "depth": [1.0, 1.0]}, "once"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(values, said):
    with pytest.raises(InputError, match=said):
        Channels.parse(values)


def test_task_knows_its_step_in_seconds_and_everything_it_reads():
    channels = Channels(surface=("sst",))
    assert Task(prognostic=channels).seconds == 24 * 3600
    assert Task(prognostic=channels, step="6h").seconds == 6 * 3600
    assert Task(prognostic=channels, forcing=Channels(surface=("u10",))).names == ("sst", "u10")


@pytest.mark.parametrize("step", ["0D", "-1D", "soon"])
def test_a_step_that_goes_nowhere_is_refused(step):
    with pytest.raises(InputError, match="step"):
        Task.parse({"prognostic": {"surface": ["sst"]}, "step": step})
