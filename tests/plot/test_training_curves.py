"""Curves of a training: loss, coefficients, validation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from oceanx import plot
from oceanx.vocabulary.errors import InputError


@pytest.fixture
def log() -> pd.DataFrame:
    count = np.arange(1, 101)
    return pd.DataFrame(
        {
            "iteration": count, "loss": 10.0 * np.exp(-count / 20), "gradient_norm": 1.0 + 0 * count,
            "rollout": np.where(count > 60, 2, 1), "core.viscosity [m2 s-1]": 300.0 - count,
        }
    )  # fmt: skip


def test_the_loss_is_drawn_with_its_running_median(log, assert_tidy):
    figure = plot.losses(log)
    loss, norm = figure.axes
    every, median, longer = loss.get_lines()
    assert np.array_equal(every.get_ydata(), log["loss"])
    assert median.get_label() == "median of 10"
    assert median.get_ydata()[50] == pytest.approx(np.median(log["loss"][45:55]))
    assert list(longer.get_xdata()) == [61, 61]
    assert (loss.get_yscale(), norm.get_yscale()) == ("log", "linear")
    assert (loss.get_ylabel(), norm.get_ylabel()) == ("Loss", "Norm of the gradient")
    assert_tidy(figure)


def test_a_loss_below_zero_has_a_linear_axis(log):
    assert plot.losses(log.assign(loss=log["loss"] - 5)).axes[0].get_yscale() == "linear"


def test_coefficients_bear_their_units(log, assert_tidy):
    figure = plot.coefficients(log, ["core.viscosity [m2 s-1]"])
    (ax,) = figure.axes
    assert (ax.get_title(loc="left"), ax.get_ylabel()) == ("Core, viscosity", "m² s⁻¹")
    assert np.array_equal(ax.get_lines()[0].get_ydata(), log["core.viscosity [m2 s-1]"])
    assert_tidy(figure)


def test_validation_shows_the_top_level_at_some_leads(assert_tidy):
    rows = [
        (step, name, depth, lead, step * lead + (depth if depth == depth else 0))
        for step in (10, 20)
        for name, depths in (("thetao", (0.5, 92.0)), ("zos", (np.nan,)))
        for depth in depths
        for lead in (1, 2, 3, 4, 5)
    ]
    errors = pd.DataFrame(rows, columns=["iteration", "variable", "depth", "lead_days", "rmse"])
    figure = plot.validation(errors)
    warm, high = figure.axes
    assert (warm.get_title(loc="left"), warm.get_ylabel()) == ("Potential temperature, 0.5 m", "RMSE (°C)")
    assert (high.get_title(loc="left"), high.get_ylabel()) == ("Sea surface height", "RMSE (m)")
    assert [line.get_label() for line in warm.get_lines()] == ["1 day", "3 days", "5 days"]
    assert list(warm.get_lines()[1].get_ydata()) == [30.5, 60.5]
    assert_tidy(figure)


def test_tables_that_are_something_else_are_refused(log):
    with pytest.raises(InputError, match="log: no column loss"):
        plot.losses(log.drop(columns="loss"))
    with pytest.raises(InputError, match="log: has no row yet"):
        plot.losses(log[:0])
    with pytest.raises(InputError, match="no column drag"):
        plot.coefficients(log, ["drag"])
    with pytest.raises(InputError, match="validation: no column variable"):
        plot.validation(log)
