"""The shelf: what the catalog holds, what of it is baked, how large, which years, under which licence."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...vocabulary.errors import InputError, unknown
from .entries import ROOT, Entry, Shelved, place, shelved

_COLUMNS = ["description", "state", "size", "period", "licence", "origin", "recipe", "path", "baked"]
_PATIENCE = 0.5  # seconds for adding up the files of one store


def catalog(folder: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """The shelf: one row a dataset, with where it lies, whether it has been baked, its size, period and licence.

    Only metadata is read, and nothing from the network: what is in the cloud has the period that its entry says.

    Parameters
    ----------
    folder
        A folder of further YAML entries, laid over the user's, the site's and the packaged ones.
    """
    rows = [{"name": name, **_row(found)} for name, found in shelved(folder).items()]
    return pd.DataFrame(rows, columns=["name", *_COLUMNS]).set_index("name")


def describe(name: str, folder: str | os.PathLike[str] | None = None) -> dict[str, str]:
    """Everything about one entry, ready to print: where it lies, what it holds, how to make it, how to cite it.

    Raises
    ------
    InputError
        If there is no such entry.
    """
    known = shelved(folder)
    if name not in known:
        raise unknown("catalog entry", name, known)
    found = known[name]
    row, entry = _row(found), found.entry
    told = {"name": name, "description": entry.description, "state": row["state"]}
    told |= {"url" if entry.url else "path": row["path"], "size": row["size"], "period": row["period"]}
    told |= _contents(Path(row["path"])) if row["baked"] else {}
    told |= {"licence": entry.licence, "citation": entry.citation, **_of_recipe(entry)}
    told["entry"] = f"{found.file} ({found.origin})"
    if not row["baked"] and entry.recipe:
        told["to make it"] = f"oceanx bake {entry.recipe} --source 'raw/*' --to {row['path']}"
    return {key: str(value) for key, value in told.items() if value}


def printed(table: pd.DataFrame) -> None:
    """Print the shelf: two lines a dataset, what it is below where it stands."""
    if not len(table):
        print("the catalog is empty")
    wide = max(map(len, table.index), default=0)
    for name, row in table.iterrows():
        line = f"{name:<{wide}}  {row['state']:<9}  {row['size']:>9}  {row['period']:<24}  {row['origin']}"
        licence = str(row["licence"]).split(":")[0].split(";")[0]
        print(line.rstrip(), f"    {'; '.join(filter(None, (row['description'], licence)))}", sep="\n")


def _row(found: Shelved) -> dict[str, Any]:
    entry = found.entry
    row: dict[str, Any] = {key: getattr(entry, key) for key in ("description", "licence", "recipe")}
    row |= {"origin": found.origin, "state": "not baked", "size": "", "baked": False}
    row["period"] = " to ".join(entry.period) if entry.period else ""
    if entry.url:
        return row | {"state": "cloud", "path": entry.url}
    try:
        path = place(entry)
    except InputError:
        return row | {"path": f"${ROOT}/{entry.path}"}
    if path.is_dir():
        row |= {"state": "baked", "size": stored(path), "period": _period(path) or row["period"], "baked": True}
    return row | {"path": str(path)}


def stored(path: Path, patience: float = _PATIENCE) -> str:
    """The size of a folder's files, such as "1.2 GB"; "> 1.2 GB" where there are too many to add up quickly."""
    end, total, folders = time.monotonic() + patience, 0, [path]
    while folders:
        with os.scandir(folders.pop()) as listing:
            for item in listing:
                if item.is_dir(follow_symlinks=False):
                    folders.append(Path(item.path))
                else:
                    total += item.stat().st_size
                if time.monotonic() > end:
                    return f"> {_bytes(total)}"
    return _bytes(total)


def _bytes(total: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if total < 1000:
            return f"{total:.3g} {unit}"
        total /= 1000
    return f"{total:.3g} TB"


def _period(path: Path) -> str:
    """First and last day of a store, from its time axis alone; nothing where it has none or cannot be read."""
    import zarr
    from xarray.coding.times import decode_cf_datetime

    try:
        axis = zarr.open_array(path, path="time", mode="r")
        ends = np.asarray(axis[[0, -1]] if axis.shape[0] > 1 else axis[:1])
        dates = decode_cf_datetime(ends, str(axis.attrs["units"]), str(axis.attrs.get("calendar", "standard")))
    except Exception:  # whatever is wrong with one store, the shelf is still to be shown
        return ""
    return " to ".join(str(np.datetime64(date, "D")) for date in (dates[0], dates[-1]))


def _contents(path: Path) -> dict[str, Any]:
    from .stores import open_store

    try:
        ds = open_store(path)
    except InputError as error:
        return {"contents": f"cannot be read: {error}"}
    missing = np.atleast_1d(ds.attrs.get("missing_times", [])).size
    return {
        "dimensions": " × ".join(f"{size} {dim}" for dim, size in ds.sizes.items()),
        "variables": ", ".join(map(str, ds.data_vars)),
        "missing times": missing,
        "fingerprint": ds.attrs.get("oceanx_fingerprint", ""),
        "history": ds.attrs.get("history", ""),
    }


def _of_recipe(entry: Entry) -> dict[str, Any]:
    """What the recipe says of its source."""
    if not entry.recipe:
        return {}
    from ..recipe import load_recipe

    recipe = load_recipe(entry.recipe)
    return {"recipe": entry.recipe, "source": recipe.source, "references": recipe.references}
