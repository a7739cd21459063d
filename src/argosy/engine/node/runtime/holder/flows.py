"""Forgets UDP conversations that the kernel still leads to a backend which a Service no longer has.

The kernel chooses a backend for the first datagram and keeps to it as long as the client speaks; TCP clients notice that
theirs is gone, UDP clients do not. Run in a child of the holder, over just enough of the kernel's conntrack netlink.
"""

from __future__ import annotations

import os
import socket
import struct

from argosy.engine.node.runtime.holder import launch, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import NoReturn

    from argosy.engine.node.runtime.holder.order import Request

    Place = tuple[str, int]

_NETFILTER = 12
_GET, _DELETE = 0x101, 0x102  # IPCTNL_MSG_CT_GET, _DELETE of subsystem 1
_REQUEST, _DUMP = 1, 0x300
_DONE, _ERROR = 3, 2
_ORIGINAL, _REPLY = 1, 2  # CTA_TUPLE_*
_HEAD = struct.pack("=BBH", socket.AF_INET, 0, 0)


def forget(request: Request, line: socket.socket) -> NoReturn:
    """In the child. `request["services"]` maps each (address, port) to the backends that it has now; answers `{forgotten}`."""
    try:
        services: dict[Place, list[Place]] = request["services"]
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETFILTER) as kernel:
            stale = [raw for raw, to, by in _conversations(kernel) if to in services and by not in services[to]]
            for raw in stale:
                body = _HEAD + struct.pack("=HH", 4 + len(raw), _ORIGINAL | 0x8000) + raw
                kernel.send(struct.pack("=IHHII", 16 + len(body), _DELETE, _REQUEST, 0, 0) + body)
        wire.send(line, {"forgotten": len(stale)})
    except BaseException as error:
        launch.answer_failure(line, error)
    os._exit(0)


def _conversations(kernel: socket.socket) -> Iterator[tuple[bytes, Place, Place]]:
    """Of every UDP conversation: its tuple as the kernel has it, whom the client spoke to, and who answers."""
    kernel.send(struct.pack("=IHHII", 20, _GET, _REQUEST | _DUMP, 0, 0) + _HEAD)
    while True:
        data = kernel.recv(1 << 18)
        offset = 0
        while offset < len(data):
            length, kind = struct.unpack_from("=IH", data, offset)
            if kind in (_DONE, _ERROR):
                return
            parts = attributes(data[offset + 20 : offset + length])
            spoken, answered = place(parts.get(_ORIGINAL, b""), 2, 3), place(parts.get(_REPLY, b""), 1, 2)
            if spoken and answered:
                yield parts[_ORIGINAL], spoken, answered
            offset += (length + 3) & ~3


def place(tuple_: bytes, address: int, port: int) -> Place | None:
    """An address and port of a tuple; None when it is not UDP over IPv4."""
    parts = attributes(tuple_)
    hosts, protocol = attributes(parts.get(1, b"")), attributes(parts.get(2, b""))
    if protocol.get(1) != bytes([socket.IPPROTO_UDP]) or address not in hosts or port not in protocol:
        return None
    return socket.inet_ntoa(hosts[address]), int.from_bytes(protocol[port][:2], "big")


def attributes(data: bytes) -> dict[int, bytes]:
    """A message's attributes by their kinds."""
    found = {}
    offset = 0
    while offset + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, offset)
        found[kind & 0x3FFF] = data[offset + 4 : offset + length]
        offset += (max(length, 4) + 3) & ~3
    return found
