"""How the engine and the holder talk: frames of marshalled plain values over a Unix stream socket, with descriptors.

Both ends are the same program under the same user, the socket is 0600, peers are checked by SO_PEERCRED and say a key that
only the engine can read before they are heard, so marshal (one C call, bytes stay bytes, no import) is safe here; format 2
reads alike in every Python 3. One connection carries one request, which lets the holder hand the connection to the child
that does the work; only the line that delivers sockets stays open.
"""

from __future__ import annotations

import array
import marshal
import os
import select
import socket
import struct
from collections.abc import Sequence

TYPE_CHECKING = False  # typing is slow to import, and the holder needs it for nothing
if TYPE_CHECKING:
    from typing import Any

PROTOCOL = 7
FRAME_MAX = 64 * 1024 * 1024
DESCRIPTORS_MAX = 64


def pack(value: Any) -> bytes:
    """One frame."""
    body = marshal.dumps(value, 2)
    return struct.pack("!I", len(body)) + body


def unpack(body: bytes) -> Any:
    """The value of a frame's body."""
    return marshal.loads(body)


def send(line: socket.socket, value: Any, descriptors: Sequence[int] = ()) -> None:
    """Send one frame, its descriptors with the first byte."""
    frame = pack(value)
    if descriptors:
        sent = line.sendmsg([frame], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))])
        frame = frame[sent:]
    line.sendall(frame)


def receive(line: socket.socket) -> tuple[Any, list[int]]:
    """Read one frame and the descriptors that came with it. Raises EOFError when the other end has gone."""
    head, descriptors = _first(line, 4)
    while len(head) < 4:
        head += _some(line, 4 - len(head))
    (length,) = struct.unpack("!I", head)
    if length > FRAME_MAX:
        raise ValueError(f"frame of {length} bytes")
    body = bytearray()
    while len(body) < length:
        body += _some(line, min(length - len(body), 1 << 18))
    return unpack(bytes(body)), descriptors


def hung_up(line: socket.socket) -> bool:
    """Whether the other end has gone."""
    poll = select.poll()
    poll.register(line, select.POLLRDHUP)
    return bool(poll.poll(0))


def _first(line: socket.socket, size: int) -> tuple[bytes, list[int]]:
    space = socket.CMSG_LEN(DESCRIPTORS_MAX * 4)
    data, ancillary, _, _ = line.recvmsg(size, space, socket.MSG_CMSG_CLOEXEC)
    if not data:
        raise EOFError("the other end has gone")
    descriptors = array.array("i")
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(content[: len(content) - len(content) % 4])
    return data, list(descriptors)


def _some(line: socket.socket, size: int) -> bytes:
    data = line.recv(size)
    if not data:
        raise EOFError("the other end has gone")
    return data


def short_path(directory: str, name: str) -> tuple[int, str]:
    """A descriptor of the directory and a path through it that fits into sun_path (108 bytes), however deep it lies.

    The caller closes the descriptor after bind or connect.
    """
    fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    return fd, f"/proc/self/fd/{fd}/{name}"
