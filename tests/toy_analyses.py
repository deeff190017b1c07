"""Analyses of known quality: truth, background and observations drawn from stated covariances, and the exact BLUE."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from oceanx.ocean.grid import complete
from oceanx.ocean.observations import table
from oceanx.ocean.observing.fingerprint import fingerprint

LATITUDE, LONGITUDE = np.arange(30.0, 34, 0.5), np.arange(-20.0, -15, 0.5)
DEPTH = np.array([0.5, 50.0])
SHAPE = (DEPTH.size, LATITUDE.size, LONGITUDE.size)
CELLS = int(np.prod(SHAPE))
PLATFORMS = ("float_1", "float_2", "mooring")
MEAN = 12.0


def correlation(length: float) -> np.ndarray:
    """Between all cells: Gaussian in steps of the grid, none between levels, none at all of length 0."""
    k, j, i = np.unravel_index(np.arange(CELLS), SHAPE)
    apart = np.hypot(np.subtract.outer(j, j), np.subtract.outer(i, i))
    if length == 0:
        return np.eye(CELLS)
    return np.exp(-0.5 * (apart / length) ** 2) * np.equal.outer(k, k) + 1e-6 * np.eye(CELLS)


def made(
    windows: int = 60, seen: int = 40, kept_back: int = 10, *, sigma_o: float = 0.4, sigma_b: float = 0.8,
    taken_o: float | None = None, taken_b: float | None = None, length: float = 1.5, members: int = 0, seed: int = 0,
    bias: float = 0.0, refused: int = 3,
) -> tuple[xr.Dataset, xr.Dataset, xr.Dataset]:  # fmt: skip
    """Analyses as `ox.assimilate` gives them, the observation table, and the truth.

    Every window has `seen` observations in cells of their own that are used, the first `refused` of them refused, and
    `kept_back` that are not in the record. The analysis takes `taken_o` and `taken_b` for the standard deviations.
    `bias` is the background's.
    """
    rng = np.random.default_rng(seed)
    taken_o, taken_b = taken_o or sigma_o, taken_b or sigma_b
    rho = correlation(length)
    root = np.linalg.cholesky(rho)
    times = pd.date_range("2001-01-01", periods=windows).to_numpy().astype("M8[ns]")
    truth, background, analysis, spread = (np.empty((windows, CELLS)) for _ in range(4))
    columns, record, cycle = [], [], []
    for w in range(windows):
        background[w] = MEAN + bias
        truth[w] = MEAN + sigma_b * root @ rng.normal(size=CELLS)
        cell = rng.choice(CELLS, seen + kept_back, replace=False)
        y = truth[w, cell] + sigma_o * rng.normal(size=cell.size)
        used = cell[refused:seen]
        b = taken_b**2 * rho[:, used]
        s = b[used] + taken_o**2 * np.eye(used.size)
        gain = np.linalg.solve(s, b.T).T
        d = y[refused:seen] - background[w, used]
        analysis[w] = background[w] + gain @ d
        posterior = taken_b**2 * rho - gain @ b.T
        spread[w] = np.sqrt(np.maximum(np.diag(posterior), 0))
        ensemble = MEAN + bias + taken_b * root @ rng.normal(size=(CELLS, max(members, 1)))
        noisy = ensemble[cell] + taken_o * rng.normal(size=(cell.size, max(members, 1)))
        columns.append((np.full(cell.size, w), cell, y))
        inside = np.arange(seen) >= refused
        record.append({
            "departure_row": np.arange(seen) + w * (seen + kept_back), "departure_time": np.full(seen, times[w]),
            "departure_background": (y - background[w, cell])[:seen],
            "departure_analysis": np.where(inside, (y - analysis[w, cell])[:seen], np.nan),
            "departure_background_std": np.full(seen, taken_b), "departure_analysis_std": spread[w, cell[:seen]],
            "departure_error_std": np.full(seen, taken_o),
            "departure_influence": np.concatenate([np.full(refused, np.nan), np.diag(gain[used])]),
            "departure_rank": ((noisy < y[:, None]).sum(1)[:seen] if members else np.full(seen, -1)).astype("i2"),
            "departure_qc": np.where(inside, 0, 1).astype("u1"),
        })  # fmt: skip
        cycle.append((used.size, d @ np.linalg.solve(s, d) / used.size, np.trace(gain[used])))
    an, true = _fields(times, analysis, background, spread), _fields(times, truth)
    obs = _table(times, columns, taken_o)
    qc = {"flag_values": np.array([0, 1], "u1"), "flag_meanings": "good background"}
    for name in record[0]:
        an[name] = ("obs", np.concatenate([one[name] for one in record]), qc if name == "departure_qc" else {})
    for name, values in zip(("observations_used", "chi_squared", "degrees_of_freedom"), np.array(cycle).T, strict=True):
        an[name] = ("time", values)
    told = {"oceanx_observations": fingerprint(obs), "oceanx_members": max(members, 1), "oceanx_window": "1D"}
    return an.assign_attrs(told), obs, true[["thetao"]]


def _fields(
    times: np.ndarray, values: np.ndarray, background: np.ndarray | None = None, spread: np.ndarray | None = None
) -> xr.Dataset:
    coords = {"time": times, "depth": DEPTH, "latitude": LATITUDE, "longitude": LONGITUDE}
    fields = {"thetao": values, "thetao_background": background, "thetao_std": spread}
    dims = tuple(coords)
    unit = {"units": "degrees_C"}
    shaped = {n: (dims, v.reshape(-1, *SHAPE), unit) for n, v in fields.items() if v is not None}
    return complete(xr.Dataset(shaped, coords))


def _table(times: np.ndarray, columns: list[tuple[np.ndarray, np.ndarray, np.ndarray]], error: float) -> xr.Dataset:
    window, cell, value = (np.concatenate(part) for part in zip(*columns, strict=True))
    k, j, i = np.unravel_index(cell, SHAPE)
    return table(
        {
            "time": times[window] + np.timedelta64(9, "h"), "latitude": LATITUDE[j], "longitude": LONGITUDE[i],
            "depth": DEPTH[k], "variable": np.zeros(cell.size, "i1"), "value": value,
            "error_std": np.full(cell.size, error), "platform": (np.arange(cell.size) % 3).astype("i4"),
            "feature": np.arange(cell.size), "qc": np.zeros(cell.size, "u1"),
        },
        ["thetao"], list(PLATFORMS),
    )  # fmt: skip
