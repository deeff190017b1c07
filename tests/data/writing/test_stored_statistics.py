"""Statistics kept in a store: the same to the bit as computed, found again only where they are of the same data."""

from __future__ import annotations

import numpy as np
import pytest
import toy_dataset
import xarray as xr

from oceanx.data.shelf.catalog import open_store
from oceanx.data.writing import statistics as stored
from oceanx.ocean.statistics import statistics
from oceanx.vocabulary.errors import InputError

YEAR = ("2001-02", "2001-04")


@pytest.fixture(params=[2, 3])
def store(tmp_path, request):
    ds = toy_dataset.ocean(150, start="2001-01-10")
    ds["zos"][40] = np.nan
    ds.chunk(time=7).to_zarr(tmp_path / "toy.zarr", zarr_format=request.param, consolidated=False)
    return tmp_path / "toy.zarr"


def test_what_is_read_back_equals_what_is_computed_to_the_bit(store):
    stored.write(store, YEAR, "abc")
    ds = open_store(store).sel(time=slice("2001-02-01", "2001-04-30"))
    found = stored.read(store)
    computed = statistics(ds.compute())
    assert found.attrs["oceanx_statistics_period"] == "2001-02-01/2001-04-30"
    assert (found.attrs["oceanx_fingerprint"], found.attrs["oceanx_recipe"]) == ("toy-0", "abc")
    assert set(found.data_vars) == set(computed.data_vars)
    for name in computed.data_vars:
        np.testing.assert_array_equal(found[name], computed[name], strict=True)
        assert found[name].attrs == computed[name].attrs
    assert "thetao" in open_store(store)  # the group does not disturb the store


def test_known_are_those_of_the_same_levels_and_times_only(store):
    assert stored.known(open_store(store), ["zos"]) is None
    stored.write(store, YEAR)
    ds = open_store(store).sel(time=slice("2001-02-01", "2001-04-30"))
    some = ds.isel(depth=[0, 2])
    xr.testing.assert_identical(stored.known(some, ["thetao", "zos"]), statistics(some, names=["thetao", "zos"]))
    lower = ds.isel(depth=[1, 2])
    xr.testing.assert_identical(stored.known(lower, ["thetao"]), statistics(lower, names=["thetao"]))
    assert stored.known(lower, ["thetao", "zos"]) is None  # the surface would take another level's mask
    assert stored.known(ds.isel(time=slice(1, None)), ["zos"]) is None
    assert stored.known(ds.isel(time=np.r_[0:40, 45 : ds.sizes["time"]]), ["zos"]) is None
    assert stored.known(ds.assign_attrs(oceanx_fingerprint="other"), ["zos"]) is None
    assert stored.known(ds.rename(zos="sla"), ["sla"]) is None
    assert stored.known(ds.assign_coords(depth=ds.depth + 1), ["thetao"]) is None


def test_an_interrupted_call_goes_on_and_leaves_the_same(store, monkeypatch):
    whole = stored.write(store, YEAR)
    real, seen = stored.statistics, []

    def failing(ds, names, progress):
        seen.extend(names)
        if len(seen) == 4:
            raise KeyboardInterrupt
        return real(ds, names=names, progress=progress)

    monkeypatch.setattr(stored, "statistics", failing)
    with pytest.raises(KeyboardInterrupt):
        stored.write(store, YEAR)
    xr.testing.assert_identical(stored.read(store), whole)  # what was there before is still there
    monkeypatch.setattr(
        stored, "statistics", lambda ds, names, progress: (seen.extend(names), real(ds, names=names))[1]
    )
    again = stored.write(store, YEAR)
    xr.testing.assert_identical(again, whole)
    xr.testing.assert_identical(stored.read(store), whole)
    assert len(seen) == len(set(seen)) + 1  # only the variable that was interrupted came twice
    assert not (store / "statistics.partial").exists()


def test_work_of_another_period_is_not_taken_up(store, monkeypatch):
    real = stored.publish
    monkeypatch.setattr(stored, "publish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        stored.write(store, YEAR)
    monkeypatch.setattr(stored, "publish", real)
    ds = open_store(store).sel(time=slice("2001-03-01", "2001-03-31"))
    np.testing.assert_array_equal(stored.write(store, ("2001-03", "2001-03"))["zos_mean"], statistics(ds)["zos_mean"])


@pytest.mark.parametrize("period", [("2001", "2002"), ("2000-12", "2001-02"), ("2001-05", "2001-02"), ("x", "2001")])
def test_years_that_the_store_does_not_hold_are_refused(store, period):
    with pytest.raises(InputError, match="statistics:"):
        stored.write(store, period)
    with pytest.raises(InputError, match="a first and a last"):
        stored.write(store, ["2001"])
    assert stored.read(store) is None


def test_training_takes_the_stored_statistics(store, tmp_path, monkeypatch):
    from oceanx.workflows import run_setup
    from oceanx.workflows.train_config import preset

    config = preset(
        "hybrid_small",
        **{
            "task.prognostic.depth": list(toy_dataset.DEPTH),
            "task.forcing.surface": ["u10", "t2m"],
            "task.anomalies": False,
            "train": list(YEAR),
        },
    )
    ds = open_store(store)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    computed = run_setup._describe(run_setup.Run(tmp_path / "a"), config, run_setup.training_data(ds, config), None)
    stored.write(store, YEAR)
    monkeypatch.setattr(run_setup, "statistics", lambda *_, **__: pytest.fail("computed again"))
    kept = run_setup._describe(run_setup.Run(tmp_path / "b"), config, run_setup.training_data(ds, config), None)
    assert set(kept.data_vars) == set(computed.data_vars)
    for name in computed.data_vars:
        np.testing.assert_array_equal(kept[name], computed[name], strict=True)
