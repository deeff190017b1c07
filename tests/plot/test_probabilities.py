"""Reliability diagrams and rank histograms: which points, which lines, which lead."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from oceanx import plot
from oceanx.vocabulary.errors import InputError

PROBABILITY = np.linspace(0, 1, 11)
SHARE = np.array([0.5, 0.1, 0.0, 0.1, 0.05, 0.05, 0.05, 0.0, 0.05, 0.05, 0.05])
LEADS = pd.timedelta_range("1D", periods=3)


@pytest.fixture
def odds() -> xr.Dataset:
    """The hybrid is reliable, the other always too bold; two of the eleven probabilities are never given."""
    happened = np.stack([PROBABILITY, 0.5 * PROBABILITY])[:, None, None]
    happened = np.broadcast_to(happened, (2, 3, 2, 11)) * np.array([1.0, 0.9, 0.8])[None, :, None, None]
    happened = np.where(SHARE > 0, happened, np.nan)
    dims = ("model", "lead_time", "depth", "probability")
    ranks = np.broadcast_to(np.array([0.4, 0.1, 0.1, 0.4]), (2, 3, 2, 4))
    return xr.Dataset(
        {
            "thetao_reliability": (dims, happened),
            "thetao_forecast_share": (dims, np.broadcast_to(SHARE, happened.shape)),
            "thetao_brier_reliability": (dims[:3], happened[..., 0]),
            "thetao_rank_histogram": ((*dims[:3], "rank"), ranks),
        },
        {
            "model": ["hybrid", "bold"], "lead_time": LEADS.values, "depth": [0.5, 92.3], "probability": PROBABILITY,
            "rank": np.arange(4),
        },
    )  # fmt: skip


def drawn(ax) -> dict:
    return {line.get_label(): line for line in ax.get_lines() if not line.get_label().startswith("_")}


def test_points_are_what_came_true_where_something_was_said(odds, assert_tidy):
    figure = plot.reliability(odds, lead="1D")
    top = figure.axes[0]
    said = SHARE > 0
    for name, slope in (("hybrid", 1.0), ("bold", 0.5)):
        assert np.allclose(drawn(top)[name].get_xdata(), PROBABILITY[said])
        assert np.allclose(drawn(top)[name].get_ydata(), slope * PROBABILITY[said])
    assert (top.get_ylabel(), figure.axes[2].get_xlabel()) == ("Frequency in the truth", "Forecast probability")
    assert_tidy(figure)


def test_there_are_a_diagonal_the_base_rate_and_the_shares(odds):
    figure = plot.reliability(odds, lead="1D")
    top, _, below, _ = figure.axes
    diagonal, base = [line for line in top.get_lines() if line.get_label().startswith("_")]
    assert np.array_equal(diagonal.get_xydata(), [[0, 0], [1, 1]])
    assert np.allclose(base.get_ydata(), (SHARE * PROBABILITY).sum())
    assert np.allclose(below.get_lines()[0].get_ydata(), SHARE[SHARE > 0])


def test_the_lead_is_the_one_asked_for_or_the_last(odds):
    last, first = plot.reliability(odds), plot.reliability(odds, lead="1D", title="Warm days")
    assert last.get_suptitle() == "After 3 days"
    assert first.get_suptitle() == "Warm days, after 1 day"
    assert drawn(last.axes[0])["hybrid"].get_ydata()[-1] == pytest.approx(0.8)
    with pytest.raises(InputError, match="'9D' is not there; the scores have 1 to 3 days"):
        plot.reliability(odds, lead="9D")


def test_a_panel_for_each_depth_and_none_for_other_scores_of_the_name(odds):
    titles = [ax.get_title(loc="left") for ax in plot.reliability(odds).axes]
    assert [title for title in titles if title] == ["Potential temperature, 0.5 m", "Potential temperature, 92 m"]


def test_heatwaves_have_a_panel_for_each_category(odds, assert_tidy):
    names = {"thetao_reliability": "reliability", "thetao_forecast_share": "forecast_share", "depth": "category"}
    skill = odds[["thetao_reliability", "thetao_forecast_share"]].rename(names)
    figure = plot.reliability(skill.assign_coords(category=["Moderate", "Extreme"]))
    assert [ax.get_title(loc="left") for ax in figure.axes[:2]] == ["Moderate or stronger", "Extreme"]
    assert_tidy(figure)


def test_shares_are_needed(odds):
    with pytest.raises(InputError, match="thetao_reliability without thetao_forecast_share"):
        plot.reliability(odds.drop_vars("thetao_forecast_share"))


def test_ranks_are_bars_about_a_flat_line(odds, assert_tidy):
    figure = plot.rank_histogram(odds.sel(model=["hybrid"]).isel(depth=[0]))
    (ax,) = figure.axes
    assert [bar.get_height() for bar in ax.patches] == pytest.approx([0.4, 0.1, 0.1, 0.4])
    assert [bar.get_x() + bar.get_width() / 2 for bar in ax.patches] == pytest.approx([0, 1, 2, 3])
    (flat,) = ax.get_lines()
    assert np.allclose(flat.get_ydata(), 0.25)
    assert ax.get_xlabel() == "Rank of the truth among the members"
    assert_tidy(figure)


def test_bars_of_two_models_stand_side_by_side(odds):
    ax = plot.rank_histogram(odds).axes[0]
    edges = sorted((bar.get_x(), bar.get_x() + bar.get_width()) for bar in ax.patches)
    assert all(end <= start + 1e-9 for (_, end), (start, _) in pairwise(edges))


def test_scores_without_ranks_or_of_another_kind_are_refused(odds, scores):
    with pytest.raises(InputError, match="ends in '_rank_histogram'"):
        plot.rank_histogram(scores)
    with pytest.raises(InputError, match="scores: expected a Dataset, found DataArray"):
        plot.rank_histogram(odds["thetao_rank_histogram"])
