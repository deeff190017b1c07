"""Pictures and pages: fields, scores and series drawn with units and dates, without pyplot and without downloads.

Every function returns a matplotlib `Figure` that a notebook shows by itself; `figure.savefig("figure.png")` keeps it.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

# What is reached as `oceanx.plot.<name>`, and the module it lives in. No module bears the name of a function:
# importing it would put the module in the function's place.
_KINDS = {
    "map": "maps",
    "triptych": "maps",
    "exceedance": "events",
    "heatwave": "events",
    "skill": "curves",
    "hovmoller": "sections",
    "section": "sections",
    "profile": "sections",
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
    "table",
    "triptych",
]


def __getattr__(name: str) -> Any:
    """The functions, loaded when first asked for; `KINDS` maps the name of a kind of figure to its function."""
    if name == "KINDS":
        return {kind: __getattr__(kind) for kind in _KINDS}
    home = (_KINDS | _PAGES).get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{home}", __name__), name)


def __dir__() -> list[str]:
    return list(__all__)
