"""Just enough rtnetlink to join a pod to the cluster's network: links, addresses, routes and neighbours.

Used by the holder. A pod is one veth pair: `eth0` in the pod, a routed /32, with 169.254.1.1 as its gateway, and neighbour
entries on both sides so that the first packet never waits for ARP. Messages of one pod go out in two batches (one per
namespace) because each round trip to the kernel costs more than the work in it.
"""

from __future__ import annotations

import errno
import os
import socket
import struct

GATEWAY = "169.254.1.1"
POD_LINK = 100  # index of eth0 in the pod: fixed, since tunnel modules put links of their own into new namespaces
_HOST_MAC = b"\xee\xee\xee\xee\xee\xee"

_NEWLINK, _DELLINK, _SETLINK, _NEWADDR, _DELADDR, _NEWROUTE, _NEWNEIGH = 16, 17, 19, 20, 21, 24, 28
_REQUEST, _ACK, _REPLACE, _EXCL, _CREATE = 1, 4, 0x100, 0x200, 0x400
_IFF_UP = 1
_PERMANENT = 0x80
_SCOPE_UNIVERSE, _SCOPE_LINK, _SCOPE_HOST = 0, 253, 254
_ONLINK = 4


def _attribute(kind: int, value: bytes) -> bytes:
    length = 4 + len(value)
    return struct.pack("=HH", length, kind) + value + b"\0" * (-length % 4)


def _link(index: int, *, up: bool) -> bytes:
    return struct.pack("=BxHiII", 0, 0, index, _IFF_UP if up else 0, _IFF_UP if up else 0)


Message = tuple[int, int, bytes]
"""Kind, flags, body."""


def link_up(index: int) -> Message:
    """Bring a link up."""
    return _SETLINK, 0, _link(index, up=True)


def link_delete(name: str) -> Message:
    """Remove a link."""
    return _DELLINK, 0, _link(0, up=False) + _attribute(3, name.encode() + b"\0")


def veth(mac: bytes, peer_name: str, peer_index: int, peer_namespace: int) -> Message:
    """A pair: `eth0` here, its peer in the namespace that the descriptor is of and still down."""
    peer = (
        _link(peer_index, up=False)  # it cannot come up before the two are paired
        + _attribute(3, peer_name.encode() + b"\0")
        + _attribute(1, _HOST_MAC)
        + _attribute(28, struct.pack("=I", peer_namespace))
    )
    info = _attribute(1, b"veth") + _attribute(2, _attribute(1, peer))
    body = _link(POD_LINK, up=True) + _attribute(3, b"eth0\0") + _attribute(1, mac) + _attribute(18, info)
    return _NEWLINK, _CREATE | _EXCL, body


def address(index: int, ip: bytes) -> Message:
    """Give a link a /32; an address that is already there is no error."""
    body = struct.pack("=BBBBi", socket.AF_INET, 32, 0, _SCOPE_UNIVERSE, index)
    return _NEWADDR, _CREATE | _REPLACE, body + _attribute(2, ip) + _attribute(1, ip)


def route(index: int, destination: bytes | None, gateway: bytes | None = None) -> Message:
    """A route to one address over a link, or (None) the default route over an on-link gateway."""
    scope = _SCOPE_UNIVERSE if gateway else _SCOPE_LINK
    length = 32 if destination else 0
    flags = _ONLINK if gateway else 0
    body = struct.pack("=BBBBBBBBI", socket.AF_INET, length, 0, 0, 254, 3, scope, 1, flags)
    body += _attribute(4, struct.pack("=i", index))
    if destination:
        body += _attribute(1, destination)
    if gateway:
        body += _attribute(5, gateway)
    return _NEWROUTE, _CREATE | _REPLACE, body


def neighbour(index: int, ip: bytes, mac: bytes) -> Message:
    """A permanent neighbour entry."""
    body = struct.pack("=BxxxiHBB", socket.AF_INET, index, _PERMANENT, 0, 1)
    return _NEWNEIGH, _CREATE | _REPLACE, body + _attribute(1, ip) + _attribute(2, mac)


class Netlink:
    """A routing socket of the network namespace that the process is in when it is made."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        self._sequence = 0

    def close(self) -> None:
        """Let the namespace go."""
        self._socket.close()

    def send(self, *messages: Message) -> None:
        """Carry out messages in order, in one round trip. Raises the first OSError; later ones may have been done."""
        out = bytearray()
        for kind, flags, body in messages:
            self._sequence += 1
            out += struct.pack("=IHHII", 16 + len(body), kind, flags | _REQUEST | _ACK, self._sequence, 0) + body
        self._socket.send(out)
        waiting = len(messages)
        first = 0
        while waiting:
            data = self._socket.recv(65536)
            offset = 0
            while offset < len(data):
                length, kind = struct.unpack_from("=IH", data, offset)
                if kind == 2:  # NLMSG_ERROR, which is also the acknowledgement
                    waiting -= 1
                    code = -struct.unpack_from("=i", data, offset + 16)[0]
                    first = first or code
                offset += (length + 3) & ~3
        if first:
            raise OSError(first, os.strerror(first), "netlink")


def join_pod(cluster: Netlink, cluster_namespace: int, address_text: str) -> None:
    """Join the network namespace that this process is in now to the cluster's. Raises OSError."""
    ip = socket.inet_aton(address_text)
    mac = b"\x0a\x58" + ip
    gateway = socket.inet_aton(GATEWAY)
    name, index = "ap" + ip.hex(), 1000 + (int.from_bytes(ip) & 0xFFFFFF)
    pod = Netlink()
    try:
        messages = (
            link_up(1),
            veth(mac, name, index, cluster_namespace),
            address(POD_LINK, ip),
            neighbour(POD_LINK, gateway, _HOST_MAC),
            route(POD_LINK, gateway),
            route(POD_LINK, None, gateway),
        )
        try:
            pod.send(*messages)
        except OSError as error:
            if error.errno != errno.EEXIST:
                raise
            cluster.send(link_delete(name))  # of a pod whose namespace the kernel has not yet swept away
            pod.send(*messages)
        cluster.send(link_up(index), route(index, ip), neighbour(index, ip, mac))
    finally:
        pod.close()
