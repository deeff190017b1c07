"""The diagnostics of innovations as sums over observations: what is added up, and what is made of it in the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from ..vocabulary.names import VARIABLES
from .consistency import PRODUCTS, SAID, diagnosed, of_departures
from .departing import Part
from .grouping import ROLES, Groups, coordinate
from .tallies import Tally

WITH_ERRORS = ("ob", "oa", "chi_squared_diagonal", *PRODUCTS)
QUANTITIES = (*WITH_ERRORS, "ob2", "oa2", "stated_o", "stated_b", "stated_a", "expected", "judged", "influence")
UNITLESS = (
    "count", "missing", "rejected", "chi_squared_diagonal", "chi_squared_diagonal_error", "consistency_ratio", "dfs",
    "influence", "spread_skill", "rank_histogram",
)  # fmt: skip
NAMES = {
    "count": "Observations that count",
    "missing": "Observations without an analysis at their time and place",
    "rejected": "Observations that were refused, by test",
    "ob_mean": "Mean of observation less background (O-B)",
    "ob_mean_error": "Sampling error of the mean of O-B",
    "ob_rms": "Root mean square of observation less background (O-B)",
    "oa_mean": "Mean of observation less analysis (O-A)",
    "oa_mean_error": "Sampling error of the mean of O-A",
    "oa_rms": "Root mean square of observation less analysis (O-A)",
    **SAID,
    **{f"{name}_error": f"Sampling error of {name}" for name in PRODUCTS},
    "sigma_o_stated": "Standard deviation of the observations' error as the analysis took it",
    "sigma_b_stated": "Standard deviation of the background's error at the observations as the analysis took it",
    "sigma_a_stated": "Standard deviation of the analysis' error at the observations as the analysis took it",
    "chi_squared_diagonal": "Mean of (O-B)**2 over its stated variance, each observation by itself",
    "chi_squared_diagonal_error": "Sampling error of chi_squared_diagonal",
    "consistency_ratio": "Mean square of O-B over the mean of its stated variance",
    "spread_skill": "Stated standard deviation of O-B over its root mean square",
    "dfs": "Degrees of freedom for signal",
    "influence": "Degrees of freedom for signal of one observation, on average",
    "rank_histogram": "Share of the observations at each rank among the members with observation errors added",
}


class Sums:
    """What was counted so far."""

    def __init__(self, group: Groups, tests: Mapping[int, str], members: int) -> None:
        self.group, self.tests, self.ranks = group, tests, members + 1 if members else 0
        self.tally = Tally(group.size, QUANTITIES, WITH_ERRORS)
        self.count, self.missing = np.zeros(group.size, np.int64), np.zeros(group.size, np.int64)
        self.refused = np.zeros((group.size, len(tests)), np.int64)
        self.rank = np.zeros((group.size, self.ranks), np.int64)

    def recorded(self, part: Part, kept_back: Sequence[int]) -> None:
        """What the store has recorded; rows of the tests `kept_back` are withheld."""
        back = np.isin(part.qc, kept_back)
        cell = self.group.cells(0, part.window, part.columns)
        used, refused = np.where(part.qc == 0, cell, -1), (part.qc > 0) & ~back & (cell >= 0)
        self._count(used, part, of_departures(part.numbers["background"], part.numbers["analysis"]))
        codes = np.searchsorted(list(self.tests), part.qc[refused])
        np.add.at(self.refused, (cell[refused], codes), 1)
        self._rank(used, part)
        if back.any():
            others = np.where(back, self.group.cells(1, part.window, part.columns), -1)
            self._independent(others, part)
            self._rank(others, part)

    def independent(self, part: Part) -> None:
        """What was compared with the fields."""
        self._independent(self.group.cells(1, part.window, part.columns), part)

    def _rank(self, cell: np.ndarray, part: Part) -> None:
        ranked = (cell >= 0) & (part.rank >= 0) & (part.rank < self.ranks)
        np.add.at(self.rank, (cell[ranked], part.rank[ranked]), 1)

    def _independent(self, cell: np.ndarray, part: Part) -> None:
        there = np.isfinite(part.numbers["analysis"])
        self.missing += np.bincount(cell[(cell >= 0) & ~there], minlength=self.group.size)
        self._count(np.where(there, cell, -1), part, {})

    def _count(self, cell: np.ndarray, part: Part, products: Mapping[str, np.ndarray]) -> None:
        self.count += np.bincount(cell[cell >= 0], minlength=self.group.size)
        nothing = np.full(cell.shape, np.nan)
        n = part.numbers
        d, a, total = n["background"], n["analysis"], n["error_std"] ** 2 + n["background_std"] ** 2
        values = {
            "ob": d, "oa": a, "ob2": d * d, "oa2": a * a, "chi_squared_diagonal": d * d / total,
            "expected": np.where(np.isfinite(d), total, np.nan), "judged": np.where(np.isfinite(total), d * d, np.nan),
            "stated_o": n["error_std"] ** 2, "stated_b": n["background_std"] ** 2, "stated_a": n["analysis_std"] ** 2,
            "influence": n["influence"], **{name: products.get(name, nothing) for name in PRODUCTS},
        }  # fmt: skip
        self.tally.add(cell, part.window, values)

    def finished(self, least: int) -> xr.Dataset | None:
        """The diagnostics with their labels, of the roles and variables that there are; None of no observation."""
        shape = self.group.shape
        numbers = {name: values.reshape(shape) for name, values in self._numbers(least).items()}
        anything = self.count + self.missing + self.refused.sum(axis=1)
        there = anything.reshape(shape).any(axis=tuple(range(1, len(shape))))
        if not there.any():
            return None
        dims = [dim for dim in self.group.labels if dim != "variable"]
        data: dict[str, xr.Variable] = {}
        of_variable = anything.reshape(shape).any(axis=tuple(range(len(shape) - 1)))
        for place, word in enumerate(self.group.labels["variable"]):
            if of_variable[place]:
                held = {name: (dims, values[there][..., place]) for name, values in numbers.items()}
                held["rejected"] = ([*dims, "test"], self._along(self.refused, there, place))
                if self.ranks:
                    shares = self._along(self.rank, there, place).astype(float)
                    total = shares.sum(axis=-1, keepdims=True)
                    shares = np.divide(shares, total, out=np.full_like(shares, np.nan), where=total > 0)
                    held["rank_histogram"] = ([*dims, "rank"], shares)
                data |= _named(str(word), held)
        coords: dict[str, Any] = {d: coordinate(d, self.group.labels[d]) for d in dims if d != "role"}
        coords["role"] = coordinate("role", np.array(ROLES)[there])
        coords["test"] = ("test", list(self.tests.values()), {"long_name": "Test that refused the observation"})
        if any("rank" in v.dims for v in data.values()):
            coords["rank"] = ("rank", np.arange(self.ranks), {"long_name": "Members below the observation"})
        return xr.Dataset(data, coords)

    def _along(self, values: np.ndarray, there: np.ndarray, place: int) -> np.ndarray:
        """Of a variable and the roles that there are (role, …, along)."""
        return values.reshape(*self.group.shape, values.shape[-1])[there][..., place, :]

    def _numbers(self, least: int) -> dict[str, np.ndarray]:
        """All diagnostics that are one number (cell)."""
        mean, root = self.tally.mean, lambda name: np.sqrt(self.tally.mean(name))
        enough = np.where(self.tally.count("judged") >= least, 1.0, np.nan)
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = mean("judged") / mean("expected") * enough
            found = {
                "count": self.count, "missing": self.missing,
                "ob_mean": mean("ob"), "ob_mean_error": self.tally.error("ob"), "ob_rms": root("ob2"),
                "oa_mean": mean("oa"), "oa_mean_error": self.tally.error("oa"), "oa_rms": root("oa2"),
                **diagnosed(self.tally, least),
                "sigma_o_stated": root("stated_o"), "sigma_b_stated": root("stated_b"),
                "sigma_a_stated": root("stated_a"), "chi_squared_diagonal": mean("chi_squared_diagonal") * enough,
                "chi_squared_diagonal_error": self.tally.error("chi_squared_diagonal") * enough,
                "consistency_ratio": ratio, "influence": mean("influence"),
                "dfs": np.where(self.tally.count("influence") > 0, self.tally.total("influence"), np.nan),
            }  # fmt: skip
            return found | ({"spread_skill": 1 / np.sqrt(ratio)} if self.ranks else {})


def _named(word: str, held: Mapping[str, tuple[list[str], np.ndarray]]) -> dict[str, xr.Variable]:
    """Diagnostics of a variable under its name; of all variables together, those that have no unit."""
    unit = VARIABLES[word].units if word else ""
    found = {}
    for name, (dims, values) in held.items():
        plain = name in UNITLESS
        if word or plain:
            said = f"{NAMES[name]}: {word}" if word else NAMES[name]
            attrs = {"long_name": said, "units": "1" if plain else unit}
            found[f"{word}_{name}" if word else name] = xr.Variable(dims, values, attrs)
    return found
