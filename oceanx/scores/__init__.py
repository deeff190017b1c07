"""Forecast + truth → labelled scores. xarray, never torch."""

from typing import TYPE_CHECKING

from ..vocabulary.lazy import lazily

if TYPE_CHECKING:
    from .aggregate import combine
    from .budget import conservation
    from .derived import DERIVED, derive
    from .drifting import drift
    from .finishing import finish
    from .observed import class4
    from .regions import BASINS, REGIONS, Region, resolve
    from .resolution import effective_resolution
    from .room import skill
    from .scoring import score, sums
    from .spectra import spectrum
    from .table import METRICS

__all__ = [
    "BASINS",
    "DERIVED",
    "METRICS",
    "REGIONS",
    "Region",
    "class4",
    "combine",
    "conservation",
    "derive",
    "drift",
    "effective_resolution",
    "finish",
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
        "effective_resolution": "resolution",
        "METRICS": "table",
        "Region": "regions",
        "REGIONS": "regions",
        "BASINS": "regions",
        "resolve": "regions",
    },
)
