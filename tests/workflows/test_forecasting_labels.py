"""Labels and content, recomputed from scratch over start dates, members, leads, parts and regions."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

import numpy as np
import pytest
import toy_dataset
import toy_encoded
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import oceanx as ox
from oceanx.ocean import labels
from oceanx.vocabulary.channels import Channels, Task
from oceanx.workflows import forecasting
from oceanx.workflows.forecast_units import Block, layout
from oceanx.workflows.model import Model

BOX = {"minimum_latitude": 31.2, "maximum_latitude": 33.1, "minimum_longitude": -19.1, "maximum_longitude": -16.4}


@settings(max_examples=15, deadline=None)
@given(
    starts=st.lists(st.integers(0, 25), min_size=1, max_size=4, unique=True).map(sorted),
    leads=st.integers(1, 7),
    members=st.sampled_from([None, 1, 2, 3]),
    parts=st.integers(1, 4),
    bytes_at_once=st.sampled_from([1, 200_000, 10**9]),
    analysis=st.booleans(),
    region=st.sampled_from([None, BOX]),
    order=st.randoms(use_true_random=False),
    chunk=st.sampled_from([1000, 2**13, 2 * 2**20]),
)
def test_every_number_stands_under_its_own_labels(
    starts: list[int],
    leads: int,
    members: int | None,
    parts: int,
    bytes_at_once: int,
    analysis: bool,
    region: dict | None,
    order,
    chunk: int,
) -> None:
    """Whatever is made together, by however many, in whichever order, and cut into whichever chunks."""
    ds = toy_encoded.ocean()
    with pytest.MonkeyPatch.context() as patched, tempfile.TemporaryDirectory() as folder:
        toy_encoded.members_encoded(patched)
        patched.setattr(forecasting, "STATES_AT_ONCE", bytes_at_once)
        patched.setattr("oceanx.workflows.forecast_store.CHUNK", chunk)
        words = {"members": members, "analysis": analysis, "region": region, "to": Path(folder) / "fc.zarr"}
        numbers = list(range(1, parts + 1))
        order.shuffle(numbers)
        for number in numbers:
            part = None if parts == 1 else f"{number}/{parts}"
            fc = ox.forecast(toy_encoded.MODEL, ds, ds.time.values[starts], f"{leads}D", part=part, **words)
        fc = fc.load()
    labels.check(fc)
    first = ("member",) if members else ()
    assert fc.thetao.dims == (*first, "init_time", "lead_time", "depth", "latitude", "longitude")
    assert fc.zos.dims == (*first, "init_time", "lead_time", "latitude", "longitude")
    if members:
        np.testing.assert_array_equal(fc.member, np.arange(members))
        assert fc.member.attrs["standard_name"] == "realization"
        assert fc.member.dtype.kind == "i"
    days = range(0 if analysis else 1, leads + 1)
    assert fc.sizes["lead_time"] == len(days)
    for member, (i, start), (j, lead) in itertools.product(range(members or 1), enumerate(starts), enumerate(days)):
        one = fc.isel(init_time=i, lead_time=j, **({"member": member} if members else {}))
        assert one.init_time.values == ds.time.values[start]
        assert one.lead_time.values == np.timedelta64(lead, "D")
        assert one.valid_time.values == ds.time.values[start] + np.timedelta64(lead, "D")
        known = toy_encoded.expected(ds, start, lead, member)
        if region:
            known = known.isel(latitude=slice(3, 7), longitude=slice(2, 8))
        for name in known:
            np.testing.assert_array_equal(one[name], known[name])


@given(members=st.integers(1, 9), starts=st.integers(1, 30), most=st.integers(1, 60), processes=st.integers(1, 20))
@settings(max_examples=100, deadline=None)
def test_blocks_hold_every_forecast_once_and_no_more_than_fit(
    members: int, starts: int, most: int, processes: int
) -> None:
    made = layout(members, starts, most, processes)
    found = made.blocks(members, starts)
    count = np.zeros((members, starts), dtype=int)
    for block in found:
        count[block] += 1
        assert 1 <= block.size <= most
    assert (count == 1).all()
    assert len({block.name for block in found}) == len(found)
    if processes == 1 and most >= members * starts:
        assert found == [Block(slice(0, members), slice(0, starts))]
    # Nobody has more than twice what a fair division gives, beside what cannot be divided.
    shares = [sum(block.size for block in found[number::processes]) for number in range(processes)]
    assert max(shares) <= 2 * -(-members * starts // processes)


def test_a_member_is_the_same_whichever_others_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bit by bit: of three members and of one start date, of five and of four, in one batch or one by one."""
    ds = toy_dataset.ocean(40)
    many = ox.forecast(ox.persistence(), ds, ds.time.values[[12, 20, 21, 30]], "2D", members=5, seed=3)
    few = ox.forecast(ox.persistence(), ds, ds.time.values[[20]], "2D", members=3, seed=3)
    monkeypatch.setattr(forecasting, "STATES_AT_ONCE", 1)
    single = ox.forecast(ox.persistence(), ds, ds.time.values[[12, 20, 21, 30]], "2D", members=5, seed=3)
    xr.testing.assert_equal(many, single)
    for name in many.data_vars:
        np.testing.assert_array_equal(many[name].isel(member=slice(3), init_time=[1]), few[name])
    assert float(many.thetao.std("member").max()) > 0


AIR = Channels(surface=("u10",))
GUSTY = Model("gusty", lambda state, forcing: state.map(lambda x: x + 0.5), task=Task(prognostic=AIR))


@pytest.mark.parametrize("forcing", ["observed", "persisted", "a forecast", "a model"])
def test_members_of_a_start_date_are_told_its_weather(forcing: str) -> None:
    """Each pair of start date and member the weather of its own date, however it is told."""
    ds = toy_dataset.ocean(40)
    starts = ds.time.values[[12, 20, 21]]
    told = {"a forecast": ox.forecast(GUSTY, ds, starts, "3D"), "a model": GUSTY}.get(forcing, forcing)
    task = Task(prognostic=Channels(surface=("zos",)), forcing=AIR)
    windy = Model("windy", lambda state, air: state.map(lambda x: x + air.next["u10"]), task=task)
    fc = ox.forecast(windy, ds, starts, "3D", members=4, forcing=told, analysis=True)
    days = np.arange(1, 4)
    for i, start in enumerate((12, 20, 21)):
        first = ds.u10.values[start]
        known = {"observed": ds.u10.values[start + days], "persisted": np.stack([first] * 3)}
        winds = known.get(forcing, first + 0.5 * days[:, None, None])
        grown = fc.zos.isel(init_time=i, lead_time=slice(1, None)) - fc.zos.isel(init_time=i, lead_time=0)
        expected = np.where(ds.mask[0] == 1, winds.cumsum(axis=0), np.nan)
        for member in range(4):
            np.testing.assert_allclose(grown.isel(member=member), expected, rtol=1e-4, atol=1e-4)


def test_a_network_gives_a_member_the_same_in_any_batch(small, tmp_path: Path, monkeypatch) -> None:
    """To rounding: how a network's sums are ordered may depend on the size of a batch."""
    ocean = toy_dataset.ocean(500, start="2001-01-01")
    model = ox.load(ox.train(small, ocean, tmp_path / "run"))
    words = {"init_time": ["2002-04-10", "2002-04-13"], "lead": "4D", "members": 3, "forcing": "observed"}
    together = ox.forecast(model, ocean, **words)
    monkeypatch.setattr(forecasting, "STATES_AT_ONCE", 1)
    alone = ox.forecast(model, ocean, **words)
    for name in together.data_vars:
        spread = float(together[name].std())
        np.testing.assert_allclose(alone[name], together[name], atol=1e-5 * spread, rtol=0)


def test_the_output_is_smoothed_and_the_forecast_is_not() -> None:
    """What is stored is smoothed; what is stepped on is not: it is that of an unsmoothed forecast, smoothed."""
    ds = toy_dataset.ocean(20)
    model = ox.persistence()
    plain = ox.forecast(model, ds, ds.time.values[4], "5D")
    smooth = {"smooth": {"sigma": {"zos": [1.0, 1.0]}}}
    kept = ox.forecast(model, ds, ds.time.values[4], "5D", stabilise=smooth, analysis=True)
    np.testing.assert_array_equal(kept.zos.isel(lead_time=0), plain.zos.isel(lead_time=0))  # the analysis is as it was
    for lead in range(2, 6):  # nothing accumulates
        np.testing.assert_array_equal(kept.zos.isel(lead_time=lead), kept.zos.isel(lead_time=1))
    assert float(kept.zos.isel(lead_time=1).var()) < float(plain.zos.isel(lead_time=0).var())
    np.testing.assert_array_equal(kept.thetao.isel(lead_time=5), plain.thetao.isel(lead_time=4))
    assert "smooth" in kept.attrs["oceanx_stabilise"]
    assert "oceanx_stabilise" not in plain.attrs
