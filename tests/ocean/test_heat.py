"""Heat content of columns whose integral is known."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.ocean import grid
from oceanx.ocean.heat import heat_content
from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.names import VARIABLES

RHO_CP = 1026.0 * 3991.86795711963
DEPTH = np.array([5.0, 15.0, 30.0, 60.0, 120.0, 260.0])
EDGES = np.array([0.0, 10.0, 22.5, 45.0, 90.0, 190.0, 330.0])  # half-way, and the last layer mirrored


def column(theta, floor=None):
    """One column, wet down to level `floor`."""
    values = np.where(np.arange(6) < (6 if floor is None else floor), theta, np.nan).reshape(6, 1, 1)
    ds = xr.Dataset(
        {"thetao": (("depth", "latitude", "longitude"), values, VARIABLES["thetao"].attrs)},
        coords={"depth": DEPTH, "latitude": [10.0], "longitude": [20.0]},
    )
    return ds


@settings(max_examples=30, deadline=None)
@given(
    theta=st.lists(st.floats(-2, 30), min_size=6, max_size=6),
    bounds=st.tuples(st.floats(0, 330), st.floats(0, 330)).filter(lambda two: abs(two[0] - two[1]) > 1),
    floor=st.integers(1, 6),
)
def test_heat_is_the_integral_of_a_staircase(theta, bounds, floor):
    upper, lower = sorted(bounds)
    expected, wet = 0.0, 0.0
    for k in range(floor):
        part = max(0.0, min(lower, EDGES[k + 1]) - max(upper, EDGES[k]))
        expected += theta[k] * part
        wet += part
    found = float(heat_content(column(np.array(theta), floor), upper, lower)[0, 0])
    if wet == 0:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(RHO_CP * expected, rel=1e-9, abs=1e-3)


def test_shallow_columns_count_as_far_as_they_go_or_not_at_all():
    shallow = column(np.full(6, 10.0), floor=4)  # down to 90 m
    assert float(heat_content(shallow, 0, 300)[0, 0]) == pytest.approx(RHO_CP * 900)
    assert np.isnan(heat_content(shallow, 0, 300, least=1.0)[0, 0])
    assert float(heat_content(shallow, 0, 90, least=1.0)[0, 0]) == pytest.approx(RHO_CP * 900)
    assert float(heat_content(shallow, 0, 300, least=0.3)[0, 0]) == pytest.approx(RHO_CP * 900)
    assert np.isnan(heat_content(shallow, 0, 300, least=0.31)[0, 0])
    assert np.isnan(heat_content(column(np.full(6, 10.0), floor=0), 0, 300)[0, 0])


def test_layers_are_those_of_the_dataset():
    ds = grid.complete(column(np.full(6, 4.0)).pad(latitude=(0, 1), mode="edge").assign_coords(latitude=[10.0, 11.0]))
    np.testing.assert_allclose(heat_content(ds, 0, 330), RHO_CP * 4 * 330)
    with pytest.raises(InputError, match="thickness: layers summed from the surface"):
        heat_content(ds.isel(depth=[0, 3, 5]), 0, 100)


def test_names_units_and_laziness():
    ds = column(np.linspace(20, 4, 6)).astype("f4")
    found = heat_content(ds, 0, 300)
    assert (found.name, found.dtype, found.dims) == ("heat_content", np.float32, ("latitude", "longitude"))
    assert VARIABLES["heat_content"].attrs.items() <= found.attrs.items()
    assert "0 to 300 m" in found.attrs["comment"]
    lazy = heat_content(ds.chunk(depth=2), 0, 300)
    assert lazy.chunks
    xr.testing.assert_allclose(lazy.compute(), found, rtol=1e-6)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"upper": 300, "lower": 0}, "found 300 to 0 m"),
        ({"upper": -5}, "found -5 to 300 m"),
        ({"lower": 700}, "found 0 to 700 m, but the layers reach from 0 to 330 m"),
        ({"least": 2}, "found least=2"),
    ],
)
def test_bad_input_is_named(asked, message):
    with pytest.raises(InputError, match=message):
        heat_content(column(np.full(6, 1.0)), **asked)
    with pytest.raises(InputError, match="no dimension 'depth'"):
        heat_content(column(np.full(6, 1.0)).isel(depth=0))
    with pytest.raises(InputError, match="thetao is in 'K'"):
        heat_content(column(np.full(6, 1.0)).assign(thetao=lambda ds: ds["thetao"].assign_attrs(units="K")))
