"""Gaspari and Cohn's correlation as a matrix: its numbers by a plain loop, its root, and what it leaves of samples."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import toy_errors

from oceanx.tensors.geometry import Geometry
from oceanx.variational import tapered
from oceanx.variational.background import SampledConfig
from oceanx.variational.sampled import Localised, Sampled
from oceanx.variational.tapered import Tapered
from oceanx.variational.univariate import Univariate
from oceanx.vocabulary.constants import EARTH_RADIUS
from oceanx.vocabulary.errors import InputError

G = toy_errors.geometry()


def gaspari_cohn(z: float) -> float:
    """The published polynomials."""
    if z <= 1:
        return -(z**5) / 4 + z**4 / 2 + 5 * z**3 / 8 - 5 * z**2 / 3 + 1
    return z**5 / 12 - z**4 / 2 + 5 * z**3 / 8 + 5 * z**2 / 3 - 5 * z + 4 - 2 / (3 * z) if z < 2 else 0.0


def test_it_is_the_product_of_two_published_functions():
    half_width, height = 200e3, 40.0
    c = Tapered(G, 3, half_width, height)
    found = toy_errors.dense(Univariate({"x": torch.ones_like(G.mask)}, {"x": c})).numpy()
    phi, lam = np.deg2rad(G.latitude.numpy()), np.deg2rad(G.longitude.numpy())
    cells = [(k, j, i) for k in range(3) for j in range(6) for i in range(7)]
    for one, (k, j, i) in list(enumerate(cells))[::5]:
        for other, (m, n, o) in enumerate(cells):
            haversine = np.sin((phi[j] - phi[n]) / 2) ** 2
            haversine += np.cos(phi[j]) * np.cos(phi[n]) * np.sin((lam[i] - lam[o]) / 2) ** 2
            chord = 2 * EARTH_RADIUS * np.sqrt(haversine)
            down = abs(toy_errors.DEPTH[k] - toy_errors.DEPTH[m])
            expected = gaspari_cohn(chord / half_width) * gaspari_cohn(down / height)
            expected *= float(G.mask[k, j, i] * G.mask[m, n, o])
            assert found[one, other] == pytest.approx(expected, abs=1e-12)


def test_its_root_and_the_adjoint_of_it_belong_together():
    c = Tapered(G, 3, 2e5, 40.0)
    random = torch.Generator().manual_seed(0)
    v = torch.randn(3, c.size, generator=random, dtype=torch.float64)
    field = torch.randn(3, 3, 6, 7, generator=random, dtype=torch.float64)
    torch.testing.assert_close((c.root(v) * field).sum(), (v * c.adjoint(field)).sum(), rtol=1e-12, atol=1e-12)


def test_on_a_plane_distances_are_straight():
    edges = torch.arange(6, dtype=torch.float64) * 1e4
    one = torch.ones(1, dtype=torch.float64)
    g = Geometry.plane(edges, edges, one, one, torch.ones(1, 5, 5), dtype=torch.float64)
    matrix = toy_errors.dense(Univariate({"x": torch.ones_like(g.mask)}, {"x": Tapered(g, 1, 2e4)}))
    assert float(matrix[0, 1]) == pytest.approx(gaspari_cohn(0.5), abs=1e-12)
    assert float(matrix[0, 6]) == pytest.approx(gaspari_cohn(np.sqrt(0.5)), abs=1e-12)
    assert float(matrix[0, 4]) == pytest.approx(0.0, abs=1e-12)


def test_it_localises_samples():
    setting = toy_errors.setting(G, samples=6)
    b = SampledConfig(localisation="gaspari_cohn", length=200.0, height=40.0).build(setting)
    field = toy_errors.dense(Univariate({"x": torch.ones_like(G.mask)}, {"x": Tapered(G, 3, 2e5, 40.0)}))
    cells = torch.arange(126)
    which = torch.cat([cells] * 4 + [cells[:42]])
    expected = toy_errors.dense(Sampled(setting.samples)) * field[which][:, which]
    assert isinstance(b, Localised)
    torch.testing.assert_close(toy_errors.dense(b), expected, rtol=0, atol=1e-13)


def test_too_many_cells_are_refused(monkeypatch):
    monkeypatch.setattr(tapered, "MOST", 10)
    with pytest.raises(InputError, match="diffusion"):
        Tapered(G, 3, 2e5)
