"""Pictures and pages: fields, scores and series drawn with units and dates, without pyplot and without downloads.

Every kind returns a matplotlib `Figure` that a notebook shows by itself; `figure.savefig("figure.png")` keeps it. An
`animation` is a `Film`, which `film.save("film.gif")` keeps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..vocabulary.lazy import lazily

if TYPE_CHECKING:
    from .animations import Film, animation
    from .curves import skill
    from .departures import consistency, innovations
    from .event_skill import heatwave_skill
    from .events import heatwave
    from .maps import map, triptych
    from .outcomes import exceedance
    from .page import Code, Heading, Picture, Table, Text, report
    from .probabilities import rank_histogram, reliability
    from .sections import hovmoller, profile, section
    from .spectra import spectrum
    from .tables import table
    from .training import coefficients, losses, validation
    from .water import ts_diagram

# What is reached as `oceanx.plot.<name>`, and the module it lives in.
_KINDS = {
    "map": "maps",
    "triptych": "maps",
    "exceedance": "outcomes",
    "heatwave": "events",
    "heatwave_skill": "event_skill",
    "skill": "curves",
    "hovmoller": "sections",
    "section": "sections",
    "profile": "sections",
    "ts_diagram": "water",
    "spectrum": "spectra",
    "reliability": "probabilities",
    "rank_histogram": "probabilities",
    "innovations": "departures",
    "consistency": "departures",
    "animation": "animations",
}
# What a page is made of besides.
_PAGES = {
    "report": "page",
    "Heading": "page",
    "Text": "page",
    "Picture": "page",
    "Table": "page",
    "Code": "page",
    "table": "tables",
    "losses": "training",
    "coefficients": "training",
    "validation": "training",
    "Film": "animations",
}

__all__ = [
    "KINDS",
    "Code",
    "Film",
    "Heading",
    "Picture",
    "Table",
    "Text",
    "animation",
    "coefficients",
    "consistency",
    "exceedance",
    "heatwave",
    "heatwave_skill",
    "hovmoller",
    "innovations",
    "losses",
    "map",
    "profile",
    "rank_histogram",
    "reliability",
    "report",
    "section",
    "skill",
    "spectrum",
    "table",
    "triptych",
    "ts_diagram",
    "validation",
]


_found = lazily(__name__, _KINDS | _PAGES)


def __getattr__(name: str) -> Any:
    """The functions, loaded when first asked for; `KINDS` maps the name of a kind of figure to its function."""
    return {kind: _found(kind) for kind in _KINDS} if name == "KINDS" else _found(name)


def __dir__() -> list[str]:
    return list(__all__)
