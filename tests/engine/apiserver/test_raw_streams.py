"""Whatever comes on a connection that was upgraded: the session ends or goes on, and nothing is left of it."""

import asyncio
import os
import struct

import pytest
from http_world import descriptors, line, until
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stream_world import EXEC, POD, streamed

from argosy.engine.apiserver.streams import spdy

HEAD = "Host: x\r\nAuthorization: Bearer admin\r\nConnection: Upgrade\r\n"
FORWARD = f"{POD}/portforward?ports=80"
OPENINGS = {
    "websocket": ("GET", "websocket", "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"),
    "spdy": ("POST", "SPDY/3.1", ""),
}


def opening(way, path, protocol):
    method, upgrade, more = OPENINGS[way]
    named = "Sec-WebSocket-Protocol" if way == "websocket" else "X-Stream-Protocol-Version"
    return f"{method} {path} HTTP/1.1\r\n{HEAD}Upgrade: {upgrade}\r\n{more}{named}: {protocol}\r\n\r\n".encode()


@st.composite
def web_frames(draw):
    """Frames of a WebSocket, most of them nearly right."""
    raw = b""
    for _ in range(draw(st.integers(1, 5))):
        first = draw(st.sampled_from([0x82, 0x82, 0x81, 0x02, 0x80, 0x88, 0x89, 0x8A, 0xC2, 0x8F, 0x00]))
        channel = draw(st.sampled_from([b"", b"\0", b"\1", b"\4", b"\xff", b"0", b"9"]))
        data = channel + draw(
            st.sampled_from([b"", b"typed", b"{" * 500, b'{"Width":1e99}', b"\xff\xfe", b"\0", b"block"])
        )
        length = len(data) if draw(st.integers(0, 9)) else draw(st.sampled_from([0, 126, 1 << 40, (1 << 64) - 1]))
        masked = 0x80 if draw(st.integers(0, 9)) else 0
        size = bytes([masked | length]) if length < 126 else bytes([masked | 127]) + struct.pack("!Q", length)
        raw += bytes([first]) + size + (b"\0\0\0\0" if masked else b"") + data
    return raw[: draw(st.integers(1, len(raw)))] if draw(st.booleans()) else raw


headers = st.dictionaries(
    st.sampled_from(["streamtype", "port", "requestid", "", "x" * 300]),
    st.sampled_from(["stdin", "stdout", "stderr", "error", "data", "resize", "80", "\xb2", "-1", "", "65536"]), max_size=4,
)  # fmt: skip
numbers = st.sampled_from([0, 1, 3, 5, 7, 2, (1 << 31) - 1])
frames = st.one_of(
    st.builds(spdy.SynStream, numbers, headers, st.booleans()),
    st.builds(spdy.SynStream, numbers, headers, st.booleans()),
    st.builds(spdy.Data, numbers, st.binary(max_size=20), st.booleans()),
    st.builds(spdy.Reset, numbers, st.just(5)),
    st.builds(spdy.Ping, numbers),
    st.builds(spdy.GoAway, numbers, st.just(0)),
    st.builds(spdy.WindowUpdate, numbers, numbers),
    st.builds(spdy.SynReply, numbers, headers, st.booleans()),
)


@st.composite
def spdy_frames(draw):
    """SPDY frames in any order, some of them spoilt."""
    framer = spdy.Framer()
    raw = bytearray(b"".join(map(framer.encode, draw(st.lists(frames, min_size=1, max_size=8)))))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(raw) - 1))
        raw[at] = draw(st.integers(0, 255))
    return bytes(raw)


sessions = st.one_of(
    st.tuples(
        st.just("websocket"), st.sampled_from([EXEC, FORWARD]),
        st.sampled_from(["v5.channel.k8s.io", "v4.channel.k8s.io", "v4.base64.channel.k8s.io", ""]), web_frames(),
    ),
    st.tuples(st.just("websocket"), st.just(FORWARD), st.just("SPDY/3.1+portforward.k8s.io"), web_frames()),
    st.tuples(st.just("spdy"), st.just(EXEC), st.sampled_from(["v4.channel.k8s.io", "channel.k8s.io"]), spdy_frames()),
    st.tuples(st.just("spdy"), st.just(FORWARD), st.just("portforward.k8s.io"), spdy_frames()),
)  # fmt: skip


def shake(examples):
    found = []

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=examples < 100,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(sessions, min_size=20, max_size=20))
    def collect(batch):
        found.extend(batch)

    collect()

    for start in range(0, len(found), 200):
        streamed(lambda *world, batch=found[start : start + 200]: endured(batch, *world))


async def endured(found, world, session, nodes):
    url = f"http://127.0.0.1:{session._base_url.port}"
    before = descriptors(), len(asyncio.all_tasks())
    for way, path, protocol, raw in found:
        async with line(url) as spoken:
            await spoken.say(opening(way, path, protocol) + raw)
            status, body = await spoken.answer()
            assert status < 500, (way, path, protocol, raw, status, body)
    nodes.listener.setblocking(False)
    await until(lambda: len(asyncio.all_tasks()) <= before[1] and descriptors() <= before[0])
    assert all(process.closed.is_set() for process in nodes.started)


def test_frames_of_every_sort():
    shake(8)


@pytest.mark.slow
def test_frames_of_every_sort_by_the_thousand():
    shake(int(os.environ.get("ARGOSY_FUZZ", "100")))
