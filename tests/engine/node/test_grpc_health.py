"""gRPC's health check: the bytes that are sent, and what every sort of server's answer means."""

from __future__ import annotations

import asyncio
import struct

import pytest

from argosy.engine.node.grpc_health import check, frame, request, status_of

SETTINGS, HEADERS, DATA, GOAWAY = 4, 1, 0, 7


def answer(message: bytes) -> bytes:
    return frame(DATA, 0, 1, struct.pack("!BI", 0, len(message)) + message)


async def asked(*frames: bytes, service: str = "") -> tuple[str, bytes]:
    """What a server that sends these frames is said to answer, and what it was sent."""
    sent = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"".join(frames))
        await writer.drain()
        writer.write_eof()
        sent.extend(await reader.read())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        try:
            return await check(reader, writer, "pod:1", service), bytes(sent)
        finally:
            writer.close()


def test_the_request():
    said = request("pod:1", "db")
    assert said.startswith(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    assert b"/grpc.health.v1.Health/Check" in said
    assert said.endswith(b"\x00\x00\x09\x00\x01\x00\x00\x00\x01" + b"\x00\x00\x00\x00\x04" + b"\x0a\x02db")
    with pytest.raises(ValueError, match="too long"):
        request("pod:1", "x" * 200)


@pytest.mark.parametrize(
    ("message", "status"), [(b"\x08\x01", "SERVING"), (b"\x08\x02", "NOT_SERVING"), (b"", "UNKNOWN")]
)
def test_answers(message, status):
    trailers = frame(HEADERS, 0x5, 1, b"\x88")
    found, _ = asyncio.run(asked(frame(SETTINGS, 0, 0, b""), frame(HEADERS, 4, 1, b"\x88"), answer(message), trailers))
    assert found == status


def test_a_server_without_health_and_one_that_is_none():
    found, _ = asyncio.run(asked(frame(SETTINGS, 0, 0, b""), frame(HEADERS, 0x5, 1, b"\x88")))
    assert found == ""
    with pytest.raises(ConnectionError):
        asyncio.run(asked(frame(GOAWAY, 0, 0, bytes(8))))
    with pytest.raises((ValueError, ConnectionError)):
        asyncio.run(asked(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    with pytest.raises(ValueError, match="HealthCheckResponse"):
        status_of(b"\x00\x00\x00\x00\x01\x12")
