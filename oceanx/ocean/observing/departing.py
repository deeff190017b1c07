"""Tests of observations against a background: datum by datum, and profile by profile.

    d = y − H x_b        s² = σo² + (H B Hᵀ)

s is what d is expected to be where nothing is wrong.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from pydantic import PositiveFloat, PositiveInt

from ...vocabulary.config import Config
from .distance import groups


class WholeProfile(Config):
    """When a profile or pass is taken to be wrong as a whole.

    Attributes
    ----------
    limit
        Of the root mean square of d / s over those of its data that are good one by one.
    least
        How many data it needs for that.
    share
        Of its data that failed one by one, above which the others are not believed either.
    """

    limit: PositiveFloat = 3.5
    least: PositiveInt = 5
    share: float = 0.5


def far_from_background(departure: np.ndarray, expected: np.ndarray, limit: float) -> np.ndarray:
    """Which data (obs) have |d| > limit · s; those without a departure pass.

    Parameters
    ----------
    departure, expected
        d and s (obs) in the units of the values; NaN where the background has no equivalent.
    """
    with np.errstate(invalid="ignore"):
        return np.asarray(np.abs(departure) > limit * expected)


def whole_profile(
    table: xr.Dataset, departure: np.ndarray, expected: np.ndarray, failed: np.ndarray, test: WholeProfile
) -> np.ndarray:
    """Which data (obs) belong to a profile or pass of which one variable is wrong as a whole.

    A wrong place or a constant bias need not show in any single datum.

    Parameters
    ----------
    failed
        Which data failed one by one; those that failed before a background was seen should have a departure of NaN.
    """
    compared = np.isfinite(departure / expected)
    number = groups(*(table[n].values.astype(np.int64) for n in ("platform", "feature", "variable")))
    good = compared & ~failed
    squares = np.where(good, (departure / expected) ** 2, 0.0)
    held, bad, total = (np.bincount(number, x) for x in (good, compared & failed, squares))
    with np.errstate(invalid="ignore"):
        wrong = (held >= test.least) & (total > test.limit**2 * held)
        wrong |= (held + bad >= test.least) & (bad > test.share * (held + bad))
    return np.asarray(good & wrong[number])
