"""Through time: legs between dates, steps short enough for the signals, and what is refused."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_channel import channel
from toy_core import START, CarriedConfig, run

from oceanx.tensors.state import Fields, State
from oceanx.vocabulary.errors import InputError
from oceanx.workflows.simulation.march import Leg, legs, parts
from oceanx.workflows.simulation.setup import set_up

CORE = CarriedConfig()


@settings(max_examples=15, deadline=None)
@given(hours=st.integers(1, 100), breaks=st.lists(st.integers(-5, 105), max_size=4), number=st.integers(1, 50))
def test_legs_and_their_parts_cover_the_time(hours: int, breaks: list[int], number: int) -> None:
    start = np.datetime64(START, "ns")
    dates = start + np.array(sorted(breaks), dtype="timedelta64[h]")
    way = list(legs(start, start + np.timedelta64(hours, "h"), dates))
    assert way[0].start == start
    assert way[-1].stop == start + np.timedelta64(hours, "h")
    assert all(a.stop == b.start for a, b in itertools.pairwise(way))
    assert all(0 < leg.seconds <= 86400 for leg in way)
    assert not any(leg.start < date < leg.stop for leg in way for date in dates)
    inside = parts(way[0], number)
    assert inside[0][0].start == way[0].start
    assert inside[-1][0].stop == way[0].stop
    assert sum(steps for _, steps in inside) == number
    for part, steps in inside:
        assert part.seconds == pytest.approx(way[0].seconds * steps / number, abs=1e-6)
        assert part.seconds <= 3600 + 1e-6 or steps == 1 or part.seconds < 7200


def test_a_leg_whose_end_asks_for_shorter_steps_is_taken_again() -> None:
    class Growing(torch.nn.Module):
        config = CORE
        taken: list[int]

        def rates(self, state: State, forcing: Fields | None = None) -> dict[str, float]:
            return {"advection": float(state["x"].max())}

        def forward(self, state: State, forcing: Fields, seconds: float, steps: int) -> State:
            self.taken.append(steps)
            return state.map(lambda x: 4 * x)

    core = Growing()
    core.geometry, core.taken = set_up(channel(), CORE, START).geometry, []
    from oceanx.workflows.simulation.march import March

    leg = Leg(np.datetime64(START, "ns"), np.datetime64("2000-01-02", "ns"))
    after = March(core, leg.start)(State({"x": torch.full((1, 2, 6, 12), 0.9e-5)}), Fields({}), leg)  # type: ignore[arg-type]
    assert core.taken == [2, 7]  # 0.9e-5 and 3.6e-5 times a day, over 0.45
    assert after["x"].max() == pytest.approx(3.6e-5)


def test_a_step_that_is_too_long_is_refused_with_one_that_would_do() -> None:
    fast = channel(speed=5.0, longitude=np.arange(-178.5, 180, 3.0))
    with pytest.raises(
        InputError, match=r"2000-01-01 00:00:00: 1 substep of 1 d will not do: currents cross .* would do"
    ):
        run(fast, step=86400.0)
    assert (run(fast, days=1).time_step[1:] < 86400).all()
    with pytest.raises(InputError, match="step: found 0"):
        run(step=0)
