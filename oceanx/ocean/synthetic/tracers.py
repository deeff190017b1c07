"""Transport of tracers on the fine grid: second order, without new extremes, exact for constants.

One direction after the other, with the slopes of van Leer's monotonised central limiter. What is stepped is
∂c/∂t = −∇·(uc) + c∇·u + κ∇²c, written with differences to the cell's own value, so that a constant stays constant to
the last bit whatever the divergence.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .layer import jit


@jit
def _limited(a: Any, b: Any, half: Any, two: Any) -> Any:
    """The monotonised central slope of two neighbouring differences."""
    size = min(min(two * abs(a), two * abs(b)), half * abs(a + b))
    if a * b <= half - half:
        size = half - half
    elif a < half - half:
        size = -size
    return size


@jit
def _sweep_x(c: Any, u: Any, open_east: Any, dx: Any, dt: Any, kappa: Any, periodic: bool) -> None:
    ny, nx = c.shape
    half, one, two = np.float32(0.5), np.float32(1), np.float32(2)
    d, s, face, cour = (np.zeros(nx, np.float32), np.zeros(nx, np.float32), np.zeros(nx, np.float32),
                        np.zeros(nx, np.float32))  # fmt: skip
    for j in range(1, ny - 1):
        row, speed, mask = c[j], u[j], open_east[j]
        rate, mix = dt / dx[j], kappa * dt / (dx[j] * dx[j])
        for i in range(nx - 1):
            d[i] = (row[i + 1] - row[i]) * mask[i]
        for i in range(nx - 2):
            s[i + 1] = _limited(d[i], d[i + 1], half, two)
        if periodic:
            s[0], s[nx - 1] = s[nx - 2], s[1]
        for i in range(nx - 1):
            cour[i] = speed[i] * rate
            west = row[i] + half * (one - cour[i]) * s[i]
            east = row[i + 1] - half * (one + cour[i]) * s[i + 1]
            face[i] = west if cour[i] > half - half else east
        for i in range(nx - 2):
            k = i + 1
            s[i] = cour[i] * (face[i] - row[k]) - cour[k] * (face[k] - row[k]) + mix * (d[k] - d[i])
        for i in range(nx - 2):
            row[i + 1] += s[i]
        if periodic:
            row[0], row[nx - 1] = row[nx - 2], row[1]


@jit
def _sweep_y(c: Any, v: Any, open_north: Any, dx: Any, dxv: Any, dy: Any, dt: Any, kappa: Any, work: Any) -> None:
    ny, nx = c.shape
    half, one, two = np.float32(0.5), np.float32(1), np.float32(2)
    d, s, face = work[0], work[1], work[2]
    rate, mix = dt / dy, kappa * dt / (dy * dy)
    for j in range(ny - 1):
        row, north, mask, dj = c[j], c[j + 1], open_north[j], d[j]
        for i in range(nx):
            dj[i] = (north[i] - row[i]) * mask[i]
    for j in range(1, ny - 1):
        sj, dj, below = s[j], d[j], d[j - 1]
        for i in range(nx):
            sj[i] = _limited(below[i], dj[i], half, two)
    for j in range(ny - 1):
        row, above, sj, sn, fj, speed = c[j], c[j + 1], s[j], s[j + 1], face[j], v[j]
        for i in range(nx):
            cour = speed[i] * rate
            south = row[i] + half * (one - cour) * sj[i]
            north = above[i] - half * (one + cour) * sn[i]
            fj[i] = south if cour > half - half else north
    for j in range(1, ny - 1):
        row, fj, below, vn, vs, dn, ds = c[j], face[j], face[j - 1], v[j], v[j - 1], d[j], d[j - 1]
        top, bottom, sj = rate * dxv[j] / dx[j], rate * dxv[j - 1] / dx[j], s[j]
        for i in range(nx):
            sj[i] = bottom * vs[i] * (below[i] - row[i]) - top * vn[i] * (fj[i] - row[i]) + mix * (dn[i] - ds[i])
        for i in range(nx):
            row[i] += sj[i]


@jit
def advect(
    tracers: Any, u: Any, v: Any, open_east: Any, open_north: Any, dx: Any, dxv: Any, dy: Any, dt: Any, kappa: Any,
    steps: int, east_first: bool, periodic: bool,
) -> None:  # fmt: skip
    """Carry (n, ny, nx) tracers with one flow for `steps` steps of `dt`, in place.

    `u`, `v` in m/s stand on east and north faces and vanish on closed ones; `kappa` in m² s⁻¹. Stable while |u| dt/dx
    stays below one.
    """
    work = np.zeros((3, tracers.shape[1], tracers.shape[2]), np.float32)
    for k in range(tracers.shape[0]):
        c = tracers[k]
        for step in range(steps):
            first = east_first == (step % 2 == 0)
            if first:
                _sweep_x(c, u, open_east, dx, dt, kappa, periodic)
            _sweep_y(c, v, open_north, dx, dxv, dy, dt, kappa, work)
            if not first:
                _sweep_x(c, u, open_east, dx, dt, kappa, periodic)
