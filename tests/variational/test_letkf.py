"""The LETKF: against the ETKF where its reach is unbounded, a loop over cells where it is not, and on Lorenz-96."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import toy_ring as ring
import toy_tensors as toy
from lorenz_filters import scored

from oceanx.tensors.geometry import Geometry
from oceanx.tensors.observe import Operator, Part
from oceanx.tensors.state import State
from oceanx.variational import local, local_increments
from oceanx.variational.analysis import Observed, Setting, Window
from oceanx.variational.etkf import ETKFConfig
from oceanx.variational.inflation import Adaptive, InflationConfig
from oceanx.variational.letkf import LETKFConfig
from oceanx.variational.localisation import HalfWidths
from oceanx.variational.neighbours import Neighbours, places

NONE = InflationConfig()
MEMBERS = 9
EVERYWHERE = {"km": float("inf"), "m": float("inf")}
NEAR = {"thetao": {"km": 250.0, "m": 30.0}, "zos": {"km": 400.0, "m": 60.0}}
THROUGH = {"thetao": {"km": 250.0, "m": float("inf")}, "zos": {"km": 400.0, "m": float("inf")}}


@pytest.fixture
def ocean():
    """A Setting with a coast and two levels, random members, and a window of temperature and surface height."""
    task, geometry = toy.task(), toy.geometry().double()
    random = torch.Generator().manual_seed(4)
    setting = Setting(
        task.prognostic,
        geometry,
        {},
        dict.fromkeys(task.prognostic.names, 150e3),
        dict.fromkeys(task.prognostic.names, 40.0),
    )
    members = State({name: field.double() for name, field in toy.state(task, geometry, MEMBERS).items()})
    return setting, members, observed(geometry, random)


def observed(geometry, random, kept=slice(None)):
    """Twelve temperatures between two cells each, at two levels, and five heights of the surface."""
    wet = {levels: geometry.mask_of(levels).flatten().nonzero()[:, 0] for levels in (1, 2)}
    volume = wet[2][torch.randperm(len(wet[2]), generator=random)[:24]].reshape(12, 2)
    volume[:, 1] = volume[:, 0]  # all their weight in one cell, given in two parts
    surface = wet[1][torch.randperm(len(wet[1]), generator=random)[:5]][:, None]
    area = geometry.area.shape
    parts = {
        "thetao": Part(torch.arange(0, 24, 2)[:12], volume, torch.tensor([[0.7, 0.3]]).expand(12, 2), (2, *area)),
        "zos": Part(torch.tensor([1, 3, 5, 7, 9]), surface, torch.ones(5, 1), (1, *area)),
    }
    rows = torch.cat([part.rows for part in parts.values()]).sort().values
    place = {int(row): at for at, row in enumerate(rows)}
    parts = {
        name: part._replace(rows=torch.tensor([place[int(row)] for row in part.rows])) for name, part in parts.items()
    }
    values = 15 * torch.rand(17, generator=random, dtype=torch.float64)
    return Window(Observed(values, 0.3 + torch.rand(17, generator=random).double(), Operator(parts, 17)), seed=3)


def config(**more):
    return LETKFConfig.parse({"members": MEMBERS, "localisation": NEAR, "inflation": {}} | more)


@pytest.mark.parametrize("inflation", [{}, {"multiplicative": 1.2}, {"rtpp": 0.3}, {"rtps": 0.6}])
@pytest.mark.parametrize("rotate", [False, True])
def test_with_unbounded_reach_it_is_the_etkf(ocean, inflation, rotate):
    setting, members, window = ocean
    everywhere = dict.fromkeys(setting.channels.names, EVERYWHERE)
    both = {"members": MEMBERS, "inflation": inflation, "rotate": rotate}
    one = ETKFConfig.parse(both).build(setting)(members, window)
    for every in (1, 3):
        options = both | {"localisation": everywhere, "every": every}
        found = LETKFConfig.parse(options).build(setting)(members, window)
        for name in members:
            torch.testing.assert_close(found.increment[name], one.increment[name], rtol=0, atol=1e-10)
        torch.testing.assert_close(found.variance, one.variance, rtol=0, atol=1e-10)
        if every == 1 or "rtpp" not in inflation:
            torch.testing.assert_close(found.analysed_variance, one.analysed_variance, rtol=0, atol=1e-10)
            torch.testing.assert_close(found.influence, one.influence, rtol=0, atol=1e-10)


def by_loop(setting, members, window, inflation, reach):
    """The analysis of every cell by itself, in plain numpy."""
    geometry, seen = setting.geometry, window.observed
    y = seen.operator(members).double().numpy()
    d, y = seen.values.numpy() - y.mean(0), y - y.mean(0)
    where = places(window, geometry)
    widths = {name: HalfWidths(1000 * each["km"], each["m"]) for name, each in reach.items()}
    near = Neighbours(geometry, where, widths)
    rows, columns = geometry.area.shape
    taper = np.zeros((rows * columns, len(d)))
    pairs = near.pairs(np.arange(rows * columns))
    taper[np.repeat(np.arange(rows * columns), pairs.per_column), pairs.observation] = pairs.taper
    increments = {name: np.zeros(field.shape) for name, field in members.items()}
    for level, row, column in np.argwhere(geometry.mask.numpy()):
        weight = taper[row * columns + column] * near.vertical[level].numpy() / seen.std.numpy() ** 2
        c = (MEMBERS - 1) / inflation**2 * np.eye(MEMBERS) + y * weight @ y.T
        values, vectors = np.linalg.eigh(c)
        w = vectors @ np.diag(1 / values) @ vectors.T @ (y * weight @ d)
        root = np.sqrt(MEMBERS - 1) * vectors @ np.diag(values**-0.5) @ vectors.T
        for name, field in members.items():
            if weight.any() and level < field.shape[1]:
                cell = field[:, level, row, column].numpy()
                x = cell - cell.mean()
                increments[name][:, level, row, column] = cell.mean() + x @ w + root @ x - cell
    return increments


@pytest.mark.parametrize("inflation", [1.0, 1.3])
@pytest.mark.parametrize("batch", [3, 512])
@pytest.mark.parametrize("reach", [NEAR, THROUGH])
def test_every_cell_has_the_analysis_of_the_observations_near_it(ocean, inflation, batch, reach, monkeypatch):
    setting, members, window = ocean
    monkeypatch.setattr(local, "BATCH", batch)
    monkeypatch.setattr(local, "BLOCK", 4 * batch)
    found = config(localisation=reach, inflation={"multiplicative": inflation}).build(setting)(members, window)
    expected = by_loop(setting, members, window, inflation, reach)
    for name, field in expected.items():
        np.testing.assert_allclose(found.increment[name].numpy(), field, rtol=0, atol=1e-11)


@pytest.mark.parametrize("every", [1, 3])
def test_cells_beyond_two_half_widths_of_every_observation_stay_bit_for_bit(every, monkeypatch):
    """In pieces so small that most have no observation of their own."""
    monkeypatch.setattr(local_increments, "BATCH", 2)
    members = ring.state(torch.randn(MEMBERS, 64, dtype=torch.float64))
    window = Window(ring.observed(torch.tensor([20, 23]), torch.ones(2, dtype=torch.float64)))
    inflation = InflationConfig(rtps=0.7, rtpp=0.1, multiplicative=1.1)
    near = {"zos": {"km": 3.5}}
    method = LETKFConfig(members=MEMBERS, localisation=near, inflation=inflation, every=every).build(ring.setting())
    moved = ring.values(members + method(members, window).increment) != ring.values(members)
    assert moved[:, 14:30].all()
    assert not moved[:, :14].any()
    assert not moved[:, 30:].any()


def test_without_observations_the_background_stays_bit_for_bit(ocean):
    setting, members, window = ocean
    none = torch.zeros(17, dtype=torch.bool)
    nothing = Observed(window.observed.values[none], window.observed.std[none], window.observed.operator.keep(none))
    found = config(rotate=True).build(setting)(members, Window(nothing))
    assert all(torch.equal((members + found.increment)[name], members[name]) for name in members)


def test_permuted_observations_make_the_same_analysis(ocean):
    setting, members, window = ocean
    order = torch.randperm(17, generator=torch.Generator().manual_seed(0))
    place = order.argsort()
    observed = window.observed
    parts = {name: part._replace(rows=place[part.rows]) for name, part in observed.operator.parts.items()}
    other = Observed(observed.values[order], observed.std[order], Operator(parts, 17))
    method = config(inflation={"rtps": 0.5}).build(setting)
    first, second = method(members, window), method(members, Window(other, seed=3))
    for name in members:
        torch.testing.assert_close(first.increment[name], second.increment[name], rtol=0, atol=1e-12)
    torch.testing.assert_close(first.influence[order], second.influence, rtol=0, atol=1e-12)
    assert first.chi_squared == pytest.approx(second.chi_squared, abs=1e-10)


def test_permuted_members_get_permuted_increments(ocean):
    setting, members, window = ocean
    order = torch.randperm(MEMBERS, generator=torch.Generator().manual_seed(0))
    method = config().build(setting)
    first, second = method(members, window), method(members.map(lambda field: field[order]), window)
    for name in members:
        torch.testing.assert_close(first.increment[name][order], second.increment[name], rtol=0, atol=1e-12)


def test_a_rotation_is_the_same_everywhere(ocean):
    """X_a U: the local anomalies of a cell with observations and of one without are turned by one matrix."""
    setting, members, window = ocean
    plain = members + config().build(setting)(members, window).increment
    turned = members + config(rotate=True).build(setting)(members, window).increment
    x, z = (torch.cat([(field - field.mean(0)).flatten(1) for field in state.values()], 1) for state in (plain, turned))
    turn = torch.linalg.lstsq(x[1:].T, z.T).solution  # members add up to 0: one of them is known by the others
    torch.testing.assert_close(x[1:].T @ turn, z.T, rtol=0, atol=1e-10)
    for name in members:
        torch.testing.assert_close(plain[name].mean(0), turned[name].mean(0), rtol=0, atol=1e-11)


def test_one_observation_seen_by_its_own_cell_has_the_scalar_gain():
    """σb²/(σb² + σo²) of the departure, with the members' own σb; at distance r, σo² is divided by the taper."""
    random = torch.Generator().manual_seed(6)
    members = torch.randn(12, 64, generator=random, dtype=torch.float64)
    window = Window(ring.observed(torch.tensor([20]), torch.tensor([1.5], dtype=torch.float64), 0.4))
    method = LETKFConfig(members=12, localisation={"zos": {"km": 5.0}}, inflation=NONE).build(ring.setting())
    found = method(ring.state(members), window)
    change = ring.values(ring.state(members) + found.increment).mean(0) - members.mean(0)
    cov = torch.cov(members.T)[:, 20]
    departure = 1.5 - members[:, 20].mean()
    for cell, taper in ((20, 1.0), (25, 5 / 24)):
        expected = cov[cell] * departure / (cov[20] + 0.16 / taper)
        assert float(change[cell]) == pytest.approx(float(expected), abs=1e-12)
    assert float(found.influence[0]) == pytest.approx(float(cov[20] / (cov[20] + 0.16)), abs=1e-12)
    assert float(found.chi_squared) == pytest.approx(float(departure**2 / (cov[20] + 0.16)), abs=1e-12)
    assert float(found.analysed_variance[0]) == pytest.approx(float(0.16 * cov[20] / (cov[20] + 0.16)), abs=1e-12)


def smooth(count, seed):
    """Members that vary slowly in space, on a plane of 24 × 30 cells with an island."""
    random = torch.Generator().manual_seed(seed)
    edges = 1000.0 * torch.arange(31, dtype=torch.float64)
    mask, level = torch.ones(1, 24, 30, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    mask[0, 8:13, 11:15] = 0
    geometry = Geometry.plane(edges[:25], edges, level, level + 1, mask, dtype=torch.float64)
    y, x = (axis / 15e3 for axis in (geometry.latitude[:, None], geometry.longitude))
    waves = torch.randn(5, count, 1, 1, generator=random, dtype=torch.float64)
    fields = waves[0] * torch.sin(x) + waves[1] * torch.cos(y) + waves[2] * torch.sin(x + y) + waves[3] + waves[4] * x
    setting = Setting(ring.channels(), geometry, {}, {"zos": 8000.0}, {})
    cells = mask.flatten().nonzero()[:, 0][::9]
    part = Part(torch.arange(len(cells)), cells[:, None], torch.ones(len(cells), 1), (1, 24, 30))
    values = torch.randn(len(cells), generator=random, dtype=torch.float64)
    seen = Observed(values, torch.full_like(values, 0.5), Operator({"zos": part}, len(cells)))
    return setting, State({"zos": (fields * mask)[:, None]}), Window(seen)


def test_weights_between_cells_are_nearly_those_of_every_cell(monkeypatch):
    setting, members, window = smooth(10, seed=1)
    made = {}
    for every in (1, 2, 4):
        method = LETKFConfig(members=10, localisation={"zos": {"km": 9.0}}, every=every, inflation=NONE).build(setting)
        made[every] = method(members, window)
    scale = float(made[1].increment["zos"].std())
    errors = {every: float((made[every].increment["zos"] - made[1].increment["zos"]).std()) / scale for every in (2, 4)}
    assert errors[2] < 0.01
    assert errors[2] < 0.5 * errors[4] < 0.05
    # In the analysed cells themselves nothing is interpolated; in pieces it is the same.
    torch.testing.assert_close(
        made[4].increment["zos"][..., ::4, ::4], made[1].increment["zos"][..., ::4, ::4], rtol=0, atol=1e-12
    )
    torch.testing.assert_close(made[2].analysed_variance, made[1].analysed_variance, rtol=0.05, atol=0)
    monkeypatch.setattr(local_increments, "ROOM", 100 * 20)
    monkeypatch.setattr(local_increments, "BATCH", 17)
    pieces = LETKFConfig(members=10, localisation={"zos": {"km": 9.0}}, every=2, inflation=NONE).build(setting)
    torch.testing.assert_close(pieces(members, window).increment["zos"], made[2].increment["zos"], rtol=0, atol=1e-12)


def test_threads_do_not_change_a_bit(monkeypatch):
    setting, members, window = smooth(10, seed=2)
    monkeypatch.setattr(local, "BLOCK", 100)
    method = LETKFConfig(members=10, localisation={"zos": {"km": 6.0}}).build(setting)
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(method(members, window))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0].increment["zos"], found[1].increment["zos"])
    assert torch.equal(found[0].influence, found[1].influence)


def test_over_sea_nothing_passes_a_wall():
    setting, members, window = smooth(10, seed=3)
    mask = setting.geometry.mask
    mask[0, :, 14] = 0  # from one edge to the other
    members = members.map(lambda field: field * mask)
    one = torch.zeros(len(window.observed), dtype=torch.bool)
    cell = window.observed.operator.parts["zos"].cells[:, 0]
    one[int(((cell % 30) == 12).nonzero()[0])] = True
    kept = Observed(window.observed.values[one], window.observed.std[one], window.observed.operator.keep(one))
    for over_sea in (False, True):
        method = LETKFConfig(members=10, localisation={"zos": {"km": 6.0}}, over_sea=over_sea, inflation=NONE)
        change = method.build(setting)(members, Window(kept)).increment["zos"]
        assert change[..., :14].any()
        assert bool(change[..., 15:].any()) is not over_sea


def test_half_widths_are_told():
    method = LETKFConfig(members=MEMBERS, localisation={"zos": {"km": 5.0}}, inflation=NONE).build(ring.setting())
    assert method.ocean.told == {"zos_half_width_km": 5.0, "zos_half_width_m": float("inf")}
    window = Window(ring.observed(torch.tensor([20]), torch.zeros(1, dtype=torch.float64)))
    found = method(ring.state(torch.randn(MEMBERS, 64, dtype=torch.float64)), window)
    assert found.numbers["zos_half_width_km"] == 5.0


def test_what_adaptive_inflation_has_learnt_is_carried():
    adaptive = InflationConfig(adaptive=Adaptive(std=0.3))
    made = LETKFConfig(members=MEMBERS, localisation={"zos": {"km": 5.0}}, inflation=adaptive)
    method, again = made.build(ring.setting()), made.build(ring.setting())
    members = ring.state(0.1 * torch.randn(MEMBERS, 64, dtype=torch.float64))
    sites = torch.arange(0, 64, 4)
    window = Window(ring.observed(sites, torch.linspace(-2, 2, 16, dtype=torch.float64)))
    method(members, window)
    again.resume(method.carried)
    first, second = method(members, window), again(members, window)
    assert first.numbers["inflation"] > 1.1
    assert torch.equal(first.increment["zos"], second.increment["zos"])
    assert torch.equal(method.carried["inflation"], again.carried["inflation"])


def test_in_single_precision_it_is_the_same_as_far_as_single_precision_goes(ocean):
    setting, members, window = ocean
    short = members.map(lambda field: field.float())
    method = config(inflation={"rtps": 0.5}).build(setting)
    one, two = method(short.map(lambda field: field.double()), window), method(short, window)
    for name, field in two.increment.items():
        assert field.dtype == torch.float32
        torch.testing.assert_close(field.double(), one.increment[name], rtol=0, atol=1e-4)


@pytest.mark.usefixtures("without_type_checks")  # thousands of small analyses
def test_lorenz_96_has_the_published_score():
    inflation, reach = InflationConfig(multiplicative=1.04), {"x": {"km": 1.82 * 4}}
    rmse, spread = scored(LETKFConfig(members=7, localisation=reach, inflation=inflation, rotate=True))
    assert abs(rmse - 0.22) < 0.02
    assert abs(spread / rmse - 1) < 0.2
