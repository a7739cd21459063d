import asyncio
import gzip
import socket

import aiohttp
import pytest
from aiohttp import web
from network_world import HostNetwork, background, cluster, endpoint, service, slice_of, until

from argosy.clock import SystemClock
from argosy.engine.network import NetworkSettings
from argosy.engine.network import run as run_network
from argosy.engine.network.ingress_classes import ensure_classes
from argosy.engine.node.runtime.spec import Level
from argosy.kinds import ENDPOINT_SLICE, INGRESS, INGRESS_CLASS, SERVICE
from argosy.meta.objects import Key


def ingress(name="web", host="app.test", path="/", target="web", port=80, **spec):
    backend = {"service": {"name": target, "port": {"number": port}}}
    rule = {"host": host, "http": {"paths": [{"path": path, "pathType": "Prefix", "backend": backend}]}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"rules": [rule], **spec},
    }


class Upstream:
    """A pod's web server."""

    def __init__(self):
        self.release = asyncio.Event()
        self.gone = asyncio.Event()
        self.requests = []

    async def handle(self, request):
        self.requests.append(request)
        match request.path:
            case "/stream":
                response = web.StreamResponse(headers={"content-type": "text/event-stream"})
                await response.prepare(request)
                await response.write(b"data: first\n\n")
                await self.release.wait()
                await response.write(b"data: second\n\n")
                return response
            case "/endless":
                response = web.StreamResponse()
                await response.prepare(request)
                try:
                    while True:
                        await response.write(b"x")
                        await asyncio.sleep(0.01)
                finally:
                    self.gone.set()
            case "/ws":
                socket = web.WebSocketResponse(protocols=("chat",))
                await socket.prepare(request)
                async for message in socket:
                    if message.data == "bye":
                        await socket.close(code=4001, message=b"as you wish")
                    elif message.type is aiohttp.WSMsgType.TEXT:
                        await socket.send_str("echo " + message.data)
                    else:
                        await socket.send_bytes(message.data * 2)
                return socket
            case "/upload":
                total, chunks = 0, 0
                async for chunk in request.content.iter_any():
                    total += len(chunk)
                    chunks += 1
                return web.json_response({"bytes": total, "te": request.headers.get("transfer-encoding", "")})
            case "/raw":
                return web.Response(
                    body=await request.read(), headers={"x-encoding": request.headers["content-encoding"]}
                )
            case "/redirect":
                return web.Response(status=302, headers={"location": "/elsewhere", "set-cookie": "a=1"})
            case "/die":
                request.transport.abort()
                return web.Response()
        return web.json_response({"path": request.raw_path, "headers": dict(request.headers)})


def with_ingress(check):
    async def main():
        upstream = Upstream()
        runner = web.ServerRunner(
            web.Server(upstream.handle, handler_cancellation=True, auto_decompress=False, max_field_size=1 << 16)
        )
        await runner.setup()
        pod = socket.create_server(("127.0.0.1", 0))
        await web.SockSite(runner, pod).start()
        listener = socket.create_server(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            async with cluster() as (client, informers):
                settings = NetworkSettings(level=Level.L0, ingress_socket=listener)
                running = run_network(client, HostNetwork(), settings, SystemClock(), informers=informers)
                await client.create(SERVICE, service(ports=[{"port": 80, "name": "http"}]))
                slices = slice_of("web", [endpoint("127.0.0.1")], {"http": pod.getsockname()[1]})
                await client.create(ENDPOINT_SLICE, slices)
                await client.create(INGRESS, ingress())
                async with background(running), aiohttp.ClientSession(url, headers={"host": "app.test"}) as session:

                    async def serves():
                        async with session.get("/") as answer:
                            return answer.status == 200

                    await until(serves)
                    upstream.requests.clear()
                    await check(client, session, upstream)
        finally:
            await runner.cleanup()

    asyncio.run(main())


def test_requests_arrive_as_they_were_sent_with_who_sent_them():
    async def check(client, session, upstream):
        async with session.get(
            "/a%2Fb/c?x=1&y=%20", headers={"X-Mine": "1", "Connection": "x-hop", "x-hop": "no"}
        ) as answer:
            seen = await answer.json()
        assert seen["path"] == "/a%2Fb/c?x=1&y=%20"
        headers = {name.lower(): value for name, value in seen["headers"].items()}
        assert headers["host"] == "app.test"
        assert headers["x-mine"] == "1"
        assert "x-hop" not in headers
        assert headers["x-forwarded-for"] == "127.0.0.1"
        assert headers["x-forwarded-proto"] == "http"
        assert headers["x-forwarded-host"] == "app.test"
        async with session.get("/", headers={"X-Forwarded-For": "192.0.2.9"}) as answer:
            assert (await answer.json())["headers"]["X-Forwarded-For"] == "192.0.2.9, 127.0.0.1"
        async with session.get("/redirect", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["location"]) == (302, "/elsewhere")
            assert answer.cookies["a"].value == "1"
        session.cookie_jar.clear()
        async with session.get("/") as answer:
            seen = await answer.json()
            assert "Cookie" not in seen["headers"], "one visitor's cookies are not another's"
        async with session.head("/") as answer:
            assert answer.status == 200

    with_ingress(check)


def test_bodies_stream_in_both_directions():
    async def check(client, session, upstream):
        async with session.get("/stream") as answer:
            assert answer.headers["content-type"] == "text/event-stream"
            # The first event is here although the second is not even made.
            assert await answer.content.readuntil(b"\n\n") == b"data: first\n\n"
            upstream.release.set()
            assert await answer.content.read() == b"data: second\n\n"

        async def body():
            for _ in range(50):
                yield b"z" * 100_000

        async with session.post("/upload", data=body()) as answer:
            assert (await answer.json()) == {"bytes": 5_000_000, "te": "chunked"}
        async with session.post("/upload", data=b"q" * 3_000_000) as answer:
            assert (await answer.json()) == {"bytes": 3_000_000, "te": ""}

    with_ingress(check)


def test_encoded_bodies_are_not_touched_and_large_ones_may_ask_first():
    async def check(client, session, upstream):
        packed = gzip.compress(b"hello" * 1000)
        async with session.post("/raw", data=packed, headers={"content-encoding": "gzip"}) as answer:
            assert answer.headers["x-encoding"] == "gzip"
            assert await answer.read() == packed
        async with asyncio.timeout(5), session.post("/upload", data=b"q" * 10_000, expect100=True) as answer:
            assert (await answer.json())["bytes"] == 10_000
        async with session.get("/", headers={"cookie": "token=" + "x" * 30_000}) as answer:
            assert answer.status == 200

    with_ingress(check)


def test_a_client_that_leaves_ends_the_request():
    async def check(client, session, upstream):
        answer = await session.get("/endless")
        await answer.content.readany()
        answer.close()
        async with asyncio.timeout(5):
            await upstream.gone.wait()

    with_ingress(check)


def test_websockets():
    async def check(client, session, upstream):
        async with session.ws_connect("/ws", protocols=("other", "chat")) as ws:
            assert ws.protocol == "chat"
            await ws.send_str("hi")
            assert await ws.receive_str() == "echo hi"
            await ws.send_bytes(b"ab" * 1_000_000)
            assert len(await ws.receive_bytes()) == 4_000_000
            await ws.send_str("bye")
            message = await ws.receive()
            assert (message.type, ws.close_code) == (aiohttp.WSMsgType.CLOSE, 4001)
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect("/not-a-websocket")

    with_ingress(check)


def test_what_cannot_be_routed_says_why():
    async def check(client, session, upstream):
        async def status_and_text(path="/", host="app.test"):
            async with session.get(path, headers={"host": host}) as answer:
                return answer.status, await answer.text()

        status, text = await status_and_text(host="other.test")
        assert status == 404
        assert "app.test/ (prefix) -> default/web:80" in text
        for name, target, port in (("ghost", "nobody", 80), ("odd", "web", 81)):
            await client.create(INGRESS, ingress(name, f"{name}.test", target=target, port=port))
        await client.create(SERVICE, service("idle"))
        await client.create(INGRESS, ingress("idle", "idle.test", target="idle"))

        async def routed():
            return (await status_and_text(host="idle.test"))[0] == 503

        await until(routed)
        assert "which does not exist" in (await status_and_text(host="ghost.test"))[1]
        assert "has no port 81" in (await status_and_text(host="odd.test"))[1]
        assert "no pod of Service default/idle is there" in (await status_and_text(host="idle.test"))[1]
        assert (await status_and_text("/die"))[0] == 502
        await client.patch(ENDPOINT_SLICE, Key("default", "web-1"), {"endpoints": [endpoint("127.0.0.9")]})

        async def refused():
            return (await status_and_text())[0] == 503

        await until(refused)
        assert "accepts connections" in (await status_and_text())[1]

    with_ingress(check)


def test_ingresses_say_where_they_are_served_and_foreign_classes_are_left_alone():
    async def check(client, session, upstream):
        await client.create(INGRESS, ingress("foreign", "foreign.test", ingressClassName="nginx"))
        await client.create(INGRESS, ingress("ours", "ours.test", ingressClassName="argosy"))

        async def address(name):
            status = (await client.get(INGRESS, name, "default")).get("status") or {}
            return (status.get("loadBalancer", {}).get("ingress") or [{}])[0].get("ip")

        async def both():
            return await address("web") == await address("ours") == "127.0.0.1"

        await until(both)
        assert await address("foreign") is None
        async with session.get("/", headers={"host": "foreign.test"}) as answer:
            assert answer.status == 404

    with_ingress(check)


def test_the_class_that_is_served_has_an_object_and_is_nobodys_default():
    async def check(client, session, upstream):
        async def made():
            return [each["metadata"]["name"] for each in (await client.list(INGRESS_CLASS)).items] == ["argosy"]

        await until(made)
        found = await client.get(INGRESS_CLASS, "argosy")
        assert found["spec"] == {"controller": "argosy.dev/ingress"}
        assert "annotations" not in found["metadata"]
        await client.create(INGRESS, ingress("plain", "plain.test"))
        assert "ingressClassName" not in (await client.get(INGRESS, "plain", "default"))["spec"]

    with_ingress(check)


def test_a_class_that_is_there_already_is_the_users_own():
    async def main():
        async with cluster() as (client, _):
            mine = {"metadata": {"name": "argosy"}, "spec": {"controller": "example.org/mine"}}
            await client.create(INGRESS_CLASS, mine)
            await ensure_classes(client, frozenset({"argosy", "second"}))
            found = {each["metadata"]["name"]: each["spec"] for each in (await client.list(INGRESS_CLASS)).items}
            assert found == {
                "argosy": {"controller": "example.org/mine"},
                "second": {"controller": "argosy.dev/ingress"},
            }

    asyncio.run(main())


def test_annotations_and_classes_that_ordinary_manifests_carry():
    async def check(client, session, upstream):
        made = ingress("annotated", host="nginx.test", path="/app(/|$)(.*)", ingressClassName="nginx")
        made["spec"]["rules"][0]["http"]["paths"][0]["pathType"] = "ImplementationSpecific"
        nginx = "nginx.ingress.kubernetes.io/"
        made["metadata"]["annotations"] = {f"{nginx}rewrite-target": "/$2", f"{nginx}proxy-body-size": "1k"}
        await client.create(INGRESS, made)
        controlled = {"metadata": {"name": "nginx"}, "spec": {"controller": "argosy.dev/ingress"}}
        await client.create(INGRESS_CLASS, controlled)
        headers = {"host": "nginx.test"}

        async def serves():
            async with session.get("/app/x/y?q=1", headers=headers) as answer:
                return answer.status == 200 and (await answer.json())["path"] == "/x/y?q=1"

        await until(serves)
        async with session.post("/app/upload", data=b"q" * 1024, headers=headers) as answer:
            assert (await answer.json())["bytes"] == 1024
        async with session.post("/app/upload", data=b"q" * 1025, headers=headers) as answer:
            assert answer.status == 413
            assert "proxy-body-size" in await answer.text()

        async def pieces():
            for _ in range(10):
                yield b"q" * 500

        async with session.post("/app/upload", data=pieces(), headers=headers) as answer:
            assert answer.status == 413

    with_ingress(check)
