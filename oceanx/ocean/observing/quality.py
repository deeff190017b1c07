"""Quality control: which tests observations must pass, made one after another; the first that fails is their `qc`.

What needs the table, the grid and a climatology is tested once (`check_table`), what needs a background is tested
window by window (`check_window`). Nothing is thrown away: rows that fail stay, with the reason, and are counted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Literal, get_args

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import PositiveFloat

from ...vocabulary.config import Config
from ...vocabulary.errors import InputError, unknown
from ..flags import meanings
from ..observations import CODES, check, reason, tally, with_codes, with_rejections
from . import plausible
from .buddy import Buddy, unlike_neighbours
from .departing import WholeProfile, far_from_background, whole_profile
from .repeats import Repeats, nearly_repeated, repeated

SETTINGS = "oceanx_quality"  # global attribute: the Quality that a table was checked with, as JSON

Test = Literal[
    "outside_times", "out_of_range", "outside_grid", "on_land", "below_sea_floor", "nearly_repeated", "repeated",
    "far_from_climatology", "no_equivalent", "far_from_background", "whole_profile", "unlike_neighbours",
]  # fmt: skip


class Quality(Config):
    """Which tests are made, in which order, and how strict they are; limits are in standard deviations.

    Attributes
    ----------
    tests
        Those of a table first, those of a window (from `no_equivalent` on) last.
    first, last
        Dates outside which data are not believed; "now" is the machine's clock.
    regional
        Ranges narrower than what is possible anywhere.
    near
        When two casts of a platform count as one.
    climatology, background
        Limits of |y − y_clim| / √(σ_clim² + σo²) and |d| / √(σo² + HBHᵀ).
    profile, buddy
        Of the tests of that name.
    """

    tests: tuple[Test, ...] = get_args(Test)
    first: str | None = None
    last: str | None = "now"
    regional: tuple[plausible.Limits, ...] = ()
    near: Repeats = Repeats()
    climatology: PositiveFloat = 5.0
    background: PositiveFloat = 5.0
    profile: WholeProfile = WholeProfile()
    buddy: Buddy = Buddy()


def check_table(
    table: xr.Dataset, grid: xr.Dataset | None, settings: Quality, climatology: xr.Dataset | None = None
) -> xr.Dataset:
    """The table with the `qc` of every test that needs no background; failures are added to its attribute `rejected`.

    Rows that have failed before stay as they are.

    Parameters
    ----------
    grid
        Where the analysis is made: axes and `mask`. None: tests of place are not made.
    climatology
        As `plausible.far_from_climatology` wants it. None: that test is not made.

    Raises
    ------
    InputError
        If the table is none, or most of its values are in another unit.

    Examples
    --------
    >>> checked = check_table(obs, ds, Quality(background=4))          # doctest: +SKIP
    >>> counts(checked)                                               # doctest: +SKIP
    """
    check(table)
    table = table.compute() if table.chunks else table
    made: dict[str, Callable[[xr.Dataset], np.ndarray]] = {
        "outside_times": lambda t: plausible.outside_times(t, settings.first, settings.last),
        "out_of_range": lambda t: plausible.out_of_range(t, settings.regional),
        "repeated": repeated,
        "nearly_repeated": lambda t: nearly_repeated(t, settings.near),
    }
    if grid is not None:
        ground = grid
        made |= {
            "outside_grid": lambda t: plausible.outside_grid(t, ground),
            "on_land": lambda t: plausible.on_land(t, ground),
            "below_sea_floor": lambda t: plausible.below_sea_floor(t, ground),
        }
    if climatology is not None:
        year = climatology
        made["far_from_climatology"] = lambda t: plausible.far_from_climatology(t, year, settings.climatology)
    before = table["qc"].values
    for name in settings.tests:
        if name in made:
            qc = table["qc"].values
            table = with_codes(table, np.where((qc == 0) & made[name](table), CODES[name], qc))
    new = np.where(before == 0, table["qc"].values, 0)
    return with_rejections(table, tally(table, new)).assign_attrs({SETTINGS: json.dumps(settings.dump())})


def check_window(
    table: xr.Dataset,
    background: np.ndarray,
    background_std: np.ndarray,
    error_std: np.ndarray,
    *,
    grid: xr.Dataset | None,
    settings: Quality,
    climatology: xr.Dataset | None = None,
) -> np.ndarray:
    """The `qc` codes (obs), uint8, of one window's rows: those they have, or the first test of a background that fails.

    Parameters
    ----------
    table
        Rows of one window. Those that `check_table` has rejected take no part.
    background, background_std
        H x_b and √diag(HBHᵀ) (obs) in the units of the values; NaN where the operator finds nothing. Infinity, where
        nobody knows how wrong the background is, lets everything pass.
    error_std
        σo (obs), representation included.
    grid, climatology
        For the tests of a table, if `check_table` has not made them: a table that it has made says so itself.

    Raises
    ------
    InputError
        If an array has not one number for each row, a standard deviation is missing or negative, or an error is not
        above 0.
    """
    if SETTINGS not in table.attrs:
        table = check_table(table, grid, settings, climatology)
    size = table.sizes["obs"]
    for name, values in (("background", background), ("background_std", background_std), ("error_std", error_std)):
        if np.shape(values) != (size,):
            raise InputError(f"{name}: found shape {np.shape(values)}; expected one number for each of {size} rows")
    _refuse_errors(error_std, np.where(np.isnan(background), 0.0, background_std))
    qc = table["qc"].values.copy()
    live = (qc == 0) & np.isfinite(background)
    departure = np.where(live, table["value"].values - background, np.nan)
    expected = np.hypot(error_std, background_std)
    made: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "no_equivalent": lambda bad: np.isnan(background),
        "far_from_background": lambda bad: far_from_background(departure, expected, settings.background),
        "whole_profile": lambda bad: whole_profile(table, departure, expected, bad, settings.profile),
        "unlike_neighbours": lambda bad: unlike_neighbours(
            table, np.where(bad, np.nan, departure), expected, settings.buddy
        ),
    }
    for name in settings.tests:
        if name in made:
            qc = np.where((qc == 0) & made[name](qc != 0), CODES[name], qc)
    return qc.astype(np.uint8)


def _refuse_errors(error_std: np.ndarray, background_std: np.ndarray) -> None:
    for name, values, wrong, expected in (
        ("error_std", error_std, ~(np.asarray(error_std) > 0), "above 0"),
        ("background_std", background_std, ~(np.asarray(background_std) >= 0), "from 0 up"),
    ):
        if wrong.any():
            row = int(np.argmax(wrong))
            raise InputError(f"{name}: {values[row]} at row {row}; expected standard deviations {expected}")


def counts(table: xr.Dataset, qc: np.ndarray | None = None) -> pd.DataFrame:
    """How many data of each platform and variable passed ("good") and failed each test; every datum is in one column.

    Parameters
    ----------
    qc
        Codes (obs) instead of the table's, such as those of `check_window`.
    """
    codes = table["qc"].values if qc is None else qc
    told = pd.DataFrame(
        {
            "platform": pd.Series(table["platform"].values).map(meanings(table["platform"].attrs)),
            "variable": pd.Series(table["variable"].values).map(meanings(table["variable"].attrs)),
            "qc": pd.Series(codes).map({int(code): reason(int(code)) for code in np.unique(codes)}),
        }
    )
    return told.groupby(["platform", "variable", "qc"]).size().unstack("qc", fill_value=0)


def good(table: xr.Dataset) -> xr.Dataset:
    """The rows that have passed every test."""
    return table.isel(obs=np.flatnonzero(table["qc"].values == 0))


def withhold(table: xr.Dataset, platforms: Sequence[str]) -> xr.Dataset:
    """The table with all data of some platforms set apart, under the `qc` "withheld", to verify with.

    Raises
    ------
    InputError
        If a platform has no datum.
    """
    known = meanings(table["platform"].attrs)
    for name in platforms:
        if name not in known.values():
            raise unknown("platform", name, known.values())
    chosen = [code for code, name in known.items() if name in platforms]
    qc = table["qc"].values
    return with_codes(table, np.where((qc == 0) & np.isin(table["platform"].values, chosen), CODES["withheld"], qc))
