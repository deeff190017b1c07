"""Figures of an assimilation's diagnostics draw the numbers that they are given."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from matplotlib.dates import date2num

from oceanx import plot
from oceanx.vocabulary.errors import InputError

TIMES = np.datetime64("2001-01-01", "ns") + np.arange(6) * np.timedelta64(10, "D")


def diagnostics(platforms: bool = False, bands: bool = False, windows: bool = False) -> xr.Dataset:
    """Of temperature (used and withheld) and sea level (used alone): every number another."""
    rng = np.random.default_rng(0)
    labels = {"role": ["used", "withheld"]}
    labels |= {"window": TIMES} if windows else {}
    labels |= {"platform": ["float", "jason"]} if platforms else {}
    labels |= {"depth_band": ["0-5 m", "5-100 m"]} if bands else {}
    shape = [len(v) for v in labels.values()]
    ds = xr.Dataset(coords=labels | {"test": ["background", "buddy"], "rank": np.arange(5)})
    for name, unit in (("thetao", "degrees_C"), ("zos", "m")):
        for kind in ("ob_rms", "oa_rms", "ob_mean", "oa_mean"):
            ds[f"{name}_{kind}"] = (list(labels), rng.normal(1, 0.1, shape), {"units": unit})
        for kind in ("sigma_o", "sigma_b"):
            for end, size in (("", 1.0), ("_error", 0.05), ("_stated", 1.2)):
                ds[f"{name}_{kind}{end}"] = (list(labels), size * rng.uniform(0.9, 1.1, shape), {"units": unit})
        ds[f"{name}_count"] = (list(labels), rng.integers(20, 40, shape))
        ds[f"{name}_rejected"] = ([*labels, "test"], rng.integers(0, 5, [*shape, 2]))
        attrs = {"long_name": "Share of the observations at each rank among the members"}
        ds[f"{name}_rank_histogram"] = ([*labels, "rank"], rng.dirichlet(np.ones(5), shape), attrs)
    for name in ("zos_count", "zos_oa_rms", "zos_ob_rms"):
        ds[name] = ds[name].where(ds.role == "used", 0 if name.endswith("count") else np.nan)
    if windows:
        ds["chi_squared"] = ("window", rng.normal(1, 0.1, 6))
        ds["chi_squared_error"] = ("window", np.full(6, 0.05))
    return ds


def lines(ax) -> dict[str, np.ndarray]:
    return {line.get_label(): np.asarray(line.get_ydata()) for line in ax.get_lines()}


def test_departures_are_drawn_window_by_window():
    dg = diagnostics(windows=True)
    figure = plot.innovations(dg, title="A year")
    top, counts, below, _, chi = figure.axes
    drawn = lines(top)
    np.testing.assert_array_equal(drawn["O−B, root mean square"], dg.thetao_ob_rms.sel(role="used"))
    np.testing.assert_array_equal(drawn["O−A, not used"], dg.thetao_oa_rms.sel(role="withheld"))
    np.testing.assert_array_equal(drawn["O−A, mean"], dg.thetao_oa_mean.sel(role="used"))
    assert "O−A, not used" not in lines(below)
    assert top.get_ylabel() == "Departure (°C)"
    assert below.get_ylabel() == "Departure (m)"
    heights = [bar.get_height() for bar in counts.patches]
    used, refused = dg.thetao_count.sel(role="used"), dg.thetao_rejected.sel(role="used").sum("test")
    np.testing.assert_array_equal(heights, np.concatenate([used, refused]))
    assert [bar.get_y() for bar in counts.patches[6:]] == used.values.tolist()
    assert any(np.array_equal(line.get_ydata(), dg.chi_squared) for line in chi.get_lines())
    np.testing.assert_allclose(chi.get_lines()[-1].get_xdata(), date2num(TIMES))
    shade = chi.collections[0].get_datalim(chi.transData).get_points()
    np.testing.assert_allclose(shade[:, 1], [1 - 1.96 * 0.05, 1 + 1.96 * 0.05])
    assert figure.get_suptitle() == "A year"


def test_platforms_and_bands_have_panels_where_something_was_observed():
    dg = diagnostics(platforms=True, bands=True, windows=True)
    dg["thetao_count"] = dg.thetao_count.where(dg.platform == "float", 0)
    titles = [ax.get_title(loc="left") for ax in plot.innovations(dg, "thetao").axes]
    heat = "Potential temperature, float"
    assert titles == [f"{heat}, 0-5 m", "", f"{heat}, 5-100 m", "", "All observations of a window"]


def test_stated_and_diagnosed_errors_stand_side_by_side():
    dg = diagnostics(platforms=True, bands=True)
    dg["zos_count"] = dg.zos_count.where((dg.platform == "jason") & (dg.depth_band == "0-5 m"), 0)
    figure = plot.consistency(dg)
    heat, level = figure.axes
    assert [t.get_text() for t in heat.get_yticklabels()] == [
        "float, 0-5 m", "float, 5-100 m", "jason, 0-5 m", "jason, 5-100 m",
    ]  # fmt: skip
    assert [t.get_text() for t in level.get_yticklabels()] == ["jason, 0-5 m"]
    used = dg.sel(role="used")
    points = [np.asarray(line.get_xdata()) for line in heat.get_lines()]
    for name in ("sigma_o", "sigma_b", "sigma_o_stated", "sigma_b_stated"):
        expected = used[f"thetao_{name}"].transpose("platform", "depth_band").values.ravel()
        assert any(p.shape == expected.shape and np.allclose(p, expected) for p in points), name
    bar = heat.collections[0].get_segments()[0]
    half = 2 * float(used.thetao_sigma_o_error[0, 0])
    np.testing.assert_allclose(bar[:, 0], float(used.thetao_sigma_o[0, 0]) + half * np.array([-1, 1]))
    assert heat.get_xlabel() == "Standard deviation (°C)"
    assert heat.get_ylim()[0] > heat.get_ylim()[1]  # the shallowest on top


def test_pooled_diagnostics_have_one_row():
    (ax,) = plot.consistency(diagnostics(), "zos").axes
    assert [t.get_text() for t in ax.get_yticklabels()] == ["all"]


def test_ranks_of_observations_say_that_they_are():
    (ax,) = plot.rank_histogram(diagnostics().sel(role="used"), "thetao").axes
    assert ax.get_xlabel() == "Rank of the observation among the members"
    assert ax.get_ylabel() == "Share of observations"


@pytest.mark.parametrize(
    ("kind", "make", "message"),
    [
        ("innovations", lambda: diagnostics(), "is drawn over windows; diagnose with windows='10D'"),
        ("innovations", lambda: diagnostics(windows=True).isel(window=[0]), "is drawn over windows"),
        ("innovations", lambda: xr.Dataset({"thetao_rmse": 1.0}), "ends in 'oa_rms'|ends in '_oa_rms'"),
        ("consistency", lambda: diagnostics(windows=True), "found windows; select one first"),
        ("consistency", lambda: diagnostics().sel(role=["withheld"]), "needs the observations that were used"),
        ("consistency", lambda: diagnostics().drop_dims("role"), "ends in '_sigma_o'"),
    ],
)
def test_what_cannot_be_drawn_is_refused(kind, make, message):
    with pytest.raises(InputError, match=message):
        plot.KINDS[kind](make())


def test_an_unknown_variable_is_refused():
    with pytest.raises(InputError, match="unknown variable 'so'"):
        plot.consistency(diagnostics(), "so")
