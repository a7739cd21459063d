"""gRPC's health check, as a probe asks it: one request over HTTP/2, written by hand because it is all of gRPC that is needed.

`actions` calls `check` over a connection of its own. Headers that come back are never decoded: the answer is in the one
message, and a server that sends none has refused.
"""

from __future__ import annotations

import asyncio
import struct
from enum import IntEnum

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_FRAME_MAX = 1 << 20
_END_STREAM, _END_HEADERS, _ACK = 0x1, 0x4, 0x1


class _Frame(IntEnum):
    DATA = 0
    HEADERS = 1
    RST_STREAM = 3
    SETTINGS = 4
    PING = 6
    GOAWAY = 7


_STATUSES = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}


def request(authority: str, service: str) -> bytes:
    """The bytes that ask a server for the health of a service (empty: its own)."""
    headers = b"\x83\x86"  # :method POST, :scheme http, from HPACK's static table
    for name, value in (
        (":path", "/grpc.health.v1.Health/Check"), (":authority", authority), ("content-type", "application/grpc"),
        ("te", "trailers"), ("user-agent", "kube-probe/1.36"),
    ):  # fmt: skip
        headers += b"\x00" + _text(name) + _text(value)
    message = b"\x0a" + _text(service) if service else b""
    body = struct.pack("!BI", 0, len(message)) + message
    return (
        _PREFACE
        + frame(_Frame.SETTINGS, 0, 0, b"")
        + frame(_Frame.HEADERS, _END_HEADERS, 1, headers)
        + frame(_Frame.DATA, _END_STREAM, 1, body)
    )


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """One HTTP/2 frame."""
    return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, stream) + payload


def status_of(body: bytes) -> str:
    """The status in a HealthCheckResponse with its gRPC prefix; empty when there is none. Raises ValueError."""
    if len(body) < 5:
        return ""
    message = body[5 : 5 + struct.unpack_from("!I", body, 1)[0]]
    if not message:
        return _STATUSES[0]
    if message[0] != 0x08 or len(message) < 2:
        raise ValueError("the answer is no HealthCheckResponse")
    return _STATUSES.get(message[1], str(message[1]))


async def check(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, authority: str, service: str) -> str:
    """Ask and read the answer: SERVING, NOT_SERVING … Raises OSError, ValueError; the caller has the time limit."""
    writer.write(request(authority, service))
    body = b""
    while True:
        try:
            head = await reader.readexactly(9)
            length, (kind, flags, _) = int.from_bytes(head[:3]), struct.unpack("!BBI", head[3:])
            if length > _FRAME_MAX:
                raise ValueError("the server does not speak HTTP/2")
            payload = await reader.readexactly(length)
        except asyncio.IncompleteReadError:
            raise ConnectionError("the server closed the connection") from None
        if kind == _Frame.SETTINGS and not flags & _ACK:
            writer.write(frame(_Frame.SETTINGS, _ACK, 0, b""))
        elif kind == _Frame.PING and not flags & _ACK:
            writer.write(frame(_Frame.PING, _ACK, 0, payload))
        elif kind == _Frame.DATA:
            body += payload
        elif kind in {_Frame.RST_STREAM, _Frame.GOAWAY}:
            raise ConnectionError("the server refused the request")
        if kind in {_Frame.DATA, _Frame.HEADERS} and flags & _END_STREAM:
            return status_of(body)


def _text(text: str) -> bytes:
    """A string with its length, short enough for both HPACK and protobuf to write that in one byte."""
    raw = text.encode()
    if len(raw) > 126:
        raise ValueError(f"{text[:40]}… is too long for a health check")
    return bytes([len(raw)]) + raw
