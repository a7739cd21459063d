"""Who a container of an image is: users and groups by the image's own /etc/passwd and /etc/group. Pure; `launch` asks.

As a container runtime does it: a name must be there, a number need not be; the group is the user's own unless one is named,
the supplementary groups are those that list the user.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

ID_MAX = (1 << 32) - 2


@dataclass(frozen=True, slots=True)
class Identity:
    """A user as the kernel and its programs know one."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    home: str = "/"


@dataclass(frozen=True, slots=True)
class Accounts:
    """The texts of an image's /etc/passwd and /etc/group."""

    passwd: str = ""
    group: str = ""

    def identity(self, user: str, *, gid: int | None = None) -> Identity:
        """`name`, `uid`, `name:group` or `uid:gid`; nothing is root. Raises LookupError with a sentence."""
        name, _, wanted_group = user.partition(":")
        name = name or "0"
        entry = next((e for e in _entries(self.passwd, 7) if e[0] == name), None)
        if entry is None and name.isdecimal():
            entry = next((e for e in _entries(self.passwd, 7) if e[2] == name), None)
        if entry is None and not name.isdecimal():
            raise LookupError(f"the image has no user {name} in /etc/passwd")
        uid = int(entry[2] if entry else name)
        if gid is None:
            gid = self._gid(wanted_group) if wanted_group else int(entry[3]) if entry and entry[3].isdecimal() else 0
        if not 0 <= uid <= ID_MAX or not 0 <= gid <= ID_MAX:
            raise LookupError(f"the user {user} is out of range")
        known = entry[0] if entry else ""
        listed = [int(e[2]) for e in _entries(self.group, 4) if known and known in e[3].split(",")]
        groups = tuple(dict.fromkeys(group for group in listed if group != gid))
        return Identity(uid, gid, groups, (entry[5] if entry else "") or "/")

    def _gid(self, name: str) -> int:
        found = next((e for e in _entries(self.group, 4) if e[0] == name), None)
        if found is not None:
            return int(found[2])
        if not name.isdecimal():
            raise LookupError(f"the image has no group {name} in /etc/group")
        return int(name)


def _entries(text: str, fields: int) -> Iterator[list[str]]:
    for line in text.splitlines():
        parts = [part.strip() for part in line.split(":")]
        if len(parts) >= fields and parts[2].isdecimal():
            yield parts
