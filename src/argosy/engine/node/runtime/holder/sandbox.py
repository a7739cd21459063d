"""What a pod's sandbox has besides its namespaces: kernel parameters of its own, and volumes in memory.

Called by `server`. Parameters are written while the holder stands in the new namespaces, which is whose they are. Volumes
are mounted in the holder's own mount namespace, from which every container binds them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from argosy.engine.node.runtime.holder import confine, syscalls


def open_ports() -> None:
    """In a network namespace of its own every port is free to take, and ping needs no privilege."""
    for name, value in (
        ("ipv4/ip_unprivileged_port_start", "0"),
        ("ipv4/ping_group_range", "0 0"),
        ("ipv4/ping_group_range", "0 65535"),  # refused where only one group exists
        ("ipv6/conf/default/disable_ipv6", "1"),
        ("ipv4/icmp_ratelimit", "0"),  # who is refused by a policy is told so, every time
    ):
        try:
            confine.write_text(f"/proc/sys/net/{name}", value)
        except OSError:
            pass


def set_parameters(sysctls: Sequence[tuple[str, str]]) -> None:
    """Set the parameters that a pod asks for. Raises OSError that names the one which cannot be."""
    for name, value in sysctls:
        try:
            confine.write_text(f"/proc/sys/{name.replace('.', '/')}", value)
        except OSError as error:
            raise OSError(error.errno, f"sysctl {name}={value}: {error.strerror}") from None


def mount_volumes(volumes: Sequence[tuple[str, int]]) -> None:
    """Put a file system in memory, of so many bytes, over each directory; owner and mode stay the directory's."""
    for path, size in volumes:
        if os.path.ismount(path):
            continue
        before = os.stat(path)
        syscalls.mount("tmpfs", path, "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, f"size={size},mode=777")
        try:
            os.chown(path, before.st_uid, before.st_gid)
        except OSError:  # an owner whom this user namespace does not know
            pass
        os.chmod(path, before.st_mode & 0o7777)


def unmount_volumes(paths: Sequence[str]) -> None:
    """Take them away again, and what is in them."""
    for path in paths:
        if os.path.ismount(path):
            syscalls.unmount(path)
