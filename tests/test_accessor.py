"""`.oceanx`: views against loops over dates, round trips, and nothing computed that was not asked for."""

from __future__ import annotations

import cf_xarray  # noqa: F401  (registers .cf)
import dask.array
import numpy as np
import pandas as pd
import psutil
import pytest
import toy_dataset
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_forecast import NAMES, forecast, plain, unreadable

import oceanx.accessor  # registers .oceanx
from oceanx import plot
from oceanx.ocean import derived, views
from oceanx.ocean.climatology import at, climatology, daily_climatology
from oceanx.ocean.heat import heat_content
from oceanx.ocean.labels import ORDER, check
from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.names import VARIABLES

DAY = np.timedelta64(1, "D")


def seasons(maker=climatology):
    """The seasonal cycle of two years of noise, on the toy grid."""
    time = pd.date_range("2017-01-01", "2018-12-31")
    rng = np.random.default_rng(2)
    grid = plain()
    dims = ("time", *ORDER[3:])
    values = rng.normal(size=(len(time), *(grid.sizes[d] for d in ORDER[3:]))).astype(np.float32)
    training = xr.Dataset(
        {"thetao": (dims, values, VARIABLES["thetao"].attrs), "zos": (dims[:1] + dims[2:], values[:, 0])},
        coords={"time": time, **grid.coords},
    )
    return maker(training)


# In time


def test_at_valid_gathers_every_forecast_of_a_date():
    ds = forecast(inits=4, leads=5)
    found = ds.oceanx.at_valid("2020-01-03")
    assert found["init_time"].dt.strftime("%m-%d").values.tolist() == ["12-30", "01-01"]
    assert (found["lead_time"].values / DAY).tolist() == [4.0, 2.0]
    assert (found["valid_time"] == np.datetime64("2020-01-03")).all()
    np.testing.assert_array_equal(found["thetao"][0], ds["thetao"].isel(init_time=0, lead_time=3))
    np.testing.assert_array_equal(ds["zos"].oceanx.at_valid("2020-01-03")[1], ds["zos"].isel(init_time=1, lead_time=1))
    with pytest.raises(InputError, match="no forecast is valid at 2021-01-01; they cover 2019-12-31 to 2020-01-10"):
        ds.oceanx.at_valid("2021-01-01")


def test_at_valid_of_one_start_and_of_analyses():
    ds = forecast()
    one = ds.sel(init_time="2020-01-01").oceanx.at_valid("2020-01-03")
    xr.testing.assert_identical(one["zos"], ds.sel(init_time=["2020-01-01"]).oceanx.at_valid("2020-01-03")["zos"])
    truth = toy_dataset.ocean(5)
    xr.testing.assert_identical(truth.oceanx.at_valid("2001-12-03"), truth.isel(time=2))
    with pytest.raises(InputError, match="nothing on 2002-12-03; the series covers 2001-12-01 to 2001-12-05"):
        truth.oceanx.at_valid("2002-12-03")
    with pytest.raises(InputError, match="no dimension 'init_time'"):
        truth.oceanx.best_estimate()


@settings(max_examples=20, deadline=None)
@given(
    inits=st.integers(1, 5),
    leads=st.integers(1, 6),
    every=st.sampled_from(["1D", "2D", "4D"]),
    asof=st.none() | st.integers(0, 20),
)
def test_the_best_estimate_of_each_date_is_from_the_latest_start(inits, leads, every, asof):
    ds = forecast(inits, leads, every=every)
    date = None if asof is None else pd.Timestamp("2019-12-30") + pd.Timedelta(asof, "D")
    known = [i for i, init in enumerate(ds["init_time"].values) if date is None or init <= date]
    best = {}
    for i in known:  # later starts take the place of earlier ones
        for j in range(leads):
            best[pd.Timestamp(ds["valid_time"].values[i, j])] = (i, j)
    found = ds.oceanx.best_estimate(date)
    assert list(pd.DatetimeIndex(found["time"].values)) == sorted(best)
    for t, (i, j) in enumerate(best[date] for date in sorted(best)):
        np.testing.assert_array_equal(found["thetao"][t], ds["thetao"][i, j])
        assert found["init_time"].values[t] == ds["init_time"].values[i]
        assert found["lead_time"].values[t] == ds["lead_time"].values[j]
    xr.testing.assert_identical(ds.chunk(init_time=1, lead_time=2).oceanx.best_estimate(date).compute(), found)


@pytest.mark.parametrize("view", ["at_valid", "best_estimate", "as_timeseries"])
def test_views_need_dates_and_durations_and_make_valid_times_themselves(view):
    ds = forecast()
    asked = {"at_valid": ("2020-01-02",), "as_timeseries": ("2D",)}.get(view, ())

    def told(ds):
        return getattr(ds.oceanx, view)(*asked)

    xr.testing.assert_identical(told(ds.drop_vars("valid_time")), told(ds))
    with pytest.raises(InputError, match=r"lead_time: found int64, expected timedelta64.*to_timedelta"):
        told(ds.assign_coords(lead_time=[1, 2, 3, 4]))
    with pytest.raises(InputError, match="init_time: expected increasing values"):
        told(ds.isel(init_time=[1, 0, 2]))


def test_a_best_estimate_is_labelled_and_knows_nothing_of_later_starts():
    ds = forecast(inits=4, leads=5, members=2)
    found = ds["zos"].oceanx.best_estimate(asof="2020-01-01")
    assert found.dims == ("member", "time", "latitude", "longitude")
    assert found["time"].attrs["standard_name"] == "time"
    assert found["init_time"].attrs["standard_name"] == "forecast_reference_time"
    assert found["init_time"].values.max() == np.datetime64("2020-01-01")
    assert found.attrs == ds["zos"].attrs
    with pytest.raises(InputError, match=r"asof: no forecast starts by 2019-01-01.*; the first starts 2019-12-30"):
        ds.oceanx.best_estimate(asof="2019-01-01")


def test_timeseries_of_one_lead_is_labelled_by_valid_date():
    ds = forecast(members=2)
    series = ds.oceanx.as_timeseries("3D")
    assert series["thetao"].dims == ("member", "time", "depth", "latitude", "longitude")
    np.testing.assert_array_equal(series["time"], ds["valid_time"].isel(lead_time=2))
    np.testing.assert_array_equal(series["init_time"], ds["init_time"])
    np.testing.assert_array_equal(series["zos"], ds["zos"].isel(lead_time=2))
    assert series["time"].attrs["standard_name"] == "time"
    with pytest.raises(InputError, match="lead 9D: not stored; leads run from 1D to 4D"):
        ds["zos"].oceanx.as_timeseries("9D")
    with pytest.raises(InputError, match="which lead, of 3 start dates"):
        ds.oceanx.as_timeseries()


def test_timeseries_of_one_start_follows_its_leads():
    ds = forecast()
    for one in (ds.sel(init_time=["2020-01-01"]), ds.sel(init_time="2020-01-01")):
        series = one.oceanx.as_timeseries()
        np.testing.assert_array_equal(series["time"], ds["valid_time"].sel(init_time="2020-01-01"))
        np.testing.assert_array_equal(series["thetao"], ds["thetao"].sel(init_time="2020-01-01"))
        assert series["init_time"].ndim == 0


@pytest.mark.parametrize("members", [None, 2])
@pytest.mark.parametrize("variable", [None, "thetao"])
def test_series_and_forecast_there_and_back(members, variable):
    ds = forecast(members=members)
    obj = ds if variable is None else ds[variable]
    by_lead = obj.oceanx.as_timeseries("3D").oceanx.as_forecast()
    xr.testing.assert_identical(by_lead, obj.sel(lead_time=[3 * DAY]))
    by_start = obj.isel(init_time=[1]).oceanx.as_timeseries().oceanx.as_forecast()
    xr.testing.assert_identical(by_start, obj.isel(init_time=[1]))
    if variable is None:
        check(by_lead)
        check(by_start)


def test_what_is_no_series_has_no_way_back():
    ds = forecast()
    with pytest.raises(InputError, match="init_time and lead_time changes"):
        ds.oceanx.best_estimate().oceanx.as_forecast()
    with pytest.raises(InputError, match="as_forecast: no time"):
        ds.oceanx.as_forecast()


# Anomalies


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("maker", [climatology, daily_climatology])
def test_anomaly_uses_the_valid_date_and_can_be_undone(chunked, maker):
    clim = seasons(maker)
    ds = forecast()
    ds = ds.chunk(init_time=1, lead_time=1) if chunked else ds
    away = ds.oceanx.anomaly(clim)
    assert bool(away["thetao"].chunks) is chunked
    expected = ds["thetao"].isel(init_time=1, lead_time=2) - at(clim, "2020-01-04")["thetao"][0]
    np.testing.assert_allclose(away["thetao"].isel(init_time=1, lead_time=2), expected, atol=1e-6)
    xr.testing.assert_allclose(away.oceanx.totals(clim), ds, atol=1e-5)
    for name in ("thetao", "zos"):
        assert away.oceanx.totals(clim)[name].attrs == ds[name].attrs
    xr.testing.assert_allclose(ds["thetao"].oceanx.anomaly(clim), away["thetao"], atol=1e-6)


def test_an_anomaly_says_that_it_is_one():
    clim, ds = seasons(), forecast()
    away = ds.oceanx.anomaly(clim)
    said = {
        "oceanx_quantity": "anomaly",
        "long_name": "Potential temperature anomaly",
        "units_metadata": "temperature: difference",
    }
    assert away["thetao"].attrs == ds["thetao"].attrs | said
    check(away)
    with pytest.raises(InputError, match="thetao is an anomaly already"):
        away.oceanx.anomaly(clim)
    with pytest.raises(InputError, match="totals: thetao does not say that it is an anomaly"):
        ds.oceanx.totals(clim)
    with pytest.raises(InputError, match="thetao: is an anomaly; add the climatology first"):
        away.oceanx.heat_content(0, 40)


def test_anomalies_of_what_was_selected():
    clim, ds = seasons(), forecast()
    away = ds.oceanx.anomaly(clim)["thetao"]
    for selected in (
        {"depth": 1},
        {"depth": 0, "latitude": 1, "longitude": 2},
        {"latitude": slice(1, 3)},
        {"init_time": 1},
        {"init_time": 0, "lead_time": 2},
    ):
        there = ds["thetao"].isel(selected).oceanx.anomaly(clim)
        xr.testing.assert_allclose(there, away.isel(selected), atol=1e-6)
    series = ds["thetao"].oceanx.as_timeseries("2D").oceanx.anomaly(clim)
    np.testing.assert_allclose(series, away.isel(lead_time=1), atol=1e-6)


def test_a_climatology_of_another_grid_or_unit_is_refused():
    clim, ds = seasons(), forecast()
    with pytest.raises(InputError, match="climatology: has no latitude 40, which the data have"):
        ds.oceanx.anomaly(clim.assign_coords(latitude=clim["latitude"] + 0.5))
    with pytest.raises(InputError, match="climatology: has no longitude -17"):
        ds.oceanx.anomaly(clim.isel(longitude=slice(0, 3)))
    kelvin = clim.assign(thetao=clim["thetao"].assign_attrs(units="K"))
    with pytest.raises(InputError, match="thetao: is in 'degrees_C', its climatology in 'K'"):
        ds.oceanx.anomaly(kelvin)
    with pytest.raises(InputError, match="has no name"):
        ds["thetao"].rename(None).oceanx.anomaly(clim)


# By meaning


def deep(**more):
    return forecast(names=NAMES, like=plain(depth=(0.5, 10.0, 60.0, 200.0, 450.0)), **more)


def foreign(ds):
    """The same forecast in the words of someone else, with nothing but CF's names to know them by."""
    return ds.rename(
        thetao="temperature", so="salt_of_the_sea", zos="eta", depth="lev", latitude="lat", longitude="lon"
    )


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (lambda ds: ds.oceanx.density(), lambda ds: derived.density(ds)),
        (lambda ds: ds.oceanx.density("rho"), lambda ds: derived.density(ds, "rho")),
        (lambda ds: ds.oceanx.mixed_layer_depth(), lambda ds: derived.mixed_layer_depth(ds)),
        (lambda ds: ds.oceanx.mixed_layer_depth(method="oceanbench"),
         lambda ds: derived.mixed_layer_depth(ds, method="oceanbench")),
        (lambda ds: ds.oceanx.heat_content(0, 300), lambda ds: heat_content(ds, 0, 300)),
        (lambda ds: ds.oceanx.geostrophic()["ugos"], lambda ds: derived.geostrophic_velocity(ds)["ugos"]),
    ],
    ids=["sigma0", "rho", "mld", "mld_oceanbench", "heat", "geostrophic"],
)  # fmt: skip
def test_variables_are_found_by_what_they_mean(told, expected):
    ds = deep()
    xr.testing.assert_identical(told(ds), expected(ds))
    theirs = foreign(ds).drop_vars(["mask", "cell_area"])
    np.testing.assert_array_equal(told(theirs), expected(ds))
    assert told(theirs).attrs == told(ds).attrs


def test_axes_of_others_are_ours_in_the_end():
    """Of Datasets in the layouts of other tools, and of one whose axes have short names and nothing else."""
    ds = deep(members=2)
    theirs = views.to(ds, "weatherbench")
    xr.testing.assert_equal(theirs["zos"].oceanx.best_estimate(), ds["zos"].oceanx.best_estimate())
    xr.testing.assert_equal(
        theirs["thetao"].oceanx.profile(41, -18).drop_vars("valid_time", errors="ignore"),
        ds["thetao"].oceanx.profile(41, -18).drop_vars("valid_time"),
    )
    file = views.to(ds.isel(init_time=[0]), "cf")
    day = file.oceanx.at_valid("2020-01-01")
    np.testing.assert_array_equal(day["zos"], ds["zos"].isel(init_time=0, lead_time=1))
    np.testing.assert_array_equal(file["zos"].oceanx.as_forecast(), ds["zos"].isel(init_time=[0]))
    bare = toy_dataset.ocean(3).drop_attrs().rename(latitude="lat", longitude="lon", depth="lev")
    xr.testing.assert_equal(
        bare["thetao"].oceanx.profile(33, -16),
        bare["thetao"].sel(lat=33, lon=-16).rename(lat="latitude", lon="longitude", lev="depth"),
    )


@pytest.mark.real
def test_real_files_need_nothing_but_their_own_labels(real):
    glorys = xr.open_dataset(real("glorys/GLORYS_coarse_test_data.nc"))
    water = glorys["thetao"].isel(depth=0).notnull()
    density = glorys.oceanx.density()
    assert (density.isel(depth=0).notnull() == water).all()
    assert 15 < float(density.min()) < float(density.max()) < 29
    with pytest.raises(InputError, match=r"52\.5, 0 is on land; the nearest wet cell is at 53\.0417, 0\.37501, 65 km"):
        glorys.oceanx.profile(52.5, 0)
    oisst = xr.open_dataset(real("mhw/oisst_tasman16_19820101-20101231.nc"))
    day = oisst.oceanx.at_valid("2001-01-01")["sst"]
    np.testing.assert_array_equal(day.oceanx.section(lon=150), oisst["sst"].sel(time="2001-01-01", lon=149.875))


def test_units_of_others_are_ours_in_the_end():
    ds = deep().astype("f8")
    kelvin = ds.assign(thetao=(ds["thetao"] + 273.15).assign_attrs(ds["thetao"].attrs | {"units": "kelvin"}))
    kelvin["so"].attrs["units"] = "psu"
    np.testing.assert_allclose(kelvin.oceanx.density(), ds.oceanx.density(), rtol=1e-10)
    np.testing.assert_allclose(kelvin.oceanx.heat_content(0, 300), ds.oceanx.heat_content(0, 300), rtol=1e-10)
    assert kelvin["thetao"].attrs["units"] == "kelvin"  # as it was
    lazy = unreadable(kelvin).oceanx.density()
    assert lazy.chunks
    odd = ds.assign(thetao=ds["thetao"].assign_attrs(units="furlongs"))
    with pytest.raises(InputError, match="thetao: found units 'furlongs', expected 'degrees_C'"):
        odd.oceanx.density()


def test_heat_and_currents_of_one_variable():
    ds = deep()
    xr.testing.assert_identical(ds["thetao"].oceanx.heat_content(0, 300), ds.oceanx.heat_content(0, 300))
    xr.testing.assert_equal(ds["zos"].oceanx.geostrophic(), ds.oceanx.geostrophic())
    assert not hasattr(ds["thetao"].oceanx, "density")  # one variable does not tell it


def test_what_could_be_either_is_refused():
    ds = deep()
    twice = ds.assign(hot=ds["thetao"] + 1).drop_vars("thetao").assign(warm=ds["thetao"])
    twice["hot"].attrs = twice["warm"].attrs
    with pytest.raises(InputError, match="thetao: could be hot or warm"):
        twice.oceanx.density()
    bare = ds.assign(warm=ds["thetao"])
    bare["thetao"].attrs = {}
    with pytest.raises(InputError, match="thetao: is there, but warm has its standard_name"):
        bare.oceanx.density()
    with pytest.raises(InputError, match=r"needs so .sea_water_salinity.; the Dataset has thetao"):
        ds[["thetao"]].oceanx.density()
    short = ds[["thetao"]].drop_attrs().rename(thetao="votemper")
    np.testing.assert_array_equal(short.oceanx.heat_content(0, 300), ds.oceanx.heat_content(0, 300))


# Pictures


def test_every_kind_of_plot_is_there_and_gets_the_object(monkeypatch):
    ds = forecast()
    assert dir(ds.oceanx.plot) == sorted(plot.KINDS)
    figure = ds["thetao"].isel(init_time=0, lead_time=1, depth=0).oceanx.plot.map(title="Warm")
    assert figure.axes[0].get_title(loc="left") == "Warm"
    monkeypatch.setattr("oceanx.plot.KINDS", {"map": lambda *args, **options: (args, options)}, raising=False)
    (drawn,), options = ds.oceanx.plot.map(cmap="gray")
    assert drawn is ds
    assert options == {"cmap": "gray"}
    with pytest.raises(AttributeError, match="no kind of plot 'mop'; choose from: map"):
        _ = ds.oceanx.plot.mop


# Lazily

VIEWS = {
    "at_valid": lambda ds: ds.oceanx.at_valid("2020-01-02"),
    "best_estimate": lambda ds: ds.oceanx.best_estimate(asof="2020-01-02"),
    "as_timeseries": lambda ds: ds.oceanx.as_timeseries("2D"),
    "as_forecast": lambda ds: ds.oceanx.as_timeseries("2D").oceanx.as_forecast(),
    "anomaly": lambda ds: ds.oceanx.anomaly(seasons().reindex(depth=ds["depth"], method="nearest")),
    "totals": lambda ds: ds.assign({n: v.assign_attrs(oceanx_quantity="anomaly") for n, v in ds.items()}).oceanx.totals(
        seasons().reindex(depth=ds["depth"], method="nearest")
    ),
    "section": lambda ds: ds.oceanx.section(lon=-18.6),
    "transect": lambda ds: ds.oceanx.section(points=[(40.2, -18.5), (41.7, -17.2)]),
    "profile": lambda ds: ds.oceanx.profile(41, -18),
    "mixed_layer_depth": lambda ds: ds.oceanx.mixed_layer_depth(),
    "heat_content": lambda ds: ds.oceanx.heat_content(0, 300),
    "density": lambda ds: ds.oceanx.density(),
    "geostrophic": lambda ds: ds.oceanx.geostrophic(),
}


@pytest.mark.parametrize("view", VIEWS)
def test_nothing_is_computed_and_attributes_stay(view):
    ds = unreadable(deep())
    before = {name: dict(v.attrs) for name, v in ds.variables.items()}
    found = VIEWS[view](ds)
    fields = list(found.data_vars.values()) if isinstance(found, xr.Dataset) else [found]
    assert fields
    for v in fields:
        assert v.chunks
        assert v.attrs.get("standard_name") == VARIABLES[v.name].standard_name
        assert v.attrs.get("units") == VARIABLES[v.name].units
    assert {name: dict(v.attrs) for name, v in ds.variables.items()} == before  # the object itself is as it was
    if isinstance(found, xr.Dataset):
        assert found.attrs == ds.attrs
    with pytest.raises(AssertionError, match="a number was computed"):
        fields[0].compute()


def test_a_small_part_of_a_store_that_no_memory_holds():
    """200 GB of forecasts that are never there: what is asked for is all that is made."""
    latitude, longitude = np.arange(-79.75, 90, 0.5), np.arange(-179.75, 180, 0.5)
    grid = xr.Dataset(coords={"depth": np.array([0.5, 10, 60, 200, 450]), "latitude": latitude, "longitude": longitude})
    toy = forecast(1, 1, like=plain())
    inits, leads = 1520, 30
    shape = (inits, leads, 5, latitude.size, longitude.size)
    made = []

    def block(block_info=None):
        made.append(1)
        return np.ones(block_info[None]["chunk-shape"], np.float32)

    big = dask.array.map_blocks(
        block,
        chunks=((1,) * inits, (leads,), *((n,) for n in shape[2:])),
        dtype=np.float32,
        meta=np.empty((0,) * 5, "f4"),
    )
    assert big.nbytes > 200e9
    ds = xr.Dataset(
        {n: (ORDER[1:], big, VARIABLES[n].attrs) for n in ("thetao", "so")},
        coords={
            "init_time": pd.date_range("1990-01-03", periods=inits, freq="7D"),
            "lead_time": toy["lead_time"].values[0] * np.arange(1, leads + 1),
            **grid.coords,
        },
    )
    ds = oceanx.accessor.forecasts._cube(ds)
    before = psutil.Process().memory_info().rss
    point = {"latitude": 300, "longitude": 100}
    assert float(ds.oceanx.best_estimate().isel(time=700).oceanx.mixed_layer_depth().isel(point)) == 450.0
    assert float(ds["thetao"].oceanx.at_valid("2005-06-01").isel(init_time=1, depth=0, **point)) == 1.0
    assert float(ds.oceanx.as_timeseries("9D").isel(time=700).oceanx.heat_content(0, 300).isel(point)) > 0
    assert ds["thetao"].isel(init_time=5, lead_time=3).oceanx.section(lat=10.1).compute().shape == (5, 720)
    transect = ds["thetao"].oceanx.section(points=[(10, 0), (40, 60)]).isel(init_time=5, lead_time=3, depth=0)
    np.testing.assert_allclose(transect, 1.0)
    assert len(made) < 40  # chunks, of 3040 there are
    assert psutil.Process().memory_info().rss - before < 2e9
