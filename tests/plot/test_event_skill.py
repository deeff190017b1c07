"""Skill in heatwaves by lead and category."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from oceanx import plot
from oceanx.vocabulary.errors import InputError

DAYS = np.arange(1, 11)


@pytest.fixture
def skill() -> xr.Dataset:
    """Straight lines: the hit rate of the hybrid falls by 0.05 a day, that of the strong ones from half the height."""
    hits = np.stack([1 - 0.05 * DAYS, 1 - 0.08 * DAYS])[:, :, None] * np.array([1.0, 0.5])
    dims = ("model", "lead_time", "category")
    return xr.Dataset(
        {"hit_rate": (dims, hits), "false_alarm_ratio": (dims, 1 - hits), "csi": (dims, 0.8 * hits)},
        {
            "model": ["hybrid", "anomaly_persistence"],
            "lead_time": DAYS * np.timedelta64(1, "D"),
            "category": ["Moderate", "Strong"],
        },
    )


def test_a_row_a_metric_and_a_column_a_category(skill, assert_tidy):
    figure = plot.heatwave_skill(skill)
    assert len(figure.axes) == 6
    assert [ax.get_ylabel() for ax in figure.axes[::2]] == ["Hit rate", "False-alarm ratio", "Critical success index"]
    assert [ax.get_title(loc="left") for ax in figure.axes[:2]] == ["Moderate or stronger", "Strong or stronger"]
    assert {ax.get_xlabel() for ax in figure.axes[-2:]} == {"Lead time (days)"}
    line = figure.axes[1].get_lines()[0]
    assert np.allclose(line.get_xdata(), DAYS)
    assert np.allclose(line.get_ydata(), 0.5 * (1 - 0.05 * DAYS))
    assert_tidy(figure)


def test_the_confidence_is_shaded(skill):
    sure = skill.assign(csi_low=skill.csi - 0.1, csi_high=skill.csi + 0.2).assign_attrs(oceanx_confidence=0.9)
    figure = plot.heatwave_skill(sure, "csi")
    shade = figure.axes[1].collections[0].get_paths()[0].vertices
    first = shade[np.isclose(shade[:, 0], 1), 1]
    assert (first.min(), first.max()) == pytest.approx((0.8 * 0.475 - 0.1, 0.8 * 0.475 + 0.2))
    assert figure.legends[0].get_texts()[-1].get_text() == "90 % confidence"


def test_skill_of_one_model_or_without_categories_is_drawn(skill, assert_tidy):
    figure = plot.heatwave_skill(skill.isel(model=0, category=0, drop=True), ["hit_rate"], title="Tasman Sea")
    assert len(figure.axes) == 1
    assert_tidy(figure)


def test_what_is_not_there_is_refused(skill):
    with pytest.raises(InputError, match="unknown metric 'pod'"):
        plot.heatwave_skill(skill, "pod")
    with pytest.raises(InputError, match="unknown model 'hybird'; did you mean 'hybrid'"):
        plot.heatwave_skill(skill, models=["hybird"])
    with pytest.raises(InputError, match="give the skill of heatwaves"):
        plot.heatwave_skill(skill.drop_vars(list(skill)))
    with pytest.raises(InputError, match="hit_rate: is drawn on model × lead_time × category, found region"):
        plot.heatwave_skill(skill.expand_dims(region=["north"]))
