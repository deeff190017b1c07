"""Guard: what is wrong is named before a run, and where a run breaks it is caught at once."""

from __future__ import annotations

import math
import warnings

import pytest
import torch
import toy_tensors as toy
from hypothesis import given, settings
from hypothesis import strategies as st

from oceanx.physics.guard import DivergedError, Watch, check_fields, check_geometry, check_present
from oceanx.tensors.geometry import Geometry
from oceanx.vocabulary.errors import InputError

LEVELS = torch.tensor([5.0, 30.0]), torch.tensor([10.0, 40.0])


def fields(**changed):
    """A start that is as it should be on the toy geometry, but for what is changed: name=(cell, value)."""
    geometry = toy.geometry()
    made = {name: field.clone() for name, field in toy.state(toy.task(), geometry).items()}
    made["so"] = 35 * geometry.mask[None].expand(1, 2, 7, 10).clone()
    for name, (cell, value) in changed.items():
        made[name][cell] = value
    return made


def geometry(lat=None, lon=None, depth=LEVELS[0], thickness=LEVELS[1], mask=None):
    lat = torch.linspace(20.0, 27.0, 8) if lat is None else torch.tensor(lat)
    lon = torch.linspace(-180.0, -170.0, 11) if lon is None else torch.tensor(lon)
    mask = torch.ones(len(depth), len(lat) - 1, len(lon) - 1) if mask is None else mask
    return Geometry(lat, lon, depth, thickness, mask, periodic=False)


# Before a run


def test_a_good_start_passes_and_so_does_the_atmosphere_over_land():
    check_geometry(toy.geometry())
    check_fields(fields(), toy.geometry())
    check_fields(toy.forcings(toy.task(), toy.geometry(), steps=1)[0].now, toy.geometry())


WET, LAND = (0, 1, 5, 2), (0, 1, 3, 5)  # 25.5°N 177.5°W and 23.5°N 174.5°W, 30 m deep


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"thetao": (WET, math.nan)},
            "thetao: 1 wet cell not finite: fill .* (first: nan at 25.5°N 177.5°W, 30 m deep)",
        ),
        ({"so": (WET, math.inf)}, "so: 1 wet cell not finite"),
        ({"uo": (LAND, 0.25)}, "uo: 1 land cell not 0: mask and field .* (first: 0.25 at 23.5°N 174.5°W, 30 m deep)"),
        ({"uo": (LAND, math.nan)}, "uo: 1 land cell not 0"),
        (
            {"thetao": (WET, 288.0)},
            "thetao: 1 wet cell outside -3 to 45 degrees_C: check its unit (first: 288 at 25.5°N",
        ),
        ({"zos": ((0, 0, 5, slice(2, 4)), 7.0)}, "zos: 2 wet cells outside -5 to 5 m: .* (first: 7 at 25.5°N 177.5°W)"),
        ({"so": (WET, 0.0)}, "so: 1 wet cell exactly 0, as land is: mask and field disagree"),
    ],
)
def test_what_is_wrong_with_a_start_is_named_with_its_first_cell(changed, message):
    with pytest.raises(InputError, match=message.replace("(", r"\(").replace(")", r"\)")):
        check_fields(fields(**changed), toy.geometry())


def test_an_ocean_without_salt_is_no_error():
    start = fields()
    check_fields(start | {"so": 0 * start["so"]}, toy.geometry())


def test_fields_on_faces_are_held_against_their_own_masks():
    grid = toy.geometry()
    moving = torch.ones(1, 2, 7, 10) * grid.mask_x
    check_fields({"uo_x": moving, "vo_y": torch.zeros(1, 2, 7, 10)}, grid)
    with pytest.raises(InputError, match=r"vo_y: .* land cells not 0"):
        check_fields({"vo_y": moving}, grid)
    with pytest.raises(InputError, match=r"uo_x: .* outside -5 to 5 m s-1"):
        check_fields({"uo_x": 9 * moving}, grid)


def test_no_atmosphere_may_be_missing_even_over_land():
    grid = toy.geometry()
    wind = torch.ones(1, 1, 7, 10)
    wind[0, 0, 0, 0] = math.nan
    with pytest.raises(
        InputError, match=r"u10: 1 land cell not finite: fill land with 0 .* \(first: nan at 20.5°N 179.5°W"
    ):
        check_fields({"u10": wind}, grid)


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        ("thetao", (1, 2, 7, 9), "(1, 2, 7, 9), the grid asks for (batch, 2, 7, 10)"),
        ("thetao", (1, 1, 7, 10), "(batch, 2, 7, 10)"),
        ("zos", (1, 2, 7, 10), "(batch, 1, 7, 10)"),
        ("tracer", (1, 3, 7, 10), "(batch, 1 or 2, 7, 10)"),
        ("thetao", (2, 7, 10), "(2, 7, 10), the grid asks for (batch, 2, 7, 10)"),
    ],
)
def test_a_mask_of_another_shape_is_named(name, shape, expected):
    with pytest.raises(InputError) as refused:
        check_fields({name: torch.zeros(shape)}, toy.geometry())
    assert expected in str(refused.value)


def test_missing_forcing_is_named():
    check_present({"tauuo": 1, "tauvo": 1}, ("tauuo",))
    with pytest.raises(InputError, match="the forcing lacks tauvo, evs; it holds tauuo"):
        check_present({"tauuo": 1}, ("tauuo", "tauvo", "evs"))
    with pytest.raises(InputError, match="the state lacks zos; it holds nothing"):
        check_present({}, ("zos",), "state")


def test_unequal_spacing_is_no_fault():
    check_geometry(geometry(lat=[20.0, 21.0, 21.5, 24.0], lon=[3.0, 3.5, 7.0]))


def land_above():
    mask = torch.ones(2, 7, 10)
    mask[0, 4, 6] = 0
    return mask


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (
            {"lat": [24.0, 22.0, 20.0]},
            "latitude must ascend: 23 is followed by 21 (index 0); sort the dataset by latitude",
        ),
        ({"lon": [3.0, 5.0, 5.0, 3.0]}, "longitude must ascend: 5 is followed by 4 (index 1)"),
        ({"depth": LEVELS[0].flip(0)}, "depth must ascend: 30 is followed by 5 (index 0)"),
        ({"thickness": torch.tensor([10.0, -40.0])}, "layer thickness must be positive: -40 at index 1"),
        ({"lat": [24.0, 20.0]}, "cell area must be positive"),
        (
            {"mask": torch.full((2, 7, 10), 0.5)},
            "mask: 140 grid cells neither 0 (land) nor 1 (wet) (first: 0.5 at 20.5°N",
        ),
        (
            {"mask": land_above()},
            "mask: 1 wet cell under land: make them land too, .* (first: 1 at 24.5°N 173.5°W, 30 m deep)",
        ),
        ({"mask": torch.zeros(2, 7, 10)}, "the mask has no wet cell"),
    ],
)
def test_a_grid_that_cannot_be_is_named(made, message):
    with pytest.raises(InputError, match=message.replace("(", r"\(").replace(")", r"\)")):
        check_geometry(geometry(**made))


# During a run


@settings(max_examples=15, deadline=None)
@given(
    st.sampled_from(["thetao", "uo", "vo", "zos"]),
    st.sampled_from([math.nan, math.inf, -math.inf]),
    st.tuples(*(st.integers(0, n - 1) for n in (2, 7, 10))),
    st.floats(0.25, 1e4),
)
def test_one_bad_number_anywhere_is_found_with_its_day_and_the_last_good_value(name, value, where, day):
    grid, start = toy.geometry(), fields()
    watch = Watch(grid, start)
    watch(start, day / 2)
    cell = (0, *where) if name != "zos" else (0, 0, *where[1:])
    broken = fields(**{name: (cell, value)})
    with pytest.raises(DivergedError) as caught:
        watch(broken, day)
    error = caught.value
    assert (error.variable, error.cell, error.day) == (name, cell, day)
    assert error.last == start[name][cell].item()
    assert f"{name} is {value} on day {day:g} at " in str(error)
    assert (" (land)" in str(error)) == (start["so"][0, cell[1], cell[2], cell[3]].item() == 0)
    assert isinstance(error, FloatingPointError)


def test_the_message_of_a_run_that_broke():
    watch = Watch(toy.geometry(), fields(uo=(WET, 2.31)))
    with pytest.raises(DivergedError) as caught:
        watch(fields(uo=(WET, math.nan)), 12.0)
    assert str(caught.value) == (
        "uo is nan on day 12 at 25.5°N 177.5°W, 30 m deep, in 1 cell in all; the last good value was 2.31 m s-1; "
        "try a shorter step (more substeps) or more viscosity"
    )


def test_a_run_that_begins_broken_says_so():
    with pytest.raises(DivergedError, match=r"thetao is nan on day 0 at .*; it was so from the start"):
        Watch(toy.geometry(), fields(thetao=(WET, math.nan)))


def test_huge_numbers_whose_sum_is_none_may_pass():
    """In single precision 3e38 + 3e38 is infinite: the sum says look, and looking says that all is finite."""
    watch = Watch(toy.geometry())
    watch({"thetao": torch.full((1, 2, 7, 10), 3e38)}, 1.0)
    assert watch.good["thetao"].max() == pytest.approx(3e38)


def test_watching_does_not_take_part_in_gradients_and_copies_nothing():
    start = torch.ones(1, 2, 7, 10, requires_grad=True)
    watch, state = Watch(toy.geometry()), {"thetao": 2 * start}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        watch(state, 1.0)
    assert not watch.good["thetao"].requires_grad
    assert watch.good["thetao"].data_ptr() == state["thetao"].data_ptr()
