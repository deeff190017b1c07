"""Scores against arithmetic done cell by cell; parts add up to the whole; what cannot be compared is refused."""

from __future__ import annotations

import dask.array
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.ocean.climatology import at, climatology
from oceanx.ocean.grid import complete
from oceanx.ocean.labels import forecast_labels, label
from oceanx.scores import combine, score, skill
from oceanx.scores.aggregate import aggregate
from oceanx.vocabulary.errors import InputError

TIME = pd.date_range("2000-01-01", "2001-12-31")
VOLUME = ("depth", "latitude", "longitude")


def ocean():
    """Two years of temperature (three levels) and sea level on 4 × 5 cells with land and a shallow cell."""
    rng = np.random.default_rng(11)
    values = rng.normal(10, 2, size=(len(TIME), 3, 4, 5)).astype(np.float32)
    values[:, :, 0, 0] = values[:, 2, 1, 1] = np.nan
    level = rng.normal(0, 0.1, size=(len(TIME), 4, 5)).astype(np.float32)
    level[:, 0, 0] = np.nan
    ds = xr.Dataset(
        {
            "thetao": (("time", *VOLUME), values, {"units": "degrees_C"}),
            "zos": (("time", *VOLUME[1:]), level, {"units": "m"}),
        },
        coords={
            "time": TIME,
            "depth": [0.5, 50.0, 500.0],
            "latitude": [10.0, 30.0, 50.0, 70.0],
            "longitude": [-40.0, -30.0, -20.0, -10.0, 0.0],
        },
    )
    return complete(ds)


TRUTH = ocean()
CLIM = climatology(TRUTH)
STARTS = pd.to_datetime(["2001-02-20", "2001-05-30", "2001-08-10", "2001-11-29"])


def forecast(seed=0, error=1.0, members=None, starts=STARTS, leads=4):
    """The truth at each valid date plus independent errors."""
    ds = forecast_labels(
        starts, pd.timedelta_range("1D", periods=leads), TRUTH, None if members is None else range(members)
    )
    rng = np.random.default_rng(seed)
    there = TRUTH.sel(time=ds["valid_time"]).drop_vars("time")
    for name in ("thetao", "zos"):
        shape = (() if members is None else (members,)) + there[name].shape
        dims = (() if members is None else ("member",)) + there[name].dims
        noise = xr.DataArray(error * rng.normal(size=shape).astype(np.float32), dims=dims)
        ds[name] = (noise + there[name]).transpose(*dims).assign_attrs(there[name].attrs)
    return label(ds)


def pairs(fc, name, lead, level=None, clim=None):
    """Forecast, truth, weight (and climatology) of every wet cell and start, as flat lists."""
    rows = []
    for i in range(fc.sizes["init_time"]):
        f = fc[name].isel(init_time=i, lead_time=lead)
        date = fc["valid_time"].values[i, lead]
        t = TRUTH[name].sel(time=date)
        c = at(CLIM, date)[name][0] if clim else t
        if level is not None:
            f, t, c = f.isel(depth=level), t.isel(depth=level), c.isel(depth=level)
        for y in range(4):
            for x in range(5):
                if np.isfinite(float(t[y, x])):
                    cell = f[..., y, x].values.astype(float)
                    rows.append((cell, float(t[y, x]), float(TRUTH["cell_area"][y, x]), float(c[y, x])))
    f, t, w, c = (np.array(list(column)) for column in zip(*rows, strict=True))
    return f, t, w, c


def test_errors_equal_arithmetic_by_cell():
    fc = forecast()
    table = score(fc, TRUTH, metrics=["rmse", "mse", "mae", "bias"])
    assert table["thetao_rmse"].dims == ("lead_time", "depth")
    assert table["zos_rmse"].dims == ("lead_time",)
    for name, level in (("thetao", 0), ("thetao", 2), ("zos", None)):
        for lead in (0, 3):
            f, t, w, _ = pairs(fc, name, lead, level)
            found = table.isel(lead_time=lead) if level is None else table.isel(lead_time=lead, depth=level)
            mse = np.average((f - t) ** 2, weights=w)
            assert float(found[f"{name}_mse"]) == pytest.approx(mse, rel=1e-12)
            assert float(found[f"{name}_rmse"]) == pytest.approx(np.sqrt(mse), rel=1e-12)
            assert float(found[f"{name}_mae"]) == pytest.approx(np.average(np.abs(f - t), weights=w), rel=1e-12)
            assert float(found[f"{name}_bias"]) == pytest.approx(np.average(f - t, weights=w), rel=1e-9)
    assert (table["thetao_missing"] == 0).all()


def test_anomaly_scores_equal_arithmetic_by_cell():
    fc = forecast(seed=1, error=1.5)
    table = score(fc, TRUTH, climatology=CLIM, metrics=["acc", "nrmse", "activity", "activity_ratio"])
    f, t, w, c = pairs(fc, "thetao", 1, 1, clim=True)
    away, true = f - c, t - c
    found = {k: float(v.isel(lead_time=1, depth=1)) for k, v in table.items() if k.startswith("thetao")}
    mean = lambda x: np.average(x, weights=w)  # noqa: E731
    std = lambda x: np.sqrt(mean(x**2) - mean(x) ** 2)  # noqa: E731
    assert found["thetao_acc"] == pytest.approx(mean(away * true) / np.sqrt(mean(away**2) * mean(true**2)), rel=1e-9)
    assert found["thetao_nrmse"] == pytest.approx(np.sqrt(mean((f - t) ** 2) / mean(true**2)), rel=1e-9)
    assert found["thetao_activity"] == pytest.approx(std(away), rel=1e-9)
    assert found["thetao_activity_ratio"] == pytest.approx(std(away) / std(true), rel=1e-9)
    assert table.attrs["oceanx_climatology_period"] == "2000-01-01/2001-12-31"


def test_climatology_as_forecast_has_no_activity_and_perfect_forecast_no_error():
    perfect = forecast(error=0.0)
    table = score(perfect, TRUTH, climatology=CLIM, metrics=["rmse", "acc", "activity_ratio"])
    assert (table["thetao_rmse"] == 0).all()
    np.testing.assert_allclose(table["zos_acc"], 1.0)
    np.testing.assert_allclose(table["zos_activity_ratio"], 1.0)
    cycle = at(CLIM, perfect["valid_time"])
    dull = perfect.assign({n: cycle[n].drop_vars("valid_time").assign_attrs(perfect[n].attrs) for n in cycle})
    assert (score(label(dull), TRUTH, climatology=CLIM, metrics=["activity"])["thetao_activity"] == 0).all()


def test_ensemble_scores_equal_arithmetic_by_cell():
    fc = forecast(seed=2, members=5)
    table = score(fc, TRUTH, metrics=["rmse", "rmse_unbiased", "spread", "crps"], variables=["thetao"])
    f, t, w, _ = pairs(fc, "thetao", 2, 0)
    mean, variance = f.mean(axis=1), f.var(axis=1, ddof=1)
    found = {k: float(v.isel(lead_time=2, depth=0)) for k, v in table.items()}
    mse = np.average((mean - t) ** 2, weights=w)
    assert found["thetao_rmse"] == pytest.approx(np.sqrt(mse), rel=1e-9)
    assert found["thetao_spread"] == pytest.approx(np.sqrt(np.average(variance, weights=w)), rel=1e-9)
    unbiased = max(mse - np.average(variance, weights=w) / 5, 0)
    assert found["thetao_rmse_unbiased"] == pytest.approx(np.sqrt(unbiased), rel=1e-9)
    away = np.abs(f - t[:, None]).mean(axis=1)
    between = np.abs(f[:, :, None] - f[:, None, :]).sum(axis=(1, 2)) / (2 * 5 * 4)
    assert found["thetao_crps"] == pytest.approx(np.average(away - between, weights=w), rel=1e-9)


def test_unbiased_error_does_not_depend_on_how_many_members():
    """Truth = signal; members = signal + bias + noise: the infinite ensemble's error is the bias, 0.5."""
    starts = pd.date_range("2000-01-01", periods=300, freq="2D")
    for count in (3, 20):
        fc = forecast(seed=count, members=count, starts=starts, leads=1)
        fc["zos"] = (fc["zos"] + 0.5).assign_attrs(fc["zos"].attrs)
        table = score(fc, TRUTH, metrics=["rmse_unbiased"], variables=["zos"])
        assert float(table["zos_rmse_unbiased"].squeeze()) == pytest.approx(0.5, abs=0.03)


def test_without_members_crps_is_the_absolute_error_and_spread_is_unknown():
    models = {"one": forecast(), "many": forecast(members=3)}
    table = score(models, TRUTH, metrics=["mae", "crps", "spread", "rmse_unbiased"], variables=["zos"])
    one = table.sel(model="one")
    np.testing.assert_allclose(one["zos_crps"], one["zos_mae"])
    assert one["zos_spread"].isnull().all()
    assert one["zos_rmse_unbiased"].isnull().all()
    assert table["zos_spread"].sel(model="many").notnull().all()


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.integers(1, 5), st.integers(1, 60))
def test_chunks_do_not_change_a_bit(init, lead, depth, cells, days):
    models = {"a": forecast(seed=1), "b": forecast(seed=2, members=3)}
    options = {"climatology": CLIM, "metrics": ["rmse", "acc", "crps"], "by": ["season"]}
    whole = score(models, TRUTH, **options)
    cut = {m: f.chunk(init_time=init, lead_time=lead, depth=depth, longitude=cells) for m, f in models.items()}
    xr.testing.assert_identical(score(cut, TRUTH.chunk(time=days, depth=depth), **options), whole)


def test_batches_do_not_change_a_bit(monkeypatch):
    fc = forecast(members=2)
    whole = score(fc, TRUTH, metrics=["rmse", "spread"])
    monkeypatch.setattr("oceanx.scores.aggregate.BATCH_BYTES", 1)
    xr.testing.assert_identical(score(fc, TRUTH, metrics=["rmse", "spread"]), whole)


def test_parts_add_up_to_the_whole_to_the_bit():
    models = {"a": forecast(seed=1), "b": forecast(seed=2)}
    everywhere = {"": np.ones((4, 5), dtype=bool)}

    def sums(part):
        chosen = {m: f.isel(init_time=part) for m, f in models.items()}
        return aggregate(chosen, TRUTH, ["squared_error", "error"], ["thetao", "zos"], everywhere)

    whole = sums(slice(None))
    xr.testing.assert_identical(combine([sums(slice(2, 4)), sums(slice(0, 1)), sums(slice(1, 2))]), whole)
    with pytest.raises(InputError, match="more than one part"):
        combine([whole, sums(slice(0, 1))])


def test_by_start_date_pools_to_the_whole():
    fc = forecast()
    each = score(fc, TRUTH, metrics=["mse"], by=["init_time"])
    assert each["thetao_mse"].dims == ("init_time", "lead_time", "depth")
    whole = score(fc, TRUTH, metrics=["mse"])
    xr.testing.assert_allclose(each["thetao_mse"].mean("init_time"), whole["thetao_mse"])
    xr.testing.assert_allclose(each.isel(init_time=2, drop=True), score(fc.isel(init_time=[2]), TRUTH, metrics=["mse"]))


def test_season_is_that_of_the_valid_date():
    table = score(forecast(), TRUTH, by=["season"])
    assert table["season"].values.tolist() == ["DJF", "MAM", "JJA", "SON"]
    spring = score(forecast().isel(init_time=[1]), TRUTH)  # starts 30 May: lead 1 in spring, leads 2 to 4 in summer
    lone = table["zos_rmse"].sel(season="MAM")
    assert float(lone[0]) == pytest.approx(float(spring["zos_rmse"][0]), rel=1e-12)
    assert lone[1:].isnull().all()


def test_regions_named_and_given():
    fc = forecast()
    boxes = {
        "north": {"minimum_latitude": 40, "maximum_latitude": 90},
        "whole": "global",
        "wrapped": {
            "minimum_latitude": -90,
            "maximum_latitude": 90,
            "minimum_longitude": -5,
            "maximum_longitude": -35,
        },
    }
    table = score(fc, TRUTH, regions=boxes)
    assert table["zos_rmse"].dims == ("region", "lead_time")
    xr.testing.assert_allclose(table.sel(region="whole", drop=True), score(fc, TRUTH))
    north, north_truth = (x.sel(latitude=slice(40, 90)) for x in (fc, TRUTH))
    xr.testing.assert_allclose(table.sel(region="north", drop=True), score(north, north_truth))
    ends = [x.isel(longitude=[0, 4]) for x in (fc, TRUTH)]
    xr.testing.assert_allclose(table.sel(region="wrapped", drop=True), score(*ends))
    named = score(fc, TRUTH, by=["region"])
    assert {"global", "tropics", "northern_extratropics"} <= set(named["region"].values)
    assert "kuroshio" not in named["region"].values
    with pytest.raises(InputError, match="unknown region 'tropcs'; did you mean 'tropics'"):
        score(fc, TRUTH, regions=["tropcs"])
    with pytest.raises(InputError, match="region 'kuroshio': no cell"):
        score(fc, TRUTH, regions=["kuroshio"])
    with pytest.raises(InputError, match="maximum_latitude"):
        score(fc, TRUTH, regions={"mine": {"minimum_latitude": 3}})


def test_regions_are_found_on_a_grid_across_the_date_line():
    beyond = {"longitude": [150.0, 170.0, 190.0, 210.0, 230.0]}
    fc, truth = (ds.assign_coords(beyond) for ds in (forecast(), TRUTH))
    box = {"minimum_latitude": -90, "maximum_latitude": 90, "minimum_longitude": 165, "maximum_longitude": -150}
    table = score(fc, truth, regions={"pacific": box})
    some = [ds.isel(longitude=[1, 2, 3]) for ds in (fc, truth)]
    xr.testing.assert_allclose(table.sel(region="pacific", drop=True), score(*some))


def test_forecast_on_some_of_the_levels():
    fc = forecast()
    some = fc.isel(depth=[0, 2])
    xr.testing.assert_allclose(score(some, TRUTH)["thetao_rmse"], score(fc, TRUTH)["thetao_rmse"].isel(depth=[0, 2]))
    with pytest.raises(InputError, match="depth: the forecast's level 60 m is not in the truth, whose nearest is 50"):
        score(fc.assign_coords(depth=[0.5, 60.0, 500.0]), TRUTH)


def test_what_the_forecast_lacks_is_reported():
    fc = forecast()
    holes = fc.assign(thetao=fc["thetao"].where(fc["latitude"] < 60))
    table = score(holes, TRUTH)
    cells = TRUTH["cell_area"].where(TRUTH["mask"].isel(depth=0) == 1)
    share = float(cells.sel(latitude=70).sum() / cells.sum())
    np.testing.assert_allclose(table["thetao_missing"].isel(depth=0), share)
    xr.testing.assert_allclose(
        table["thetao_rmse"].isel(depth=0),
        score(fc.isel(latitude=slice(3)), TRUTH.isel(latitude=slice(3)))["thetao_rmse"].isel(depth=0),
    )
    empty = fc.assign(zos=fc["zos"] * np.nan)
    empty["zos"].attrs = fc["zos"].attrs
    with pytest.raises(InputError, match="b: zos has no value where the truth has some"):
        score({"a": fc, "b": empty}, TRUTH)


def test_missing_day_of_the_truth_counts_for_nobody():
    fc = forecast()
    lost = TRUTH.copy(deep=True)
    lost["zos"].loc[{"time": fc["valid_time"].values[1, 2]}] = np.nan
    table = score(fc, lost)
    f, t, w, _ = pairs(fc.isel(init_time=[0, 2, 3]), "zos", 2)
    assert float(table["zos_rmse"][2]) == pytest.approx(np.sqrt(np.average((f - t) ** 2, weights=w)), rel=1e-12)
    assert float(table["zos_missing"][2]) == 0


def test_models_with_fewer_leads_or_variables_are_blank_there():
    models = {"long": forecast(), "short": forecast(seed=3, leads=2)[["zos"]]}
    table = score(models, TRUTH)
    assert table["zos_rmse"].sel(model="short").notnull().values.tolist() == [True, True, False, False]
    assert table["thetao_rmse"].sel(model="short").isnull().all()
    xr.testing.assert_allclose(table.sel(model="long", drop=True), score(models["long"], TRUTH))


def test_models_on_other_levels_are_blank_where_they_have_none():
    """Each is scored on its own levels as it would be alone, whichever comes first."""
    whole, top, deep = forecast(1), forecast(2).isel(depth=[0]), forecast(3).isel(depth=[1, 2])
    deep = deep.assign_coords(depth=("depth", (deep.depth.values + 1e-5).astype("float32"), deep.depth.attrs))
    several = {"top": top, "deep": deep, "whole": whole}
    together = score(several, TRUTH, metrics=["rmse", "acc"], climatology=CLIM)
    assert together.depth.values.tolist() == pytest.approx([0.5, 50.0, 500.0], abs=1e-4)
    for model, levels in {"top": [0], "deep": [1, 2], "whole": [0, 1, 2]}.items():
        alone = score(several[model], TRUTH, metrics=["rmse", "acc"], climatology=CLIM)
        mine = together.sel(model=model)
        for name in alone.data_vars:
            part = mine[name].isel(depth=levels) if "depth" in alone[name].dims else mine[name]
            np.testing.assert_array_equal(part.values, alone[name].values, err_msg=f"{model} {name}")
        absent = [level for level in range(3) if level not in levels]
        assert np.isnan(mine.thetao_rmse.isel(depth=absent)).all()


def test_a_variable_on_levels_in_one_model_alone_is_refused():
    flat = forecast(2)
    flat["thetao"] = flat["thetao"].isel(depth=0, drop=True)
    with pytest.raises(InputError, match="thetao: has a depth in whole and none in flat"):
        score({"whole": forecast(1), "flat": flat}, TRUTH, variables=["thetao"])


def test_a_store_is_read_once():
    fc = forecast()
    read = []

    def load(block, block_info=None):
        read.append(block_info[0]["chunk-location"])
        return block

    values = dask.array.from_array(fc["thetao"].values, chunks=(1, 2, 3, 4, 5))
    counted = fc.assign(thetao=fc["thetao"].copy(data=values.map_blocks(load, dtype=values.dtype, meta=values._meta)))
    score({"a": counted}, TRUTH, metrics=["rmse", "acc", "bias"], climatology=CLIM, by=["region", "season"])
    assert sorted(read) == [(i, j, 0, 0, 0) for i in range(4) for j in range(2)]


def test_progress_reaches_the_end():
    said = []
    score({"a": forecast(), "b": forecast()}, TRUTH, progress=lambda *step: said.append(step))
    assert said[-1] == ("score of zos", 8, 8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f, t: (f.drop_vars("valid_time"), t), "m: no coordinate 'valid_time'"),
        (
            lambda f, t: (f, t.sel(time=slice("2001-05-31", None))),
            r"truth: no 2001-02-21 .*\(4 of 16 valid dates of m are missing\); it covers 2001-05-31",
        ),
        (lambda f, t: (f, t.assign_coords(time=t.time + np.timedelta64(12, "h"))), "truth: no 2001-02-21"),
        (lambda f, t: (f.assign_coords(lead_time=[1, 2, 3, 4]), t), "m: lead_time: found int64"),
        (lambda f, t: (f, t.assign_coords(longitude=t.longitude + 0.25)), "longitude: grids differ"),
        (lambda f, t: (f, t.isel(latitude=slice(3))), "latitude: grids differ"),
        (lambda f, t: (f, t.assign(zos=t.zos.assign_attrs(units="cm"))), "zos: units of m are 'm', of the truth 'cm'"),
        (lambda f, t: (f, t[["zos"]].rename(zos="ssh")), "share no variable"),
        (lambda f, t: (f, t.rename(time="day")), "truth: no dimension `time`"),
        (lambda f, t: (f, t.assign(zos=t.zos * np.nan)), "truth: zos has no value"),
        (lambda f, t: (f, t.isel(time=[0, 0, *range(1, len(TIME))])), "truth: 2000-01-01.* more than once"),
    ],
)
def test_what_cannot_be_compared_is_refused(change, message):
    fc, truth = change(forecast(), TRUTH)
    with pytest.raises(InputError, match=message):
        score({"m": fc}, truth)


def test_another_spelling_of_the_unit_is_the_same_unit():
    fc = forecast()
    other = TRUTH.assign(thetao=TRUTH["thetao"].assign_attrs(units="degree_Celsius"))
    np.testing.assert_array_equal(score(fc, other)["thetao_rmse"], score(fc, TRUTH)["thetao_rmse"])


def test_bad_options_are_named():
    fc = forecast()
    with pytest.raises(InputError, match="unknown metric 'rsme'; did you mean 'rmse'"):
        score(fc, TRUTH, metrics=["rsme"])
    with pytest.raises(InputError, match="unknown group to score by 'basin'"):
        score(fc, TRUTH, by=["basin"])
    with pytest.raises(InputError, match="unknown variable 'sst'"):
        score(fc, TRUTH, variables=["sst"])
    with pytest.raises(InputError, match="acc: needs a climatology"):
        score(fc, TRUTH, metrics=["acc"])
    with pytest.raises(InputError, match="spread: needs an ensemble"):
        score(fc, TRUTH, metrics=["spread"])
    with pytest.raises(InputError, match="b: 3 start dates differ from the 4 of a"):
        score({"a": fc, "b": fc.isel(init_time=slice(3))}, TRUTH)
    with pytest.raises(InputError, match="nothing to score"):
        score({}, TRUTH)


def test_skill_is_the_share_of_the_room():
    leads = pd.to_timedelta([1, 2, 3], "D")
    rmse = xr.DataArray(
        [[1.0, 2.0, 3.0], [0.75, 1.5, 4.0], [0.5, 1.0, 3.0]],
        dims=("model", "lead_time"),
        coords={"model": ["persistence", "hybrid", "oracle"], "lead_time": leads},
    )
    table = skill(xr.Dataset({"zos_rmse": rmse, "zos_missing": rmse * 0}))
    assert set(table.data_vars) == {"zos_skill"}
    np.testing.assert_allclose(table["zos_skill"].sel(model="hybrid"), [0.5, 0.5, np.nan])
    np.testing.assert_allclose(table["zos_skill"].sel(model="oracle")[:2], 1.0)
    np.testing.assert_allclose(table["zos_skill"].sel(model="persistence")[:2], 0.0)


def test_skill_takes_the_infinite_ensemble_as_best():
    models = {
        "persistence": forecast(seed=1, error=2.0),
        "hybrid": forecast(seed=2),
        "oracle": forecast(seed=3, members=3),
    }
    table = score(models, TRUTH, metrics=["rmse", "rmse_unbiased"])
    p, h = (table["thetao_rmse"].sel(model=m, drop=True) for m in ("persistence", "hybrid"))
    best = table["thetao_rmse_unbiased"].sel(model="oracle", drop=True)
    found = skill(table)["thetao_skill"].sel(model="hybrid", drop=True)
    xr.testing.assert_allclose(found, (p - h) / (p - best))
    plain = skill(table, best_metric="rmse")["thetao_skill"].sel(model="hybrid", drop=True)
    xr.testing.assert_allclose(plain, (p - h) / (p - table["thetao_rmse"].sel(model="oracle", drop=True)))
    with pytest.raises(InputError, match="unknown model 'damped'"):
        skill(table, reference="damped")
    with pytest.raises(InputError, match="no dimension `model`"):
        skill(score(models["hybrid"], TRUTH))


def test_scores_survive_a_file(tmp_path):
    table = score({"a": forecast(), "b": forecast(seed=1)}, TRUTH)
    table.to_netcdf(tmp_path / "scores.nc")
    with xr.open_dataset(tmp_path / "scores.nc") as back:
        xr.testing.assert_identical(back.load(), table)
