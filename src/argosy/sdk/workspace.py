"""The working directory as bytes that travel: which files belong to it, packed the same way every time.

`argosy train`, `argosy sweep` and `argosy.sdk.train` call `collect` and `pack`. Left out is what `.gitignore` and
`.argosyignore` say (git's rules, also those of the repository above), git's own data, virtual environments and compiled
Python. Equal contents give equal bytes and so one address, whoever packs them wherever and whenever.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import stat
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from argosy.errors import UserError
from argosy.sdk import ignore
from argosy.sdk.ignore import Rule

PACKED_MAX = 24 << 20
"""Bytes of the archive: it lies in the cluster's own database, in pieces."""
_PLAIN_MAX = 256 << 20
_FILES_MAX = 20_000
_WALKED_MAX = 200_000
"""Where counting ends: the sentence that refuses such a directory needs no more."""
_IGNORE_FILES = (".gitignore", ".argosyignore")
_NEVER = frozenset([".git", ".hg", ".svn", "__pycache__", ".ipynb_checkpoints", ".DS_Store", "node_modules"])
_MOMENT = 946_684_800
"""When every file was made, in seconds of Unix: 2000, which zip files can write too."""
_NAMED = 3


@dataclass(frozen=True, slots=True)
class File:
    """One file of the workspace."""

    path: str
    """Relative, with slashes."""
    place: Path
    size: int
    executable: bool = False
    link: str = ""
    """What a symbolic link within the workspace leads to."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """What belongs to the working directory, and remarks on what was passed over."""

    root: Path
    files: tuple[File, ...]
    notes: tuple[str, ...] = ()

    def texts(self, names: Sequence[str]) -> dict[str, str]:
        """The texts of those of the named files that are there. Raises UserError."""
        there = {file.path: file for file in self.files}
        return {name: _read(there[name]).decode(errors="replace") for name in names if name in there}


@dataclass(frozen=True, slots=True)
class Packed:
    """The bytes, and their address."""

    data: bytes
    digest: str


def collect(root: Path) -> Workspace:
    """Walk a directory. Raises UserError when it cannot be read or is too large to travel."""
    root = root.resolve()
    if not root.is_dir():
        raise UserError(f"{root} is not a directory", "name the directory of your code with --workdir")
    walk = _Walk(root)
    files = tuple(sorted(walk.files(root, "", walk.rules_above()), key=lambda file: file.path))
    plain = sum(file.size for file in files)
    if plain > _PLAIN_MAX or len(files) > _FILES_MAX:
        raise _too_large(root, files, f"{_human(plain)} in {len(files)} files")
    return Workspace(root, files, tuple(walk.notes))


def pack(workspace: Workspace, added: Mapping[str, bytes]) -> Packed:
    """The archive of a workspace with some more files in it. Raises UserError when it is too large to travel, or when a
    file cannot be read.
    """
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for file in workspace.files:
            entry = tarfile.TarInfo(file.path)
            entry.mode, entry.mtime = 0o755 if file.executable else 0o644, _MOMENT
            if file.link:
                entry.type, entry.linkname = tarfile.SYMTYPE, file.link
                archive.addfile(entry)
                continue
            data = _read(file)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
        for path in sorted(added):
            entry = tarfile.TarInfo(path)
            entry.mode, entry.mtime, entry.size = 0o644, _MOMENT, len(added[path])
            archive.addfile(entry, io.BytesIO(added[path]))
    data = gzip.compress(plain.getvalue(), 6, mtime=0)
    if len(data) > PACKED_MAX:
        raise _too_large(workspace.root, workspace.files, f"{_human(len(data))} when compressed")
    return Packed(data, hashlib.sha256(plain.getvalue()).hexdigest())


class _Walk:
    """One walk over a directory."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._seen = 0
        self.notes: list[str] = []

    def rules_above(self) -> tuple[Rule, ...]:
        """The rules that the repository around the workspace gives, the outermost first."""
        directories = [self._root, *self._root.parents]
        top = next((n for n, place in enumerate(directories) if (place / ".git").exists()), 0)
        rules: list[Rule] = []
        for place in reversed(directories[1 : top + 1]):
            above = f"{self._root.relative_to(place).as_posix()}/"
            rules += [rule for name in _IGNORE_FILES for rule in ignore.read(_text(place / name), above=above)]
        return tuple(rules)

    def files(self, directory: Path, base: str, rules: tuple[Rule, ...]) -> Iterator[File]:
        """Every file below a directory that belongs to the workspace."""
        try:
            with os.scandir(directory) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            raise UserError(
                f"the directory {directory} cannot be read: {error.strerror}",
                "make it readable, or name it in .argosyignore",
            ) from None
        present = {entry.name for entry in entries}
        if base and "pyvenv.cfg" in present:
            return
        for name in _IGNORE_FILES:
            if name in present:
                rules += ignore.read(_text(directory / name), base=base)
        for entry in entries:
            self._seen += 1
            if entry.name in _NEVER or self._seen > _WALKED_MAX:
                continue
            path = base + entry.name
            within = entry.is_dir(follow_symlinks=False)
            if ignore.ignored(rules, path, directory=within):
                continue
            if within:
                yield from self.files(Path(entry.path), f"{path}/", rules)
            else:
                yield from self._file(Path(entry.path), path)

    def _file(self, place: Path, path: str) -> Iterator[File]:
        if path.endswith((".pyc", ".pyo")):
            return
        link = ""
        try:
            if place.is_symlink():
                target = place.resolve(strict=True)
                if target.is_relative_to(self._root):
                    link = os.path.relpath(target, place.parent.resolve())
                elif not target.is_file():
                    self.notes.append(f"{path} is left out: it links to {target}, outside of the directory")
                    return
            about = place.stat()
        except (OSError, RuntimeError) as error:  # a link to nowhere, or in a circle
            self.notes.append(f"{path} is left out: {getattr(error, 'strerror', '') or 'it links to itself'}")
            return
        if link or stat.S_ISREG(about.st_mode):
            yield File(path, place, 0 if link else about.st_size, bool(about.st_mode & 0o111), link)
        else:
            self.notes.append(f"{path} is left out: it is neither a file nor a directory")


def _read(file: File) -> bytes:
    try:
        return file.place.read_bytes()
    except OSError as error:
        raise UserError(
            f"{file.path} cannot be read: {error.strerror}", "make it readable, or name it in .argosyignore"
        ) from None


def _text(place: Path) -> str:
    try:
        return place.read_text(errors="replace")
    except OSError:
        return ""


def _too_large(root: Path, files: Sequence[File], size: str) -> UserError:
    largest = sorted(files, key=lambda file: -file.size)[:_NAMED]
    named = ", ".join(f"{file.path} ({_human(file.size)})" for file in largest)
    return UserError(
        f"the working directory {root} is {size}, more than travels with a job ({_human(PACKED_MAX)} compressed, "
        f"{_FILES_MAX} files); the largest are {named}",
        "name what the job does not need in .argosyignore, and put data on a volume (--claim)",
    )


def _human(size: float) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
