"""The processes that the gateway is measured between: `python -m benchmarks.servers model|plain|gateway [UPSTREAM]`.

`model` answers every chat completion with the same 300 bytes, `plain` is the shortest proxy that one can write with
aiohttp, `gateway` is ours with a table of one model. Each prints its port and serves until it is ended.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable

import aiohttp
from aiohttp import web

from argosy.meta.json import encode
from argosy.meta.objects import Key
from argosy.programs.gateway.routes import Backend, Route, Table
from argosy.programs.gateway.server import serving
from argosy.programs.gateway.settings import GatewaySettings

MODEL = "bench"
_ANSWER = encode(
    {
        "id": "chatcmpl-0", "object": "chat.completion", "created": 0, "model": MODEL,
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "word " * 20}}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30},
    }
)  # fmt: skip


async def _model() -> None:
    async def answer(request: web.BaseRequest) -> web.Response:
        await request.read()
        return web.Response(body=_ANSWER, content_type="application/json")

    await _serve(answer)


async def _plain(upstream: int) -> None:
    async with aiohttp.ClientSession(auto_decompress=False) as session:

        async def forward(request: web.BaseRequest) -> web.StreamResponse:
            body = await request.read()
            async with session.post(f"http://127.0.0.1:{upstream}{request.path}", data=body) as answer:
                response = web.StreamResponse(status=answer.status, headers={"content-type": answer.content_type})
                await response.prepare(request)
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
                await response.write_eof()
                return response

        await _serve(forward)


async def _gateway(upstream: int) -> None:
    service = Key("default", MODEL)
    route = Route(MODEL, service, MODEL)
    table = Table({MODEL: route}, (route,), {service: Backend(ready=frozenset({("127.0.0.1", upstream)}))})
    async with serving(GatewaySettings(port=0)) as (gateway, port):
        gateway.update(table)
        print(port, flush=True)
        await asyncio.Event().wait()


async def _serve(handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> None:
    runner = web.ServerRunner(web.Server(handler, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Be one of the three."""
    role, upstream = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0
    if role == "model":
        asyncio.run(_model())
    elif role == "plain":
        asyncio.run(_plain(upstream))
    else:
        asyncio.run(_gateway(upstream))


if __name__ == "__main__":
    main()
