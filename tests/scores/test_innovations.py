"""Diagnostics of an assimilation find the statistics that it was made with, or that it should have been made with."""

from __future__ import annotations

import numpy as np
import pytest
import toy_analyses as toy
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import oceanx as ox
from oceanx.ocean.flags import flag_attrs
from oceanx.ocean.observations import table
from oceanx.ocean.observing.fingerprint import fingerprint
from oceanx.scores import analysis_scores, departing, innovations_table
from oceanx.vocabulary.errors import InputError

SIGMA_O, SIGMA_B, WINDOWS = 0.4, 0.8, 150


@pytest.fixture(scope="module")
def true():
    """What an analysis with the true statistics leaves: store, table, truth, diagnostics."""
    an, obs, truth = toy.made(WINDOWS, sigma_o=SIGMA_O, sigma_b=SIGMA_B, members=9)
    return an, obs, truth, ox.innovations(an, obs)


def within(found: xr.Dataset, name: str, expected: float) -> None:
    """As near as four standard deviations of the stated sampling error, which must be small."""
    error = float(found[f"{name}_error"])
    assert 0 < error < 0.1 * abs(expected)
    assert abs(float(found[name]) - expected) < 4 * error


def test_true_statistics_are_found_again(true):
    dg = true[3]
    used = dg.sel(role="used")
    within(used, "thetao_sigma_o", SIGMA_O)
    within(used, "thetao_sigma_b", SIGMA_B)
    within(used, "thetao_chi_squared_diagonal", 1.0)
    assert abs(float(dg.chi_squared) - 1) < 4 * float(dg.chi_squared_error)
    assert float(dg.chi_squared_error) == pytest.approx(np.sqrt(2 / (37 * WINDOWS)))
    assert float(used.thetao_spread_skill) == pytest.approx(1, abs=0.03)
    assert float(used.thetao_consistency_ratio) == pytest.approx(float(used.thetao_spread_skill) ** -2)
    assert abs(float(used.thetao_ob_mean)) < 4 * float(used.thetao_ob_mean_error)
    np.testing.assert_allclose([used.thetao_sigma_o_stated, used.thetao_sigma_b_stated], [SIGMA_O, SIGMA_B])
    assert float(used.thetao_sigma_a) == pytest.approx(float(used.thetao_sigma_a_stated), rel=0.03)


def test_the_two_variances_are_the_innovations_own(true):
    """σo² + σb² = E[d²] whatever the statistics, and σa² + E[(y − Hx_a)²] = σo²: the wiring."""
    an, obs, _, _ = true
    for found in (
        ox.innovations(an, obs, depths=[(0, 5), (5, 100)], by=["variable", "platform"]).sel(role="used"),
        ox.innovations(toy_wrong()[0], toy_wrong()[1]).sel(role="used"),
    ):
        o, b, a = (found[f"thetao_sigma_{k}"] ** 2 for k in "oba")
        np.testing.assert_allclose(o + b, found.thetao_ob_rms**2, rtol=1e-12)
        np.testing.assert_allclose(a + found.thetao_oa_rms**2, o, rtol=1e-12)


def toy_wrong(taken_o: float = 0.7, taken_b: float = 0.5) -> tuple[xr.Dataset, xr.Dataset]:
    """No correlations, and an analysis that takes other errors than there are."""
    an, obs, _ = toy.made(WINDOWS, 40, 0, sigma_o=SIGMA_O, sigma_b=SIGMA_B, taken_o=taken_o, taken_b=taken_b, length=0)
    return an, obs


def test_one_pass_cannot_tell_errors_of_one_scale_apart():
    """With R and HBHᵀ both diagonal y − Hx_a = σo'²/(σo'² + σb'²) d, so E[d²] is divided as the analysis took it."""
    an, obs = toy_wrong(0.7, 0.5)
    used = ox.innovations(an, obs).sel(role="used")
    total, taken = SIGMA_O**2 + SIGMA_B**2, 0.7**2 + 0.5**2
    within(used, "thetao_sigma_o", np.sqrt(0.7**2 / taken * total))
    within(used, "thetao_sigma_b", np.sqrt(0.5**2 / taken * total))
    within(used, "thetao_chi_squared_diagonal", total / taken)
    assert float(used.thetao_consistency_ratio) == pytest.approx(total / taken, rel=0.05)
    assert float(used.thetao_influence) == pytest.approx(0.5**2 / taken, rel=1e-12)
    assert float(used.thetao_dfs) == pytest.approx(37 * WINDOWS * 0.5**2 / taken, rel=1e-12)


def test_one_pass_leans_towards_the_truth_where_scales_differ():
    """With B correlated the closed form is tr[R'(HB'Hᵀ+R')⁻¹(HBHᵀ+R)]/p, over the cells of each window."""
    an, obs, _ = toy.made(150, 40, 0, sigma_o=0.6, sigma_b=0.8, taken_o=0.3, taken_b=0.8)
    used = ox.innovations(an, obs).sel(role="used")
    rho = toy.correlation(1.5)
    axes = (toy.DEPTH, toy.LATITUDE, toy.LONGITUDE)
    places = [np.searchsorted(axis, obs[n]) for axis, n in zip(axes, ("depth", "latitude", "longitude"), strict=True)]
    cell = np.ravel_multi_index(places, toy.SHAPE).reshape(150, 40)[:, 3:]
    expected = []
    for these in cell:
        b = 0.8**2 * rho[np.ix_(these, these)]
        eye = np.eye(these.size)
        expected.append(np.trace(0.3**2 * np.linalg.solve(b + 0.3**2 * eye, b + 0.6**2 * eye)) / these.size)
    within(used, "thetao_sigma_o", np.sqrt(np.mean(expected)))
    assert 0.35 < float(used.thetao_sigma_o) < 0.55  # taken .3, true .6


def test_degrees_of_freedom_are_the_trace_that_the_store_has(true):
    an, obs, _, dg = true
    assert float(dg.thetao_dfs.sel(role="used")) == pytest.approx(float(an.degrees_of_freedom.sum()), rel=1e-12)
    by_platform = ox.innovations(an, obs, by=["platform"])
    assert float(by_platform.dfs.sel(role="used").sum()) == pytest.approx(float(dg.degrees_of_freedom), rel=1e-12)
    assert "thetao_count" not in by_platform  # without `variable`, only what has no unit
    np.testing.assert_allclose(by_platform.influence, by_platform.dfs / by_platform["count"])


def test_ranks_are_flat_where_members_are_like_the_truth_and_high_at_the_ends_where_too_alike(true):
    an, obs, _, dg = true
    shares, n = dg.thetao_rank_histogram.sel(role="used"), int(dg.thetao_count.sel(role="used"))
    assert dg.sizes["rank"] == 10
    assert float(shares.sum()) == pytest.approx(1)
    # neighbours have like ranks: as few as a third of the data may be independent
    assert (abs(shares - 0.1) < 4 * np.sqrt(0.09 / (n / 3))).all()
    an, obs, _ = toy.made(150, 40, 0, sigma_b=1.2, taken_b=0.5, members=9)
    ends = ox.innovations(an, obs).thetao_rank_histogram.sel(role="used")[[0, -1]]
    assert (ends > 0.15).all()


def test_without_members_there_is_neither_rank_nor_spread():
    an, obs, _ = toy.made(3)
    dg = ox.innovations(an, obs)
    assert "rank" not in dg.dims
    assert "thetao_spread_skill" not in dg


def test_what_was_not_used_is_compared_with_the_fields(true):
    an, obs, _, dg = true
    held = dg.sel(role="withheld")
    assert int(held.thetao_count) == 10 * WINDOWS
    assert int(held.thetao_missing) == 0
    rows = (np.arange(obs.sizes["obs"]) % 50) >= 40
    part = obs.isel(obs=np.flatnonzero(rows))
    places = {d: xr.DataArray(part[d].values, dims="obs") for d in ("latitude", "longitude", "depth")}
    there = an.drop_dims("obs").sel(
        time=xr.DataArray(part.time.values.astype("M8[D]").astype("M8[ns]"), dims="obs"), **places
    )
    for name, kind in (("thetao", "oa"), ("thetao_background", "ob")):
        departure = part["value"].values - there[name].values
        assert float(held[f"thetao_{kind}_mean"]) == pytest.approx(departure.mean(), rel=1e-9)
        assert float(held[f"thetao_{kind}_rms"]) == pytest.approx(np.sqrt((departure**2).mean()), rel=1e-12)
    # independent of the analysis, so its square is σo² and the analysis' own variance together
    expected = np.sqrt(SIGMA_O**2 + float((there.thetao_std**2).mean()))
    assert float(held.thetao_oa_rms) == pytest.approx(expected, rel=0.05)
    assert np.isnan(held.thetao_sigma_o)
    assert dg.attrs["oceanx_withheld"] == "those of the table that no analysis was made with"


def test_of_another_table_all_is_withheld_and_said_to_be(true):
    an, obs, _, dg = true
    last = obs.isel(obs=np.flatnonzero(np.arange(obs.sizes["obs"]) % 50 >= 40))
    found = ox.innovations(an, last)
    assert found.role.values.tolist() == ["withheld"]
    assert "not the one that the analyses were made with" in found.attrs["oceanx_withheld"]
    for name in ("thetao_count", "thetao_oa_rms", "thetao_ob_mean"):
        np.testing.assert_allclose(found[name], dg[name].sel(role=["withheld"]), rtol=1e-12)
    away = last.assign_coords(latitude=last.latitude + 40, time=last.time)
    lost = ox.innovations(an, away)
    assert (lost.thetao_missing.item(), lost.thetao_count.item()) == (10 * WINDOWS, 0)
    late = last.assign_coords(time=last.time + np.timedelta64(1000, "D"))
    with pytest.raises(InputError, match="no observation of the table is within the time of the analyses"):
        ox.innovations(an, late)


def test_what_the_store_recorded_as_withheld_is_so_with_its_own_departures(true):
    an, obs, _, _ = true
    qc = an.departure_qc.copy(data=np.where(np.arange(an.sizes["obs"]) % 40 < 8, 83, an.departure_qc).astype("u1"))
    qc.attrs = {"flag_values": np.array([0, 1, 83], "u1"), "flag_meanings": "good background withheld"}
    fewer = obs.isel(obs=np.sort(an.departure_row.values))
    an = an.assign(departure_qc=qc, departure_row=("obs", np.arange(an.sizes["obs"])))
    dg = ox.innovations(an.assign_attrs(oceanx_observations=fingerprint(fewer)), fewer)
    assert dg.thetao_count.values.tolist() == [32 * WINDOWS, 5 * WINDOWS]  # three of eight have no analysis in the toy
    assert dg.thetao_missing.values.tolist() == [0, 3 * WINDOWS]
    assert dg.test.values.tolist() == []
    rows = np.arange(an.sizes["obs"]) % 40 < 8
    expected = np.sqrt(np.nanmean(an.departure_analysis.values[rows] ** 2))
    assert float(dg.thetao_oa_rms.sel(role="withheld")) == pytest.approx(expected, rel=1e-12)
    shares = np.bincount(an.departure_rank.values[rows], minlength=10) / rows.sum()
    np.testing.assert_allclose(dg.thetao_rank_histogram.sel(role="withheld"), shares)


def test_what_was_refused_is_counted_by_test(true):
    dg = true[3]
    assert dg.test.values.tolist() == ["background"]
    assert dg.thetao_rejected.sel(role="used").values.tolist() == [3 * WINDOWS]
    assert int(dg.thetao_count.sel(role="used")) == 37 * WINDOWS


@given(seed=st.integers(0, 99), by=st.sets(st.sampled_from(["window", "platform", "depth_band"])))
@settings(max_examples=10, deadline=None)
def test_every_cell_is_that_of_a_plain_loop(seed, by):
    an, obs, _ = toy.made(5, 12, 0, seed=seed, refused=2)
    bands = [(0, 5), (5, 100)]
    dg = ox.innovations(an, obs, by=["variable", *sorted(by)], depths=bands if "depth_band" in by else None, least=1)
    rows = {name: an[f"departure_{name}"].values for name in ("row", "background", "analysis", "qc")}
    window = np.searchsorted(an.time, an.departure_time)
    platform, depth = obs.platform.values[rows["row"]], obs.depth.values[rows["row"]]
    names = ("count", "ob_mean", "oa_rms", "sigma_o", "chi_squared_diagonal")
    values = {name: dg[f"thetao_{name}"].sel(role="used").values for name in names}
    for w in range(5) if "window" in by else [slice(None)]:
        for p in range(3) if "platform" in by else [slice(None)]:
            for z in range(2) if "depth_band" in by else [slice(None)]:
                here = rows["qc"] == 0
                here &= (window == w) | (not isinstance(w, int))
                here &= (platform == p) | (not isinstance(p, int))
                if isinstance(z, int):
                    here &= (depth >= bands[z][0]) & (depth < bands[z][1])
                chosen = {"window": w, "platform": p, "depth_band": z}
                cell = {n: v[tuple(chosen[d] for d in chosen if d in by)] for n, v in values.items()}
                d, a = rows["background"][here], rows["analysis"][here]
                assert cell["count"] == here.sum()
                if not here.any():
                    assert np.isnan(cell["ob_mean"])
                    continue
                assert cell["ob_mean"] == pytest.approx(d.mean(), rel=1e-9)
                assert cell["oa_rms"] == pytest.approx(np.sqrt((a**2).mean()), rel=1e-9)
                estimate, sigma = (a * d).mean(), cell["sigma_o"]
                assert sigma == pytest.approx(np.sqrt(estimate)) if estimate > 0 else np.isnan(sigma)
                assert cell["chi_squared_diagonal"] == pytest.approx((d**2).mean() / 0.8, rel=1e-9)


def test_parts_and_stores_say_what_the_whole_says(tmp_path, monkeypatch):
    an, obs, _ = toy.made(20, members=5)
    whole = ox.innovations(an, obs)
    an.drop_encoding().to_zarr(tmp_path / "an.zarr", consolidated=False)
    monkeypatch.setattr(departing, "AT_ONCE", 150)
    seen = []
    found = ox.innovations(tmp_path / "an.zarr", obs.chunk(obs=70), progress=lambda *told: seen.append(told))
    xr.testing.assert_allclose(found, whole, rtol=1e-10)
    assert ("departures", 800, 800) in seen
    assert ("observations that were not used", 200, 200) in seen
    shuffled = an.isel(obs=np.random.default_rng(0).permutation(an.sizes["obs"]))
    xr.testing.assert_allclose(ox.innovations(shuffled, obs), whole, rtol=1e-10)


def test_windows_are_pooled_by_month_and_platforms_in_networks(true):
    an, obs, _, whole = true
    dg = ox.innovations(an, obs, windows="MS", platforms={"floats": "float*"})
    assert dg.window.values[0] == np.datetime64("2001-01-01")
    assert dg.window.size == 5  # January to May
    assert dg.platform.values.tolist() == ["floats", "other"]
    used = dg.sel(role="used")
    assert int(used.thetao_count.sum()) == int(whole.thetao_count.sel(role="used"))
    january = an.isel(time=slice(0, 31))
    assert float(dg.chi_squared[0]) == pytest.approx(float(january.chi_squared.mean()), rel=1e-12)
    squares = (used.thetao_ob_rms**2 * used.thetao_count).sum() / used.thetao_count.sum()
    assert float(squares) == pytest.approx(float(whole.thetao_ob_rms.sel(role="used")) ** 2, rel=1e-12)
    named = ox.innovations(an, obs, platforms="mooring")
    assert named.platform.values.tolist() == ["mooring", "other"]
    kinds = ox.innovations(an, obs, platforms="network")
    assert kinds.platform.values.tolist() == ["float", "mooring"]
    np.testing.assert_array_equal(kinds.thetao_count.sel(role="used"), used.thetao_count.sum("window"))
    flagged = obs.platform.assign_attrs(flag_attrs(["5900865", "13857", "sentinel3"], "int32"))
    held = ox.innovations(an, obs.assign(platform=flagged), platforms="network")
    assert held.platform.values.tolist() == ["numbered", "sentinel3"]


def test_analyses_within_a_window_belong_to_it():
    """Windows of two days: the second day's states verify its observations, and its diagnostics count once."""
    an, obs, _ = toy.made(8, 12, 4)
    second = an.time.values[1::2]
    one = an.isel(obs=np.flatnonzero(~np.isin(an.departure_time.values, second)))
    first_alone = xr.DataArray(np.arange(8) % 2 == 0, dims="time")
    for name in ("chi_squared", "degrees_of_freedom"):
        one[name] = one[name].where(first_alone)
    one["observations_used"] = one["observations_used"].where(first_alone, 0)
    dg = ox.innovations(one.assign_attrs(oceanx_window="2D"), obs, by=["variable", "window"])
    assert dg.window.values.tolist() == an.time.values[::2].tolist()
    assert dg.thetao_count.sel(role="withheld").values.tolist() == [4 + 16] * 4
    assert dg.observations_used.values.tolist() == [9] * 4
    np.testing.assert_allclose(dg.chi_squared, one.chi_squared[::2])


def test_a_daily_analysis_speaks_for_its_day_whatever_its_hour():
    an, obs, truth = toy.made(6, 12, 4)
    noon = np.timedelta64(12, "h")
    late = an.assign_coords(time=an.time + noon).assign(departure_time=an.departure_time + noon)
    by = ["variable", "window"]
    expected, found = (ox.innovations(x, obs, by=by).drop_vars(["window"]) for x in (an, late))
    xr.testing.assert_allclose(found, expected)
    scored = [analysis_scores(x, y, sites=obs) for x, y in ((an, truth), (late, truth.assign_coords(time=late.time)))]
    np.testing.assert_allclose(scored[1].thetao_rmse_at_sites, scored[0].thetao_rmse_at_sites)


@pytest.mark.parametrize("hours", [6, 12])
def test_of_several_analyses_a_day_an_observation_belongs_to_the_one_that_went_before(hours):
    an, obs, _ = toy.made(8, 12, 4)
    step = np.timedelta64(hours, "h")
    times = an.time.values[0] + np.arange(8) * step
    day = (obs.time.values - an.time.values[0]) // np.timedelta64(1, "D")
    moments = times[day] + np.timedelta64(1, "h") * np.where(np.arange(day.size) % 2, hours - 1, 1)
    quick = an.assign_coords(time=times).assign(
        departure_time=("obs", times[np.searchsorted(an.time, an.departure_time)])
    )
    table = obs.assign_coords(time=("obs", moments)).sortby("time")
    alone = table.isel(
        obs=np.flatnonzero(np.isin(table.feature, np.arange(obs.sizes["obs"])[np.arange(128) % 16 >= 12]))
    )
    found = ox.innovations(quick.assign_attrs(oceanx_window=f"{hours}h"), alone)
    expected = ox.innovations(an, obs).sel(role=["withheld"])
    np.testing.assert_allclose(found.thetao_oa_rms, expected.thetao_oa_rms)
    assert found.thetao_count.item() == 32


def test_too_few_say_nothing_of_variances():
    an, obs, _ = toy.made(1, 12, 4, refused=3)
    dg = ox.innovations(an, obs).sel(role="used")
    assert int(dg.thetao_count) == 9
    assert np.isnan(dg.thetao_sigma_o)
    assert np.isnan(dg.thetao_chi_squared_diagonal)
    assert np.isfinite(dg.thetao_ob_rms)
    assert np.isfinite(ox.innovations(an, obs, least=5).thetao_sigma_o.sel(role="used"))


def test_sea_level_anomalies_need_their_topography_and_lose_their_offset():
    times = np.array(["2001-01-01", "2001-01-02"], "M8[ns]")
    grid = {"time": times, "latitude": toy.LATITUDE, "longitude": toy.LONGITUDE}
    level = np.random.default_rng(0).normal(0, 0.1, (2, 8, 10))
    an = xr.Dataset({"zos": (tuple(grid), level, {"units": "m"})}, grid)
    for name in departing.RECORD:
        an[f"departure_{name}"] = ("obs", np.zeros(0, "M8[ns]" if name == "time" else "i8"))
    an.attrs["oceanx_mean_topography"] = "mine"
    n = 40
    day, j, i = np.repeat([0, 1], n // 2), np.arange(n) % 8, np.arange(n) % 10
    columns = {
        "time": times[day] + np.timedelta64(6, "h"), "latitude": toy.LATITUDE[j], "longitude": toy.LONGITUDE[i],
        "depth": np.zeros(n), "variable": np.zeros(n, "i1"), "value": level[day, j, i] - 1.5 + 0.2 * day,
        "error_std": np.full(n, 0.03), "platform": np.zeros(n, "i4"), "feature": np.arange(n), "qc": np.zeros(n, "u1"),
    }  # fmt: skip
    obs = table(columns, ["sla"], ["jason"])
    with pytest.raises(InputError, match="mean_topography"):
        ox.innovations(an, obs)
    mean = xr.DataArray(np.full((8, 10), 1.2), {d: grid[d] for d in ("latitude", "longitude")}, name="mine")
    dg = ox.innovations(an, obs, mean_topography=mean)
    assert dg.sla_count.item() == n
    np.testing.assert_allclose(dg.sla_oa_rms, 0, atol=1e-12)  # only an offset of each window was between them


def test_a_table_has_a_row_for_every_cell(true):
    an, obs, _, _ = true
    dg = ox.innovations(an, obs, by=["variable", "platform"], windows="MS")
    rows = innovations_table(dg)
    assert len(rows) == 2 * 5 * 3
    assert list(rows.columns[:4]) == ["variable", "role", "window", "platform"]
    one = rows[(rows.role == "used") & (rows.platform == "mooring")].iloc[3]
    cell = dg.sel(role="used", platform="mooring").isel(window=3)
    assert one["sigma_o"] == float(cell.thetao_sigma_o)
    assert one["rejected"] == int(cell.thetao_rejected.sum())
    assert set(innovations_table(ox.innovations(an, obs, by=["platform"])).variable) == {"all"}
    with pytest.raises(InputError, match=r"expected those of ox\.innovations"):
        innovations_table(dg.drop_vars("thetao_count"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": ["depth"]}, "unknown group to diagnose by 'depth'"),
        ({"depths": [(50, 5)]}, "depths: found 50 to 5 m"),
        ({"windows": "fortnight"}, "windows: found 'fortnight'"),
        ({"platforms": "glider*"}, "unknown platform"),
    ],
)
def test_what_cannot_be_grouped_is_refused(true, options, message):
    an, obs, _, _ = true
    with pytest.raises(InputError, match=message.replace("(", "\\(")):
        ox.innovations(an, obs, **options)


def test_what_is_no_store_of_analyses_is_refused(true):
    an, obs, truth, _ = true
    with pytest.raises(InputError, match=r"expected analyses with their departures, as ox\.assimilate"):
        ox.innovations(truth, obs)
    moved = an.assign(departure_time=an.departure_time + np.timedelta64(1, "h"))
    with pytest.raises(InputError, match=r"departure_time: has .* no time of the analyses"):
        ox.innovations(moved, obs)
    with pytest.raises(InputError, match="more than 1000000"):
        ox.innovations(an, many_platforms(obs), by=["variable", "window", "platform", "depth_band"])


def many_platforms(obs: xr.Dataset) -> xr.Dataset:
    """A table that knows a thousand platforms."""
    words = [f"p{n}" for n in range(1000)]
    return obs.assign(platform=obs.platform.assign_attrs(flag_attrs(words, "int32")))
