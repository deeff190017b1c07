"""Where the ocean lies."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

import oceanx
from oceanx.ocean import synthetic
from oceanx.ocean.synthetic import grid
from oceanx.ocean.synthetic.config import Ocean
from oceanx.vocabulary.constants import GLORYS_LEVELS
from oceanx.vocabulary.errors import InputError


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"depth": (0.494, 50.0)}, "GLORYS12 levels"),
        ({"resolution": 0.7}, "whole number"),
        ({"latitude": (-10.0, 10.0)}, "one hemisphere"),
        ({"sead": 3}, "did you mean 'seed'"),
        ({"latitude": (40.0, 20.0)}, "must increase"),
    ],
)
def test_a_wrong_description_is_refused_in_one_line(values, words):
    with pytest.raises(InputError, match=words) as caught:
        Ocean.parse(values)
    assert "\n" not in str(caught.value)


def test_depths_are_the_levels_they_mean():
    assert Ocean(depth=(0.49, 92.33)).depth == (GLORYS_LEVELS[0], GLORYS_LEVELS[21])


@pytest.mark.parametrize("ocean", [Ocean(), Ocean.basin(1.0), Ocean.globe(3.0)], ids=["demo", "small", "globe"])
def test_water_is_one_body_with_land_at_every_closed_edge(ocean):
    built = grid.build(ocean)
    wet = built.wet
    assert wet.shape == ocean.shape
    assert not wet[[0, -1]].any()
    assert ocean.periodic or not wet[:, [0, -1]].any()
    _, bodies = ndimage.label(np.concatenate([wet, wet], axis=1) if ocean.periodic else wet)
    assert ocean.periodic or bodies == 1
    assert 0.5 < wet.mean() < 0.9
    assert (built.bottom[wet] >= 60).all()
    assert (built.bottom[~wet] == 0).all()


def test_the_demo_has_islands_a_strait_and_a_shelf():
    built = grid.build(Ocean())
    labels, lands = ndimage.label(~built.wet)
    assert lands >= 5  # the mainland and at least four islands
    assert 0.03 < (built.bottom[built.wet] < 180).mean() < 0.2
    # A strait: somewhere between two lands, water not more than six cells wide.
    mainland = labels == labels[0, 0]
    other = ~built.wet & ~mainland
    assert (ndimage.distance_transform_cdt(~mainland)[other]).min() <= 6


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_interpolation_to_fine_cells_keeps_constants_and_means_of_smooth_fields(seed):
    built = grid.build(Ocean.basin(3.0))
    rng = np.random.default_rng(seed)
    a, b, c = rng.normal(size=3)
    plane = (a + b * built.lat[:, None] / 10 + c * built.lon / 10).astype(np.float32)
    back = built.coarse(built.fine(plane))
    np.testing.assert_allclose(back[1:-1, 1:-1], plane[1:-1, 1:-1], atol=1e-4)
    assert (built.fine(np.full(plane.shape, np.float32(a))) == np.float32(a)).all()


def test_the_truth_is_not_made_with_what_it_judges():
    """No file here imports physics, nn, models, tensors or torch, directly or through oceanx modules it imports."""
    folder = Path(synthetic.__file__).parent
    root = Path(oceanx.__file__).parent
    banned = {"physics", "nn", "models", "tensors", "objectives"}
    files = list(folder.glob("*.py"))
    assert len(files) > 8
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""] if node.level == 0 else []
                assert node.level <= 1, f"{file.relative_to(root)} reaches out of its package"
            for name in names:
                parts = name.split(".")
                assert parts[0] != "torch", file
                assert not (parts[0] == "oceanx" and banned & set(parts)), file
                assert parts[0] != "oceanx" or parts[1] == "vocabulary", file


def test_the_package_hands_out_its_functions_even_after_they_ran():
    assert callable(synthetic.oracle)
    assert callable(synthetic.write)
    with pytest.raises(AttributeError):
        _ = synthetic.nothing


def test_the_sea_floor_decides_which_levels_are_wet():
    ocean = Ocean.basin(1.0)
    found = synthetic.static(ocean)
    floor = found.deptho.fillna(0).values
    for level, depth in enumerate(ocean.depth):
        assert (found.mask.values[level] == (floor > depth)).all()
    assert found.mask.values[0].sum() > found.mask.values[-1].sum() > 0  # the shelf is shallower than the last level
    assert found.longitude.attrs["units"] == "degrees_east"
