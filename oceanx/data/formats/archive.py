"""ZIP archives of NetCDF files, as the Climate Data Store delivers them (often under the name .nc): unpacked safely."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath

from ...vocabulary.errors import InputError

_MOST_MEMBERS = 1000
_MOST_TIMES = 200  # a member may unpack to so many times its packed size: deflate's own limit is about 1000
_BLOCK = 2**20


def unpacked(path: Path, scratch: Path) -> list[tuple[str, Path]]:
    """The members of an archive, each as (its name in messages, the file it was unpacked to below `scratch`).

    Raises
    ------
    InputError
        For a damaged archive, a member that is encrypted, names a place outside, or unpacks to more than it
        declares or the disk holds.
    """
    folder = Path(tempfile.mkdtemp(dir=scratch))
    try:
        with zipfile.ZipFile(path) as archive:
            members = [m for m in archive.infolist() if not m.is_dir()]
            _refuse_unsafe(path, members, folder)
            return [
                (f"{path}[{m.filename}]", _copied(path, archive, m, folder / f"{i}")) for i, m in enumerate(members)
            ]
    except (zipfile.BadZipFile, EOFError, NotImplementedError, OSError, zlib.error) as error:
        raise InputError(f"{path}: is a damaged ZIP archive ({error}); download it again") from None


def _refuse_unsafe(path: Path, members: list[zipfile.ZipInfo], folder: Path) -> None:
    if not members:
        raise InputError(f"{path}: is a ZIP archive without a file; download it again")
    if len(members) > _MOST_MEMBERS:
        raise InputError(f"{path}: is a ZIP archive of {len(members)} files; expected at most {_MOST_MEMBERS}")
    for member in members:
        name = member.filename
        rooted = PurePosixPath(name).is_absolute() or PureWindowsPath(name).drive or name.startswith("\\")
        if rooted or ".." in PurePosixPath(name.replace("\\", "/")).parts:
            raise InputError(f"{path}: ZIP member {name!r} names a place outside the archive; do not trust this file")
        if member.flag_bits & 1:
            raise InputError(f"{path}: ZIP member {name!r} is encrypted; unpack it yourself first")
        if member.file_size > _MOST_TIMES * max(member.compress_size, _BLOCK):
            raise InputError(f"{path}: ZIP member {name!r} would unpack to {member.file_size} bytes; do not trust it")
    total, free = sum(m.file_size for m in members), shutil.disk_usage(folder).free
    if total > free:
        raise InputError(f"{path}: unpacks to {total} bytes, but {folder} has {free} free; set TMPDIR to a larger disk")


def _copied(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, to: Path) -> Path:
    written = 0
    with archive.open(member) as source, to.open("wb") as target:
        while block := source.read(_BLOCK):
            written += len(block)
            if written > member.file_size:
                raise InputError(f"{path}: ZIP member {member.filename!r} unpacks to more than it declares")
            target.write(block)
    return to
