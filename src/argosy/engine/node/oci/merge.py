"""Puts layers together into one root file system, by hard links: an image costs directories, its files exist once.

Each layer deletes what it says it deletes, then its files take the place of what is there. A directory that a layer's
archive does not name but needs is looked for as the container would find it, through symlinks that never lead out of the
root. A draft is nobody else's, so plain paths do.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path

from argosy.engine.node.images.resolve import ImageError
from argosy.engine.node.oci.layer import SYMLINKS_MAX, Rest

TREE, REST = "tree", "rest.json"
_PLAIN = (0o755, 0, 0, 0)

Looks = dict[str, tuple[int, int, int, int]]


def merge(layers: Sequence[Path], root: Path, *, owners: bool) -> None:
    """Fill an empty directory with what the layers, the lowest first, show together. Raises ImageError, OSError."""
    looks: Looks = {"": _PLAIN}
    for layer in layers:
        rest = Rest.read(layer / REST)
        for path in rest.whiteouts:
            _delete(root, path)
        for path in rest.opaque:
            directory = find(root, path)
            for name in os.listdir(directory) if directory else ():
                _remove(f"{directory}/{name}")
        if "" in rest.directories:
            looks[""] = rest.directories[""]
        _Laying(root, rest, looks).lay(str(layer / TREE), str(root), "")
        for link, target in rest.links:
            _link(root, link, target)
    for path in sorted(looks, key=lambda path: path.count("/") + bool(path), reverse=True):
        _finish(f"{root}/{path}", looks[path], owners=owners)


def find(root: Path, path: str) -> str | None:
    """The directory that a path leads to for who has `root` as their root; None when there is none."""
    base = str(root)
    wanted, at, followed = [part for part in path.split("/") if part], list[str](), 0
    while wanted:
        part = wanted.pop(0)
        if part in {".", ""}:
            continue
        if part == "..":
            at = at[:-1]
            continue
        try:
            found = os.lstat("/".join((base, *at, part)))
        except (FileNotFoundError, NotADirectoryError):
            return None
        if stat.S_ISLNK(found.st_mode):
            followed += 1
            if followed > SYMLINKS_MAX:
                raise ImageError(f"the image's symlinks at {path!r} lead in a circle")
            target = os.readlink("/".join((base, *at, part)))
            at = [] if target.startswith("/") else at
            wanted = [*target.split("/"), *wanted]
        elif stat.S_ISDIR(found.st_mode):
            at.append(part)
        else:
            return None
    return "/".join((base, *at))


def read_text(root: Path, path: str, most: int = 1 << 20) -> str:
    """A file of an image, found as its own programs would; empty when there is none."""
    for _ in range(SYMLINKS_MAX):
        above, _, name = path.rpartition("/")
        directory = find(root, above)
        if directory is None:
            return ""
        try:
            target = os.readlink(f"{directory}/{name}")
        except OSError:
            break
        path = target if target.startswith("/") else f"{directory.removeprefix(str(root))}/{target}"
    else:
        return ""
    try:
        fd = os.open(f"{directory}/{name}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(fd, most).decode(errors="replace") if stat.S_ISREG(os.fstat(fd).st_mode) else ""
    finally:
        os.close(fd)


class _Laying:
    """One layer being laid over the root."""

    def __init__(self, root: Path, rest: Rest, looks: Looks) -> None:
        self._root = root
        self._named = rest.directories
        self._looks = looks

    def lay(self, source: str, target: str, path: str) -> None:
        with os.scandir(source) as entries:
            for entry in entries:
                inner = f"{path}/{entry.name}" if path else entry.name
                if entry.is_dir(follow_symlinks=False):
                    self.lay(entry.path, self._directory(f"{target}/{entry.name}", inner), inner)
                else:
                    _remove(f"{target}/{entry.name}")
                    os.link(entry.path, f"{target}/{entry.name}", follow_symlinks=False)

    def _directory(self, target: str, path: str) -> str:
        """The directory that one of the layer's goes into."""
        named = self._named.get(path)
        if named is None and os.path.islink(target):
            led = find(self._root, target.removeprefix(str(self._root)))
            if led is not None:
                return led
        if not os.path.isdir(target) or os.path.islink(target):
            _remove(target)
            os.mkdir(target, 0o700)
            self._looks[self._name(target)] = _PLAIN
        if named is not None:
            self._looks[self._name(target)] = named
        return target

    def _name(self, target: str) -> str:
        return target.removeprefix(str(self._root)).lstrip("/")


def _delete(root: Path, path: str) -> None:
    above, _, name = path.rpartition("/")
    directory = find(root, above)
    if directory is not None:
        _remove(f"{directory}/{name}")


def _remove(path: str) -> None:
    try:
        if stat.S_ISDIR(os.lstat(path).st_mode):
            shutil.rmtree(path)
        else:
            os.unlink(path)
    except FileNotFoundError:
        pass


def _link(root: Path, link: str, target: str) -> None:
    ends = []
    for path in (target, link):
        above, _, name = path.rpartition("/")
        directory = find(root, above)
        ends.append(f"{directory}/{name}" if directory is not None else "")
    if not all(ends) or not os.path.lexists(ends[0]) or os.path.isdir(ends[0]):
        raise ImageError(f"a layer links {link!r} to {target!r}, which no layer has")
    _remove(ends[1])
    os.link(ends[0], ends[1], follow_symlinks=False)


def _finish(path: str, looks: tuple[int, int, int, int], *, owners: bool) -> None:
    """A directory's owner, mode and time come last: until then it is filled."""
    mode, uid, gid, at = looks
    try:
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            return
    except (FileNotFoundError, NotADirectoryError):
        return  # a later layer took it away
    if owners:
        os.chown(path, uid, gid)
    os.chmod(path, mode)
    os.utime(path, ns=(at, at))
