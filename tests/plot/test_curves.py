"""Curves of scores: which are drawn, how they look, what the axes say."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_hex, to_rgb

from oceanx import plot
from oceanx.plot import style
from oceanx.vocabulary.errors import InputError


def lines(ax) -> dict:
    return {line.get_label(): line for line in ax.get_lines() if not line.get_label().startswith("_")}


def test_there_is_a_panel_for_each_variable_and_depth(scores, assert_tidy):
    figure = plot.skill(scores)
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles == ["Potential temperature, 0.49 m", "Potential temperature, 92 m", "Sea surface height"]
    assert [ax.get_ylabel() for ax in figure.axes] == ["RMSE (°C)", "RMSE (°C)", "RMSE (m)"]
    assert {ax.get_xlabel() for ax in figure.axes} == {"Lead time (days)"}
    assert_tidy(figure)


def test_curves_stand_on_days_and_errors_on_zero(scores):
    ax = plot.skill(scores, "zos").axes[0]
    curve = lines(ax)["hybrid"]
    assert np.allclose(curve.get_xdata(), np.arange(1, 11))
    assert np.allclose(curve.get_ydata(), 0.006 * np.arange(1, 11))
    assert ax.get_ylim()[0] == 0


def test_the_oracle_is_dashed_black_references_grey_and_models_coloured(scores):
    drawn = lines(plot.skill(scores, "zos").axes[0])
    assert (to_hex(drawn["oracle"].get_color()), drawn["oracle"].get_linestyle()) == ("#000000", "--")
    for name in ("persistence", "damped persistence", "climatology"):
        red, green, blue = to_rgb(drawn[name].get_color())
        assert red == green == blue
    assert to_hex(drawn["hybrid"].get_color()) == style.PALETTE[0].lower()


def test_many_models_look_different_from_one_another(scores):
    names = [f"model {number}" for number in range(8)]
    many = xr.concat([scores[["zos_rmse"]].isel(model=0, drop=True)] * 8, "model").assign_coords(model=names)
    drawn = lines(plot.skill(many).axes[0])
    assert len({(line.get_color(), line.get_linestyle()) for line in drawn.values()}) == 8


def test_the_legend_names_the_models_once(scores):
    (legend,) = plot.skill(scores).legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts == ["hybrid", "persistence", "damped persistence", "climatology", "oracle"]


def test_chosen_models_come_in_the_order_asked_for(scores):
    (legend,) = plot.skill(scores, models=["oracle", "hybrid"]).legends
    assert [text.get_text() for text in legend.get_texts()] == ["oracle", "hybrid"]


def test_a_reference_turns_errors_into_percentages(scores, assert_tidy):
    figure = plot.skill(scores, "thetao", reference="persistence")
    drawn = lines(figure.axes[0])
    assert np.allclose(drawn["hybrid"].get_ydata(), 40)  # 1 − 0.06 / 0.1
    assert np.allclose(drawn["persistence"].get_ydata(), 0)
    assert figure.axes[0].get_ylabel() == "Better than persistence (%)"
    assert_tidy(figure)


def test_correlations_have_no_unit(scores, assert_tidy):
    figure = plot.skill(scores, metric="acc")
    assert figure.axes[0].get_ylabel() == "Anomaly correlation"
    assert_tidy(figure)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 9])
def test_any_number_of_panels_is_tidy(scores, count, assert_tidy):
    ds = xr.Dataset({f"thing{n}_rmse": scores["zos_rmse"] for n in range(count)})
    figure = plot.skill(ds, title="Every variable")
    assert len(figure.axes) == count
    assert_tidy(figure)


def test_scores_of_one_model_need_no_model_dimension(scores):
    one = scores.isel(model=0, drop=True)
    assert list(lines(plot.skill(one, "zos").axes[0])) == ["forecast"]


def test_a_single_lead_is_a_point_that_can_be_seen(scores):
    drawn = lines(plot.skill(scores.isel(lead_time=[4]), "zos").axes[0])
    assert all(line.get_marker() not in ("", "None", None) for line in drawn.values())


def test_what_the_scores_lack_is_refused_by_name(scores):
    with pytest.raises(InputError, match="unknown variable 'thetaoo'; did you mean 'thetao'"):
        plot.skill(scores, "thetaoo")
    with pytest.raises(InputError, match="unknown model 'hybird'; did you mean 'hybrid'"):
        plot.skill(scores, models=["hybird"])
    with pytest.raises(InputError, match="ends in '_crps'"):
        plot.skill(scores, metric="crps")
    with pytest.raises(InputError, match="unknown model 'nobody'"):
        plot.skill(scores, reference="nobody")
    with pytest.raises(InputError, match="reference: compares errors"):
        plot.skill(scores, metric="acc", reference="persistence")


def test_more_dimensions_or_too_many_panels_are_refused(scores):
    with pytest.raises(InputError, match=r"thetao_rmse: curves stand on .* select init_time first"):
        plot.skill(scores.expand_dims(init_time=[0]), "thetao")
    deep = scores["thetao_rmse"].isel(depth=0, drop=True).expand_dims(depth=np.arange(1.0, 31.0)).to_dataset()
    with pytest.raises(InputError, match="30 panels are too many"):
        plot.skill(deep)
    with pytest.raises(InputError, match="lead_time: expected timedelta64, found int64"):
        plot.skill(scores.assign_coords(lead_time=np.arange(10)))


def with_confidence(scores: xr.Dataset) -> xr.Dataset:
    """Limits at 90 % and 120 % of each score, as a bootstrap would name them."""
    rmse = [str(name) for name in scores if str(name).endswith("_rmse")]
    low, high = ({f"{name}_{end}": by * scores[name] for name in rmse} for end, by in (("low", 0.9), ("high", 1.2)))
    return scores.assign(low | high).assign_attrs(oceanx_confidence=0.95)


def test_the_confidence_is_shaded_from_low_to_high(scores, assert_tidy):
    figure = plot.skill(with_confidence(scores), "thetao")
    days = np.arange(1, 11)
    for ax, part in zip(figure.axes, (1.0, 0.5), strict=True):
        shades = ax.collections
        assert len(shades) == 5  # one a model, in the order of the curves
        (outline,) = [path.vertices for path in shades[0].get_paths()]
        for day, error in zip(days, 0.06 * part * days, strict=True):
            here = outline[np.isclose(outline[:, 0], day), 1]
            assert np.isclose(here.min(), 0.9 * error)
            assert np.isclose(here.max(), 1.2 * error)
        assert (shades[0].get_facecolor()[0][:3] == to_rgb(lines(ax)["hybrid"].get_color())).all()
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts[-1] == "95 % confidence"
    assert_tidy(figure)


def test_without_limits_or_against_a_reference_there_is_no_shade(scores):
    assert not plot.skill(scores, "zos").axes[0].collections
    figure = plot.skill(with_confidence(scores), "zos", reference="persistence")
    assert not figure.axes[0].collections
    assert "confidence" not in " ".join(text.get_text() for text in figure.legends[0].get_texts())


def test_scores_by_region_and_season_have_a_panel_each(scores, assert_tidy):
    two = xr.concat([scores, 2 * scores], "region").assign_coords(region=["gulf_stream", "biscay"])
    figure = plot.skill(two, "zos")
    assert [ax.get_title(loc="left") for ax in figure.axes] == [
        "Sea surface height, gulf_stream", "Sea surface height, biscay",
    ]  # fmt: skip
    assert np.allclose(lines(figure.axes[1])["hybrid"].get_ydata(), 0.012 * np.arange(1, 11))
    assert_tidy(figure)


def test_a_model_without_a_value_is_left_out(scores):
    none = scores.where(scores.model != "hybrid")
    assert "hybrid" not in lines(plot.skill(none, "zos").axes[0])
    assert "hybrid" in lines(plot.skill(none, "zos", models=["hybrid", "oracle"]).axes[0])
    assert "hybrid" not in plot.table(none, variable="zos").index.get_level_values("model")


def test_better_than_a_reference_ends_at_a_hundred_percent(scores):
    assert plot.skill(scores, "thetao", reference="climatology").axes[0].get_ylim()[1] <= 104


def test_a_panel_without_a_value_is_left_out(scores):
    deep = scores.assign(thetao_rmse=scores.thetao_rmse.where(scores.depth < 50))
    titles = [ax.get_title(loc="left") for ax in plot.skill(deep).axes]
    assert titles == ["Potential temperature, 0.49 m", "Sea surface height"]
    bands = scores.rename(depth="depth_band").assign_coords(depth_band=["0-5 m", "5-100 m"])
    titles = [ax.get_title(loc="left") for ax in plot.skill(bands, "thetao").axes]
    assert titles == ["Potential temperature, 0-5 m", "Potential temperature, 5-100 m"]
