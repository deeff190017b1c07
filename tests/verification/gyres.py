"""Wind-driven gyres in a square sea: steady states of the core against Stommel's and Munk's closed forms.

The steady state is found without waiting for it: the linear core's Jacobian is read off by probing it, colour by
colour, and the sparse system solved. What is solved is the core's own tendency.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from scipy import sparse
from scipy.sparse.linalg import spsolve
from torch import Tensor

from oceanx.physics.shallow_water import ShallowWater, ShallowWaterConfig
from oceanx.physics.viscosity import viscosity
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.state import Fields, State, Tendency

from .outcome import Curve, Outcome
from .waves import ORDER, convergence, order

STOMMEL = "Stommel (1948), doi:10.1029/TR029i002p00202; closed form, the set-up of thetis"
MUNK = "Munk (1950), doi:10.1175/1520-0469(1950)007<0080:OTWDOC>2.0.CO;2; exact separable solution"
Dynamics = Callable[[State], Tendency]
Section = tuple[np.ndarray, np.ndarray, np.ndarray]


def stommel() -> list[Outcome]:
    """Bottom friction alone: a western boundary current r/β wide."""
    length, r, beta = 1e6, 1e-6, 2e-11
    width, cells, sections = r / beta, [24, 48, 96], []
    for n in cells:
        sea = _sea(np.linspace(0, length, n + 1), length, n // 2, 1000.0, beta)
        core = ShallowWater(sea, ShallowWaterConfig(linear=True, drag=r, density=1000.0))
        sections.append(_section(_steady(core, _wind(sea, length), lambda s, c=core: Tendency({})), sea))
    known, at, speed = 10.1380, 155.99e3, 0.2398
    errors = [_error(psi, _stommel(x, length, r, beta)) for x, psi, _ in sections]
    x, psi, v = sections[-1]
    step = length / cells[-1] / width
    exact = _stommel(x, length, r, beta)
    top, most = _highest(x, psi)
    return [
        *_transport("Stommel", most, top, known, at, STOMMEL, step, (x, psi, exact)),
        Outcome(
            "western boundary current of the Stommel gyre, at the wall",
            "m/s",
            float((15 * v[0] - 10 * v[1] + 3 * v[2]) / 8),
            speed,
            STOMMEL,
            "(Δx/δ)²/6 of the second-order scheme and 5/16 (Δx/δ)³ of what carries the flow to the wall",
            tolerance=step**2 / 6 + 5 / 16 * step**3,
        ),
        _order("Stommel", cells, errors),
    ]


def munk() -> list[Outcome]:
    """Lateral friction alone: a western boundary current (ν/β)^⅓ wide, and what flows back beside it."""
    return _no_slip() + _free_slip()


def _no_slip() -> list[Outcome]:
    """The gyre of MITgcm's tutorial; its walls hold the water in the west and the east alone, as in the closed form."""
    length, nu, beta = 1.2e6, 400.0, 1e-11
    width, cells, sections = (nu / beta) ** (1 / 3), [24, 48, 96], []
    for n in cells:
        sea = _sea(np.linspace(0, length, n + 1), length, n // 2, 5000.0, beta)
        core = ShallowWater(sea, ShallowWaterConfig(linear=True, viscosity=nu, density=1000.0))

        def walls(s: State, sea: Geometry = sea) -> Tendency:
            held, loose = (viscosity(s["uo_x"], s["vo_y"], sea, nu, slip) for slip in ("no", "free"))
            return Tendency({"vo_y": held.y - loose.y})

        sections.append(_section(_steady(core, _wind(sea, length), walls), sea))
    known, at, speed = 32.2147, 118.0e3, 0.09160
    errors = [_error(psi, _munk(x, length, nu, beta, 1000.0, slip=False)) for x, psi, _ in sections]
    x, psi, v = sections[-1]
    step = length / cells[-1] / width
    top, most = _highest(x, psi)
    exact = _munk(x, length, nu, beta, 1000.0, slip=False)
    return [
        *_transport("Munk, no slip", most, top, known, at, MUNK, step, (x, psi, exact)),
        _fastest("Munk, no slip", v, speed, step),
        _order("Munk, no slip", cells, errors),
    ]


def _free_slip() -> list[Outcome]:
    """A boundary current of 10 km in a sea of 1000 km, on cells that grow from west to east."""
    length, nu, beta, n, growth = 1e6, 100.0, 1e-10, 96, 3.0
    edges = length * np.expm1(growth * np.linspace(0, 1, n + 1)) / np.expm1(growth)
    sea = _sea(edges, length, n // 2, 5000.0, beta)
    core = ShallowWater(sea, ShallowWaterConfig(linear=True, viscosity=nu, density=1025.0))
    x, psi, v = _section(_steady(core, _wind(sea, length), lambda s: Tendency({})), sea)
    top, most = _highest(x, psi)
    step = float(np.diff(edges)[np.searchsorted(edges, 23.83e3)]) / (nu / beta) ** (1 / 3)
    exact = _munk(x, length, nu, beta, 1025.0, slip=True)
    return [
        *_transport("Munk, free slip", most, top, 3.90313, 23.83e3, MUNK, step, (x, psi, exact)),
        _fastest("Munk, free slip", v, 0.06060, step),
    ]


def _transport(
    gyre: str, most: float, top: float, known: float, at: float, source: str, step: float, section: Section
) -> list[Outcome]:
    why = f"(Δx/δ)²/6 of the second-order scheme, Δx = {step:.2g} δ"
    x, psi, exact = section
    curve = Curve(
        f"Transport on the mid-line of a gyre: {gyre}",
        "x (km)",
        "Sv",
        {"oceanx": (x / 1e3, psi), "exact": (x / 1e3, exact)},
    )
    return [
        Outcome(f"transport of the gyre ({gyre})", "Sv", most, known, source, why, tolerance=step**2 / 6, curve=curve),
        Outcome(f"where the gyre turns ({gyre})", "km", top / 1e3, at / 1e3, source, why, tolerance=step**2 / 6),
    ]


def _fastest(gyre: str, v: np.ndarray, known: float, step: float) -> Outcome:
    return Outcome(
        f"fastest northward flow ({gyre})",
        "m/s",
        float(v.max()),
        known,
        MUNK,
        "(Δx/δ)²/6 of the second-order scheme, and (Δx/δ)²/8 for a maximum between points",
        tolerance=step**2 * (1 / 6 + 1 / 8),
    )


def _order(gyre: str, cells: list[int], errors: list[float]) -> Outcome:
    return Outcome(
        f"order of the transport ({gyre})",
        "1",
        order(errors),
        1.8,
        "a second-order scheme",
        ORDER,
        kind="at least",
        curve=convergence(f"Error of a gyre's transport along the mid-line, over its maximum: {gyre}", cells, errors),
    )


def _error(psi: np.ndarray, exact: np.ndarray) -> float:
    """Root mean square along the mid-line, over the largest transport."""
    return float(np.sqrt(((psi - exact) ** 2).mean()) / exact.max())


def _sea(x: np.ndarray, length: float, rows: int, depth: float, beta: float) -> Geometry:
    y, thickness = torch.linspace(0, length, rows + 1).double(), torch.tensor([depth]).double()
    mask = torch.ones(1, rows, len(x) - 1)
    return Geometry.plane(
        y, torch.from_numpy(x), thickness / 2, thickness, mask, (False, False), (1e-4, beta), dtype=torch.float64
    )


def _wind(sea: Geometry, length: float) -> Fields:
    """τˣ = −0.1 Pa cos(πy/L)."""
    tauuo = (-0.1 * torch.cos(math.pi * sea.latitude / length))[:, None].expand_as(sea.area)[None, None]
    return Fields({"tauuo": tauuo, "tauvo": torch.zeros_like(tauuo)})


def _steady(core: ShallowWater, forcing: Fields, more: Dynamics) -> State:
    """The state in which the linear core's tendency, and what is added to it, is nothing; of mean sea level 0."""
    names, shape = ("uo_x", "vo_y", "zos"), core.geometry.area.shape
    masks = (core.geometry.mask_x[0], core.geometry.mask_y[0], core.geometry.mask[0])
    number = math.prod(shape)

    def tendency(fields: Tensor, forcing: Fields) -> np.ndarray:
        x = State({name: fields[:, [i]] for i, name in enumerate(names)})
        change = core.tendency(x, forcing) + more(x)
        return torch.cat([change[name] for name in names], 1).numpy()

    # A field of ones three cells apart: no two of them reach the same place, and 27 fields read off all columns.
    rows, columns = np.indices(shape)
    probes, sources = torch.zeros(27, 3, *shape, dtype=torch.float64), []
    for at, (variable, row, column) in enumerate(np.ndindex(3, 3, 3)):
        probes[at, variable, row::3, column::3] = masks[variable][row::3, column::3]
        nearest = (rows - (rows - row + 1) % 3 + 1, columns - (columns - column + 1) % 3 + 1)
        sources.append(variable * number + nearest[0] * shape[1] + nearest[1])
    answers = tendency(probes, Fields({}))
    where = np.nonzero(answers)
    from_ = np.stack(sources)[where[0], where[2], where[3]]
    to = where[1] * number + where[2] * shape[1] + where[3]
    matrix = sparse.coo_matrix((answers[where], (to, from_)), (3 * number, 3 * number)).tocsr()
    push = tendency(torch.zeros_like(probes[:1]), forcing).ravel()
    open_ = np.flatnonzero(torch.stack(masks).numpy().ravel())[:-1]  # the last sea level is given: 0
    found = np.zeros(3 * number)
    found[open_] = spsolve(matrix[open_][:, open_].tocsc(), -push[open_])
    fields = torch.from_numpy(found).reshape(1, 3, *shape)
    mean = (fields[:, 2] * core.geometry.area).sum() / core.geometry.area.sum()
    state = State({"uo_x": fields[:, [0]], "vo_y": fields[:, [1]], "zos": fields[:, [2]] - mean})
    left = np.abs(tendency(torch.cat(tuple(state.values()), 1), forcing)).max() / np.abs(push).max()
    if left > 1e-6:
        raise AssertionError(f"the steady state is not steady: {left:.1e} of the wind is left")
    return state


def _section(state: State, sea: Geometry) -> Section:
    """On the mid-line: x of east faces (m), the transport between them and the west (Sv), and the flow at centres."""
    v = state["vo_y"][0, 0, sea.area.shape[0] // 2 - 1]
    width = sea.length_y[0]
    return width.cumsum(0).numpy(), (v * width * sea.thickness[0, 0, 0]).cumsum(0).numpy() / 1e6, v.numpy()


def _highest(x: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """Where a parabola through the highest value and its neighbours is highest, and how high."""
    top = int(values.argmax())
    parabola = np.polyfit(x[top - 1 : top + 2] - x[top], values[top - 1 : top + 2], 2)
    place = -parabola[1] / (2 * parabola[0])
    return float(x[top] + place), float(np.polyval(parabola, place))


def _stommel(x: np.ndarray, length: float, r: float, beta: float) -> np.ndarray:
    """Stommel's stream function on the mid-line, in Sv."""
    half = math.sqrt((beta / r) ** 2 + 4 * (math.pi / length) ** 2) / 2
    p, q = -beta / r / 2 + half, -beta / r / 2 - half
    one = math.expm1(q * length) / (math.exp(p * length) - math.exp(q * length))
    scale = 0.1 * length / (math.pi * 1000.0 * r)
    return scale * (1 + one * np.exp(p * x) - (1 + one) * np.exp(q * x)) / 1e6


def _munk(x: np.ndarray, length: float, nu: float, beta: float, density: float, slip: bool) -> np.ndarray:
    """Munk's stream function on the mid-line, in Sv: four exponentials and a constant."""
    a = math.pi / length
    roots = np.roots([nu, 0, -2 * nu * a**2, -beta, nu * a**4])
    start = np.where(roots.real > 0, length, 0.0)  # where each is 1, so that none overflows
    power = 2 if slip else 1
    rows = [np.exp(roots * (end - start)) * roots**n for end in (0.0, length) for n in (0, power)]
    steady = 0.1 * math.pi / (density * length * nu * a**4)
    weights = np.linalg.solve(np.array(rows), np.array([-steady, 0, -steady, 0], dtype=complex))
    return (steady + (weights * np.exp(roots * (x[:, None] - start))).sum(-1).real) / 1e6


CASES = {"Stommel gyre": stommel, "Munk gyre": munk}
