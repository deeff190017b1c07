"""A learned analysis of a linear Gaussian problem comes close to the best there is, which is known."""

from __future__ import annotations

import numpy as np
import torch

from oceanx.models.analysis_gains import Sight
from oceanx.models.analysis_network import AnalysisNetworkConfig
from oceanx.nn.unet import UNetConfig
from oceanx.tensors.geometry import Geometry
from oceanx.tensors.observe import Operator, Part
from oceanx.tensors.state import Fields, Forcing, State
from oceanx.vocabulary.channels import Channels, Task

SIZE, LENGTH, SIGMA, ERROR, SEEN = 8, 1.5, 0.8, 0.4, 10
ITERATIONS, MARGIN = 120, 1.15  # of the best mean square error
TASK = Task(prognostic=Channels(surface=("zos",)))
NOTHING = Forcing(Fields({}), Fields({}))


def covariance() -> np.ndarray:
    """(1 + r/L) e^(−r/L) on a map that goes round in longitude."""
    row, column = np.divmod(np.arange(SIZE * SIZE), SIZE)
    east = np.abs(column[:, None] - column)
    away = np.hypot(row[:, None] - row, np.minimum(east, SIZE - east)) / LENGTH
    return SIGMA**2 * (1 + away) * np.exp(-away)


def blue(b: np.ndarray, cells: np.ndarray) -> float:
    """The mean variance that the best linear analysis leaves: tr(B − K H B) / n."""
    s = b[np.ix_(cells, cells)] + ERROR**2 * np.eye(len(cells))
    return float(np.trace(b - b[:, cells] @ np.linalg.solve(s, b[cells])) / len(b))


def sight(background: torch.Tensor, truth: torch.Tensor, cells: np.ndarray, rng: np.random.Generator) -> Sight:
    at = torch.from_numpy(cells)
    noise = torch.from_numpy(ERROR * rng.standard_normal(SEEN)).float()
    departures = (truth - background).flatten()[at] + noise
    part = Part(torch.arange(SEEN), at[:, None], torch.ones(SEEN, 1), (1, SIZE, SIZE))
    return Sight(departures, torch.full((SEEN,), ERROR**-2), Operator({"zos": part}, SEEN))


def test_trained_it_errs_little_more_than_the_best_linear_analysis() -> None:
    torch.manual_seed(0)
    edges = torch.linspace(0, 8, SIZE + 1)
    mask = torch.ones(1, SIZE, SIZE)
    geometry = Geometry(edges, 45 * edges - 180, torch.zeros(1), torch.ones(1), mask, periodic=True)
    statistics = {"zos_mean": torch.zeros(1), "zos_std": torch.full((1,), SIGMA)}
    statistics["zos_increment_std"] = statistics["zos_std"]
    config = AnalysisNetworkConfig(net=UNetConfig(widths=(16, 16)), lengths=(0.0, 1.5))
    learned = config.build(TASK, geometry, statistics)
    optimiser = torch.optim.AdamW(learned.parameters(), lr=8e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, ITERATIONS)
    rng, b = np.random.default_rng(0), covariance()
    values, vectors = np.linalg.eigh(b)
    root = vectors * np.sqrt(np.maximum(values, 0))

    def batch(size: int) -> tuple[float, torch.Tensor, torch.Tensor]:
        """What BLUE leaves, what the learned one leaves, and what it expects of that."""
        background = torch.zeros(size, 1, SIZE, SIZE)  # nothing is to be learned from it
        drawn = root @ rng.standard_normal((len(b), size))
        truth = torch.from_numpy(drawn.T.copy()).float().view(size, 1, SIZE, SIZE)
        cells = [rng.choice(len(b), SEEN, replace=False) for _ in range(size)]
        seen = [sight(background[i], truth[i], each, rng) for i, each in enumerate(cells)]
        said = learned(State({"zos": background}), seen, NOTHING)
        left = (said.increment["zos"] - truth) ** 2
        return float(np.mean([blue(b, each) for each in cells])), left, said.analysed["zos"]

    for _ in range(ITERATIONS):
        _, left, log = batch(16)
        expected = SIGMA**2 * log.exp()
        loss = left.mean() + 0.1 * (left.detach() / expected + log).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        best, left, log = batch(400)
    assert float(left.mean()) < MARGIN * best
    assert abs(float((SIGMA**2 * log.exp()).mean() / left.mean()) - 1) < 0.1
