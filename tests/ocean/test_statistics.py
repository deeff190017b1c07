"""Statistics against brute force, whatever the gaps, blocks and chunks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from oceanx.ocean.climatology import anomaly, climatology
from oceanx.ocean.grid import complete
from oceanx.ocean.statistics import statistics
from oceanx.vocabulary.errors import InputError

TIME = pd.date_range("2001-01-01", "2002-06-30")


def training():
    """Two levels and a surface; land, missing days and a gap in the axis."""
    rng = np.random.default_rng(7)
    shape = (len(TIME), 2, 3, 4)
    ds = xr.Dataset(
        {
            "thetao": (("time", "depth", "latitude", "longitude"), 15 + rng.normal(size=shape)),
            "zos": (("time", "latitude", "longitude"), 0.1 * rng.normal(size=(shape[0], *shape[2:])), {"units": "m"}),
        },
        coords={
            "time": TIME,
            "depth": [0.5, 90.0],
            "latitude": [0.0, 40.0, 70.0],
            "longitude": [0.0, 1.0, 2.0, 3.0],
        },
    )
    ds["thetao"] *= xr.DataArray([1.0, 2.0], dims="depth")
    ds["thetao"][:, 1, 2] = np.nan
    ds["zos"][:, 0, 0] = np.nan
    for name in ("thetao", "zos"):
        ds[name][50:53] = np.nan
    return complete(ds).sel(time=(TIME < "2001-09-01") | (TIME > "2001-09-20"))


def brute(ds, name, level=None):
    """Pool (value, weight) pairs one by one."""
    v = ds[name] if level is None else ds[name].isel(depth=level)
    wet = ds["mask"].isel(depth=level or 0)
    values, changes, weights, change_weights = [], [], [], []
    for i in range(3):
        for j in range(4):
            if not wet[i, j]:
                continue
            w = float(ds["cell_area"][i, j])
            series = v[:, i, j].to_series()
            daily = series.asfreq("D").diff()
            for kept, into, at in ((series.dropna(), values, weights), (daily.dropna(), changes, change_weights)):
                into += kept.tolist()
                at += [w] * len(kept)

    def spread(x, w):
        mean = np.average(x, weights=w)
        return mean, np.sqrt(np.average((np.array(x) - mean) ** 2, weights=w))

    return *spread(values, weights), spread(changes, change_weights)[1]


def compare(result, ds):
    for level in (0, 1):
        found = [float(result[f"thetao_{kind}"][level]) for kind in ("mean", "std", "increment_std")]
        np.testing.assert_allclose(found, brute(ds, "thetao", level), rtol=1e-6)
    found = [float(result[f"zos_{kind}"]) for kind in ("mean", "std", "increment_std")]
    np.testing.assert_allclose(found, brute(ds, "zos"), rtol=1e-6, atol=1e-12)


def test_equals_brute_force():
    ds = training()
    result = statistics(ds)
    compare(result, ds)
    assert result["thetao_mean"].dims == ("depth",)
    assert result["zos_std"].attrs["units"] == "m"
    assert result.attrs["oceanx_statistics_period"] == "2001-01-01/2002-06-30"


@pytest.mark.parametrize("chunk", [1, 13])
def test_chunks_and_blocks_do_not_matter(chunk, monkeypatch):
    from oceanx.ocean import climatology as module
    from oceanx.ocean import statistics as own

    ds = training()
    monkeypatch.setattr(own, "blocks", lambda v: module.blocks(v, limit=chunk * v[0].nbytes))
    compare(statistics(ds.chunk(time=chunk)), ds)


def test_of_anomalies():
    ds = training()
    clim = climatology(ds, harmonics=1)
    away = anomaly(ds, clim)
    compare(statistics(ds, climatology=clim), away)


def test_only_the_variables_asked_for():
    result = statistics(training(), names=["zos"])
    assert set(result.data_vars) == {"zos_mean", "zos_std", "zos_increment_std"}


def test_bad_input_is_named():
    ds = training()
    with pytest.raises(InputError, match="unknown variable 'zoz'; did you mean 'zos'"):
        statistics(ds, names=["zoz"])
    with pytest.raises(InputError, match="zos: the climatology has none"):
        statistics(ds, climatology=climatology(ds[["thetao"]]))
    with pytest.raises(InputError, match="thetao at depth 90 m: no value at a wet cell"):
        statistics(ds.assign(thetao=ds["thetao"].where(ds["depth"] < 50)))
    with pytest.raises(InputError, match="no pair of neighbouring days"):
        statistics(ds.isel(time=[0]))


@pytest.mark.parametrize("chunks", [{"time": 1}, {"time": 17, "latitude": 2}, {"depth": 1, "longitude": 3}])
@pytest.mark.parametrize("held", [0, 2**20])
def test_the_same_to_the_bit_however_it_is_cut(chunks, held, monkeypatch):
    """In boxes of space or all at once, from a store or from memory; the mask may be cut otherwise than the data."""
    ds = training()
    whole = statistics(ds)
    monkeypatch.setattr("oceanx.ocean.statistics._HELD", held)
    monkeypatch.setattr("oceanx.ocean.statistics.BLOCK_BYTES", held)
    lazy = ds.chunk(chunks)
    lazy = lazy.assign_coords(mask=ds["mask"].chunk(depth=2, longitude=1))
    xr.testing.assert_identical(statistics(lazy).drop_vars("depth"), whole.drop_vars("depth"))
    clim = climatology(ds, harmonics=1)
    xr.testing.assert_identical(
        statistics(lazy, climatology=clim).drop_vars("depth"), statistics(ds, climatology=clim).drop_vars("depth")
    )


def test_levels_are_the_same_by_themselves():
    ds = training()
    xr.testing.assert_identical(
        statistics(ds.isel(depth=[1]))["thetao_std"].drop_vars("depth"),
        statistics(ds)["thetao_std"][1:].drop_vars("depth"),
    )
