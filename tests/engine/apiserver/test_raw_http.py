"""Whatever bytes come in: a client's error or a closed connection, in time, and nothing is left of it."""

import asyncio
import gzip
import os

import pytest
from api_world import config_map, with_world
from http_world import descriptors, line, over_http, served, until
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from argosy.clock import SystemClock
from argosy.engine.apiserver.http import Patience
from argosy.kinds import CONFIG_MAP
from argosy.meta.json import encode

MAPS = b"/api/v1/namespaces/default/configmaps"
OF_ADMIN = b"Host: x\r\nAuthorization: Bearer admin\r\n"
WEBSOCKET = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
)
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def request(method=b"GET", path=MAPS, headers=b"", body=b""):
    return b"%b %b HTTP/1.1\r\n%b%b\r\n%b" % (method, path, OF_ADMIN, headers, body)


def sized(body, headers=b""):
    return request(b"POST", MAPS, b"%bContent-Length: %d\r\n" % (headers, len(body)), body)


MAP = encode(config_map("sent"))
BAD = {
    "no HTTP": b"\x16\x03\x01\x02\x00\r\n\r\n",
    "line feeds only": b"GET /version HTTP/1.1\nHost: x\n\n",
    "HTTP/2 at once": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/9": b"GET /version HTTP/9.9\r\nHost: x\r\n\r\n",
    "no host": b"GET /version HTTP/1.1\r\n\r\n",
    "an unknown method": request(b"BREW"),
    "a method in small letters": request(b"get"),
    "a proxy's method": b"CONNECT elsewhere:443 HTTP/1.1\r\n" + OF_ADMIN + b"\r\n",
    "a question about everything": request(b"OPTIONS", b"*"),
    "an echo": request(b"TRACE"),
    "a path without a slash": request(path=b"version"),
    "no path": request(path=b""),
    "an endless path": request(path=b"/" + b"a" * 70_000),
    "no UTF-8": request(path=b"/api/v1/namespaces/\xff"),
    "escapes of no UTF-8": request(path=b"/api/v1/namespaces/%ff%fe"),
    "escapes that are none": request(path=b"/api/v1/namespaces/%zz"),
    "a zero byte": request(path=b"/api/v1/namespaces/a%00b"),
    "a selector of no UTF-8": request(path=MAPS + b"?labelSelector=%ff"),
    "a header without a colon": request(headers=b"oops\r\n"),
    "a header with a zero byte": request(headers=b"X: a\0b\r\n"),
    "a huge header": request(headers=b"X: %b\r\n" % (b"a" * 70_000)),
    "a thousand headers": request(headers=b"".join(b"X%d: 1\r\n" % n for n in range(1000))),
    "a folded header": request(headers=b"X: a\r\n b\r\n"),
    "a negative length": request(b"POST", MAPS, b"Content-Length: -1\r\n"),
    "two lengths": request(b"POST", MAPS, b"Content-Length: 1\r\nContent-Length: 2\r\n", b"{}"),
    "a length and chunks": request(b"POST", MAPS, b"Content-Length: 2\r\n" + CHUNKED, b"0\r\n\r\n"),
    "an impossible length": request(b"POST", MAPS, b"Content-Length: 99999999999999999999999\r\n"),
    "a length that nobody takes": request(b"POST", MAPS, b"Content-Length: 99999999999\r\n"),
    "an unknown coding": request(b"POST", MAPS, b"Transfer-Encoding: rot13\r\n"),
    "a chunk without a size": request(b"POST", MAPS, CHUNKED, b"zz\r\nhello\r\n"),
    "a chunk with a wrong size": request(b"POST", MAPS, CHUNKED, b"2\r\nhello\r\n0\r\n\r\n"),
    "an impossible chunk": request(b"POST", MAPS, CHUNKED, b"f" * 18 + b"\r\n{}"),
    "compressed, it says": sized(b"hello", b"Content-Encoding: gzip\r\n"),
    "compressed and cut": sized(gzip.compress(MAP * 50)[:-9], b"Content-Encoding: gzip\r\n"),
    "deflated, it says": sized(b"hello", b"Content-Encoding: deflate\r\n"),
    "compressed as nobody can": sized(b"hello", b"Content-Encoding: br\r\n"),
    "a bomb": sized(gzip.compress(b" " * (50 << 20)), b"Content-Encoding: gzip\r\n"),
    "a content type that is none": sized(MAP, b"Content-Type: \xff;;\r\n"),
    "CBOR": sized(b"\xa0", b"Content-Type: application/cbor\r\n"),
    "an answer that nobody makes": request(headers=b"Accept: application/cbor\r\n"),
    "an answer of junk": request(headers=b"Accept: ;;,,q=x;as=Table;g=\r\n"),
    "a token that is none": b"GET /version HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\xfe\r\n\r\n",
    "two tokens": b"GET /version HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\nAuthorization: Bearer admin\r\n\r\n",
    "a WebSocket to no pod": request(path=b"/api/v1/namespaces/default/pods/a/exec?command=a&stdout=1", headers=WEBSOCKET),
}  # fmt: skip


def test_bad_requests_are_the_clients_fault():
    async def check(world, session, edge):
        for name, raw in BAD.items():
            async with line(f"http://127.0.0.1:{session._base_url.port}") as spoken:
                await spoken.say(raw)
                status, body = await spoken.answer()
                assert 400 <= status < 500, f"{name}: {status} {body[:200]}"
        assert not (await world.client.list(CONFIG_MAP, "default")).items
        async with session.post(MAPS.decode(), json=config_map("good")) as answer:
            assert answer.status == 201

    over_http(check)


def test_odd_requests_that_are_right():
    async def check(world, session, edge):
        url = f"http://127.0.0.1:{session._base_url.port}"
        for raw, expected in (
            (b"GET /version HTTP/1.0\r\n\r\n", 200),
            (request(path=b"http://elsewhere/version"), 200),
            (request(path=MAPS + b"?labelSelector=a+in+(" + b",".join(b"v%d" % n for n in range(5000)) + b")"), 200),
            (request(path=MAPS, headers=WEBSOCKET), 200),
            (request(path=MAPS, headers=b"Connection: Upgrade\r\nUpgrade: h2c\r\n"), 200),
            (sized(gzip.compress(MAP), b"Content-Encoding: gzip\r\nContent-Type: application/json\r\n"), 201),
            (request(b"POST", MAPS, CHUNKED, b"2;x=y\r\n{}\r\n0\r\nTrailer: x\r\n\r\n"), 422),
        ):
            async with line(url) as spoken:
                await spoken.say(raw)
                assert (await spoken.answer())[0] == expected, raw[:80]
        async with line(url) as spoken:
            await spoken.say(request(path=b"/version") * 300)
            for _ in range(300):
                assert (await spoken.answer())[0] == 200

    over_http(check)


RIGHT = [
    request(),
    request(path=MAPS + b"?watch=true&timeoutSeconds=1&allowWatchBookmarks=true"),
    sized(MAP, b"Content-Type: application/json\r\nExpect: 100-continue\r\n"),
    request(b"PATCH", MAPS + b"/a?fieldManager=x", b"Content-Type: application/apply-patch+yaml\r\nContent-Length: 2\r\n", b"{}"),
    request(b"POST", MAPS, CHUNKED + b"Content-Encoding: gzip\r\n", b"6\r\n\x1f\x8b\x08\x00\x00\x00\r\n0\r\n\r\n"),
    request(path=b"/api/v1/namespaces/default/pods/a/exec?command=a&stdout=1", headers=WEBSOCKET),
    request(headers=b"Impersonate-User: a\r\nImpersonate-Group: b\r\nImpersonate-Extra-%2f: c\r\n"),
]  # fmt: skip


@st.composite
def spoilt(draw):
    """A request with some of its bytes changed, left out, doubled, or with others among them."""
    raw = bytearray(draw(st.sampled_from(RIGHT)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(raw) - 1, 0)))
        piece = draw(st.sampled_from([b"\r\n", b"\0", b" ", b"\xff", b":", b"%", b"0", b"HTTP/1.1", b"/", b"\r\n\r\n"]))
        how = draw(st.sampled_from(["change", "cut", "insert", "double"]))
        if how == "change":
            raw[at : at + 1] = piece[:1]
        elif how == "cut":
            del raw[at : at + draw(st.integers(1, 20))]
        elif how == "insert":
            raw[at:at] = piece
        else:
            raw[at:at] = raw[at : at + 30]
    return bytes(raw)


def spoil(examples):
    found = []

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=examples < 1000,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(spoilt(), min_size=25, max_size=25))
    def collect(batch):
        found.extend(batch)

    collect()

    for start in range(0, len(found), 500):
        over_http(lambda *world, batch=found[start : start + 500]: endured(batch, *world))


async def endured(found, world, session, edge):
    url = f"http://127.0.0.1:{session._base_url.port}"
    before = len(asyncio.all_tasks())
    for raw in found:
        async with line(url) as spoken:
            await spoken.say(raw)
            spoken.writer.write_eof()
            status, body = await spoken.answer()
            assert status < 500, (raw, status, body)
    hubs = world.store._hubs  # none where nobody came as far as to watch
    await until(lambda: len(asyncio.all_tasks()) <= before and not any(hub.watches for hub in hubs.values()))


def test_spoilt_requests():
    spoil(10)


@pytest.mark.slow
def test_spoilt_requests_by_the_thousand():
    spoil(int(os.environ.get("ARGOSY_FUZZ", "200")))


def test_who_is_slow_is_dropped_in_time():
    async def check(world, session, edge):
        url = f"http://127.0.0.1:{session._base_url.port}"
        for number in range(40):
            await world.client.create(CONFIG_MAP, config_map(f"m{number}", data={"k": "x" * 500_000}))
        async with (
            line(url) as silent,
            line(url) as drop_by_drop,
            line(url) as half,
            line(url) as deaf,
            line(url) as kept,
        ):
            await drop_by_drop.say(request()[:30])
            await half.say(request(b"POST", MAPS, b"Content-Length: 100\r\n", b"{"))
            await kept.say(request(path=b"/version"))
            await deaf.say(request())
            for byte in b"abcdefgh":
                await drop_by_drop.say(bytes([byte]))
            status, body = await half.answer()
            assert (status, b"did not arrive" in body) == (408, True)
            assert (await kept.answer())[0] == 200
            for spoken in (silent, drop_by_drop, kept):
                await spoken.hung_up()
            # What a client does not take is not kept for it.
            await until(lambda: not any("_in_pieces" in repr(task.get_stack()) for task in asyncio.all_tasks()))
        async with session.get("/version") as answer:
            assert answer.status == 200

    over_http(check, patience=Patience(body=0.3, idle=0.3, take=0.3))


def test_slow_bodies_hold_up_nobody_else():
    async def check(world, session, edge):
        url = f"http://127.0.0.1:{session._base_url.port}"
        edge.most_at_work = 2
        begun = request(b"POST", MAPS, b"Content-Length: %d\r\n" % len(MAP), MAP[:5])
        async with line(url) as first, line(url) as second, line(url) as third:
            for spoken in (first, second):
                await spoken.say(begun)
            await until(lambda: edge._arriving == 2)
            await third.say(begun)
            assert (await third.answer())[0] == 429
            async with session.post(MAPS.decode(), json=config_map("other")) as answer:
                assert answer.status == 201
            await first.say(MAP[5:])
            assert (await first.answer())[0] == 201
        await until(lambda: not edge._arriving)

    over_http(check)


def test_connections_that_break_leave_nothing():
    async def check(world):
        async with served(world) as (url, edge):
            before = descriptors(), len(asyncio.all_tasks())
            for raw in (
                request(path=MAPS + b"?watch=true"), request()[:20], sized(MAP)[:-5], request(path=MAPS + b"?watch=true") * 3,
                sized(MAP),
            ):  # fmt: skip
                for _ in range(20):
                    async with line(url) as spoken:
                        await spoken.say(raw)
            await until(lambda: descriptors() <= before[0] and len(asyncio.all_tasks()) <= before[1])
            assert not world.store._hubs["configmaps"].watches
            assert edge._at_work == edge._arriving == len(edge._streams) == 0

    with_world(check, clock=SystemClock())
