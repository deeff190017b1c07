"""Simulations: numbers by hand, labels, budgets, open edges, resumption, every refusal."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import toy_channel
import xarray as xr
from toy_channel import channel, sunshine
from toy_core import START, CarriedConfig, run

import oceanx as ox
from oceanx import seam
from oceanx.ocean import grid
from oceanx.physics.guard import DivergedError
from oceanx.physics.relaxation import relaxation_zone
from oceanx.tensors.state import Fields
from oceanx.vocabulary.constants import EARTH_RADIUS, HEAT_CAPACITY, REFERENCE_DENSITY
from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.names import VARIABLES
from oceanx.workflows.simulation import cores, edges, store
from oceanx.workflows.simulation import simulate as module
from oceanx.workflows.simulation.setup import set_up

CORE = CarriedConfig()
simulate = ox.physics.simulate


# Numbers and labels


def test_a_run_is_the_core_stepped_day_by_day() -> None:
    made = run(forcing=sunshine(channel(), [100.0, 50.0, 0.0]), step=43200.0)
    setup = set_up(channel(), CORE, START, precision="float64")
    state = setup.core.begin(setup.fields)
    for day, watts in enumerate((100.0, 50.0, 0.0), 1):
        state = setup.core(state, Fields({"ssr": torch.full((1, 1, 6, 12), watts).double()}), 86400.0, 2)
        wet = made.mask.values == 1
        np.testing.assert_allclose(made.thetao.values[day][wet], state["thetao"][0].numpy()[wet], rtol=1e-13)
    np.testing.assert_allclose(made.uo.values, np.broadcast_to(channel().uo.values, made.uo.shape))


def test_labels_units_mask_and_provenance() -> None:
    made = run(days=1, every="6h", precision="float32")
    assert made.thetao.dims == ("time", "depth", "latitude", "longitude")
    assert made.thetao.dtype == np.float32
    np.testing.assert_array_equal(made.time.values, np.datetime64(START, "ns") + np.arange(5) * np.timedelta64(6, "h"))
    assert made.thetao.attrs["standard_name"] == "sea_water_potential_temperature"
    assert made.thetao.attrs["cell_methods"] == "time: point"
    assert made.time.attrs["standard_name"] == "time"
    assert (made.thetao.notnull() == (made.mask == 1)).all()
    assert {"cell_area", "thickness", "mask"} <= set(made.coords)
    assert json.loads(made.attrs["oceanx_core"]) == {"kind": "carried", "damping": 0.0}
    assert "currents cross" in made.attrs["oceanx_substeps"]
    assert made.attrs["oceanx_forcing"] == "none"
    assert np.isnan(made.time_step[0])
    assert (made.time_step[1:] <= 21600).all()


def test_one_of_several_dates_and_the_only_one() -> None:
    days = xr.concat([channel(seed) for seed in range(3)], "time").assign_coords(
        time=np.array(["2000-01-01", "2000-01-02", "2000-01-03"], dtype="datetime64[ns]"), mask=channel().mask
    )
    chosen = run(days, days=1, init_time="2000-01-02")
    xr.testing.assert_identical(chosen, run(channel(1), days=1, init_time="2000-01-02"))
    xr.testing.assert_identical(chosen, run(days.isel(time=[1]), days=1, init_time=None))
    xr.testing.assert_identical(chosen, run(days.isel(time=1), days=1, init_time=None))


def test_other_units_are_converted() -> None:
    kelvin = channel()
    kelvin["thetao"] = (kelvin.thetao + 273.15).assign_attrs(units="K")
    np.testing.assert_allclose(run(kelvin, days=1).thetao, run(days=1).thetao, rtol=1e-12)
    with pytest.raises(InputError, match="thetao: found units 'm'"):
        run(channel().assign(thetao=channel().thetao.assign_attrs(units="m")))


def test_unequal_spacing_closes_the_circle() -> None:
    """Volume is that of the zone between two latitudes, whatever the longitudes."""
    longitude = np.sort(np.linspace(-165.0, 165.0, 12) + 4 * np.sin(np.arange(12)))
    made = run(channel(longitude=longitude), days=1)
    sines = np.sin(np.deg2rad(20.0)) * 2
    np.testing.assert_allclose(made.total_volume, 2 * np.pi * EARTH_RADIUS**2 * sines * 55.0, rtol=1e-12)
    assert abs(made.residual_heat[-1] / made.total_heat[0]) < 1e-13


def test_the_grid_is_that_of_the_dataset() -> None:
    setup = set_up(channel(), CORE, START, precision="float64")
    assert setup.geometry.periodic
    np.testing.assert_allclose(setup.geometry.area.numpy(), channel().cell_area.values, rtol=1e-13)
    assert seam.wet_mask(setup.like).sum() == toy_channel.SHAPE[0] * 4 * 12


def test_a_slab_warms_by_what_it_is_given() -> None:
    """Q t / (ρ₀ c_p h), light that goes deeper taken off: the forced case of the slab, through labels and units."""
    top = channel().isel(depth=0, drop=True)
    sst = (0 * top.thetao + 20.0).rename("sst").assign_attrs(VARIABLES["sst"].attrs)
    fluxes = {"str": -60.0, "ssr": 0.0, "sshf": -20.0, "slhf": -40.0, "mlotst": 50.0}
    air = xr.Dataset({n: (0 * sst + value).assign_attrs(VARIABLES[n].attrs) for n, value in fluxes.items()})
    made = simulate(sst.to_dataset(), air, 2, core="mixed_layer", init_time="2000-01-01", precision="float64")
    cooled = 120.0 * 2 * 86400 / (REFERENCE_DENSITY * HEAT_CAPACITY * 50.0)
    change = (made.sst.isel(time=-1) - made.sst.isel(time=0)).values
    assert change[np.isfinite(change)] == pytest.approx(-cooled, rel=1e-9)


# Budgets and edges


def test_heat_is_accounted_for() -> None:
    made = run(forcing=sunshine(channel(), [300.0, 100.0, 200.0]))
    area = float(made.cell_area.where(made.mask.isel(depth=0) == 1).sum())
    np.testing.assert_allclose(made.gained_heat, area * 86400 * np.array([0.0, 300, 400, 600]), rtol=1e-12)
    assert (abs(made.residual_heat) < 1e-12 * made.total_heat[0]).all()
    assert made.total_heat.attrs["units"] == "J"
    assert made.total_volume.attrs["standard_name"] == "ocean_volume"


def region() -> xr.Dataset:
    """A sea at rest on a piece of the globe, wet to its edges."""
    axes = {"depth": [10.0], "latitude": np.linspace(-7.5, 7.5, 16), "longitude": np.linspace(0.0, 15.0, 16)}
    field = (tuple(axes), np.random.default_rng(0).uniform(10, 20, (1, 16, 16)))
    still = (tuple(axes), np.zeros((1, 16, 16)))
    return grid.complete(xr.Dataset({"thetao": field, "uo": still, "vo": still}, coords=axes))


def test_open_edges_are_drawn_towards_what_is_outside() -> None:
    """In a sea at rest, T after n hours is T̂ + (T − T̂) (1 + w·1 h/τ)⁻ⁿ, by the zone of the physics."""
    ds = region()
    warmer = ds.assign(thetao=(ds.thetao + 1).assign_attrs(units="degrees_C"))
    assert (run(ds, days=1).thetao.diff("time") == 0).all()
    assert (run(ds, days=1, boundary="closed").thetao.diff("time") == 0).all()
    made = run(ds, days=1, boundary=warmer, every="12h", step=3600)
    setup = set_up(ds, CORE, START, precision="float64")
    width = edges.CELLS * float(setup.geometry.area.mean() ** 0.5)
    zone = relaxation_zone(setup.geometry, width, edges.SECONDS).centre.numpy()
    expected = 1 - (1 + zone * 3600.0) ** -12.0
    np.testing.assert_allclose((made.thetao[1] - made.thetao[0]).values, expected, atol=1e-12)
    assert expected.max() > 0.5 > 0.01 > expected.min()
    assert (made.gained_heat == 0).all()  # what a core only counts is no part of the sea
    dated = warmer.expand_dims(time=np.array(["2000-01-01", "2000-01-02"], dtype="datetime64[ns]"))
    xr.testing.assert_allclose(run(ds, days=1, boundary=dated, every="12h", step=3600), made)
    with pytest.raises(InputError, match=r"boundary: .* lacking on 2000-01-02"):
        run(ds, days=2, boundary=dated)
    with pytest.raises(InputError, match="unknown boundary 'open'"):
        run(ds, boundary="open")


# On disk


def test_a_run_that_was_interrupted_goes_on_as_if_it_had_not_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TOGETHER", 2 * 8000)
    weather = sunshine(channel(), [100.0, 0.0, 300.0, 50.0, 20.0])
    whole, told, to = run(forcing=weather, days=5), [], tmp_path / "sim.zarr"

    def stop(what: str, done: int, total: int) -> None:
        told.append((what, done, total))
        if done > 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(forcing=weather, days=5, to=to, progress=stop)
    assert not to.exists()
    assert told[-1][1:] == (told[-1][1], 6)
    assert 2 < told[-1][1] < 6
    assert [path.name for path in (tmp_path / "sim.zarr.partial" / "done").iterdir()] == ["restart.safetensors"]
    with pytest.raises(InputError, match="an interrupted simulation; continue it with resume"):
        run(forcing=weather, days=5, to=to)
    with pytest.raises(InputError, match="of something else"):
        run(channel(1), weather, 5, to=to, resume=True)
    calls = []
    made = run(forcing=weather, days=5, to=to, resume=True, progress=lambda *said: calls.append(said))
    assert calls[0][1] > told[-1][1]
    assert made.thetao.chunks is not None
    assert to.exists()
    assert not (tmp_path / "sim.zarr.partial").exists()
    xr.testing.assert_identical(made.load(), whole)
    with pytest.raises(InputError, match="exists already"):
        run(forcing=weather, days=5, to=to)


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    to = tmp_path / "sim.zarr"

    def intrude(what: str, done: int, total: int) -> None:
        for options in ({}, {"resume": True}, {"overwrite": True}):
            with pytest.raises(InputError, match=r"sim\.zarr\.partial: another process is writing it"):
                run(days=2, to=to, **options)

    xr.testing.assert_identical(run(days=2, to=to, progress=intrude).load(), run(days=2))


def test_stopped_when_it_had_its_name_it_is_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    to, work = tmp_path / "sim.zarr", tmp_path / "sim.zarr.partial"

    def stopped(path: Path) -> None:
        if path == work:
            raise KeyboardInterrupt

    monkeypatch.setattr(store.files, "remove", stopped)
    with pytest.raises(KeyboardInterrupt):
        run(days=2, to=to)
    monkeypatch.undo()
    assert to.exists()
    assert work.exists()
    with pytest.raises(InputError, match="exists already"):
        run(days=3, to=to, resume=True)
    xr.testing.assert_identical(run(days=2, to=to, resume=True).load(), run(days=2))
    assert not work.exists()


def test_what_is_damaged_or_in_the_way_is_named(tmp_path: Path) -> None:
    to, work = tmp_path / "sim.zarr", tmp_path / "sim.zarr.partial"
    work.mkdir()
    (work / "thesis.tex").touch()
    with pytest.raises(InputError, match="in the way"):
        run(days=2, to=to, resume=True)
    assert (work / "thesis.tex").exists()
    (work / "thesis.tex").unlink()

    def stop(what: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(days=2, to=to, progress=stop)
    path = work / "done" / "restart.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"restart\.safetensors: not a safetensors file, or cut short .* overwrite"):
        run(days=2, to=to, resume=True)
    xr.testing.assert_identical(run(days=2, to=to, overwrite=True).load(), run(days=2))


def test_outputs_are_written_as_they_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a target no more is held than is written at once."""
    monkeypatch.setattr(module, "TOGETHER", 8000)
    held: list[int] = []
    concat = module.xr.concat

    def watched(parts: list[xr.Dataset], *args: object, **kwargs: object) -> xr.Dataset:
        held.append(len(parts))
        return concat(parts, *args, **kwargs)

    monkeypatch.setattr(module.xr, "concat", watched)
    made = run(days=6, to=tmp_path / "sim.zarr")
    assert made.sizes["time"] == 7
    assert max(held) <= 2
    assert len(held) >= 4
    assert (made.thetao.isel(time=-1).notnull() == (made.mask == 1)).all()


# Refusals


def test_bad_states_are_named() -> None:
    ds = channel().load()
    holed, wet_land, dry = ds.copy(deep=True), ds.copy(deep=True), ds.copy(deep=True)
    holed.thetao[1, 2, 3] = np.nan
    wet_land.uo[0, 0, 0] = 0.5
    dry.coords["mask"] = dry.mask.where(dry.latitude > -20, 1)  # the mask says wet where the state has nothing
    for broken, said in (
        (holed, "thetao: 1 wet cell not finite"),
        (wet_land, "uo: 1 land cell not 0: mask and field disagree"),
        (dry, "wet cells not finite"),
        (ds.assign(thetao=ds.thetao + 200), "thetao: .* outside -3 to 45 degrees_C"),
        (ds.isel(latitude=slice(None, None, -1)), "latitude: expected ascending values; sort with"),
        (ds.isel(depth=slice(None, None, -1)), "depth: expected ascending values; sort with"),
        (ds.drop_vars("thetao"), "the Dataset lacks thetao, which the core begins from; open the store"),
        (ds.drop_vars("uo"), "lacks uo, .* say at_rest=True"),
        (ds.expand_dims(time=[0, 1]), "expected dates"),
    ):
        with pytest.raises(InputError, match=said):
            run(broken)
    with pytest.raises(InputError, match="has no date; say when"):
        run(init_time=None)
    with pytest.raises(InputError, match="not in the Dataset, which has 2000-01-01"):
        run(ds.expand_dims(time=np.array([START], dtype="datetime64[ns]")), init_time="2001-01-01")
    sorted_again = ds.isel(latitude=slice(None, None, -1)).sortby("latitude")
    xr.testing.assert_identical(run(sorted_again, days=1), run(ds, days=1))


def test_words_that_mean_nothing() -> None:
    for wrong, said in (
        ({"every": "soon"}, "every 'soon'"),
        ({"days": 1.5, "every": "1D"}, "expected a multiple of every"),
        ({"core": "primitve_equations"}, "did you mean 'primitive_equations'"),
        ({"core": {"kind": "shallow_water", "dragg": 1}}, "did you mean 'drag'"),
        ({"core": {"drag": 1}}, "expected a `kind`"),
        ({"core": 3}, "found int"),
        ({"precision": "half"}, "unknown precision"),
        ({"init_time": "yesterdayish"}, "expected a date such as"),
    ):
        with pytest.raises(InputError, match=said):
            run(**wrong)


def test_a_run_that_breaks_says_where_and_when() -> None:
    with pytest.raises(DivergedError, match=r"thetao is .* on day .*°"):
        run(core=CarriedConfig(damping=-5e-3), precision="float32", step=3600)


def test_a_core_of_one_layer_refuses_more() -> None:
    with pytest.raises(InputError, match="this core takes no such ocean; give it one level"):
        run(channel(), core="shallow_water", at_rest=True)


def test_every_core_of_the_table_is_found_by_its_name() -> None:
    assert {"primitive_equations", "shallow_water", "surface_anomaly", "vorticity", "mixed_layer"} <= set(cores.CORES)
    for kind in cores.CORES:
        assert cores.config_of(kind).dump()["kind"] == kind


def test_a_lake_rings() -> None:
    """Shallow water by its name: a seiche comes back after 2 L/√(gH), its volume as it was."""
    longitude = np.arange(0.05, 2.0, 0.1)
    one = channel(longitude=longitude).isel(depth=[0]).drop_vars(["mask", "cell_area", "thickness"])
    one = one.isel(latitude=slice(2, 4)).assign_coords(latitude=[-0.05, 0.05], depth=[50.0])
    tilt = 0.01 * np.cos(np.pi * longitude / 2.0)
    ds = xr.zeros_like(one[["uo", "vo"]]).assign(zos=(("latitude", "longitude"), np.broadcast_to(tilt, (2, 20))))
    period = 2 * np.deg2rad(2.0) * EARTH_RADIUS / np.sqrt(9.80665 * 100.0)
    made = run(ds, days=period / 86400, every=f"{period / 4 * 1e9:.0f}ns", core="shallow_water", boundary="closed")
    mode = (made.zos * np.cos(np.pi * longitude / 2.0)).sum(("latitude", "longitude"))
    np.testing.assert_allclose(mode / mode[0], [1, 0, -1, 0, 1], atol=0.03)  # second order at 20 cells a half wave
    assert made.attrs["oceanx_boundary"].startswith("closed")


def test_an_anomaly_is_carried_by_its_name() -> None:
    """Kelvins between two readings have no zero to convert and no coldest value; a uniform one stays."""
    ds = channel().isel(depth=0, drop=True)
    cold = (ds.thetao * 0 - 5.0).assign_attrs(units="K", units_metadata="temperature: difference")
    told = xr.Dataset(
        {"uo": ds.uo, "vo": ds.vo, "uo_climatology": ds.uo, "vo_climatology": ds.vo, "sst_climatology": ds.thetao}
    )
    made = run(ds[[]].assign(sst=cold), told, days=1, core="surface_anomaly")
    assert float(abs(made.sst - cold).max()) < 1e-12
    assert made.sst.attrs["units"] == "K"
    made = run(ds[[]].assign(sst=cold), told.assign(uo=2 * ds.uo), days=1, core="surface_anomaly")
    assert float(abs(made.sst - cold).max()) > 1e-4  # anomalous currents carry the climatology
