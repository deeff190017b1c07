"""Forecast + truth → labelled scores. xarray, never torch."""

from typing import TYPE_CHECKING

from ..vocabulary.lazy import lazily

if TYPE_CHECKING:
    from .aggregate import combine
    from .budget import conservation
    from .consistency import desroziers
    from .cycling import analysis_scores, lost_lead
    from .derived import DERIVED, derive
    from .diagnosing import innovations
    from .drifting import drift
    from .finishing import finish
    from .incrementing import increments
    from .observed import class4
    from .regions import BASINS, REGIONS, Region, resolve
    from .resolution import effective_resolution
    from .room import skill
    from .scoring import score, sums
    from .spectra import spectrum
    from .table import METRICS
    from .tabulating import innovations_table

__all__ = [
    "BASINS",
    "DERIVED",
    "METRICS",
    "REGIONS",
    "Region",
    "analysis_scores",
    "class4",
    "combine",
    "conservation",
    "derive",
    "desroziers",
    "drift",
    "effective_resolution",
    "finish",
    "increments",
    "innovations",
    "innovations_table",
    "lost_lead",
    "resolve",
    "score",
    "skill",
    "spectrum",
    "sums",
]

__getattr__ = lazily(
    __name__,
    {
        "score": "scoring",
        "sums": "scoring",
        "skill": "room",
        "finish": "finishing",
        "spectrum": "spectra",
        "combine": "aggregate",
        "class4": "observed",
        "conservation": "budget",
        "derive": "derived",
        "DERIVED": "derived",
        "drift": "drifting",
        "desroziers": "consistency",
        "innovations": "diagnosing",
        "innovations_table": "tabulating",
        "increments": "incrementing",
        "analysis_scores": "cycling",
        "lost_lead": "cycling",
        "effective_resolution": "resolution",
        "METRICS": "table",
        "Region": "regions",
        "REGIONS": "regions",
        "BASINS": "regions",
        "resolve": "regions",
    },
)
