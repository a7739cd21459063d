"""Kubernetes' channel frames: what `kubectl exec` and the Python client say over a WebSocket.

Pure. Every message begins with the number of its channel; the base64 variants write it as a digit and everything after it
in base64, for clients that can only send text. Version 5 adds one thing: a message on channel 255 names a channel
that its sender has closed, which is how the end of standard input gets across. `websocket` calls this.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

CLOSE = 255
"""The channel on which version 5 tells that another has ended."""


class Channel(IntEnum):
    """The streams of a command, as exec and attach number them."""

    STDIN = 0
    STDOUT = 1
    STDERR = 2
    ERROR = 3
    RESIZE = 4


@dataclass(frozen=True, slots=True)
class Subprotocol:
    """One way of framing."""

    name: str
    text: bool = False
    """Base64 in text messages."""
    tells_end: bool = False
    """Whether a client can close a single channel."""
    tells_status: bool = False
    """Whether the error channel ends with a Status; before version 4 it carries a sentence, or nothing."""


_ALL = (
    Subprotocol("v5.channel.k8s.io", tells_end=True, tells_status=True),
    Subprotocol("v4.channel.k8s.io", tells_status=True),
    Subprotocol("v4.base64.channel.k8s.io", text=True, tells_status=True),
    Subprotocol("channel.k8s.io"),
    Subprotocol("base64.channel.k8s.io", text=True),
    Subprotocol(""),
)
FOR_COMMANDS = {each.name: each for each in _ALL}
"""What exec and attach understand; a client that names none gets the first version."""
FOR_PORTS = {each.name: each for each in _ALL if not each.tells_end and (each.tells_status or not each.name)}
"""What port-forward understands, a pair of channels a port; Kubernetes knows no version 5 there."""


def choose(offered: Sequence[str], known: Mapping[str, Subprotocol]) -> Subprotocol | None:
    """The first of the client's offers that is known; None when there is none."""
    return next((known[name] for name in offered or ("",) if name in known), None)


@dataclass(frozen=True, slots=True)
class Message:
    """What came on a channel. `data` is None when the channel has ended."""

    channel: int
    data: bytes | None


def encode(protocol: Subprotocol, channel: int, data: bytes) -> bytes:
    """One message, to be sent as text where `protocol.text` says so."""
    if protocol.text:
        return b"%d" % channel + base64.b64encode(data)
    return bytes((channel,)) + data


def decode(protocol: Subprotocol, raw: bytes) -> Message:
    """Read one message. Raises ValueError for what is none."""
    if not raw:
        raise ValueError("a message without a channel")
    if protocol.text:
        if not 0x30 <= raw[0] <= 0x39:
            raise ValueError("a message must begin with the digit of its channel")
        try:
            return Message(raw[0] - 0x30, base64.b64decode(raw[1:], validate=True))
        except binascii.Error as error:
            raise ValueError(f"a message is not base64: {error}") from None
    if protocol.tells_end and raw[0] == CLOSE:
        if len(raw) != 2:
            raise ValueError("a message that closes must name one channel")
        return Message(raw[1], None)
    return Message(raw[0], bytes(raw[1:]))
