"""Pictures and pages: fields, scores and series drawn with units and dates, without pyplot and without downloads.

Every function returns a matplotlib `Figure` that a notebook shows by itself; `figure.savefig("figure.png")` keeps it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..vocabulary.lazy import lazily

if TYPE_CHECKING:
    from .curves import skill
    from .events import exceedance, heatwave
    from .maps import map, triptych
    from .page import Code, Heading, Picture, Table, Text, report
    from .sections import hovmoller, profile, section
    from .spectra import spectrum
    from .tables import table

# What is reached as `oceanx.plot.<name>`, and the module it lives in.
_KINDS = {
    "map": "maps",
    "triptych": "maps",
    "exceedance": "events",
    "heatwave": "events",
    "skill": "curves",
    "hovmoller": "sections",
    "section": "sections",
    "profile": "sections",
    "spectrum": "spectra",
}
_PAGES = {
    "report": "page",
    "Heading": "page",
    "Text": "page",
    "Picture": "page",
    "Table": "page",
    "Code": "page",
    "table": "tables",
}

__all__ = [
    "KINDS",
    "Code",
    "Heading",
    "Picture",
    "Table",
    "Text",
    "exceedance",
    "heatwave",
    "hovmoller",
    "map",
    "profile",
    "report",
    "section",
    "skill",
    "spectrum",
    "table",
    "triptych",
]


_found = lazily(__name__, _KINDS | _PAGES)


def __getattr__(name: str) -> Any:
    """The functions, loaded when first asked for; `KINDS` maps the name of a kind of figure to its function."""
    return {kind: _found(kind) for kind in _KINDS} if name == "KINDS" else _found(name)


def __dir__() -> list[str]:
    return list(__all__)
