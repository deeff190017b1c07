"""The verb `score`: references equal those that `forecast` makes; Models and training data tell them."""

from __future__ import annotations

import numpy as np
import pytest
import toy_dataset
import xarray as xr

import oceanx as ox
from oceanx.ocean import climatology as climatologies
from oceanx.scores.derived import derive
from oceanx.vocabulary.errors import InputError

DATES = slice("2002-02-01", "2002-03-13", "10D")
METRICS = ["rmse", "bias", "acc"]


@pytest.fixture(scope="module")
def ds() -> xr.Dataset:
    return toy_dataset.ocean(500, "2001-01-01")[["thetao", "zos", "uo", "vo"]]


@pytest.fixture(scope="module")
def train(ds: xr.Dataset) -> xr.Dataset:
    return ds.sel(time="2001")


@pytest.fixture(scope="module")
def stored(ds: xr.Dataset, train: xr.Dataset) -> dict[str, xr.Dataset]:
    """Explicit forecasts of the references, under other names."""
    models = {
        "kept": ox.persistence(),
        "damped": ox.damped_persistence(train, lead="5D"),
        "usual": ox.climatology(train),
    }
    return {name: ox.forecast(model, ds, DATES, "5D") for name, model in models.items()}


PAIRS = {"kept": "persistence", "damped": "damped_persistence", "usual": "climatology"}


def same(table: xr.Dataset) -> None:
    for name in table.data_vars:
        for mine, theirs in PAIRS.items():
            if name.endswith("acc") and theirs == "climatology":
                continue  # nothing over nothing
            a, b = (table[name].sel(model=model).values for model in (mine, theirs))
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6, err_msg=f"{name} {theirs}")


def test_references_equal_their_forecasts(ds: xr.Dataset, train: xr.Dataset, stored: dict[str, xr.Dataset]) -> None:
    """Told by the Model of the climatology, by that of damped persistence, and by the training data alone."""
    ways = (
        {"climatology": ox.climatology(train)},
        {"climatology": ox.damped_persistence(train, lead="5D")},
        {"climatology": ox.damped_persistence(train, lead="2D")},  # too short: the rest is found from its training data
        {"train": train},
        {"train": train.chunk(time=50), "climatology": climatologies.climatology(train)},
    )
    for told in ways:
        table = ox.score(stored, ds, metrics=METRICS, **told)
        assert table["model"].values.tolist() == [*PAIRS, *("persistence", "damped_persistence", "climatology")]
        same(table)


def test_on_some_levels_and_variables(ds: xr.Dataset, train: xr.Dataset, stored: dict[str, xr.Dataset]) -> None:
    some = {name: fc.isel(depth=[0, 2]) for name, fc in stored.items()}
    table = ox.score(some, ds, train=train, variables=["thetao"], metrics=METRICS)
    assert {str(name).split("_")[0] for name in table.data_vars} == {"thetao"}
    same(table)
    same(ox.score(some, ds, climatology=ox.climatology(train), metrics=METRICS))


def test_a_lone_forecast_is_named_and_nothing_is_asked_for(ds: xr.Dataset, stored: dict[str, xr.Dataset]) -> None:
    table = ox.score(stored["usual"].isel(init_time=[0, 1]), ds)
    assert table["model"].values.tolist() == [
        "climatology",
        "persistence",
    ]
    assert table.attrs["oceanx_damped_persistence"].startswith("left out")
    alone = ox.score(stored["kept"], ds, references=False)
    assert "model" not in alone.dims
    xr.testing.assert_allclose(ox.score(stored["kept"], ds).sel(model="persistence", drop=True), alone)


def test_derived_quantities_are_scored_with_their_references(
    ds: xr.Dataset, train: xr.Dataset, stored: dict[str, xr.Dataset]
) -> None:
    table = ox.score({"kept": stored["kept"]}, ds, train=train, derived=["speed", "eke"], variables=["zos"],
                     metrics=["rmse", "acc"])  # fmt: skip
    assert [n for n in table.data_vars if n.endswith("rmse")] == ["zos_rmse", "speed_rmse", "eke_rmse"]
    mine = derive(stored["kept"], ["speed"])["speed"].astype(float)
    truth = derive(ds, ["speed"])["speed"].sel(time=stored["kept"]["valid_time"])
    error = ((mine - truth) ** 2).weighted(ds["cell_area"]).mean(("latitude", "longitude")).mean("init_time") ** 0.5
    expected = error.transpose("lead_time", "depth")
    np.testing.assert_allclose(table["speed_rmse"].sel(model="kept"), expected, rtol=1e-5)
    # Of what is kept, so are the currents and their speed.
    np.testing.assert_allclose(table["speed_rmse"].sel(model="persistence"), expected, rtol=1e-5)
    for model in ("damped_persistence", "climatology"):
        assert table["speed_rmse"].sel(model=model).notnull().all()


def test_complaints_come_before_long_work(ds: xr.Dataset, train: xr.Dataset, stored: dict[str, xr.Dataset]) -> None:
    said: list[str] = []
    with pytest.raises(InputError, match="truth: no 2002-02-02"):
        ox.score(stored, train, train=train, progress=lambda what, done, total: said.append(what))
    assert not said
    with pytest.raises(InputError, match="train: has none of the variables scored"):
        ox.score(stored["kept"], ds, train=train[["zos"]], variables=["thetao"])


def test_training_data_that_hold_the_test_are_warned_of(ds: xr.Dataset, stored: dict[str, xr.Dataset]) -> None:
    with pytest.warns(UserWarning, match="climatology: was made from 2001-01-01 to 2002-05-15") as caught:
        ox.score(stored["kept"], ds, train=ds, variables=["zos"])
    assert caught[0].filename == __file__
