"""The mesoscale: a 1.5-layer shallow-water ocean on the sphere, over a prescribed steady deep flow.

    ∂h/∂t = −∇·[(H+h)(u+u_b)] + S + (h̄−h)/τ_h
    ∂u/∂t = −q k×[(H+h)(u+u_b)] + f k×u_b − ∇(K(u+u_b) − K(u_b)) − g'∇h + τ/(ρ₀H) + A∇²u − r u

with q = (f+ζ)/(H+h). The terms in u_b alone are taken off, so that u = 0, h = 0 is a steady state. The vorticity flux
is the energy-conserving one of Sadourny (1975). Thickness is stepped by second-order, velocity by third-order
Adams-Bashforth, but its pressure gradient takes the new thickness (forward-backward). Gravity waves are stable, and the
shortest damped, while c dt √(1/dx² + 1/dy²) < 0.7 (third order in thickness too would allow 0.52).

Arrays are float32, [row, column], with one halo cell on every side. `h` is the departure of the layer from its rest
thickness H, so that float32 loses nothing; `u` stands on the east face of a cell, `v` on its north face, vorticity on
its north-east corner. Loops run along rows and write one array each: that is what the compiler turns into vectors.

References
----------
Sadourny, R. (1975). The dynamics of finite-difference models of the shallow-water equations. J. Atmos. Sci. 32,
680-689. https://doi.org/10.1175/1520-0469(1975)032<0680:TDOFDM>2.0.CO;2
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

jit = numba.njit(cache=True, nogil=True, error_model="numpy")


@jit
def wrap(a: Any) -> None:
    """Make the halo columns of a periodic field those of the other side."""
    for j in range(a.shape[0]):
        a[j, 0] = a[j, -2]
        a[j, -1] = a[j, 1]


@jit
def _flows(now: Any, flow: Any, masks: Any, metric: Any, numbers: Any, work: Any) -> None:
    """Fill `work` with transports through faces (0, 1), kinetic energy (2) and potential vorticity (3)."""
    H, dy, half, one = numbers[1], numbers[6], numbers[7], numbers[8]
    ny, nx = now.shape[1:]
    row = np.zeros(nx, np.float32)
    for j in range(ny - 1):
        hc, hn, uc, un, vc = now[0, j], now[0, j + 1], now[1, j], now[1, j + 1], now[2, j]
        ub, vb, clear, around = flow[0, j], flow[1, j], masks[2, j], masks[3, j]
        U, V, q = work[0, j], work[1, j], work[3, j]
        dxc, dxn, dxv, f = metric[0, j], metric[0, j + 1], metric[1, j], metric[2, j]
        area = one / (dxv * dy)
        for i in range(nx - 1):
            U[i] = (H + half * (hc[i] + hc[i + 1])) * (uc[i] + ub[i]) * dy
        for i in range(nx):
            V[i] = (H + half * (hc[i] + hn[i])) * (vc[i] + vb[i]) * dxv
        for i in range(nx - 1):
            row[i] = ((vc[i + 1] - vc[i]) * dy - (un[i] * dxn - uc[i] * dxc)) * area * clear[i]
        for i in range(nx - 1):
            q[i] = (f + row[i]) / (H + around[i] * (hc[i] + hc[i + 1] + hn[i] + hn[i + 1]))
    for j in range(1, ny - 1):
        uc, vc, vs, ub, vb, vbs = now[1, j], now[2, j], now[2, j - 1], flow[0, j], flow[1, j], flow[1, j - 1]
        K, Kb = work[2, j], flow[2, j]
        for i in range(nx - 1):
            row[i] = uc[i] + ub[i]
        for i in range(nx - 2):
            K[i + 1] = row[i] * row[i] + row[i + 1] * row[i + 1] - Kb[i + 1]
        for i in range(nx):
            row[i] = vc[i] + vb[i]
        for i in range(nx):
            K[i] += row[i] * row[i]
        for i in range(nx):
            row[i] = vs[i] + vbs[i]
        for i in range(nx):
            K[i] = half * half * (K[i] + row[i] * row[i])


@jit
def _thicken(
    now: Any, new: Any, old: Any, source: Any, hbar: Any, wet: Any, metric: Any, numbers: Any, work: Any
) -> None:
    """Write the new thickness to `new[0]` and its tendency over the older of the two kept."""
    dt, restore, half, one = numbers[0], numbers[3], numbers[7], numbers[8]
    ny, nx = now.shape[1:]
    n = nx - 2
    t = np.zeros(nx, np.float32)
    for j in range(1, ny - 1):
        h, fresh, U, V, Vs = now[0, j], new[0, j], work[0, j], work[1, j], work[1, j - 1]
        s, bar, w, g1, g2 = source[j], hbar[j], wet[j], old[0, 0, j], old[1, 0, j]
        area = metric[3, j]
        for i in range(n):
            t[i + 1] = (U[i + 1] - U[i] + V[i + 1] - Vs[i + 1]) * area
        for i in range(nx):
            t[i] = (s[i] - t[i] + (bar[i] - h[i]) * restore) * w[i]
        for i in range(nx):
            fresh[i] = h[i] + dt * ((one + half) * t[i] - half * g1[i])
        for i in range(nx):
            g2[i] = t[i]


@jit
def _eastward(
    now: Any, new: Any, old: Any, tau: Any, flow: Any, masks: Any, metric: Any, numbers: Any, work: Any
) -> None:
    """Write the new u to `new[1]`, with the pressure gradient of the new thickness."""
    dt, gp, A, stress, dy, half, one = (
        numbers[0], numbers[2], numbers[4], numbers[5], numbers[6], numbers[7], numbers[8],
    )  # fmt: skip
    c1, c2, c3 = numbers[9], numbers[10], numbers[11]
    ny, nx = now.shape[1:]
    n = nx - 2
    t = np.zeros(nx, np.float32)
    for j in range(1, ny - 1):
        qc, qs, V, Vs, K = work[3, j], work[3, j - 1], work[1, j], work[1, j - 1], work[2, j]
        u, un, us, h, fresh = now[1, j], now[1, j + 1], now[1, j - 1], new[0, j], new[1, j]
        clear, clears, mask = masks[2, j], masks[2, j - 1], masks[0, j]
        drag, base, g1, g2, wind = flow[5, j], flow[3, j], old[0, 1, j], old[1, 1, j], tau[j]
        rdx, rdy = one / metric[0, j], one / dy
        cor = half * half * rdx
        ax, ay = A * rdx * rdx, A * rdy * rdy
        for i in range(n):
            t[i + 1] = cor * (qc[i + 1] * (V[i + 1] + V[i + 2]) + qs[i + 1] * (Vs[i + 1] + Vs[i + 2]))
        for i in range(nx):
            t[i] += stress * wind[i] - base[i] - drag[i] * u[i]
        for i in range(n):
            t[i + 1] += ax * (u[i + 2] - u[i + 1] - (u[i + 1] - u[i])) - rdx * (K[i + 2] - K[i + 1])
        for i in range(nx):
            t[i] = (t[i] + ay * ((un[i] - u[i]) * clear[i] - (u[i] - us[i]) * clears[i])) * mask[i]
        for i in range(nx):
            fresh[i] = u[i] + dt * (c1 * t[i] - c2 * g1[i] + c3 * g2[i])
        for i in range(nx):
            g2[i] = t[i]
        for i in range(nx - 1):
            fresh[i] -= dt * gp * rdx * (h[i + 1] - h[i]) * mask[i]


@jit
def _northward(
    now: Any, new: Any, old: Any, tau: Any, flow: Any, masks: Any, metric: Any, numbers: Any, work: Any
) -> None:
    """Write the new v to `new[2]`, with the pressure gradient of the new thickness."""
    dt, gp, A, stress, dy, half, one = (
        numbers[0], numbers[2], numbers[4], numbers[5], numbers[6], numbers[7], numbers[8],
    )  # fmt: skip
    c1, c2, c3 = numbers[9], numbers[10], numbers[11]
    ny, nx = now.shape[1:]
    n = nx - 2
    t = np.zeros(nx, np.float32)
    for j in range(1, ny - 2):
        q, U, Un, K, Kn = work[3, j], work[0, j], work[0, j + 1], work[2, j], work[2, j + 1]
        v, vn, vs, h, hn, fresh = now[2, j], now[2, j + 1], now[2, j - 1], new[0, j], new[0, j + 1], new[2, j]
        clear, mask, drag, base = masks[2, j], masks[1, j], flow[5, j], flow[4, j]
        g1, g2, wind = old[0, 2, j], old[1, 2, j], tau[j]
        rdx, rdy = one / metric[1, j], one / dy
        cor = half * half * rdy
        ax, ay = A * rdx * rdx, A * rdy * rdy
        for i in range(n):
            t[i + 1] = -cor * (q[i + 1] * (U[i + 1] + Un[i + 1]) + q[i] * (U[i] + Un[i]))
        for i in range(nx):
            t[i] += stress * wind[i] - base[i] - drag[i] * v[i] - rdy * (Kn[i] - K[i])
        for i in range(n):
            t[i + 1] += ax * ((v[i + 2] - v[i + 1]) * clear[i + 1] - (v[i + 1] - v[i]) * clear[i])
        for i in range(nx):
            t[i] = (t[i] + ay * (vn[i] - v[i] - (v[i] - vs[i]))) * mask[i]
        for i in range(nx):
            fresh[i] = v[i] + dt * (c1 * t[i] - c2 * g1[i] + c3 * g2[i])
        for i in range(nx):
            g2[i] = t[i]
        for i in range(nx):
            fresh[i] -= dt * gp * rdy * (hn[i] - h[i]) * mask[i]


@jit
def advance(
    now: Any, old: Any, source: Any, hbar: Any, tau: Any, flow: Any, masks: Any, metric: Any, numbers: Any,
    steps: int, periodic: bool,
) -> Any:  # fmt: skip
    """The mean of (h, u, v) over `steps` steps, which change `now` and `old` in place.

    Parameters
    ----------
    now : (3, ny, nx)
        h, u, v.
    old : (2, 3, ny, nx)
        Tendencies of the last step and of the one before.
    source, hbar : (ny, nx)
        Thickness source in m s-1; thickness relaxed to, m.
    tau : (2, ny, nx)
        Stress on the east and north faces, Pa.
    flow : (6, ny, nx)
        u_b, v_b, 4 K(u_b), the vorticity fluxes of u_b in the two equations, drag r.
    masks : (5, ny, nx)
        Open east faces, open north faces, corners clear of land, 1/(wet cells about a corner), wet cells.
    metric : (4, ny)
        dx through centres, dx through north faces, f at corners, 1/(area of a cell).
    numbers : (12,)
        dt, H, g', 1/τ_h, A, 1/(ρ₀H), dy, 1/2, 1, 23/12, 16/12, 5/12.
    """
    work = np.zeros((4, now.shape[1], now.shape[2]), np.float32)
    new, mean = np.zeros_like(now), np.zeros_like(now)
    for _ in range(steps):
        _flows(now, flow, masks, metric, numbers, work)
        if periodic:
            for k in range(4):
                wrap(work[k])
        _thicken(now, new, old, source, hbar, masks[4], metric, numbers, work)
        if periodic:
            wrap(new[0])
        _eastward(now, new, old, tau[0], flow, masks, metric, numbers, work)
        _northward(now, new, old, tau[1], flow, masks, metric, numbers, work)
        if periodic:
            wrap(new[1])
            wrap(new[2])
        a, b, m, g1, g2 = now.ravel(), new.ravel(), mean.ravel(), old[0].ravel(), old[1].ravel()
        for i in range(a.size):
            a[i] = b[i]
        for i in range(a.size):
            m[i] += b[i]
        for i in range(g1.size):
            g1[i], g2[i] = g2[i], g1[i]
    mean *= np.float32(1.0 / steps)
    return mean
