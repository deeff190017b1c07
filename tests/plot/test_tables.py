"""Tables of scores against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from oceanx import plot
from oceanx.vocabulary.errors import InputError

SURFACE = "Potential temperature, 0.49 m: RMSE (°C)"


def test_rows_are_variables_and_models_and_columns_leads(scores):
    frame = plot.table(scores)
    assert list(frame.columns) == ["1 day", "3 days", "5 days", "10 days"]
    assert frame.index.get_level_values(0).unique().tolist() == [
        SURFACE,
        "Potential temperature, 92 m: RMSE (°C)",
        "Sea surface height: RMSE (m)",
    ]
    assert np.allclose(frame.loc[(SURFACE, "hybrid")], [0.06, 0.18, 0.3, 0.6])
    assert np.allclose(frame.loc[("Sea surface height: RMSE (m)", "climatology")], 0.08)


def test_the_room_taken_is_between_persistence_and_the_oracle(scores):
    frame = plot.table(scores)
    assert np.allclose(frame.loc[(SURFACE, "room taken by hybrid")], (0.1 - 0.06) / (0.1 - 0.02))
    assert frame.attrs["percent"] == ["room taken by hybrid"]
    assert frame.attrs["apart"] == ["oracle"]


def test_the_room_is_known_though_its_ends_are_not_shown(scores):
    frame = plot.table(scores, models=["hybrid"], variable="zos")
    assert frame.index.get_level_values(1).tolist() == ["hybrid", "room taken by hybrid"]


def test_without_an_oracle_or_for_correlations_there_is_no_room(scores):
    without = scores.sel(model=["hybrid", "persistence"])
    assert plot.table(without, variable="zos").index.get_level_values(1).tolist() == ["hybrid", "persistence"]
    correlation = plot.table(scores, metric="acc")
    assert not [label for label in correlation.index.get_level_values(1) if "room" in label]
    assert correlation.attrs["better"] == "high"


def test_other_names_of_the_two_ends(scores):
    named = scores.assign_coords(model=["hybrid", "yesterday", "damped", "mean", "best"])
    frame = plot.table(named, variable="zos", persistence="yesterday", oracle="best")
    assert np.allclose(frame.loc[("Sea surface height: RMSE (m)", "room taken by hybrid")], 0.5)
    assert frame.attrs["apart"] == ["best"]


def test_leads_beyond_the_scores_are_left_out_or_refused_if_asked_for(scores):
    week = scores.isel(lead_time=slice(7))
    assert list(plot.table(week).columns) == ["1 day", "3 days", "5 days"]
    with pytest.raises(InputError, match="none at 10 days; they have 1, 2, 3, 4, 5, 6, 7"):
        plot.table(week, leads=(5, 10))
