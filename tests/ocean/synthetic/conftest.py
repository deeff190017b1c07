"""A small spun-up ocean and a year of it, made once for all tests here."""

from __future__ import annotations

import numpy as np
import pytest

from oceanx.ocean.synthetic.config import Ocean
from oceanx.ocean.synthetic.files import day_number
from oceanx.ocean.synthetic.model import Model

FIRST = day_number("2001-01-01")
DAYS = 420


@pytest.fixture(scope="session")
def model():
    return Model(Ocean.basin(1.0, spinup=450))


@pytest.fixture(scope="session")
def spun_up(model):
    return list(model.spin_up(FIRST))[-1][1]


@pytest.fixture(scope="session")
def year(model, spun_up):
    """(fields, states, air): delivered daily means stacked over DAYS days, and states at the ends of some of them."""
    fields, states, air = [], {}, []
    for day in model.run(spun_up, FIRST, FIRST + DAYS):
        fields.append(day.ocean)
        air.append({name: field.mean(axis=0) for name, field in day.air.items()})
        if (day.number - FIRST) % 60 == 19:
            states[day.number] = day.state
    stack = {name: np.stack([field[name] for field in fields]) for name in fields[0]}
    return stack, states, {name: np.stack([field[name] for field in air]) for name in air[0]}
