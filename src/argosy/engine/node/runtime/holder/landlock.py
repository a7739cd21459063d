"""Landlock: what keeps a container away from the rest of the machine where namespaces cannot (L0, and sockets at L1).

Called just before exec; needs no privilege but no_new_privs. Without mounts (L0) it is the only thing between a container
and the user's home: only the system's directories, the image's environment, the volumes and the run's own directory can
be opened, and signals and abstract sockets stay within the container. Kernels without it (before 5.13) go on without.
"""

from __future__ import annotations

import os
import stat
import struct

from argosy.engine.node.runtime.holder import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REFER, _TRUNCATE, _IOCTL_DEVICE = 1 << 13, 1 << 14, 1 << 15
_ALL_FIRST = (1 << 13) - 1  # every right of the first version
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_ON_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEVICE
SCOPE_ABSTRACT_SOCKETS, SCOPE_SIGNALS = 1, 2

SYSTEM_READ = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/lib32", "/etc", "/proc", "/sys", "/opt")
SYSTEM_WRITE = (
    "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/ptmx", "/dev/pts", "/dev/shm",
)  # fmt: skip

Rule = tuple[str, bool]
"""A path, and whether it may be written below it."""


def version() -> int:
    """The version of Landlock that this kernel has; 0 for none."""
    try:
        return syscalls.landlock_version()
    except OSError:
        return 0


def host_rules() -> list[Rule]:
    """What every container may see of a host that it shares."""
    rules = [(path, False) for path in SYSTEM_READ] + [(path, True) for path in SYSTEM_WRITE]
    rules.append((os.path.realpath("/etc/resolv.conf"), False))
    return rules


def restrict(rules: Iterable[Rule] | None, scope: int) -> None:
    """Restrict this process and its children: to the paths (None: the file system is left alone) and by the scopes.

    Paths that do not exist are passed over. Raises OSError.
    """
    found = version()
    scope = scope if found >= 6 else 0
    if not found or (rules is None and not scope):
        return
    handled = 0
    if rules is not None:
        handled = _ALL_FIRST
        handled |= _REFER if found >= 2 else 0
        handled |= _TRUNCATE if found >= 3 else 0
        handled |= _IOCTL_DEVICE if found >= 5 else 0
    attributes = struct.pack("=QQQ", handled, 0, scope)[: 24 if found >= 6 else 16 if found >= 4 else 8]
    ruleset = syscalls.landlock_create(attributes)
    try:
        for path, writable in rules or ():
            _allow(ruleset, path, handled if writable else handled & (_READ | _IOCTL_DEVICE))
        syscalls.landlock_restrict(ruleset)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            rights &= _ON_FILES
        syscalls.landlock_add_path(ruleset, struct.pack("=Qi", rights, fd))
    finally:
        os.close(fd)
