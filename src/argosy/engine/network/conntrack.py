"""Where the kernel has led a UDP conversation away from: a question to its connection tracking, over netlink. Pure but for `ask`.

TCP sockets can be asked (SO_ORIGINAL_DST), UDP sockets cannot. `egress_udp` asks once a conversation.
"""

from __future__ import annotations

import socket
import struct

from argosy.engine.node.runtime.holder.flows import attributes, place

NETFILTER = 12
"""The netlink family of a socket that can be asked."""
_GET, _FOUND, _REQUEST = 0x101, 0x100, 1  # IPCTNL_MSG_CT_GET, _NEW of subsystem 1
_ORIGINAL, _REPLY = 1, 2  # CTA_TUPLE_*
_HEAD = struct.pack("=BBH", socket.AF_INET, 0, 0)
_NESTED = 0x8000
_ANSWER_BYTES = 65_536


def ask(kernel: socket.socket, here: tuple[str, int], client: tuple[str, int]) -> tuple[str, int] | None:
    """Whom a client spoke to whose datagram has arrived `here`; None when the kernel does not know. Raises OSError.

    `kernel` is a netlink socket in the network in question; the kernel answers while it is being asked.
    """
    kernel.send(question(here, client))
    return answer(kernel.recv(_ANSWER_BYTES))


def question(here: tuple[str, int], client: tuple[str, int]) -> bytes:
    """The message."""
    hosts = _attribute(
        1, _attribute(1, socket.inet_aton(here[0])) + _attribute(2, socket.inet_aton(client[0])), _NESTED
    )
    ports = _attribute(2, struct.pack("!H", here[1])) + _attribute(3, struct.pack("!H", client[1]))
    protocol = _attribute(2, _attribute(1, bytes([socket.IPPROTO_UDP])) + ports, _NESTED)
    body = _HEAD + _attribute(_REPLY, hosts + protocol, _NESTED)
    return struct.pack("=IHHII", 16 + len(body), _GET, _REQUEST, 0, 0) + body


def answer(data: bytes) -> tuple[str, int] | None:
    """What it is answered."""
    length, kind = struct.unpack_from("=IH", data)
    if kind != _FOUND:
        return None
    return place(attributes(data[20:length]).get(_ORIGINAL, b""), 2, 3)


def _attribute(kind: int, value: bytes, flags: int = 0) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind | flags) + value + bytes(-len(value) % 4)
