"""Reconstruction: what a tracer is on the faces of a cell, as seen from within the cell, from its mean over cells.

A scheme is a function of the tracer and of one `Way` through the grid. It gives two fields: the tracer on the face
ahead of each cell and on the face behind it, both by the cell's own profile. The flow chooses: water that leaves the
cell carries the cell's value. One code serves all three directions.

| scheme | profile within the cell | order | bounds | next to a closed face |
|---|---|---|---|---|
| `upwind` | constant | 1 | kept | constant |
| `centred` | on the line to the neighbour beyond the face | 2 | not kept | on that line |
| `third` | parabola of the three cells' means | 3 | not kept | on the line to the neighbour |
| `limited` | line with a monotonised slope | 2 | kept | constant |
| `weno` | three parabolas, weighted by their smoothness | 5 | nearly kept | as `limited`, two cells out as well |

Columns, rows and levels need not be equally spaced: where a way has widths (the vertical has), the line, the parabola
and the slope account for them, each exact for cell means of its own polynomial; `weno` is then third order at least.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

Shift = Callable[[Tensor], Tensor]
Coefficient = Tensor | float
_TINY = 1e-36  # squared, in the tracer's unit: so flat that no profile is smoother than another


class Way(NamedTuple):
    """One direction through the grid: each cell's neighbours, which faces ahead are open, and unequal widths.

    `width` may be in any unit (only ratios count), and is None where cells count as equally wide.
    """

    ahead: Shift
    behind: Shift
    open: Tensor
    width: Tensor | None = None


Faces = tuple[Tensor, Tensor]
Scheme = Callable[[Tensor, Way], Faces]


def upwind(tracer: Tensor, way: Way) -> Faces:
    """The cell's own value on both faces: first order, monotone.

    References
    ----------
    Courant, Isaacson & Rees (1952), Commun. Pure Appl. Math. 5, 243, doi:10.1002/cpa.3160050303.
    """
    return tracer, tracer


def centred(tracer: Tensor, way: Way) -> Faces:
    """Values on the straight lines to both neighbours: second order, without any damping of its own."""
    step = _step(tracer, way)
    to_ahead, to_behind = _half_way(way)
    return tracer + to_ahead * step, tracer - to_behind * way.behind(step)


def limited(tracer: Tensor, way: Way) -> Faces:
    """Values of a line with the monotonised central slope: second order where smooth, monotone.

    The slope is that of the parabola through the three cells' means, no steeper than twice either difference, zero at
    an extremum and next to a closed face.

    References
    ----------
    van Leer (1977), J. Comput. Phys. 23, 276, doi:10.1016/0021-9991(77)90095-X; unequal widths as in Colella &
    Woodward (1984), J. Comput. Phys. 54, 174, doi:10.1016/0021-9991(84)90143-8.
    """
    ahead = _step(tracer, way)
    behind = way.behind(ahead)
    if way.width is None:
        central = 0.5 * (behind + ahead)
    else:
        near_ahead, far_ahead, near_behind, far_behind = _parabola(way)
        central = (near_ahead + far_behind) * ahead + (far_ahead + near_behind) * behind
    half = 0.5 * _monotonised(behind, ahead, central)
    return tracer + half, tracer - half


def third(tracer: Tensor, way: Way) -> Faces:
    """Values of the parabola with the means of the cell and both neighbours: third order, upwind biased (κ = 1/3).

    With equal widths T_c + (T_d − T_c)/3 + (T_c − T_u)/6 from the cells upwind (u), central (c) and downwind (d).

    References
    ----------
    van Leer (1985), Upwind-difference methods for aerodynamic problems governed by the Euler equations, Lectures in
    Applied Mathematics 22, 327; Hundsdorfer et al. (1995), J. Comput. Phys. 117, 35, doi:10.1006/jcph.1995.1042.
    """
    ahead = _step(tracer, way)
    behind = way.behind(ahead)
    to_ahead, to_behind = _half_way(way)
    up, down = _rises(behind, ahead, way)
    inner = way.open * way.behind(way.open) > 0
    return (
        tracer + torch.where(inner, up, to_ahead * ahead),
        tracer - torch.where(inner, down, to_behind * behind),
    )


def weno(tracer: Tensor, way: Way) -> Faces:
    """Values of three parabolas, each weighted by how smooth the tracer is on its cells: fifth order where it is.

    The parabolas and their smoothness are Jiang & Shu's; the weights γ (1 + (τ / (β + ε))²), τ = |β₋ − β₊|, are those
    of Borges et al., which keep the order at smooth extremes. ε is a millionth of the squared differences around the
    cell: a tracer in other units, or with a constant added, has the same weights, and float32 has room for them.
    Where the five cells are not joined by open faces the profile is that of `limited`.

    References
    ----------
    Jiang & Shu (1996), J. Comput. Phys. 126, 202, doi:10.1006/jcph.1996.0130; Borges et al. (2008), J. Comput. Phys.
    227, 3191, doi:10.1016/j.jcp.2007.11.038.
    """
    ahead = _step(tracer, way)
    behind = way.behind(ahead)
    beyond, before = way.ahead(ahead), way.behind(behind)
    up, down = _rises(behind, ahead, way)
    from_behind, from_ahead = _outward(before, behind, ahead, beyond, way)
    smoothness = _smoothness(before, behind, ahead, beyond)
    # As departures from the cell's own value, which large values of the tracer do not round away.
    to_ahead = _weighted((0.1, 0.6, 0.3), smoothness, (from_behind, up, ahead - way.ahead(down)))
    to_behind = _weighted((0.3, 0.6, 0.1), smoothness, (way.behind(up) - behind, -down, from_ahead))
    near_land = 0.5 * _monotonised(behind, ahead, up + down)
    clear = way.open * way.behind(way.open)
    clear = clear * way.ahead(way.open) * way.behind(way.behind(way.open)) > 0
    return tracer + torch.where(clear, to_ahead, near_land), tracer + torch.where(clear, to_behind, -near_land)


SCHEMES: dict[str, Scheme] = {
    "upwind": upwind,
    "centred": centred,
    "third": third,
    "limited": limited,
    "weno": weno,
}


def _step(tracer: Tensor, way: Way) -> Tensor:
    """By how much the cell ahead exceeds the cell, where one can pass."""
    return (way.ahead(tracer) - tracer) * way.open


def _half_way(way: Way) -> tuple[Coefficient, Coefficient]:
    """Which share of the difference to the cell ahead, and to the cell behind, lies on this side of the face."""
    if way.width is None:
        return 0.5, 0.5
    width = way.width
    return width / (width + way.ahead(width)), width / (width + way.behind(width))


def _parabola(way: Way) -> tuple[Coefficient, Coefficient, Coefficient, Coefficient]:
    """The parabola with three cells' means: weights of the nearer and farther difference, for both faces' departures.

    On the face ahead T + near (T₊ − T) + far (T − T₋), on the face behind T − near (T − T₋) − far (T₊ − T).
    """
    if way.width is None:
        return 1 / 3, 1 / 6, 1 / 3, 1 / 6
    a, b, c = way.behind(way.width), way.width, way.ahead(way.width)
    to_ahead, to_behind = b / ((b + c) * (a + b + c)), b / ((a + b) * (a + b + c))
    return to_ahead * (a + b), to_behind * c, to_behind * (b + c), to_ahead * a


def _rises(behind: Tensor, ahead: Tensor, way: Way) -> tuple[Tensor, Tensor]:
    """How far the parabola rises from the cell's mean to the face ahead, and from the face behind to the mean."""
    near_ahead, far_ahead, near_behind, far_behind = _parabola(way)
    return near_ahead * ahead + far_ahead * behind, near_behind * behind + far_behind * ahead


def _outward(before: Tensor, behind: Tensor, ahead: Tensor, beyond: Tensor, way: Way) -> tuple[Tensor, Tensor]:
    """Departures on the face ahead by the parabola of the cell and two behind it, and on the face behind by its mirror.

    With equal widths 5/6 of the nearer difference less a third of the farther one.
    """
    if way.width is None:
        return 5 / 6 * behind - 1 / 3 * before, 1 / 3 * beyond - 5 / 6 * ahead
    a, b, c = way.behind(way.width), way.width, way.ahead(way.width)
    aa, cc = way.behind(a), way.ahead(c)
    before, behind, ahead, beyond = before / (aa + a), behind / (a + b), ahead / (b + c), beyond / (c + cc)
    return (
        b * (behind + (a + b) / (aa + a + b) * (behind - before)),
        -b * (ahead + (b + c) / (b + c + cc) * (ahead - beyond)),
    )


def _smoothness(before: Tensor, behind: Tensor, ahead: Tensor, beyond: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Jiang and Shu's β of the three parabolas, from behind to ahead, ε added."""
    small = 1e-6 * (before**2 + behind**2 + ahead**2 + beyond**2) + _TINY
    return (
        13 / 12 * (behind - before) ** 2 + 0.25 * (3 * behind - before) ** 2 + small,
        13 / 12 * (ahead - behind) ** 2 + 0.25 * (ahead + behind) ** 2 + small,
        13 / 12 * (beyond - ahead) ** 2 + 0.25 * (3 * ahead - beyond) ** 2 + small,
    )


def _weighted(
    ideal: tuple[float, float, float],
    smoothness: tuple[Tensor, Tensor, Tensor],
    departures: tuple[Tensor, Tensor, Tensor],
) -> Tensor:
    """The departures' mean, with weights that are ideal where the tracer is smooth."""
    unlike = (smoothness[0] - smoothness[2]).abs()
    weights = [share * (1 + (unlike / beta) ** 2) for share, beta in zip(ideal, smoothness, strict=True)]
    total = weights[0] * departures[0] + weights[1] * departures[1] + weights[2] * departures[2]
    return total / (weights[0] + weights[1] + weights[2])


def _monotonised(behind: Tensor, ahead: Tensor, central: Tensor) -> Tensor:
    """The central slope, no steeper than twice either neighbour's and zero at an extremum."""
    bound = 2 * torch.minimum(behind.abs(), ahead.abs())
    slope = torch.minimum(central.abs(), bound) * central.sign()
    return torch.where(behind * ahead > 0, slope, torch.zeros_like(slope))
