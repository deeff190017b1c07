"""Statistics and metrics of ensembles, and of the probability that members give to what is beyond a threshold."""

from __future__ import annotations

import numpy as np
import xarray as xr

from .ensembles import crps, ranks
from .fields import Fields
from .metrics import Binned, Means, Metric, Statistic, positive, root

TENTHS = np.round(np.arange(11) / 10, 1)  # the probabilities that bins are named by: each bin is what is nearest


def _error_of_infinite_ensemble(x: Fields) -> np.ndarray | None:
    """Squared error of the mean less the part that K members leave in it: (mean − truth)² − variance / K."""
    if x.members is None or x.variance is None:
        return None
    return x.error**2 - x.variance / len(x.members)


def _fair_crps(x: Fields) -> np.ndarray:
    """Mean |x_i − y| − Σ_{i<j} |x_i − x_j| / (K (K − 1)); the absolute error of a forecast without members.

    References
    ----------
    Ferro (2014), Fair scores for ensemble forecasts, doi:10.1002/qj.2270
    """
    return np.abs(x.error) if x.members is None else crps(x.members, x.truth, x.valid)


def _variance_as_expected(x: Fields) -> np.ndarray | None:
    """(K + 1) / K × variance: the squared error to expect of the mean of K members that are as good as the truth.

    References
    ----------
    Fortin et al. (2014), Why should ensemble spread match the RMSE of the ensemble mean?,
    doi:10.1175/JHM-D-14-0008.1
    """
    return None if x.variance is None else x.variance * (x.size + 1) / x.size


def _rank(x: Fields) -> Binned | None:
    """How many members lie below the truth; where some equal it, evenly all ranks that they leave it."""
    if x.members is None:
        return None
    below, equal = ranks(x.members, x.truth, x.valid)
    return Binned(below, below + equal, np.ones(below.shape))


def _fair_brier(x: Fields) -> np.ndarray:
    """(k/K − o)² − k (K − k) / (K² (K − 1)), of k members beyond the threshold, and o = 1 if the truth is.

    References
    ----------
    Ferro (2014), Fair scores for ensemble forecasts, doi:10.1002/qj.2270
    """
    square = np.where(x.judged, (x.probability - x.happened) ** 2, 0.0)
    if x.members is None:
        return square
    return square - x.count * (x.size - x.count) / (x.size**2 * (x.size - 1))


def _bin(x: Fields) -> np.ndarray:
    """The tenth nearest to each probability, the higher of two; −1 in cells that are not judged."""
    return np.where(x.judged, (20 * x.count + x.size) // (2 * x.size), -1)


def _of_bin(values: str) -> Statistic:
    def statistic(x: Fields) -> Binned:
        bins = _bin(x)
        weights = {"forecasts": np.ones(bins.shape), "probability": x.probability, "events": x.happened.astype(float)}
        return Binned(bins, bins, weights[values])

    return statistic


STATISTICS: dict[str, Statistic] = {
    "variance": lambda x: x.variance,
    "expected_variance": _variance_as_expected,
    "unbiased_squared_error": _error_of_infinite_ensemble,
    "fair_crps": _fair_crps,
    "rank": _rank,
    "judged": lambda x: x.judged.astype(float),
    "fair_brier": _fair_brier,
    "bin_forecasts": _of_bin("forecasts"),
    "bin_probability": _of_bin("probability"),
    "bin_events": _of_bin("events"),
}
BINS = {"rank": "rank"} | dict.fromkeys(("bin_forecasts", "bin_probability", "bin_events"), "probability")
_CURVE = ("bin_forecasts", "bin_events")


def _reliability(m: Means) -> xr.DataArray:
    share = m["bin_forecasts"]
    distance = m["bin_probability"] / positive(share) - m["bin_events"] / positive(share)
    return (share * distance**2).sum("probability", min_count=1) / share.sum("probability", min_count=1)


def _base(m: Means) -> xr.DataArray:
    events, forecasts = (m[f"bin_{kind}"].sum("probability", skipna=False) for kind in ("events", "forecasts"))
    return events / positive(forecasts)


def _resolution(m: Means) -> xr.DataArray:
    share = m["bin_forecasts"]
    distance = m["bin_events"] / positive(share) - _base(m)
    return (share * distance**2).sum("probability", min_count=1) / share.sum("probability", min_count=1)


METRICS: dict[str, Metric] = {
    "rmse_unbiased": Metric(
        "Root mean square error of the mean of infinitely many members",
        ("unbiased_squared_error",),
        lambda m: root(m["unbiased_squared_error"]),
        needs="member",
        best="low",
    ),
    "spread": Metric("Ensemble spread", ("variance",), lambda m: root(m["variance"]), needs="member"),
    "spread_skill": Metric(
        "Ensemble spread, as for infinitely many members, relative to the error of the mean",
        ("expected_variance", "squared_error"),
        lambda m: root(m["expected_variance"] / positive(m["squared_error"])),
        "1",
        "member",
        "one",
    ),
    "crps": Metric(
        "Continuous ranked probability score, fair", ("fair_crps",), lambda m: m["fair_crps"], needs=None, best="low"
    ),
    "rank_histogram": Metric(
        "Share of the truth's rank among the members", ("rank",), lambda m: m["rank"], "1", "member"
    ),
    "brier": Metric(
        "Brier score, fair",
        ("fair_brier", "judged"),
        lambda m: m["fair_brier"] / positive(m["judged"]),
        "1",
        "threshold",
        "low",
    ),
    "brier_reliability": Metric(
        "Reliability part of the Brier score", ("bin_probability", *_CURVE), _reliability, "1", "threshold", "low"
    ),
    "brier_resolution": Metric("Resolution part of the Brier score", _CURVE, _resolution, "1", "threshold", "high"),
    "brier_uncertainty": Metric(
        "Uncertainty part of the Brier score", _CURVE, lambda m: _base(m) * (1 - _base(m)), "1", "threshold"
    ),
    "reliability": Metric(
        "Frequency of the event by forecast probability",
        _CURVE,
        lambda m: m["bin_events"] / positive(m["bin_forecasts"]),
        "1",
        "threshold",
        beside=("forecast_share",),
    ),
    "forecast_share": Metric(
        "Share of forecasts by probability",
        _CURVE,
        lambda m: m["bin_forecasts"] / positive(m["bin_forecasts"].sum("probability", skipna=False)),
        "1",
        "threshold",
    ),
}
