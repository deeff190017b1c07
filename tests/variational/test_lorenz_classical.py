"""Lorenz-96, every variable observed at every step with σ 1: optimal interpolation and 3D-Var as published.

Sakov & Oke (2008), Tellus A 60, 361, doi:10.1111/j.1600-0870.2007.00299.x, whose setting this is.
"""

from __future__ import annotations

import lorenz96
import pytest
import torch

from oceanx.variational.analysis import Window
from oceanx.variational.covariance import Dense
from oceanx.variational.optimal_interpolation import Applied, OptimalInterpolation
from oceanx.variational.three_d import ThreeDVar, ThreeDVarConfig

SHAPES = {"x": (1, 1, lorenz96.SIZE)}


def error(state, truth):
    return float((lorenz96.values(state)[0] - truth).square().mean().sqrt())


@pytest.mark.usefixtures("without_type_checks")  # thousands of small analyses
def test_about_climatology_optimal_interpolation_errs_by_0_95():
    mean, covariance = lorenz96.climatology()
    method, random, errors = (
        OptimalInterpolation(Applied(Dense(covariance, SHAPES))),
        torch.Generator().manual_seed(1),
        [],
    )
    for x in lorenz96.truth(1000, seed=1)[::4]:
        found = method(lorenz96.members(mean), Window(lorenz96.observed(x, random)))
        errors.append(error(lorenz96.members(mean) + found.increment, x))
    assert sum(errors) / len(errors) == pytest.approx(0.95, abs=0.02)


@pytest.mark.usefixtures("without_type_checks")  # thousands of small analyses
def test_cycled_with_a_fiftieth_of_the_climatology_s_covariance_3d_var_errs_by_0_41():
    _, covariance = lorenz96.climatology()
    method = ThreeDVar(Dense(0.02 * covariance, SHAPES), ThreeDVarConfig(tolerance=1e-4))
    random, errors = torch.Generator().manual_seed(2), []
    truth = lorenz96.truth(1200, seed=1)
    background = lorenz96.members(truth[0] + 0.5)
    for x in truth:
        found = method(background, Window(lorenz96.observed(x, random)))
        analysis = background + found.increment
        errors.append(error(analysis, x))
        background = lorenz96.step(analysis)
    assert sum(errors[200:]) / 1000 == pytest.approx(0.41, abs=0.02)
