"""The burst generator against a small server of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from argosy.meta.json import Obj
from argosy.programs.demo.load import Burst, Outcome, quantiles, run

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def burst(handler: Handler, *models: str, until: int) -> Obj:
    """Serve with `handler` and load it, until it was asked `until` times."""

    async def scenario() -> Obj:
        asked = 0
        enough = asyncio.Event()

        async def counting(request: web.Request) -> web.StreamResponse:
            nonlocal asked
            asked += 1
            if asked >= until:
                enough.set()
            return await handler(request)

        app = web.Application()
        app.router.add_post("/v1/chat/completions", counting)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        outcome = Outcome()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        task = asyncio.create_task(run(Burst(url, models, concurrency=3, seconds=60.0), outcome))
        await asyncio.wait_for(enough.wait(), 20)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await runner.cleanup()
        return outcome.summary()

    return asyncio.run(scenario())


def test_answers_are_measured() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        assert body["stream"] is True
        assert body["model"] in ("a", "b")
        text = (
            'data: {"choices":[{"delta":{"content":"hi"}}]}\n\ndata: {"choices":[],"usage":{"completion_tokens":7}}\n\n'
        )
        return web.Response(text=text + "data: [DONE]\n\n", content_type="text/event-stream")

    said = burst(answer, "a", "b", until=30)
    assert said["failed"] == 0
    assert said["requests"] >= 27
    assert said["tokens_per_second"] > 0
    assert said["latency_seconds"]["p50"] <= said["latency_seconds"]["max"]
    assert said["first_token_seconds"]["p99"] > 0


def test_errors_are_counted_with_their_sentence() -> None:
    async def refuse(_: web.Request) -> web.StreamResponse:
        return web.json_response({"error": {"message": "no such model"}}, status=404)

    said = burst(refuse, "a", until=4)
    assert said["requests"] == 0
    assert said["failed"] >= 1
    assert set(said["errors"]) == {"HTTP 404: no such model"}


def test_quantiles() -> None:
    assert quantiles([]) == {}
    assert quantiles([float(number) for number in range(100)]) == {"p50": 50.0, "p95": 95.0, "p99": 99.0, "max": 99.0}
