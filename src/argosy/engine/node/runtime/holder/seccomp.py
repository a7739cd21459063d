"""The seccomp filter that every container command runs under: a deny list, assembled as classic BPF.

Used by `confine`. Namespaces and dropped capabilities already forbid most of this; the filter is what remains if the
kernel errs in one of those calls, so it names the calls with a history of escapes and those no workload needs. Denied
calls fail with EPERM, or with ENOSYS where programs know how to do without.

Where a pod has one user alone, for an ordinary user can map no other, files cannot change hands; tar and package managers
that run as root take that for a failure. There the calls of the chown family do nothing and succeed.
"""

from __future__ import annotations

import struct

from argosy.engine.node.runtime.holder import syscalls

_NOTHING, _EPERM, _ENOSYS, _EAFNOSUPPORT = 0, 1, 38, 97
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_LOAD, _EQUAL, _GREATER_EQUAL, _SET, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

_X86_64 = {
    "clone": 56, "ptrace": 101, "syslog": 103, "socket": 41, "ioctl": 16, "personality": 135, "ustat": 136, "_sysctl": 156,
    "pivot_root": 155, "acct": 163, "settimeofday": 164, "mount": 165, "umount2": 166, "swapon": 167, "swapoff": 168,
    "reboot": 169, "sethostname": 170, "setdomainname": 171, "iopl": 172, "ioperm": 173, "init_module": 175,
    "delete_module": 176, "quotactl": 179, "lookup_dcookie": 212, "clock_settime": 227, "kexec_load": 246, "add_key": 248,
    "request_key": 249, "keyctl": 250, "migrate_pages": 256, "unshare": 272, "move_pages": 279, "perf_event_open": 298,
    "fanotify_init": 300, "name_to_handle_at": 303, "open_by_handle_at": 304, "clock_adjtime": 305, "setns": 308,
    "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "finit_module": 313, "kexec_file_load": 320, "bpf": 321,
    "userfaultfd": 323, "chown": 92, "fchown": 93, "lchown": 94, "fchownat": 260,
}  # fmt: skip
_AARCH64 = {
    "clone": 220, "ptrace": 117, "syslog": 116, "socket": 198, "ioctl": 29, "pivot_root": 41, "acct": 89,
    "settimeofday": 170, "mount": 40, "umount2": 39, "swapon": 224, "swapoff": 225, "reboot": 142, "sethostname": 161,
    "setdomainname": 162, "init_module": 105, "delete_module": 106, "quotactl": 60, "lookup_dcookie": 18,
    "clock_settime": 112, "kexec_load": 104, "add_key": 217, "request_key": 218, "keyctl": 219, "migrate_pages": 238,
    "unshare": 97, "move_pages": 239, "perf_event_open": 241, "fanotify_init": 262, "name_to_handle_at": 264,
    "open_by_handle_at": 265, "clock_adjtime": 266, "setns": 268, "process_vm_readv": 270, "process_vm_writev": 271,
    "kcmp": 272, "finit_module": 273, "kexec_file_load": 294, "bpf": 280, "userfaultfd": 282, "fchown": 55,
    "fchownat": 54,
}  # fmt: skip
_NEWER = {
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428, "move_mount": 429,
    "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "clone3": 435, "mount_setattr": 442,
    "quotactl_fd": 443,
}  # fmt: skip
_ABSENT = frozenset(
    {"clone3", "io_uring_setup", "io_uring_enter", "io_uring_register", "userfaultfd", "bpf", "_sysctl"}
)
_ALLOWED = frozenset(
    {"move_pages", "migrate_pages", "personality", "name_to_handle_at"}
)  # listed for their numbers only
_OF_OWNERS = frozenset({"chown", "fchown", "lchown", "fchownat"})
_BETWEEN_PROCESSES = frozenset({"ptrace", "process_vm_readv", "process_vm_writev", "kcmp"})

_NAMESPACES = 0x7E020000 | syscalls.CLONE_NEWTIME
_SOCKET_FAMILIES = (38, 40)  # AF_ALG: attack surface; AF_VSOCK: reaches the hypervisor, and no namespace holds it
_IOCTLS = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX: typing into somebody else's terminal


def _statement(code: int, value: int) -> bytes:
    return struct.pack("=HBBI", code, 0, 0, value)


def _jump(code: int, value: int, if_true: int, if_false: int) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _deny(error: int) -> bytes:
    return _statement(_RETURN, _ERRNO | error)


def _argument(number: int, index: int, tests: list[bytes]) -> list[bytes]:
    """If this is the call, load one argument's low word and run the tests, each of which skips or denies; else go on."""
    body = [_statement(_LOAD, 16 + 8 * index), *tests, _statement(_RETURN, _ALLOW)]
    return [_jump(_EQUAL, number, 0, len(body)), *body]


_built: dict[tuple[str, bool, bool], bytes] = {}


def program(machine: str, *, processes_are_apart: bool, one_user: bool = False) -> bytes:
    """The filter, assembled once: the holder asks before it forks, so that its children find it made."""
    if (machine, processes_are_apart, one_user) not in _built:
        for alone in (False, True):
            made = build(machine, processes_are_apart=processes_are_apart, one_user=alone)
            _built[machine, processes_are_apart, alone] = made
    return _built[machine, processes_are_apart, one_user]


def build(machine: str, *, processes_are_apart: bool, one_user: bool = False) -> bytes:
    """The filter for an architecture, or nothing for one we do not know.

    `processes_are_apart` says that a pid namespace stands between the container and the rest of the machine; without
    one, calls that reach into other processes are denied too. `one_user`: files have no other owner to be given to.
    """
    own = {"x86_64": _X86_64, "aarch64": _AARCH64}.get(machine)
    if own is None:
        return b""
    numbers = {**own, **_NEWER}
    program = [
        _statement(_LOAD, 4),
        _jump(_EQUAL, _ARCHITECTURES[machine], 1, 0),
        _deny(_ENOSYS),
        _statement(_LOAD, 0),
    ]
    if machine == "x86_64":
        program += [_jump(_GREATER_EQUAL, 0x40000000, 0, 1), _deny(_ENOSYS)]  # x32
    for name, number in numbers.items():
        if name in _ALLOWED or name in {"clone", "socket", "ioctl"}:
            continue
        if name in _OF_OWNERS:
            program += [_jump(_EQUAL, number, 0, 1), _deny(_NOTHING)] if one_user else []
            continue
        if name in _BETWEEN_PROCESSES and processes_are_apart:
            continue
        program += [_jump(_EQUAL, number, 0, 1), _deny(_ENOSYS if name in _ABSENT else _EPERM)]
    program += _argument(numbers["clone"], 0, [_jump(_SET, _NAMESPACES, 0, 1), _deny(_EPERM)])
    families = [step for f in _SOCKET_FAMILIES for step in (_jump(_EQUAL, f, 0, 1), _deny(_EAFNOSUPPORT))]
    program += _argument(numbers["socket"], 0, families)
    ioctls = [step for c in _IOCTLS for step in (_jump(_EQUAL, c, 0, 1), _deny(_EPERM))]
    program += _argument(numbers["ioctl"], 1, ioctls)
    program.append(_statement(_RETURN, _ALLOW))
    return b"".join(program)
