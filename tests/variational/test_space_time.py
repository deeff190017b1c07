"""Covariances of distance and time: against the formulas on a sphere and a plane, point by point."""

from __future__ import annotations

import math

import pytest
import torch
import toy_errors
from ring import CELLS, draw, operator
from toy_ring import setting as ring_setting

from oceanx.tensors.observe import Operator, Part
from oceanx.variational.analysis import Observed, Window
from oceanx.variational.optimal_interpolation import OptimalInterpolationConfig
from oceanx.variational.space_time import AnalyticConfig
from oceanx.vocabulary.constants import EARTH_RADIUS
from oceanx.vocabulary.errors import InputError

DAY = 86400.0
GEOMETRY = toy_errors.geometry()
SETTING = toy_errors.setting(GEOMETRY)
shapes = pytest.mark.parametrize("shape", ["gaussian", "exponential"])


def rho(a, shape):
    return math.exp(-a * a) if shape == "gaussian" else math.exp(-a)


def great_circle(one, other):
    """Haversine, degrees to m."""
    (a, b), (c, d) = (map(math.radians, point) for point in (one, other))
    h = math.sin((c - a) / 2) ** 2 + math.cos(a) * math.cos(c) * math.sin((d - b) / 2) ** 2
    return 2 * EARTH_RADIUS * math.asin(math.sqrt(h))


def on_cells(name, cells, levels):
    """An operator of wet cells of one variable as they are."""
    where = torch.tensor(cells)
    part = Part(torch.arange(len(cells)), where[:, None], torch.ones(len(cells), 1).double(), (levels, 6, 7))
    return Operator({name: part}, len(cells))


def window(name, places, ages, depths=None):
    """Observations at cells `[row, column]` or `[level, row, column]`, beside each other in the table."""
    levels = 1 if name == "zos" else 3
    places = [(0, *p) if len(p) == 2 else p for p in places]
    cells = [(k * 6 + j) * 7 + i for k, j, i in places]
    latitude = torch.stack([GEOMETRY.latitude[j] for _, j, _ in places])
    longitude = torch.stack([GEOMETRY.longitude[i] for _, _, i in places])
    depth = torch.tensor(depths or [0.0] * len(cells)).double()
    observed = Observed(draw(1, len(cells)), 0.02 + 0 * draw(1, len(cells)), on_cells(name, cells, levels))
    age = None if ages is None else torch.tensor(ages).double() * DAY
    return Window(observed, latitude=latitude, longitude=longitude, depth=depth, age=age)


PLACES = [(0, 0), (1, 0), (3, 2), (5, 6), (4, 5)]
AGES = [-3.0, 0.0, 2.5, 7.0, 0.25]


@shapes
def test_between_observations_it_is_the_formula(shape):
    config = AnalyticConfig(shape=shape, length=150.0, time="7D", spread={"zos": 0.025}, basin={"zos": 0.02})
    asked = window("zos", PLACES, AGES)
    found = config.build(SETTING).observed(asked)
    points = list(zip(asked.latitude.tolist(), asked.longitude.tolist(), strict=True))
    for i, one in enumerate(points):
        for j, other in enumerate(points):
            near = 0.025**2 * rho(great_circle(one, other) / 150e3, shape) + 0.02**2
            expected = near * rho(abs(AGES[i] - AGES[j]) / 7, shape)
            assert float(found[i, j]) == pytest.approx(expected, rel=1e-10)


@shapes
def test_of_cells_it_is_the_formula_and_nothing_on_land(shape):
    config = AnalyticConfig(shape=shape, length=150.0, time="7D", spread={"zos": 0.025}, basin={"zos": 0.02})
    asked, weights = window("zos", PLACES, AGES), draw(5, len(PLACES))
    found = config.build(SETTING).increment(weights, asked)
    points = list(zip(asked.latitude.tolist(), asked.longitude.tolist(), strict=True))
    for j in range(6):
        for i in range(7):
            here = float(GEOMETRY.latitude[j]), float(GEOMETRY.longitude[i])
            terms = (
                float(w) * (0.025**2 * rho(great_circle(here, at) / 150e3, shape) + 0.02**2) * rho(abs(age) / 7, shape)
                for w, at, age in zip(weights, points, AGES, strict=True)
            )
            expected = sum(terms) if GEOMETRY.mask[0, j, i] else 0.0
            assert float(found["zos"][0, 0, j, i]) == pytest.approx(expected, rel=1e-9, abs=1e-15)
    assert not found["thetao"].any()


def test_depths_are_told_apart():
    """T at two levels and in between, with the Setting's own spread, length and height."""
    asked = window("thetao", [(0, 1, 0), (1, 1, 0), (2, 0, 0)], None, [5.0, 30.0, 90.0])
    found = AnalyticConfig().build(SETTING)
    L, D = 2**0.5 * 2e5, 2**0.5 * 40.0  # whose curvature at 0 is that of exp(−½ r²/(200 km)²)
    points = list(zip(asked.latitude.tolist(), asked.longitude.tolist(), strict=True))
    covariance, depths = found.observed(asked), (5.0, 30.0, 90.0)
    for i in range(3):
        for j in range(3):
            near = rho(great_circle(points[i], points[j]) / L, "gaussian")
            expected = 0.64 * near * rho(abs(depths[i] - depths[j]) / D, "gaussian")
            assert float(covariance[i, j]) == pytest.approx(expected, rel=1e-9)
    change = found.increment(torch.ones(3).double(), asked)["thetao"]
    assert change[0, 0, 1, 0] == pytest.approx(
        float(covariance[0].sum()), rel=1e-9
    )  # the cells observed are themselves
    assert change[0, 1, 1, 0] == pytest.approx(float(covariance[1].sum()), rel=1e-9)


def test_an_analysis_by_hand():
    """Two observations of sea level, days before and after: weights by the inverse of 2 × 2."""
    config = OptimalInterpolationConfig.parse(
        {"background": {"kind": "analytic", "length": 60.0, "time": "7D", "spread": {"zos": 0.025}}}
    )
    asked = window("zos", [(0, 0), (0, 1)], [-2.0, 3.0])
    background = toy_errors.background(GEOMETRY)
    found = config.build(SETTING)(background, asked)
    apart = great_circle((30.5, -19.5), (30.5, -18.5))
    near = 0.025**2 * rho(apart / 60e3, "gaussian") * rho(5 / 7, "gaussian")
    S = torch.tensor([[0.025**2, near], [near, 0.025**2]], dtype=torch.float64)
    w = torch.linalg.inv(S + 0.02**2 * torch.eye(2).double()) @ asked.observed.values
    here = 0.025**2 * (w[0] * rho(2 / 7, "gaussian") + w[1] * rho(apart / 60e3, "gaussian") * rho(3 / 7, "gaussian"))
    assert float(found.increment["zos"][0, 0, 0, 0]) == pytest.approx(float(here), rel=1e-9)
    assert torch.allclose(found.variance, S.diagonal(), rtol=1e-12, atol=0)
    assert not found.increment["thetao"].any()


def test_on_a_plane_distances_are_straight_and_go_round_where_it_does():
    setting = ring_setting()
    covariance = AnalyticConfig(length=4.0, spread={"zos": 1.0}).build(setting)
    y, x = torch.full((3,), 500.0).double(), torch.tensor([500.0, 4500.0, 60500.0]).double()
    asked = Window(Observed(draw(0, 3), draw(1, 3).abs(), operator(torch.tensor([0, 4, 60]))), latitude=y, longitude=x)
    found = covariance.observed(asked)
    assert float(found[0, 1]) == pytest.approx(math.exp(-1), rel=1e-12)
    assert float(found[0, 2]) == pytest.approx(math.exp(-1), rel=1e-12)  # the other way round
    assert float(found[1, 2]) == pytest.approx(math.exp(-4), rel=1e-12)
    assert covariance.increment(torch.ones(3).double(), asked)["zos"].shape == (1, 1, 1, CELLS)


def test_what_it_needs_is_said():
    with pytest.raises(InputError, match=r"analytic covariance: \['sst'\] are not among"):
        AnalyticConfig(spread={"sst": 1.0}).build(SETTING)
    bare = Window(Observed(draw(0, 1), draw(1, 1).abs(), operator(torch.tensor([0]))))
    with pytest.raises(ValueError, match="needs the latitude and longitude"):
        AnalyticConfig(spread={"zos": 1.0}).build(ring_setting()).observed(bare)
