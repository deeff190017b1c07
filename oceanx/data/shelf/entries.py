"""Entries of the catalog: what each YAML says, and which one counts where several have a name."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import model_validator

from ...vocabulary.config import Config
from ...vocabulary.errors import InputError
from ...vocabulary.files import content

ROOT, SITE = "OCEANX_DATA", "OCEANX_CATALOG"
SCHEMES = ("gs", "s3", "https", "http", "file")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")


class Entry(Config):
    """A dataset of the catalog: a store on disk (`path`) or in the cloud (`url`).

    A `path` is below the folder that OCEANX_DATA names, unless it is absolute. A `url` with date fields such as
    `%Y%m` stands for one store each `every` from the first to the last day of `period`.
    """

    name: str
    description: str
    path: str | None = None
    url: str | None = None
    endpoint: str | None = None  # of an object store that is not Amazon's own
    anonymous: bool = True
    every: str | None = None  # a pandas offset
    accumulated: float | None = None  # seconds over which J m-2 and m are accumulated, to become W m-2 and m s-1
    period: tuple[str, str] | None = None
    recipe: str | None = None
    licence: str = ""
    citation: str = ""

    @model_validator(mode="after")
    def _one_place(self) -> Entry:
        if (self.path is None) == (self.url is None):
            raise ValueError("give either path (a store on disk) or url (a store in the cloud)")
        if self.url is not None and self.url.split("://")[0] not in SCHEMES:
            raise ValueError(f"url {self.url!r}; expected one that begins with {'://, '.join(SCHEMES)}://")
        if (self.every is not None) != ("%" in (self.url or "")) or (self.every and not self.period):
            raise ValueError("every, period and date fields such as %Y%m in the url belong together")
        return self


@dataclass(frozen=True)
class Shelved:
    """An entry, and whose catalog it is from: packaged, site, user or given."""

    entry: Entry
    origin: str
    file: Path


def entries(folder: str | os.PathLike[str] | None = None) -> dict[str, Entry]:
    """All entries by name; see `shelved` for the order in which catalogs lie over one another."""
    return {name: found.entry for name, found in shelved(folder).items()}


def shelved(folder: str | os.PathLike[str] | None = None) -> dict[str, Shelved]:
    """All entries by name with their origin; a later catalog's lies over an earlier one's of the same name.

    The catalogs are the packaged one, those of the folders in OCEANX_CATALOG, the user's
    (`~/.config/oceanx/catalog`), and `folder`.

    Raises
    ------
    InputError
        For a folder that is not there, a YAML that is not an entry, a name or a path that leads elsewhere, or a name
        that is twice in one folder.
    """
    found: dict[str, Shelved] = {}
    for origin, place in _folders(folder):
        here: dict[str, Shelved] = {}
        for file in sorted(place.glob("*.yaml")):
            entry = Entry.load(file)
            _refuse_elsewhere(entry, file)
            if entry.name in here:
                raise InputError(f"{file}: name {entry.name!r} is that of {here[entry.name].file} too; rename one")
            here[entry.name] = Shelved(entry, origin, file)
        found |= here
    return found


def place(entry: Entry) -> Path:
    """Where an entry's store lies on disk; `InputError` if nobody has said where data is."""
    path = Path(entry.path or "").expanduser()
    if path.is_absolute():
        return path
    root = os.environ.get(ROOT)
    if not root:
        raise InputError(f"{entry.name}: set {ROOT} to the folder that holds {entry.path}, or give its path")
    return Path(root).expanduser() / path


def _folders(given: str | os.PathLike[str] | None) -> Iterator[tuple[str, Path]]:
    yield "packaged", content("data_catalog")
    for word in filter(None, os.environ.get(SITE, "").split(os.pathsep)):
        yield "site", _folder(word, SITE)
    yield "user", Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "oceanx" / "catalog"
    if given is not None:
        yield "given", _folder(given, "catalog")


def _folder(path: str | os.PathLike[str], what: str) -> Path:
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise InputError(f"{what}: {folder} is no folder; name one that holds YAML entries")
    return folder


def _refuse_elsewhere(entry: Entry, file: Path) -> None:
    """`InputError` for a name that is none, or a place that climbs out of the folder it is below."""
    if not _NAME.fullmatch(entry.name) or ".." in entry.name:
        raise InputError(f"{file}: name {entry.name!r}; expected letters, digits, _ . + -")
    for key, value in (("path", entry.path), ("url", entry.url)):
        if value and ".." in value.replace("\\", "/").split("/"):
            raise InputError(f"{file}: {key} {value!r} leads out of the data folder; name a place below it")
