"""Unpacks one layer into a directory of its own, which every image that has the layer shares.

What a layer says about the layers below it (what to delete, whole directories to hide, links to files that are not its
own) and what the owners and modes of its directories are is told as a `Rest`; `merge` applies it. Nothing in an archive
reaches outside its directory: names are walked component by component and never through a symlink that leads out, device
nodes are left out where the container has its own and refused elsewhere.
"""

from __future__ import annotations

import errno
import gzip
import json
import os
import shutil
import stat
import tarfile
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import BinaryIO

from argosy.engine.node.images.resolve import ImageError

WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"
HEADER_BYTES_MAX = 1 << 20
_HEADERS = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)
SYMLINKS_MAX = 40
_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

Parts = tuple[str, ...]


@dataclass(slots=True)
class Rest:
    """What a layer says besides its files. Paths are relative, without `.` and `..`; the root is the empty one."""

    directories: dict[str, tuple[int, int, int, int]] = field(default_factory=dict)
    """Mode, owner, group and time (ns) of each directory that the archive names; others only had to be there."""
    whiteouts: list[str] = field(default_factory=list)
    """What is deleted from the layers below."""
    opaque: list[str] = field(default_factory=list)
    """Directories of which nothing below is to be seen."""
    links: list[tuple[str, str]] = field(default_factory=list)
    """Hard links to files of the layers below."""
    bytes: int = 0

    def write(self, path: Path) -> None:
        """Keep it beside the files. Names are any bytes, so they go as Python escapes them."""
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Rest:
        """What `write` wrote. Raises OSError, ValueError."""
        raw = json.loads(path.read_text())
        directories = {name: tuple(values) for name, values in raw.pop("directories").items()}
        links = [(link, target) for link, target in raw.pop("links")]
        return cls(directories=directories, links=links, **raw)


class _Member(tarfile.TarInfo):
    """Refuses headers that would have to be read into memory whole and are too large for that."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in _HEADERS and self.size > HEADER_BYTES_MAX:
            raise ImageError("a layer has a file name of more than a megabyte")
        return super()._proc_member(archive)  # type: ignore[misc,no-any-return]


def parts_of(name: str) -> Parts:
    """A name in an archive as components below the root. Raises ImageError for one that climbs."""
    parts = tuple(part for part in name.split("/") if part not in {"", "."})
    if ".." in parts:
        raise ImageError(f"a layer names the file {name!r}, which would lie outside the image")
    return parts


def unpack(stream: BinaryIO, tree: Path, *, owners: bool) -> Rest:
    """Unpack an archive into an empty directory; with `owners`, files get theirs. Raises ImageError, OSError."""
    unpacker = _Unpacker(tree, owners=owners)
    try:
        with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Member, errors="surrogateescape") as archive:
            for member in archive:
                unpacker.take(archive, member)
                archive.members = []  # type: ignore[attr-defined]  # a layer of a million files would stay in memory
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError, OverflowError) as error:
        raise ImageError(f"a layer is damaged: {error}") from None
    finally:
        unpacker.close()
    return unpacker.rest


class _Unpacker:
    def __init__(self, tree: Path, *, owners: bool) -> None:
        self.rest = Rest()
        self._owners = owners
        self._root = os.open(tree, _OPEN_DIRECTORY)
        self._at: Parts | None = None
        """The directory that is open as `_parent`: neighbours stand together in an archive."""
        self._parent = -1

    def close(self) -> None:
        self._let_go()
        os.close(self._root)

    def take(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        parts = parts_of(member.name)
        if not parts:
            if member.isdir():
                self.rest.directories[""] = self._looks(member)
            return
        *above, name = parts
        if name.startswith(WHITEOUT):
            self._whiteout(tuple(above), name)
            return
        if (member.ischr() or member.isblk()) and parts[0] == "dev":
            return  # a container has a /dev of its own
        parent, path = self._enter(tuple(above), make=True)
        there = "/".join((*path, name))
        try:
            self._place(archive, member, parent, (name, there))
        except gzip.BadGzipFile:
            raise
        except OSError as error:
            raise OSError(error.errno, error.strerror, there) from None

    def _whiteout(self, above: Parts, name: str) -> None:
        if name == OPAQUE:
            self.rest.opaque.append("/".join(above))
            return
        gone = name.removeprefix(WHITEOUT)
        if gone.startswith(WHITEOUT):
            return  # an old driver's own bookkeeping
        if gone in {"", ".", ".."}:
            raise ImageError(f"a layer deletes {name!r}, which is no file")
        self.rest.whiteouts.append("/".join((*above, gone)))

    def _place(self, archive: tarfile.TarFile, member: tarfile.TarInfo, parent: int, names: tuple[str, str]) -> None:
        name, there = names
        if member.isdir():
            if not self._is_directory(parent, name):
                self._remove(parent, name)
                os.mkdir(name, 0o700, dir_fd=parent)
            self.rest.directories[there] = self._looks(member)
            return
        self._remove(parent, name)
        self.rest.directories.pop(there, None)
        if member.islnk():
            self._link(member, parent, names)
            return
        if member.issym():
            os.symlink(member.linkname, name, dir_fd=parent)
        elif member.isfifo():
            os.mkfifo(name, 0o600, dir_fd=parent)
        elif member.ischr() or member.isblk():
            raise ImageError(f"a layer brings the device {there!r} along, which no container gets")
        else:
            self._write(archive, member, parent, name)
            return
        if self._owners:
            os.chown(name, member.uid, member.gid, dir_fd=parent, follow_symlinks=False)
        if member.isfifo():
            os.chmod(name, member.mode & 0o7777, dir_fd=parent)
        os.utime(name, ns=self._times(member), dir_fd=parent, follow_symlinks=False)

    def _write(self, archive: tarfile.TarFile, member: tarfile.TarInfo, parent: int, name: str) -> None:
        content = archive.extractfile(member)
        with os.fdopen(os.open(name, _NEW_FILE, 0o600, dir_fd=parent), "wb") as file:
            if content is not None:
                shutil.copyfileobj(content, file, 1 << 18)
            file.flush()
            self.rest.bytes += file.tell()
            if self._owners:
                os.fchown(file.fileno(), member.uid, member.gid)
            os.fchmod(file.fileno(), member.mode & 0o7777)
            os.utime(file.fileno(), ns=self._times(member))

    def _link(self, member: tarfile.TarInfo, parent: int, names: tuple[str, str]) -> None:
        *above, target = parts_of(member.linkname) or ("",)
        if not target:
            raise ImageError(f"a layer links {names[1]!r} to nothing")
        kept = os.dup(parent)
        try:
            source, path = self._enter(tuple(above), make=False)
            if "/".join((*path, target)) == names[1]:
                raise ImageError(f"a layer links {names[1]!r} to itself")
            os.link(target, names[0], src_dir_fd=source, dst_dir_fd=kept, follow_symlinks=False)
        except FileNotFoundError:
            self.rest.links.append((names[1], "/".join((*above, target))))
        except PermissionError:
            raise ImageError(f"a layer links {names[1]!r} to {member.linkname!r}, which is a directory") from None
        finally:
            os.close(kept)

    def _enter(self, parts: Parts, *, make: bool) -> tuple[int, Parts]:
        """A descriptor of a directory of this layer, valid until the next call, and where it really is."""
        if self._at == parts:
            return self._parent, parts
        self._let_go()
        wanted, real = list(parts), list[str]()
        current, followed = os.dup(self._root), 0
        try:
            while wanted:
                part = wanted.pop(0)
                try:
                    inner = self._step(current, part, make=make)
                except (FileNotFoundError, FileExistsError):
                    raise
                except OSError as error:
                    if error.errno not in {errno.ENOTDIR, errno.ELOOP}:
                        raise
                    followed += 1
                    wanted = [*self._followed(current, part, real, followed), *wanted]
                    real = []
                    inner = os.dup(self._root)
                else:
                    real.append(part)
                os.close(current)
                current = inner
        except BaseException:
            os.close(current)
            raise
        self._parent, self._at = current, tuple(real)
        return current, tuple(real)

    def _step(self, current: int, part: str, *, make: bool) -> int:
        try:
            return os.open(part, _OPEN_DIRECTORY, dir_fd=current)
        except FileNotFoundError:
            if not make:
                raise
        os.mkdir(part, 0o700, dir_fd=current)
        return os.open(part, _OPEN_DIRECTORY, dir_fd=current)

    def _followed(self, current: int, part: str, real: Sequence[str], followed: int) -> list[str]:
        """Where a symlink within the layer leads, from its root; every other thing in the way is refused."""
        shown = "/".join((*real, part))
        found = os.stat(part, dir_fd=current, follow_symlinks=False)
        if not stat.S_ISLNK(found.st_mode):
            raise ImageError(f"a layer puts a file below {shown!r}, which is no directory")
        target = os.readlink(part, dir_fd=current)
        way = list(real)
        for step in target.split("/"):
            if step == ".." and not way:
                raise ImageError(f"a layer writes through the symlink {shown!r} to {target!r}, outside the image")
            if step == "..":
                way.pop()
            elif step not in {"", "."}:
                way.append(step)
        if target.startswith("/") or followed > SYMLINKS_MAX:
            raise ImageError(f"a layer writes through the symlink {shown!r} to {target!r}, outside the image")
        return way

    def _is_directory(self, parent: int, name: str) -> bool:
        try:
            return stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
        except FileNotFoundError:
            return False

    def _remove(self, parent: int, name: str) -> None:
        """Make room for an entry that an archive names a second time."""
        with suppress(FileNotFoundError):
            if self._is_directory(parent, name):
                shutil.rmtree(name, dir_fd=parent)
            else:
                os.unlink(name, dir_fd=parent)

    def _let_go(self) -> None:
        if self._at is not None:
            os.close(self._parent)
            self._at = None

    def _looks(self, member: tarfile.TarInfo) -> tuple[int, int, int, int]:
        return member.mode & 0o7777, member.uid, member.gid, self._times(member)[1]

    def _times(self, member: tarfile.TarInfo) -> tuple[int, int]:
        at = min(max(int(member.mtime * 1_000_000_000), 0), 1 << 62)
        return at, at
