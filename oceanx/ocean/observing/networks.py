"""The table of networks: the kinds there are, and presets that `network="argo+sst+nadir3"` may name."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import Field

from ...vocabulary.config import override, read_yaml
from ...vocabulary.errors import InputError, unknown
from ...vocabulary.names import VARIABLES
from .fixed import Cells, Mooring
from .floats import Argo
from .nadir import Nadir
from .network import Network
from .sst import SST

AnyNetwork = Annotated[SST | Nadir | Argo | Mooring | Cells, Field(discriminator="kind")]
Words = str | os.PathLike[str] | Mapping[str, Any] | Network | Iterable[Any]
Settings = dict[str, Any]

KINDS: dict[str, type[Network]] = {c.model_fields["kind"].default: c for c in get_args(get_args(AnyNetwork)[0])}

_JASON = {"kind": "nadir", "name": "jason", "orbits": 127, "days": 9.9156, "inclination": 66.04}
_SENTINEL3 = {"kind": "nadir", "name": "sentinel3", "orbits": 385, "days": 27.0, "inclination": 98.65}
_SARAL = {"kind": "nadir", "name": "saral", "orbits": 501, "days": 35.0, "inclination": 98.55}

PRESETS: dict[str, tuple[Settings, ...]] = {
    "sst": ({"kind": "sst", "name": "sst"},),
    "swath": ({"kind": "sst", "name": "swath", "swath": 1500.0},),
    "jason": (_JASON,),
    "sentinel3": (_SENTINEL3,),
    "saral": (_SARAL,),
    "nadir1": (_JASON,),
    "nadir3": (_JASON, _SENTINEL3, _SARAL),
    "argo": ({"kind": "argo", "name": "argo"},),
    "mooring": ({"kind": "mooring", "name": "mooring"},),
    "cells": ({"kind": "cells", "name": "cells"},),
}


def networks(
    words: Words,
    known: Iterable[str] = (),
    errors: float | Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> tuple[Network, ...]:
    """The networks that are meant, sorted by name.

    Parameters
    ----------
    words
        Names of presets joined by "+", a mapping with `kind` and settings, a mapping from names to such (or to
        settings of the preset of that name), a list of any of these, or the path of a YAML with such a mapping.
    known
        The variables of the truth, which decide what a network that may observe either is taken to.
    errors
        Standard deviations instead of the stated ones: of all, or by the name of a network or of a variable, the
        first before the second.
    settings
        Dotted: `{"sst.cloud": 0.3, "nadir3.interval": 7}`.

    Raises
    ------
    InputError
        For an unknown network, kind or setting, a value that will not do, or two networks of one name.

    Examples
    --------
    >>> [network.name for network in networks("nadir3+argo")]
    ['argo', 'jason', 'saral', 'sentinel3']
    """
    groups = _asked(words)
    found: dict[str, Settings] = {}
    for values in chain.from_iterable(groups.values()):
        name = str(values.get("name"))
        if name in found:
            raise InputError(f"network: two are named {name}; say each once, or give one another name")
        found[name] = values
    if not found:
        raise InputError(f"network: none is said; choose from: {', '.join(PRESETS)}")
    meant = {word: [str(v["name"]) for v in mine] for word, mine in groups.items()} | {name: [name] for name in found}
    for dotted, value in (settings or {}).items():
        head, _, key = str(dotted).partition(".")
        if head not in meant:
            raise unknown("network", head, meant)
        if not key:
            raise InputError(f"{head}={value}: name the setting too, such as {head}.error")
        for name in meant[head]:
            found[name] = override(found[name], {key: value})
    by_network, by_variable = _errors(errors, meant)
    plain = [_parsed(found[name], name).among(tuple(known)) for name in sorted(found)]
    for word in by_variable:
        if not any(word in network.observes for network in plain):
            raise InputError(f"errors: no network observes {word}; found {', '.join(sorted(found))}")
    made = []
    for network in plain:
        name = network.name
        stated = by_network.get(name, by_network.get("", _of_variables(network, by_variable)))
        made.append(network if stated is None else _parsed(network.dump() | {"error": stated}, name))
    return tuple(made)


def _asked(words: Words) -> dict[str, tuple[Settings, ...]]:
    """Plain settings of every network, under the word by which it was asked for."""
    if isinstance(words, Network):
        return {words.name: (words.dump(),)}
    if isinstance(words, str) and not words.endswith((".yaml", ".yml")):
        return _named(words)
    if isinstance(words, str | os.PathLike):
        words = read_yaml(Path(words))
    if isinstance(words, Mapping):
        return _mapped(words)
    groups: dict[str, tuple[Settings, ...]] = {}
    for word in words:
        for name, values in _asked(word).items():
            if name in groups:
                raise InputError(f"network: {name} is said twice; say it once, or give one another name")
            groups[name] = values
    return groups


def _named(text: str) -> dict[str, tuple[Settings, ...]]:
    found: dict[str, tuple[Settings, ...]] = {}
    for word in filter(None, (part.strip() for part in text.split("+"))):
        if word in KINDS and word not in PRESETS:
            raise InputError(f"network {word!r}: needs settings; give a mapping with kind={word}, or a YAML")
        if word not in PRESETS:
            raise unknown("network", word, PRESETS)
        if word in found:
            raise InputError(f"network: {word} is said twice; say it once")
        found[word] = PRESETS[word]
    return found


def _mapped(words: Mapping[str, Any]) -> dict[str, tuple[Settings, ...]]:
    if "kind" in words:
        kind = str(words["kind"])
        if kind not in KINDS:
            raise unknown("kind of network", kind, KINDS)
        values = {"name": KINDS[kind].model_fields["name"].default, **words}
        return {str(values["name"]): (values,)}
    found: dict[str, tuple[Settings, ...]] = {}
    for name, values in words.items():
        if not isinstance(values, Mapping | None):
            raise InputError(f"network: {name}: found {values!r}; expected settings, such as {{kind: sst, cloud: 0.3}}")
        mine = dict(values or {})
        if "kind" not in mine:
            if len(PRESETS.get(str(name), ())) != 1:
                raise InputError(f"network: {name}: say its kind, one of {', '.join(KINDS)}")
            mine = PRESETS[str(name)][0] | mine
        found |= _mapped({**mine, "name": str(mine.get("name", name))})
    return found


def _parsed(values: Mapping[str, Any], name: str) -> Network:
    kind = KINDS[str(values["kind"])]
    network = kind.parse(values, where=name)
    for word in network.observes:
        if word not in VARIABLES:
            raise InputError(f"{name}: {unknown('variable', word, VARIABLES)}")
    return network


def _errors(errors: Any, meant: Mapping[str, list[str]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Standard deviations by network ("" for all), and by variable."""
    if errors is None:
        return {}, {}
    if not isinstance(errors, Mapping):
        return {"": errors}, {}
    by_network: dict[str, Any] = {}
    by_variable: dict[str, Any] = {}
    for word, value in errors.items():
        if word in meant:
            by_network |= dict.fromkeys(meant[word], value)
        elif word in VARIABLES:
            by_variable[word] = value
        else:
            raise unknown("network or variable in errors", str(word), meant)
    return by_network, by_variable


def _of_variables(network: Network, by_variable: Mapping[str, Any]) -> dict[str, Any] | None:
    if not set(network.observes) & set(by_variable):
        return None
    return {name: by_variable[name] if name in by_variable else network.sigma(name) for name in network.observes}
