"""Tries, in a process of its own, what each isolation level needs; says on stdout what the machine refused.

Started by `probe` as `python -I -S` with an empty directory to use as a container's root. It does what the holder and a
container's first process do and nothing else, so its word can be relied on. Output: one line `<level> <sentence>` per
level that is not available, then `end`.
"""

from __future__ import annotations

import os
import sys

from argosy.engine.node.runtime.holder import netlink, rootfs, server, syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_SETTINGS = (
    ("/proc/sys/kernel/unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone=1"),
    ("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1", "sysctl kernel.apparmor_restrict_unprivileged_userns=0"),
    ("/proc/sys/user/max_user_namespaces", "0", "sysctl user.max_user_namespaces=10000"),
)  # fmt: skip
SETTINGS_FILES = tuple(path for path, _, _ in _SETTINGS)
"""Kernel settings that the outcome depends on."""


def main() -> None:
    """Try L2 and, failing that, L1."""
    directory = sys.argv[1]
    said = ""
    if not syscalls.supported():
        reason = f"the launcher does not know the system calls of {syscalls.MACHINE}"
        said = f"L2 {reason}\nL1 {reason}\n"
    else:
        for level in ("L2", "L1"):
            reason = _in_child(_try, level, directory)
            if not reason:
                break
            said += f"{level} {reason}\n"
    os.write(1, f"{said}end\n".encode())


def _in_child(work: Callable[[str, str], str], level: str, directory: str) -> str:
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            said = work(level, directory)
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(write, said.replace("\n", " ").encode())
        os._exit(0)
    os.close(write)
    with open(read, "rb") as report:
        said = report.read().decode(errors="replace")
    _, status = os.waitpid(child, 0)
    return said or ("the trial was killed" if status else "")


def _try(level: str, directory: str) -> str:
    step = "a user namespace"
    try:
        server.enter_namespaces(level, [])
        if level == "L2":
            step = "a network namespace with a veth pair"
            routing = server.bring_up_network()
            own = os.open("/proc/self/ns/net", os.O_RDONLY)
            syscalls.unshare(syscalls.CLONE_NEWNET)
            netlink.join_pod(routing, own, "10.64.0.2")
        step = "a pid namespace"
        syscalls.unshare(syscalls.CLONE_NEWPID)
    except OSError as error:
        return _explain(step, error)
    return _in_child(_try_root, level, directory)


def _try_root(level: str, directory: str) -> str:
    try:
        os.mkdir(f"{directory}/{level}")
        host = rootfs.Host(f"{directory}/{level}.layer", whole=False)
        rootfs.enter(host, rootfs.Layout(f"{directory}/{level}", [], own_network=level == "L2"))
    except OSError as error:
        return _explain(f"mounts for a container's root ({error.filename or 'mount'})", error)
    return ""


def _explain(step: str, error: OSError) -> str:
    said = f"the kernel refuses {step}: {error.strerror}"
    for path, value, remedy in _SETTINGS:
        try:
            with open(path, encoding="ascii") as file:
                found = file.read().strip()
        except OSError:
            continue
        if found == value:
            return f"{said} (an administrator can allow it with `{remedy}`)"
    return said
