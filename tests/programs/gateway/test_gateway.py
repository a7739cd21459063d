"""The gateway before model servers that answer, stream, die and sleep."""

from __future__ import annotations

import asyncio
import json

import aiohttp
from aiohttp import web
from gateway_fakes import FakeServer, answer, bench, table, until

from argosy.programs.gateway.routes import Table


def run(test) -> None:
    asyncio.run(asyncio.wait_for(test(), 25))


def test_requests_are_routed_and_answers_come_back_whole():
    async def test() -> None:
        async with bench(answer) as b:
            status, body = await b.ask(temperature=0.5)
            assert (status, body["model"]) == (200, "llm")
            assert b.servers[0].requests[0] == {"model": "llm", "temperature": 0.5}
            assert (await b.ask(model="poet"))[1]["model"] == "poet"
            assert (await b.ask(model="alias"))[1]["model"] == "llm", "the server knows it under its own name"
            await b.ask("/openai/v1/embeddings")
            assert b.servers[0].paths[-1] == "/v1/embeddings"
            async with b.session.post(
                f"{b.url}/v1/completions", json={"model": "llm"}, headers={"x-trace": "t", "Authorization": "Bearer k"}
            ) as response:
                assert response.headers["x-request-id"] == "r1"
            assert b.servers[0].headers[-1]["x-trace"] == "t"
            assert "Authorization" not in b.servers[0].headers[-1]
            assert await b.metric("argosy_gateway_requests_total") == 5
            assert await b.metric("argosy_gateway_requests_in_flight") == 0

    run(test)


def test_models_health_and_clear_refusals():
    async def test() -> None:
        async with bench(answer) as b:
            async with b.session.get(f"{b.url}/v1/models") as response:
                listed = await response.json()
            assert [(m["id"], m["parent"]) for m in listed["data"]] == [("llm", None), ("poet", "llm")]
            async with b.session.get(f"{b.url}/v1/models/poet") as response:
                assert (await response.json())["parent"] == "llm"
            for path, status in (("/health", 200), ("/ready", 200), ("/v1/models/x", 404), ("/nope", 404)):
                async with b.session.get(b.url + path) as response:
                    assert response.status == status, path
            async with b.session.get(f"{b.url}/v1/chat/completions") as response:
                assert response.status == 405
            status, body = await b.ask(model="gpt-9")
            assert status == 404
            assert body["error"]["code"] == "model_not_found"
            assert "llm, poet" in body["error"]["message"]
            async with b.session.post(f"{b.url}/v1/completions", data=b"{") as response:
                assert response.status == 400
            assert b.servers[0].requests == []

    run(test)


def test_a_stream_is_flushed_chunk_by_chunk():
    gates = [asyncio.Event() for _ in range(3)]

    async def slowly(server: FakeServer, request: web.BaseRequest, body: dict) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for number, gate in enumerate(gates):
            await response.write(f"data: {number}\n\n".encode())
            await gate.wait()
        return response

    async def test() -> None:
        async with (
            bench(slowly) as b,
            b.session.post(f"{b.url}/v1/chat/completions", json={"model": "llm", "stream": True}) as response,
        ):
            assert response.content_type == "text/event-stream"
            for number, gate in enumerate(gates):
                assert await response.content.readany() == f"data: {number}\n\n".encode()
                gate.set()
            assert await response.content.read() == b""
            assert await b.metric("argosy_gateway_first_byte_seconds_count") == 1

    run(test)


def test_the_least_busy_replica_is_asked():
    release = asyncio.Event()

    async def hold(server: FakeServer, request: web.BaseRequest, body: dict) -> web.StreamResponse:
        await release.wait()
        return await answer(server, request, body)

    async def test() -> None:
        async with bench(hold, hold, hold) as b:
            asked = [asyncio.create_task(b.ask()) for _ in range(9)]
            await until(lambda: sum(server.active for server in b.servers) == 9)
            assert [server.active for server in b.servers] == [3, 3, 3]
            assert await b.metric("argosy_gateway_requests_in_flight") == 9
            release.set()
            assert {status for status, _ in await asyncio.gather(*asked)} == {200}

    run(test)


def dies(after: bytes) -> object:
    """A server that dies after it sent so much of an answer."""

    async def behave(server: FakeServer, request: web.BaseRequest, body: dict) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.write(after)  # type: ignore[attr-defined]
        await asyncio.sleep(0.01)
        server.die()
        await asyncio.Event().wait()
        raise AssertionError

    return behave


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNK = b"8\r\ndata: 0\n\r\n"


def test_a_replica_that_dies_before_the_first_byte_costs_nothing():
    async def test() -> None:
        for before in (b"", HEAD, b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"):
            async with bench(dies(before), answer) as b:
                dying, sound = b.servers
                b.gateway.update(table(dying.port))
                asked = asyncio.create_task(b.ask())
                await until(lambda dying=dying: bool(dying.requests))
                b.gateway.update(table(dying.port, sound.port))
                status, body = await asked
                assert (status, body["port"]) == (200, b.servers[1].port), before
                assert len(b.servers[0].requests) == len(b.servers[1].requests) == 1
                assert await b.metric("argosy_gateway_retries_total") == 1
                assert (await b.ask())[0] == 200

    run(test)


def test_a_stream_whose_replica_dies_says_so():
    async def test() -> None:
        async with (
            bench(dies(HEAD + CHUNK)) as b,
            b.session.post(f"{b.url}/v1/chat/completions", json={"model": "llm", "stream": True}) as response,
        ):
            text = await response.text()
            assert response.status == 200
            assert text.startswith("data: 0\n")
            assert json.loads(text.rpartition("data: ")[2])["error"]["code"] == "replica_lost"

    run(test)


def test_a_request_that_kills_replicas_is_not_sent_to_all_of_them():
    async def test() -> None:
        async with bench(*[dies(b"")] * 5) as b:
            status, body = await b.ask()
            assert status == 502
            assert "3 replicas ended" in body["error"]["message"]
            assert sum(len(server.requests) for server in b.servers) == 3

    run(test)


def test_requests_are_held_while_a_model_wakes():
    async def test() -> None:
        async with bench(answer) as b:
            port = b.servers[0].port
            b.gateway.update(table())
            asked = [asyncio.create_task(b.ask()) for _ in range(5)]
            await until(lambda: b.queued() == 5)
            b.gateway.update(table(port))
            assert [status for status, _ in await asyncio.gather(*asked)] == [200] * 5
            assert await b.metric("argosy_gateway_requests_queued") == 0

    run(test)


def test_holding_is_bounded_in_time_and_number():
    async def test() -> None:
        async with bench(queue_seconds=0.2, queue_length=2) as b:
            asked = [asyncio.create_task(b.ask()) for _ in range(2)]
            await until(lambda: b.queued() == 2)
            async with b.session.post(f"{b.url}/v1/completions", json={"model": "llm"}) as response:
                assert response.status == 503
                assert int(response.headers["Retry-After"]) >= 1
                assert (await response.json())["error"]["code"] == "queue_full"
            for status, body in await asyncio.gather(*asked):
                assert status == 503
                assert "kubectl describe inferenceservice llm -n default" in body["error"]["message"]

    run(test)


def test_a_model_that_is_deleted_tells_those_who_wait():
    async def test() -> None:
        async with bench() as b:
            asked = asyncio.create_task(b.ask())
            await until(lambda: b.queued() == 1)
            b.gateway.update(Table())
            assert (await asked)[0] == 404
            assert (await b.ask())[0] == 404

    run(test)


def test_container_concurrency_is_kept():
    async def slowly(server: FakeServer, request: web.BaseRequest, body: dict) -> web.StreamResponse:
        await asyncio.sleep(0.005)
        return await answer(server, request, body)

    async def test() -> None:
        async with bench(slowly, slowly, limit=2) as b:
            statuses = await asyncio.gather(*(b.ask() for _ in range(40)))
            assert {status for status, _ in statuses} == {200}
            assert [server.most_active for server in b.servers] == [2, 2]

    run(test)


def test_a_replica_that_vanishes_without_a_word_is_given_up():
    async def never(server: FakeServer, request: web.BaseRequest, body: dict) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async def test() -> None:
        async with bench(never, answer) as b:
            b.gateway.update(table(b.servers[0].port))
            asked = asyncio.create_task(b.ask())
            await until(lambda: b.servers[0].active == 1)
            b.gateway.update(table(b.servers[1].port, draining=(b.servers[0].port,)))
            done, _ = await asyncio.wait({asked}, timeout=0.8)
            assert not done, "one that drains may still answer"
            b.gateway.update(table(b.servers[1].port))
            assert (await asked)[1]["port"] == b.servers[1].port

    run(test)


def test_a_client_that_leaves_frees_its_replica():
    async def never(server: FakeServer, request: web.BaseRequest, body: dict) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async def test() -> None:
        async with bench(never) as b:
            asked = asyncio.create_task(b.ask())
            await until(lambda: b.servers[0].active == 1)
            asked.cancel()
            await until(lambda: not b.servers[0].active and not b.in_flight())
            assert b.servers[0].cancelled == 1
            assert (
                await b.metric(
                    'argosy_gateway_requests_total{namespace="default",service="llm",model="llm",code="499"}'
                )
                == 1
            )

    run(test)


def test_api_keys(tmp_path):
    async def test() -> None:
        (tmp_path / "alice").write_text("secret-a\n")
        async with bench(answer, api_keys_path=tmp_path, api_keys=("from-env",)) as b:
            for key, status in (("", 401), ("Bearer x", 401), ("Bearer secret-a", 200), ("bearer from-env", 200)):
                headers = {"Authorization": key} if key else {}
                async with b.session.get(f"{b.url}/v1/models", headers=headers) as response:
                    assert response.status == status, key
            assert (await b.ask())[0] == 401
            async with b.session.get(f"{b.url}/metrics") as response:
                assert response.status == 200

    run(test)


def test_large_bodies_pass_and_larger_ones_are_refused():
    async def test() -> None:
        async with bench(answer, body_bytes_max=3_000_000) as b:
            assert (await b.ask(prompt="x" * 2_500_000))[0] == 200
            assert len(b.servers[0].requests[0]["prompt"]) == 2_500_000
            assert (await b.ask(prompt="x" * 3_500_000))[0] == 413

    run(test)


def test_five_thousand_requests_survive_a_killed_replica():
    async def work(server: FakeServer, request: web.BaseRequest, body: dict) -> web.StreamResponse:
        await asyncio.sleep(0.002)
        if len(server.requests) >= 700 and server.port == victim[0] and not server.dead:
            server.die()
        return await answer(server, request, body)

    victim = [0]

    async def test() -> None:
        async with bench(work, work, work) as b:
            victim[0] = b.servers[1].port
            todo = iter(range(5000))
            failures: list[object] = []

            async def client() -> None:
                for number in todo:
                    body = {"model": "llm", "stream": number % 4 == 0}
                    try:
                        async with b.session.post(f"{b.url}/v1/chat/completions", json=body) as response:
                            text = await response.text()
                            if response.status != 200 or "error" in text:
                                failures.append(text)
                    except aiohttp.ClientError as error:
                        failures.append(error)

            await asyncio.gather(*(client() for _ in range(32)))
            assert failures == []
            assert b.servers[1].dead
            assert await b.metric("argosy_gateway_requests_total") == 5000
            assert await b.metric("argosy_gateway_retries_total") > 0

    run(test)
