"""Gaussian weights over water alone: noise against its closed form, smoothing against scipy and what it promises."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from oceanx.ocean import grid
from oceanx.vocabulary.constants import EARTH_RADIUS
from oceanx.workflows.gaussian_lines import Plane, correlated, in_cells, in_kilometres, smoothed

RADIUS = EARTH_RADIUS / 1000


def labelled(latitude: np.ndarray, longitude: np.ndarray) -> xr.Dataset:
    coords = {"latitude": ("latitude", latitude), "longitude": ("longitude", longitude)}
    ds = xr.Dataset(coords=coords)
    return ds.assign_coords(cell_area=grid.area(ds.latitude, ds.longitude))


def globe(step: float = 15.0) -> xr.Dataset:
    return labelled(np.arange(-90 + step / 2, 90, step), np.arange(-180, 180, step))


def box(south: float = -4.0, north: float = 4.0, step: float = 0.5) -> xr.Dataset:
    return labelled(np.arange(south, north, step), np.arange(0, 9.0, step))


def operator(wet: np.ndarray, plane: Plane, length: float) -> np.ndarray:
    """What noise in each cell makes of each cell, by one unit of noise at a time: its square is the covariance."""
    cells = wet[0].size
    unit = np.eye(cells, dtype="float32").reshape(cells, 1, *wet.shape[1:])
    return correlated(unit, wet, plane, length).reshape(cells, cells).T.astype("float64")


def coasts(shape: tuple[int, int], seed: int, share: float = 0.3) -> np.ndarray:
    return np.random.default_rng(seed).random((1, *shape)) > share


class TestNoise:
    @example(seed=0, length=4000.0, share=0.0, whole=True)
    @settings(max_examples=15, deadline=None)
    @given(seed=st.integers(0, 10**6), length=st.floats(50, 5000), share=st.floats(0, 0.6), whole=st.booleans())
    def test_variance_is_one_in_every_cell(self, seed: int, length: float, share: float, whole: bool) -> None:
        """Exactly, beside every coast, in every strait and near the poles."""
        ds = globe() if whole else box()
        wet = coasts(ds.cell_area.shape, seed, share)
        covariance = operator(wet, in_kilometres(ds), length)
        covariance = covariance @ covariance.T
        np.testing.assert_allclose(np.diag(covariance), 1.0, atol=2e-5)
        at_sea = wet.ravel()
        np.testing.assert_array_equal(covariance[~at_sea][:, ~at_sea], np.eye((~at_sea).sum()))
        np.testing.assert_array_equal(covariance[at_sea][:, ~at_sea], 0)

    @pytest.mark.parametrize("length", [60.0, 100.0])
    @pytest.mark.parametrize("latitude", [0.0, 60.0])
    def test_correlation_is_gaussian_in_kilometres(self, latitude: float, length: float) -> None:
        """exp(−d²/2L²) in open water along the parallel, the meridian and between, far from the edges."""
        ds = labelled(np.arange(latitude - 4, latitude + 4.1, 0.25), np.arange(0, 16.1, 0.25 if latitude == 0 else 0.5))
        wet = np.ones((1, *ds.cell_area.shape), dtype=bool)
        middle = tuple(size // 2 for size in wet.shape[1:])
        made = operator(wet, in_kilometres(ds), length).reshape(*wet.shape[1:], -1)
        phi, lam = (np.deg2rad(ds[axis].values) for axis in ("latitude", "longitude"))
        y = RADIUS * (phi - phi[middle[0]])[:, None]
        x = RADIUS * np.cos(phi[middle[0]]) * (lam - lam[middle[1]])
        near = x**2 + y**2 < (2 * length) ** 2
        # Parallels are shorter further north, which the distance taken here is blind to.
        found, expected = made @ made[middle], np.exp(-(x**2 + y**2) / (2 * length**2))
        np.testing.assert_allclose(found[near], expected[near], atol=0.005 if latitude == 0 else 0.02)

    def test_a_wall_parts_two_seas(self) -> None:
        """Nothing of one reaches the other, however long the correlation; round the end of the wall it does."""
        ds = box()
        wet = np.ones((1, *ds.cell_area.shape), dtype=bool)
        wet[:, :, 8] = False
        plane = in_kilometres(ds)
        covariance = operator(wet, plane, 2000.0)
        covariance = (covariance @ covariance.T).reshape(wet.shape[1:] * 2)
        np.testing.assert_array_equal(covariance[:, :8][:, :, :, 9:], 0)
        wet[:, 8:, 8] = True
        covariance = operator(wet, plane, 150.0)
        covariance = (covariance @ covariance.T).reshape(wet.shape[1:] * 2)
        apart = RADIUS * np.deg2rad(1.0)
        np.testing.assert_allclose(covariance[14, 7, 14, 9], np.exp(-(apart**2) / (2 * 150**2)), atol=0.01)
        assert 0 < covariance[4, 7, 4, 9] < 0.1

    def test_longitude_goes_round(self) -> None:
        """What is turned with the globe is turned."""
        ds = globe(10.0)
        wet, plane = coasts(ds.cell_area.shape, 3), in_kilometres(ds)
        white = np.random.default_rng(0).standard_normal((2, *wet.shape)).astype("float32")
        made = correlated(white, wet, plane, 1500.0)
        turned = correlated(np.roll(white, 13, -1), np.roll(wet, 13, -1), plane, 1500.0)
        np.testing.assert_allclose(np.roll(made, 13, -1), turned, atol=2e-6)

    def test_the_same_numbers_however_they_are_computed(self) -> None:
        """Fields together or each alone, in one thread or in several."""
        ds = globe(5.0)
        wet = np.concatenate([coasts(ds.cell_area.shape, seed) for seed in (1, 2)])
        white = np.random.default_rng(0).standard_normal((3, *wet.shape)).astype("float32")
        plane, threads = in_kilometres(ds), torch.get_num_threads()
        together = correlated(white, wet, plane, 900.0)
        try:
            for count in (1, 3):
                torch.set_num_threads(count)
                alone = np.concatenate([correlated(white[i : i + 1], wet, plane, 900.0) for i in range(3)])
                np.testing.assert_array_equal(alone, together)
        finally:
            torch.set_num_threads(threads)

    def test_against_plain_loops(self) -> None:
        """Uneven spacing too: Σ k(d) √w ε / √Σ k² w, over the run of water around each cell."""
        longitude = np.cumsum(np.random.default_rng(1).uniform(0.3, 1.5, 14))
        ds = labelled(np.cumsum(np.random.default_rng(2).uniform(0.3, 1.0, 9)), longitude)
        wet = coasts(ds.cell_area.shape, 7)
        white = np.random.default_rng(0).standard_normal((1, *wet.shape)).astype("float32")
        length, phi, lam = 120.0, np.deg2rad(ds.latitude.values), np.deg2rad(longitude)
        width = {a: np.deg2rad(np.diff(grid.bounds(ds)[f"{a}_bnds"], axis=1)[:, 0]) for a in ("latitude", "longitude")}
        rows = np.array([
            along(white[0, 0, j], wet[0, j], RADIUS * np.cos(phi[j]) * lam, width["longitude"], length)
            for j in range(len(phi))
        ])  # fmt: skip
        columns = [
            along(rows[:, i], wet[0, :, i], RADIUS * phi, width["latitude"], length) for i in range(len(longitude))
        ]
        made = correlated(white, wet, in_kilometres(ds), length)
        np.testing.assert_allclose(made[0, 0], np.array(columns).T, atol=1e-5)


def along(noise: np.ndarray, wet: np.ndarray, position: np.ndarray, width: np.ndarray, length: float) -> np.ndarray:
    made = noise.astype(float)
    for i in np.flatnonzero(wet):
        total, squares = 0.0, 0.0
        for side in (range(i, len(wet)), range(i - 1, -1, -1)):
            for j in side:
                if not wet[j] or abs(position[j] - position[i]) > 4 * length / np.sqrt(2):
                    break
                weight = np.exp(-(((position[j] - position[i]) / length) ** 2)) * np.sqrt(width[j])
                total, squares = total + weight * noise[j], squares + weight**2
        made[i] = total / np.sqrt(squares)
    return made


class TestSmoothing:
    @example(seed=0, sigma=4.0, share=0.0, whole=True, unit="km")
    @settings(max_examples=20, deadline=None)
    @given(
        seed=st.integers(0, 10**6), sigma=st.floats(0.2, 4), share=st.floats(0, 0.7), whole=st.booleans(),
        unit=st.sampled_from(["cells", "km"]),
    )  # fmt: skip
    def test_what_it_keeps(self, seed: int, sigma: float, share: float, whole: bool, unit: str) -> None:
        """A constant, land and the mean over the wet cells by area; no extreme and no variance grows."""
        ds = globe() if whole else box()
        plane = in_cells(ds) if unit == "cells" else in_kilometres(ds)
        sigma *= 1 if unit == "cells" else 1500 if whole else 55
        wet = np.concatenate([coasts(ds.cell_area.shape, seed + k, share) for k in range(2)])
        field = np.random.default_rng(seed).standard_normal((3, *wet.shape)).astype("float32")
        made = smoothed(field, wet, plane, sigma)
        np.testing.assert_array_equal(made[:, ~wet], field[:, ~wet])
        np.testing.assert_array_equal(smoothed(np.full_like(field, 3.7), wet, plane, sigma), np.float32(3.7))
        weight = ds.cell_area.values * wet
        scale = weight.sum((1, 2)).clip(min=1)
        np.testing.assert_allclose((made * weight).sum((2, 3)) / scale, (field * weight).sum((2, 3)) / scale, atol=1e-6)
        for k in range(2):
            if wet[k].any():
                low, high = field[:, k, wet[k]].min(1), field[:, k, wet[k]].max(1)
                inside = made[:, k, wet[k]]
                assert (inside.min(1) >= low - 1e-6).all()
                assert (inside.max(1) <= high + 1e-6).all()
        assert (made**2 * weight).sum() <= (field**2 * weight).sum() * (1 + 1e-6)

    @pytest.mark.parametrize("sigma", [0.5, 0.7, 1.0, 2.0])
    def test_in_open_water_it_is_the_usual_filter(self, sigma: float) -> None:
        """On a globe whose rows are as long: scipy's, with a seam that is none."""
        ds = labelled(np.linspace(-0.01, 0.01, 30), np.arange(-180, 180, 10.0))
        field = np.random.default_rng(0).standard_normal((1, 1, 30, 36)).astype("float32")
        made = smoothed(field, np.ones((1, 30, 36), bool), in_cells(ds), sigma)[0, 0]
        radius = int(4 * sigma)
        expected = gaussian_filter(field[0, 0], sigma, mode=("nearest", "wrap"), radius=radius)
        inside = slice(radius, 30 - radius)
        np.testing.assert_allclose(made[inside], expected[inside], atol=2e-6)

    def test_two_seas_do_not_mix(self) -> None:
        ds = box()
        wet = np.ones((1, *ds.cell_area.shape), dtype=bool)
        wet[:, :, 8] = False
        field = np.where(np.arange(18) < 8, 10.0, 20.0) * np.ones((1, *wet.shape))
        field[..., 8] = 999.0
        made = smoothed(field.astype("float32"), wet, in_cells(ds), 3.0)
        np.testing.assert_array_equal(made, field.astype("float32"))

    def test_its_width_is_a_distance(self) -> None:
        """A point of heat spreads to σ along both axes, as far at 60° as at the equator."""
        for latitude in (0.25, 60.25):
            ds = labelled(np.arange(latitude - 10, latitude + 10.1, 0.5), np.arange(-20.0, 20.1, 0.5))
            field = np.zeros((1, 1, *ds.cell_area.shape), "float32")
            field[0, 0, 20, 40] = 1.0
            made = smoothed(field, np.ones(field.shape[1:], bool), in_kilometres(ds), 120.0)[0, 0]
            weight = made * ds.cell_area.values
            phi = np.deg2rad(ds.latitude.values)[:, None]
            x = RADIUS * np.cos(phi) * np.deg2rad(ds.longitude.values)
            y = RADIUS * (phi - phi[20])
            for distance in (x, y):
                np.testing.assert_allclose(np.sqrt((weight * distance**2).sum() / weight.sum()), 120.0, rtol=0.03)

    def test_no_width_changes_nothing(self) -> None:
        ds = box()
        field = np.random.default_rng(0).standard_normal((1, 1, *ds.cell_area.shape)).astype("float32")
        np.testing.assert_array_equal(smoothed(field, np.ones(field.shape[1:], bool), in_cells(ds), 0.0), field)
