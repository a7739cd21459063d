"""A terminal for a container's process, made in the container's own /dev/pts.

The process that is to have it makes it (only there is the right devpts mounted) and sends the other side up to the one
that supervises it.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import termios

from argosy.engine.node.runtime.holder import wire

_UNLOCK = 0x40045431  # TIOCSPTLCK
_NUMBER = 0x80045430  # TIOCGPTN


def take(carrier: socket.socket) -> None:
    """Become the leader of a new terminal, on descriptors 0 to 2, and send its other side. Raises OSError."""
    master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    fcntl.ioctl(master, _UNLOCK, struct.pack("=i", 0))
    (number,) = struct.unpack("=i", fcntl.ioctl(master, _NUMBER, struct.pack("=i", 0)))
    slave = os.open(f"/dev/pts/{number}", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    wire.send(carrier, {}, [master])
    os.close(master)
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for fd in (0, 1, 2):
        os.dup2(slave, fd)
    os.close(slave)


def receive(carrier: socket.socket) -> int:
    """The other side of the terminal, or -1 when none could be made (the reason follows elsewhere)."""
    try:
        _, descriptors = wire.receive(carrier)
    except (OSError, EOFError):
        return -1
    return descriptors[0] if descriptors else -1
