"""Which cell of a table of diagnostics each observation belongs to: its role, window, platform, depth and variable."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
import pandas as pd
import xarray as xr

from ..ocean.flags import meanings
from ..vocabulary.errors import InputError, unknown
from ..vocabulary.names import DIMENSIONS
from .levels import Bands

BY = ("variable", "window", "platform", "depth_band")
ROLES = ("used", "withheld")
BANDS: Bands = ((0, 5), (5, 100), (100, 300), (300, 600), (600, 1000), (1000, 2000), (2000, 6000))
MOST = 1_000_000  # cells: as many as are summed in some hundred MB
OTHER = "other"  # what is in none of the groups asked for
NETWORK = "network"  # the word for platforms by their names without a number

Platforms = Mapping[str, str | Sequence[str]] | Sequence[str] | str | None


@dataclass(frozen=True)
class Groups:
    """The cells, their axes in order, and what each window, platform and variable code counts as.

    Attributes
    ----------
    labels
        Of each dimension that there is; always `role` and `variable`.
    windows, platforms, variables
        The place on its axis of each analysis time, platform code and variable code; -1 of those left out.
    bands
        (top, bottom) of each band of depth.
    """

    labels: Mapping[str, np.ndarray]
    windows: np.ndarray
    platforms: np.ndarray
    variables: np.ndarray
    bands: Bands

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(len(labels) for labels in self.labels.values())

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))

    def cells(self, role: int, window: np.ndarray, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """The cell of each observation, -1 where it has none, of its window's number and the table's columns."""
        places = {
            "role": np.full(window.shape, role),
            "window": self.windows[window],
            "platform": self.platforms[columns["platform"]],
            "depth_band": self._band(columns["depth"]),
            "variable": self.variables[columns["variable"]],
        }
        found = np.zeros(window.shape, np.int64)
        outside = np.zeros(window.shape, bool)
        for dim, labels in self.labels.items():
            outside |= places[dim] < 0
            found = found * len(labels) + places[dim]
        return np.where(outside, -1, found)

    def _band(self, depth: np.ndarray) -> np.ndarray:
        found = np.full(depth.shape, -1)
        for place, (top, bottom) in enumerate(self.bands):
            found[(found < 0) & (depth >= top) & (depth < bottom)] = place
        return found


def groups(
    by: Sequence[str], table: xr.Dataset, times: np.ndarray, windows: str | None, depths: Bands | None,
    platforms: Platforms,
) -> Groups:  # fmt: skip
    """The groups asked for.

    Raises
    ------
    InputError
        For an unknown word, a band upside down, a platform that is not there, or too many cells.
    """
    by = [by] if isinstance(by, str) else list(by)
    for word in by:
        if word not in BY:
            raise unknown("group to diagnose by", word, BY)
    by += ["window"] * (windows is not None) + ["platform"] * (platforms is not None) + ["depth_band"] * bool(depths)
    labels: dict[str, np.ndarray] = {"role": np.array(ROLES)}
    of_window = np.zeros(len(times), np.int64)
    if "window" in by:
        of_window, labels["window"] = _windows(times, windows)
    of_platform = np.zeros(max(1, len(meanings(table["platform"].attrs))), np.int64)
    if "platform" in by:
        of_platform, labels["platform"] = _platforms(table, platforms)
    bands = _checked(depths or BANDS) if "depth_band" in by else ()
    if bands:
        labels["depth_band"] = np.array([f"{top:g}-{bottom:g} m" for top, bottom in bands])
    words = list(meanings(table["variable"].attrs).values())
    of_variable = np.arange(len(words)) if "variable" in by else np.zeros(len(words), np.int64)
    labels["variable"] = np.array(words) if "variable" in by else np.array([""])
    found = Groups(labels, of_window, of_platform, of_variable, bands)
    if found.size > MOST:
        sizes = " × ".join(f"{len(v)} {dim}" for dim, v in labels.items())
        raise InputError(f"by: {sizes} are {found.size} cells, more than {MOST}; group windows or platforms")
    return found


def coordinate(dim: str, labels: np.ndarray) -> xr.Variable:
    """A dimension's labels with their attributes."""
    said = {
        "role": "Whether the analysis was made with the observations, or not",
        "window": "First analysis time of the window or of the group of windows",
        "platform": "Platform or network",
        "depth_band": "Depths from the first, down to and without the second",
    }
    attrs = {"long_name": said[dim]} | (
        {"standard_name": DIMENSIONS["time"]["standard_name"]} if dim == "window" else {}
    )
    return xr.Variable(dim, labels, attrs)


def _windows(times: np.ndarray, frequency: str | None) -> tuple[np.ndarray, np.ndarray]:
    """The group of each analysis time, and where each group begins."""
    if frequency is None:
        return np.arange(len(times)), times
    try:
        number = pd.Series(np.arange(len(times)), pd.DatetimeIndex(times))
        last = number.groupby(pd.Grouper(freq=frequency)).max().dropna()
    except (ValueError, TypeError) as error:
        raise InputError(
            f"windows: found {frequency!r} ({error}); expected a pandas offset, such as 'MS' or '10D'"
        ) from None
    return np.searchsorted(last.to_numpy(), np.arange(len(times))), last.index.to_numpy().astype("datetime64[ns]")


def _platforms(table: xr.Dataset, wanted: Platforms) -> tuple[np.ndarray, np.ndarray]:
    """The group of each platform code, and the names of the groups; what no group wants is the last, `other`."""
    names = list(meanings(table["platform"].attrs).values())
    if wanted is None:
        return np.arange(len(names)), np.array(names)
    if wanted == NETWORK:
        kinds = [re.sub(r"^\d+$", "numbered", re.sub(r"_\d+$", "", name)) for name in names]
        labels = list(dict.fromkeys(kinds))
        return np.array([labels.index(kind) for kind in kinds]), np.array(labels)
    listed = [wanted] if isinstance(wanted, str) else wanted
    rules = dict(listed) if isinstance(listed, Mapping) else {name: name for name in listed}
    place, groups_of = np.full(len(names), -1), list(rules)
    for group, patterns in enumerate(rules.values()):
        patterns = [patterns] if isinstance(patterns, str) else list(patterns)
        found = [any(fnmatchcase(name, pattern) for pattern in patterns) for name in names]
        if not any(found):
            raise unknown("platform", ", ".join(patterns), names)
        place[np.array(found) & (place < 0)] = group
    if (place < 0).any():
        place[place < 0] = len(groups_of)
        groups_of.append(OTHER)
    return place, np.array(groups_of)


def _checked(bands: Bands) -> Bands:
    for top, bottom in bands:
        if not 0 <= top < bottom:
            raise InputError(f"depths: found {top:g} to {bottom:g} m; expected (top, bottom), the top first")
    return bands
