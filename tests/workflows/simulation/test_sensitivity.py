"""Sensitivity: against finite differences, against what is known in closed form, and what it says of itself."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_channel import channel, sunshine
from toy_core import CAPACITY, START, CarriedConfig

import oceanx as ox
from oceanx.physics.coefficients import Coefficient
from oceanx.vocabulary.errors import InputError
from oceanx.workflows.simulation.parameters import freed, parameters_of
from oceanx.workflows.simulation.setup import set_up

CORE = CarriedConfig(damping=2e-7)
GIVEN: dict[str, Any] = {"core": CORE, "init_time": START, "precision": "float64"}
sensitivity, average, simulate = ox.physics.sensitivity, ox.physics.average, ox.physics.simulate


def box(ds: xr.Dataset) -> xr.DataArray:
    """Some of the surface, its lower row land."""
    return ds.thetao.isel(depth=0).sel(latitude=slice(-26, 0), longitude=slice(-50, 50))


def end_of(ds: xr.Dataset, forcing: xr.Dataset, **more: Any) -> float:
    """The mean of the box after three days, by a run."""
    made = simulate(ds, forcing, 3, **(GIVEN | more)).isel(time=-1)
    chosen = box(made)
    return float(chosen.weighted(made.cell_area.where(made.mask[0] == 1, 0.0)).mean())


@cache
def of_everything() -> xr.Dataset:
    """The sensitivity of the mean of the box to all there is."""
    ds, sun = channel(), sunshine(channel(), [100.0, 200.0, 50.0])
    return sensitivity(average(box(ds)), ds, sun, 3, wrt=["thetao", "uo", "ssr", "damping"], **GIVEN)


@settings(max_examples=9, deadline=None)
@given(
    which=st.sampled_from([("thetao", 0.1), ("uo", 1e-4), ("ssr", 10.0)]),
    first=st.integers(0, 2),
    row=st.integers(1, 4),
    column=st.integers(0, 11),
)
def test_any_cell_against_two_runs(which: tuple[str, float], first: int, row: int, column: int) -> None:
    """Temperature and current at the start, heat on a day: central differences of whole runs."""
    variable, by = which
    ends, at = [], (first if variable == "ssr" else first % 2, row, column)
    for sign in (1, -1):
        ds, sun = channel(), sunshine(channel(), [100.0, 200.0, 50.0])
        changed = sun if variable == "ssr" else ds
        values = np.array(changed[variable])
        values[at] += sign * by
        changed[variable] = changed[variable].copy(data=values)
        ends.append(end_of(ds, sun))
    slope = float(of_everything()[variable].values[at])
    assert slope == pytest.approx((ends[0] - ends[1]) / (2 * by), rel=1e-5, abs=1e-8 if variable == "uo" else 1e-12)


def test_the_metric_is_that_of_a_run() -> None:
    assert float(of_everything().metric) == pytest.approx(
        end_of(channel(), sunshine(channel(), [100.0, 200.0, 50.0])), rel=1e-13
    )


def test_a_parameter_against_two_runs() -> None:
    ds, sun = channel(), sunshine(channel(), [100.0, 200.0, 50.0])
    ends = [end_of(ds, sun, core=CarriedConfig(damping=2e-7 + step)) for step in (1e-9, -1e-9)]
    assert float(of_everything().damping) == pytest.approx((ends[0] - ends[1]) / 2e-9, rel=1e-6)


def test_the_adjoint_of_transport_is_transport_backwards() -> None:
    """Upwind, without divergence: per volume, the sensitivity is the metric carried by the opposite current."""
    ds, still = channel(speed=4.0), CarriedConfig()
    given = GIVEN | {"core": still, "step": 7200.0}
    there = ds.cell_area * ds.thickness * ds.mask
    weights = (there * (ds.longitude > 0)).rename("thetao")
    made = sensitivity(weights, ds, days=5, wrt="thetao", density=True, **given)
    target = ds.assign(thetao=(ds.thetao * 0 + (ds.longitude > 0)).assign_attrs(ds.thetao.attrs), uo=-ds.uo)
    target["uo"].attrs = ds.uo.attrs
    backwards = simulate(target, days=5, **given).thetao.isel(time=-1)
    np.testing.assert_allclose(made.thetao, backwards, atol=1e-13)
    assert float(abs(backwards - target.thetao).max()) > 0.2  # and it has moved


def test_heat_and_damping_in_closed_form() -> None:
    """At rest: a watt for a day warms by Δt/(C h) exp(−r (t − day)), and dJ/dr = −t J of what was there."""
    ds = channel(speed=0.0)
    made = sensitivity(average(box(ds)), ds, sunshine(ds, [0.0] * 3), 3, wrt=["ssr", "damping"], step=3600, **GIVEN)
    by_day = made.ssr.sum(("latitude", "longitude"))
    r = 2e-7
    exact = [
        (np.exp(-r * 86400 * (2 - day)) - np.exp(-r * 86400 * (3 - day))) / r / (CAPACITY * 25.0) for day in range(3)
    ]
    np.testing.assert_allclose(by_day, exact, rtol=1e-6)
    assert float(made.damping) == pytest.approx(-3 * 86400 * float(made.metric), rel=1e-6)
    per_second = sensitivity(
        average(box(ds)), ds, sunshine(ds, [0.0] * 3), 3, wrt="ssr", density=True, step=3600, **GIVEN
    )
    wet = per_second.mask[0] == 1
    np.testing.assert_allclose(
        (per_second.ssr * per_second.cell_area * 86400).where(wet), made.ssr.where(wet), rtol=1e-6, atol=1e-18
    )


def test_of_a_uniform_change_all_arrives() -> None:
    """Of a mean in an undamped sea, the derivatives add up to 1; linear forcing shares a day between two dates."""
    ds = channel()
    made = sensitivity(average(ds.thetao), ds, days=2, **(GIVEN | {"core": CarriedConfig()}))
    assert set(made.data_vars) == {"thetao", "uo", "vo", "metric"}
    assert float(made.thetao.sum()) == pytest.approx(1.0, rel=1e-12)
    sun = sunshine(ds, [0.0] * 3)
    linear = sensitivity(
        average(box(ds)), ds, sun, 2, wrt="ssr", between="linear", **(GIVEN | {"core": CarriedConfig()})
    )
    day = 86400 / (CAPACITY * 25.0)
    np.testing.assert_allclose(linear.ssr.sum(("latitude", "longitude")), [day / 2, day, day / 2], rtol=0.35)
    assert float(linear.ssr.sum()) == pytest.approx(2 * day, rel=0.35)
    constant = sensitivity(average(ds.thetao[0]), ds, sun.isel(time=0, drop=True), 2, wrt="ssr", **GIVEN)
    assert constant.ssr.dims == ("latitude", "longitude")


def test_a_function_of_tensors_is_as_good_as_weights() -> None:
    ds = channel()
    weights = average(box(ds))
    by_weights = sensitivity(weights, ds, days=2, wrt=["thetao", "uo"], **GIVEN)
    full = torch.from_numpy(weights.reindex_like(ds.thetao[0], fill_value=0.0).values)

    def mean(fields: Any, geometry: Any) -> torch.Tensor:
        assert geometry.area.shape == (6, 12)
        return (fields["thetao"][0, 0] * full).sum()

    by_function = sensitivity(mean, ds, days=2, wrt=["thetao", "uo"], units="degrees_C", **GIVEN)
    xr.testing.assert_allclose(by_function, by_weights, rtol=1e-13)
    assert by_function.uo.attrs["units"] == by_weights.uo.attrs["units"] == "K/(m s-1)"
    both = xr.Dataset({"thetao": weights, "uo": weights.rename("uo")})
    more = sensitivity(both, ds, days=2, wrt="thetao", **GIVEN)
    assert float(more.metric - by_weights.metric) == pytest.approx(float((weights * ds.uo[0]).sum()), rel=1e-12)
    squared = sensitivity(lambda fields, geometry: mean(fields, geometry) ** 2, ds, days=2, wrt="thetao", **GIVEN)
    xr.testing.assert_allclose(squared.thetao, 2 * by_weights.metric * by_weights.thetao)


def test_labels_and_units() -> None:
    ds, sun = channel(), sunshine(channel(), [100.0, 200.0])
    told: list[tuple[str, int, int]] = []
    made = sensitivity(
        average(box(ds)),
        ds,
        sun,
        2,
        wrt=["thetao", "uo", "ssr", "damping"],
        density=True,
        progress=lambda *said: told.append(said),
        **GIVEN,
    )
    assert told == [("sensitivity", 1, 2), ("sensitivity", 2, 2)]
    assert made.thetao.dims == ("depth", "latitude", "longitude")
    assert made.ssr.dims == ("time", "latitude", "longitude")
    np.testing.assert_array_equal(made.time, sun.time)
    units = {name: made[name].attrs.get("units") for name in made.data_vars}
    assert units == {
        "thetao": "m-3",
        "uo": "K/(m s-1) m-3",
        "ssr": "K/(W m-2) m-2 s-1",
        "damping": None,
        "metric": "degrees_C",
    }
    assert (made.thetao.notnull() == (made.mask == 1)).all()
    assert made.thetao.attrs["long_name"] == "Sensitivity of the metric to Potential temperature at the start"
    plain = sensitivity(average(box(ds)), ds, sun, 2, wrt=["thetao"], **GIVEN)
    assert plain.thetao.attrs["units"] == "1"
    xr.testing.assert_allclose(plain.thetao / (ds.cell_area * ds.thickness), made.thetao)


def test_weights_of_a_mean() -> None:
    ds = channel()
    chosen = ds.thetao.sel(latitude=slice(-26, 0))
    weights = average(chosen)
    exact = chosen.weighted((ds.cell_area * ds.thickness * ds.mask).sel(latitude=slice(-26, 0))).mean()
    assert float((weights * chosen).sum()) == pytest.approx(float(exact), rel=1e-13)
    bare = xr.DataArray(chosen.values, {a: chosen[a].values for a in chosen.dims}, chosen.dims, name="thetao")
    again = average(bare)  # without sizes beside it they are made of the axes: of the selection's, mirrored at its ends
    np.testing.assert_allclose(again.sum(), 1.0)
    dated = average(chosen.expand_dims(time=[np.datetime64(START, "ns")]))
    xr.testing.assert_allclose(dated, weights)
    point = average(ds.thetao.isel(depth=0).sel(latitude=4, longitude=10, method="nearest"))
    assert float(point) == 1.0
    with pytest.raises(InputError, match="no wet cell"):
        average(ds.thetao.isel(latitude=[0]))
    with pytest.raises(InputError, match="has no name"):
        average(ds.thetao.rename(None))
    with pytest.raises(InputError, match="no latitude; choose cells"):
        average(ds.thetao.mean("latitude"))


def test_memory_grows_with_days_not_with_substeps() -> None:
    """What is kept for the way back, by autograd's own count."""

    def kept(step: float, days: int) -> int:
        count = 0

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            nonlocal count
            count += tensor.numel()
            return tensor

        def last(fields: Any, geometry: Any) -> torch.Tensor:
            nonlocal forward
            forward = count
            return fields["thetao"].sum()

        forward = 0
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            sensitivity(last, channel(), days=days, wrt="thetao", step=step, **GIVEN)
        return forward

    assert kept(3600.0, 2) == kept(43200.0, 2)
    assert kept(43200.0, 4) <= 2.5 * max(1, kept(43200.0, 2))


def test_parameters_are_found_freed_and_left_as_they_were() -> None:
    core = set_up(channel(), CORE, START).core
    kappa, nu = Coefficient(1e-5, "m2 s-1"), Coefficient(1e-4, "m2 s-1", learn=False)
    core.mixing = torch.nn.ModuleDict({"kappa": kappa, "nu": nu})  # type: ignore[attr-defined]
    core.gain = torch.nn.Parameter(torch.tensor(2.0))  # type: ignore[attr-defined]
    assert parameters_of(core) == {"damping": "", "kappa": "m2 s-1", "nu": "m2 s-1", "gain": ""}
    with freed(core, ["damping", "kappa", "nu", "gain"]) as free:
        made = core.damping * kappa() * nu() * core.gain  # type: ignore[attr-defined]
        slopes = torch.autograd.grad(made, list(free.values()))
        for slope, tensor in zip(slopes, free.values(), strict=True):
            assert float(slope * tensor.detach()) == pytest.approx(float(made.detach()), rel=1e-6)
    assert core.damping == 2e-7  # type: ignore[attr-defined]
    assert float(kappa().detach()) == pytest.approx(1e-5)
    assert nu() == 1e-4


def test_the_primitive_equations_tell_their_sensitivity() -> None:
    """A day of wind over a stratified sea: the derivative along a random change is that of two runs."""
    ds = channel(3).assign(so=(channel(4).thetao * 0.1 + 34).assign_attrs(units="1e-3"))
    ds["thetao"] = (ds.thetao * 0.1 + xr.DataArray([18.0, 8.0], dims="depth")).assign_attrs(units="degrees_C")
    wind = sunshine(ds, [0.1]).ssr
    forcing = xr.Dataset({"tauuo": wind.assign_attrs(units="Pa"), "tauvo": (0 * wind).assign_attrs(units="Pa")})
    given = {"init_time": START, "precision": "float64", "at_rest": True, "step": 10800.0}
    weights = average(ds.uo.isel(depth=0).sel(latitude=slice(0, 26)))
    ds = ds.drop_vars(["uo", "vo"])
    made = sensitivity(weights, ds, forcing, 1, wrt=["thetao", "tauuo", "vertical_viscosity"], **given)
    assert made.vertical_viscosity.attrs["units"] == "m s-1/(m2 s-1)"
    rng = np.random.default_rng(1)
    ends = []
    change = 0.01 * rng.standard_normal(ds.thetao.shape), 1e-3 * rng.standard_normal(forcing.tauuo.shape)
    for sign in (1e-2, -1e-2):
        warm = ds.assign(thetao=ds.thetao + sign * change[0])
        windy = forcing.assign(tauuo=forcing.tauuo + sign * change[1])
        end = simulate(warm, windy, 1, compile=False, **given).uo.isel(time=-1)
        ends.append(float((end * weights.drop_vars("depth")).isel(depth=0).sum()))
    exact = (ends[0] - ends[1]) / 2e-2
    along = float((made.thetao * change[0]).sum() + (made.tauuo * change[1]).sum())
    assert along == pytest.approx(exact, rel=1e-4)


def test_what_makes_no_sense_is_refused() -> None:
    ds = channel()
    good = average(box(ds))
    for metric, wrt, said in (
        (good, "thetoa", "did you mean 'thetao'"),
        (good, "ssr", "unknown name in wrt 'ssr'"),
        (good, [], "wrt: names nothing"),
        (good.rename(None), None, "the weights have no name"),
        (good.rename("zos"), None, "unknown variable of the metric 'zos'"),
        (good.drop_vars("depth"), None, "have no depth"),
        (good.assign_coords(latitude=good.latitude + 3), None, "latitude .* is not on the grid"),
        (good.expand_dims(time=[0]), None, "have a time"),
        (xr.Dataset(), None, "holds no variable"),
        (3, None, "found int"),
        (lambda fields, geometry: fields["thetao"], None, "found shape"),
        (lambda fields, geometry: 1.0, None, "found float"),
        (lambda fields, geometry: torch.ones(()), None, "does not depend on anything"),
        (lambda fields, geometry: fields["thetao"].sum() / 0, None, "metric: is inf"),
    ):
        with pytest.raises(InputError, match=said):
            sensitivity(metric, ds, days=1, wrt=wrt, **GIVEN)  # type: ignore[arg-type]
    fast = channel(speed=5.0, longitude=np.arange(-178.5, 180, 3.0))
    with pytest.raises(InputError, match="will not do"):
        sensitivity(average(fast.thetao), fast, days=1, step=86400.0, **GIVEN)
    with pytest.raises(InputError, match="the run does not depend on idle"):
        sensitivity(good, ds, days=1, wrt=["thetao", "idle"], **(GIVEN | {"core": IdleConfig()}))


class IdleConfig(CarriedConfig):
    """A core with a number that does nothing."""

    def build(self, geometry: Any) -> Any:
        made = super().build(geometry)
        made.idle = 1.0  # type: ignore[attr-defined]
        return made
