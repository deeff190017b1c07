"""How fast `conservative` takes levels of GLORYS12 to coarser grids, against one copy of them and against others.

All cases take the same levels (2041 × 4320, float32, a third of them land) in the same rounds, weights made before.
The limit is one copy of the levels, on as many threads as ours has: each value must at least be read once.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import scipy.sparse
import xarray as xr
from rounds import interleaved, middle, report

from oceanx.ocean.regrid import Weights, conservative, weights, wet_fraction

LATITUDE = np.linspace(-80, 90, 2041).astype("f4")
LONGITUDE = (-180 + np.arange(4320) / 12).astype("f4")
GRIDS = {
    "1/4°": {"latitude": [-78, 89.75, 0.25], "longitude": [-180, 179.75, 0.25]},
    "1/2°": {"resolution": 0.5, "placed": "nodes"},
    "1.5°": {"resolution": 1.5},
}


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__)
    parse.add_argument("--levels", type=int, default=4)
    parse.add_argument("--rounds", type=int, default=5)
    parse.add_argument("--threads", type=int, default=os.cpu_count())
    given = parse.parse_args()
    ds = levels(given.levels)
    rows, seconds, making = [], {}, {}
    for name, grid in GRIDS.items():
        start = time.perf_counter()
        made = weights(LATITUDE, LONGITUDE, grid)
        making[name] = time.perf_counter() - start
        times = interleaved(cases(ds, made, given.threads), given.rounds)
        compare(ds, made)
        limit = middle(times["limit: copy"])
        seconds[name] = times
        for case, each in times.items():
            taken = middle(each)
            ratios = {"time / copy": taken / limit, "time / ours": taken / middle(times["conservative"])}
            rows.append({"to": name, "what": case, "ms a level": 1e3 * taken / given.levels, **ratios})
    about = {"levels": given.levels, "threads": given.threads, "seconds to make the weights": making}
    report("regrid", f"regrid: {given.levels} levels of 2041 × 4320, {given.threads} threads", rows, seconds, about)


def levels(count: int) -> xr.Dataset:
    """Waves and a little noise, a third of the map land."""
    rng = np.random.default_rng(0)
    waves = np.sin(np.arange(2041)[:, None] / 170) * np.cos(np.arange(4320) / 130)
    land = np.add.outer(np.sin(np.arange(2041) / 97), np.cos(np.arange(4320) / 131)) > 0.6
    values = [np.where(land, np.nan, 14 + waves + 0.01 * rng.standard_normal(waves.shape)) for _ in range(count)]
    coords = {"depth": np.arange(float(count)), "latitude": LATITUDE, "longitude": LONGITUDE}
    return xr.Dataset({"thetao": (("depth", "latitude", "longitude"), np.stack(values).astype("f4"))}, coords)


def cases(ds: xr.Dataset, made: Weights, threads: int) -> dict[str, Callable[[], object]]:
    """The same work in four ways, and the limit."""
    values = ds["thetao"].values
    to = np.empty_like(values)
    pool = ThreadPoolExecutor(threads)
    target = xr.Dataset(coords=dict(zip(("latitude", "longitude"), made.target, strict=True)))
    rows, columns = matrices(made)
    whole = np.outer(made.rows.size, made.columns.size)
    return {
        "limit: copy": lambda: list(pool.map(lambda n: np.copyto(to[n], values[n]), range(len(values)))),
        "conservative": lambda: conservative(ds, made, threads=threads),
        "conservative, one thread": lambda: conservative(ds, made, threads=1),
        "scipy, two sparse products": lambda: [with_scipy(level, rows, columns, whole) for level in values],
        "xarray-regrid, skipna": lambda: with_xarray_regrid(ds, target),
    }


def matrices(made: Weights) -> tuple[scipy.sparse.csr_array, scipy.sparse.csr_array]:
    """The weights of rows and columns as sparse matrices."""
    sizes = [axis.size for axis in made.source]
    both = zip((made.rows, made.columns), sizes, strict=True)
    return tuple(scipy.sparse.csr_array((o.weight, o.index, o.start), shape=(o.size.size, n)) for o, n in both)


def with_scipy(
    level: np.ndarray, rows: scipy.sparse.csr_array, columns: scipy.sparse.csr_array, whole: np.ndarray
) -> np.ndarray:
    """Wet means by sparse products of the values and of where they are; `whole` are the areas of the targets."""
    wet = np.isfinite(level)
    amount = (columns @ (rows @ np.where(wet, level, 0.0)).T).T
    area = (columns @ (rows @ wet.astype(float)).T).T
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(area >= 0.5 * whole, amount / area, np.nan).astype("f4")


def with_xarray_regrid(ds: xr.Dataset, target: xr.Dataset) -> xr.Dataset:
    """What one would write without oceanx."""
    import xarray_regrid  # noqa: F401  (registers the .regrid accessor)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = ds.regrid.conservative(target, latitude_coord="latitude", skipna=True, nan_threshold=0.5)
    return found.compute()


def compare(ds: xr.Dataset, made: Weights) -> None:
    """Stop if the ways differ, or the integral is not kept: then the race was not run over one course."""
    one = ds.isel(depth=[0])
    area = np.outer(made.rows.size, made.columns.size)
    ours = conservative(one, made)["thetao"].values[0]
    scipys = with_scipy(one["thetao"].values[0], *matrices(made), area)
    inside = np.isfinite(scipys) & np.isfinite(ours)
    assert (np.isfinite(scipys) ^ np.isfinite(ours)).mean() < 1e-3
    np.testing.assert_allclose(ours[inside], scipys[inside], rtol=2e-6)
    every = conservative(one, made, least=0.0)
    after = float((every["thetao"].astype(float) * wet_fraction(one["thetao"], made) * area).sum())
    weight = [
        np.bincount(o.index, o.weight, n.size) for o, n in zip((made.rows, made.columns), made.source, strict=True)
    ]
    before = float(np.nansum(one["thetao"].values[0] * np.outer(*weight)))
    np.testing.assert_allclose(after, before, rtol=1e-6)


if __name__ == "__main__":
    main()
