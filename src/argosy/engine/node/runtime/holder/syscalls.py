"""The Linux calls that Python 3.11 has no name for, through ctypes.

Used by the holder and its children only. Nothing here decides anything: every function is one system call that raises
OSError as the functions of `os` do. Imports stay few, since the holder starts from this file and is forked per container.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct

CLONE_NEWTIME = 0x80
CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 32, 4096, 16384, 1 << 18
MNT_DETACH = 2

MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV = 1, 2, 4
AT_RECURSIVE = 0x8000
OPEN_TREE_CLONE = 1
MOVE_MOUNT_F_EMPTY_PATH = 4

PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_SET_NAME, PR_CAPBSET_DROP = 1, 8, 15, 24
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT, PR_SET_SECCOMP = 36, 38, 47, 22
PR_CAP_AMBIENT_RAISE, PR_CAP_AMBIENT_CLEAR_ALL = 2, 4
SECCOMP_MODE_FILTER = 2
LAST_CAPABILITY = 63

MACHINE = os.uname().machine
_NUMBERS = {
    "x86_64": {"pivot_root": 155, "capset": 126, "clone": 56},
    "aarch64": {"pivot_root": 41, "capset": 91, "clone": 220},
}
# The same on every architecture since Linux 5:
_OPEN_TREE, _MOVE_MOUNT, _CLOSE_RANGE, _MOUNT_SETATTR = 428, 429, 436, 442
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446

# PyDLL keeps the interpreter's lock across a call: no call here blocks, and a clone must not find the lock let go.
_libc = ctypes.PyDLL(None, use_errno=True)
_python = ctypes.pythonapi
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def _call(number: int, what: str, *arguments: int | bytes | None) -> int:
    """A raw system call; integers go as longs, so that -100 (AT_FDCWD) keeps its sign."""
    converted = [ctypes.c_long(a) if isinstance(a, int) else ctypes.c_char_p(a) for a in arguments]
    return _check(int(_syscall(ctypes.c_long(number), *converted)), what)


def supported() -> bool:
    """Whether the system call numbers of this architecture are known here."""
    return MACHINE in _NUMBERS


def unshare(flags: int) -> None:
    """Leave namespaces for new ones."""
    _check(int(_libc.unshare(flags)), "unshare")


def setns(fd: int, kind: int = 0) -> None:
    """Enter a namespace. `kind` 0 takes whatever namespace the descriptor is of."""
    _check(int(_libc.setns(fd, kind)), "setns")


def fork_into(flags: int) -> int:
    """fork(2), with the child in new namespaces (CLONE_NEW*), which saves an intermediate process for a pid namespace.

    Only for a process without threads: nothing but Python's own after-fork work is done in the child.
    """
    _python.PyOS_BeforeFork()
    try:
        pid = _call(_NUMBERS[MACHINE]["clone"], "clone", flags | signal.SIGCHLD, 0, 0, 0, 0)
    except OSError:
        _python.PyOS_AfterFork_Parent()
        raise
    if pid:
        _python.PyOS_AfterFork_Parent()
    else:
        _python.PyOS_AfterFork_Child()
    return pid


def mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    """Mount a file system, or change a mount."""
    result = _libc.mount(
        os.fsencode(source),
        os.fsencode(target),
        kind.encode() if kind else None,
        ctypes.c_ulong(flags),
        data.encode() if data else None,
    )
    _check(int(result), target)


def unmount(target: str, flags: int = MNT_DETACH) -> None:
    """umount2(2)."""
    _check(int(_libc.umount2(os.fsencode(target), flags)), target)


def pivot_root(new: str, old: str) -> None:
    """Change the root of the mount namespace."""
    _call(_NUMBERS[MACHINE]["pivot_root"], "pivot_root", os.fsencode(new), os.fsencode(old))


def open_tree(path: str) -> int:
    """Clone the mounts at a path into a detached tree and return its descriptor (Linux 5.2)."""
    return _call(_OPEN_TREE, path, -100, os.fsencode(path), OPEN_TREE_CLONE | AT_RECURSIVE | os.O_CLOEXEC)


def move_mount(fd: int, target: str) -> None:
    """Attach a detached tree at a path (Linux 5.2)."""
    _call(_MOVE_MOUNT, target, fd, b"", -100, os.fsencode(target), MOVE_MOUNT_F_EMPTY_PATH)


def mount_setattr(path: str, attributes: int, *, recursive: bool = True) -> None:
    """Add MOUNT_ATTR_* to the mount at a path and those below it.

    Before Linux 5.12 only the mount itself is changed, by a remount that keeps the flags it has.
    """
    flags = AT_RECURSIVE if recursive else 0
    value = struct.pack("=QQQQ", attributes, 0, 0, 0)
    try:
        _call(_MOUNT_SETATTR, path, -100, os.fsencode(path), flags, value, len(value))
    except OSError as error:
        if error.errno != 38:  # ENOSYS
            raise
        kept = os.statvfs(path).f_flag & (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | 1024 | 2048)
        mount("none", path, None, MS_REMOUNT | MS_BIND | kept | attributes)


def close_range(first: int, last: int = 0xFFFFFFFF) -> None:
    """Close every descriptor from `first` to `last`, in one call where the kernel has it (Linux 5.9)."""
    try:
        _call(_CLOSE_RANGE, "close_range", first, last, 0)
    except OSError:
        os.closerange(first, min(last + 1, os.sysconf("SC_OPEN_MAX")))


def prctl(option: int, *arguments: int | bytes) -> int:
    """Change an attribute of the process."""
    padded = [*arguments, 0, 0, 0, 0][:4]
    converted = [ctypes.c_ulong(a) if isinstance(a, int) else ctypes.c_char_p(a) for a in padded]
    return _check(int(_libc.prctl(option, *converted)), f"prctl {option}")


def set_name(name: str) -> None:
    """The process's name in `ps` (15 bytes)."""
    prctl(PR_SET_NAME, name.encode())


def set_capabilities(effective: int, permitted: int, inheritable: int) -> None:
    """capset(2) on this process, as bit sets."""
    low = 0xFFFFFFFF
    header = struct.pack("=Ii", 0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3
    data = struct.pack(
        "=6I", effective & low, permitted & low, inheritable & low, effective >> 32, permitted >> 32, inheritable >> 32
    )
    _call(_NUMBERS[MACHINE]["capset"], "capset", header, data)


def drop_bounding(keep: int) -> None:
    """Take every capability out of the bounding set but those in `keep`, a bit set."""
    for capability in range(LAST_CAPABILITY + 1):
        if not keep >> capability & 1:
            try:
                prctl(PR_CAPBSET_DROP, capability)
            except OSError as error:
                if error.errno == 22:  # past the last one that this kernel knows
                    return
                raise


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def install_filter(program: bytes) -> None:
    """Load a seccomp filter; needs no_new_privs."""
    holder = _Program(len(program) // 8, program)
    address = ctypes.addressof(holder)
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, address)


def landlock_version() -> int:
    """The ABI version of Landlock. Raises OSError where it is absent or switched off."""
    return _call(_LANDLOCK_CREATE, "landlock", None, 0, 1)


def landlock_create(attributes: bytes) -> int:
    """A descriptor of a new ruleset."""
    return _call(_LANDLOCK_CREATE, "landlock", attributes, len(attributes), 0)


def landlock_add_path(ruleset: int, rule: bytes) -> None:
    """Add a rule for a path and what lies below it."""
    _call(_LANDLOCK_ADD, "landlock", ruleset, 1, rule, 0)


def landlock_restrict(ruleset: int) -> None:
    """Put this process under a ruleset; needs no_new_privs."""
    _call(_LANDLOCK_RESTRICT, "landlock", ruleset, 0)
