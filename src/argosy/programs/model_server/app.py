"""The server's HTTP side: which path does what, streams, and what a client is told when something is wrong."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing

from aiohttp import web

from argosy.meta.json import Obj, encode
from argosy.programs.model_server import openai
from argosy.programs.model_server.engine import Engine, Generation, Piece
from argosy.programs.model_server.metrics import Metrics
from argosy.programs.model_server.openai import Answer, Asked, ChatAsked, Refusal
from argosy.programs.model_server.settings import Settings

_BODY_BYTES_MAX = 16 * 1024 * 1024
_LONG_CHARACTERS = 20_000
"""Text whose tokens are counted beside the event loop, so that others' tokens go on flowing."""
_PREFIXES = ("/v1", "/openai/v1")
_SSE = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """Routes around one engine."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self._settings, self._engine = settings, engine
        self._names = (settings.name, *settings.adapters)
        self._created = int(time.time())
        self.metrics = Metrics()
        self.draining = False

    def application(self) -> web.Application:
        """The aiohttp application."""
        app = web.Application(client_max_size=_BODY_BYTES_MAX, middlewares=[_errors])
        for prefix in _PREFIXES:
            app.router.add_post(f"{prefix}/chat/completions", self._chat)
            app.router.add_post(f"{prefix}/completions", self._complete)
            app.router.add_get(f"{prefix}/models", self._list)
            app.router.add_get(f"{prefix}/models/{{name:.+}}", self._one)
        app.router.add_get("/v2/health/live", self._live)
        for path in ("/v2/health/ready", "/health", "/ready"):
            app.router.add_get(path, self._ready)
        app.router.add_get("/metrics", self._metrics)
        return app

    async def _live(self, _: web.Request) -> web.Response:
        return web.json_response({"live": True})

    async def _ready(self, _: web.Request) -> web.Response:
        state = "draining" if self.draining else "ready" if self._engine.ready.is_set() else "loading"
        body = {"ready": state == "ready", "status": state, "model": self._settings.name}
        return web.json_response(body, status=200 if state == "ready" else 503)

    async def _metrics(self, _: web.Request) -> web.Response:
        engine = self._engine
        text = self.metrics.text(running=engine.running, waiting=engine.waiting, ready=engine.ready.is_set())
        return web.Response(text=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    async def _list(self, _: web.Request) -> web.Response:
        settings = self._settings
        found = openai.models(settings.name, list(settings.adapters), self._created, self._engine.context)
        return web.json_response(body=encode(found), content_type="application/json")

    async def _one(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        self._known(name)
        found = openai.model(name, self._settings.name, self._created, self._engine.context)
        return web.json_response(body=encode(found), content_type="application/json")

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        asked = openai.read_chat(await request.read())
        self._known(asked.model)
        messages = openai.conversation(asked.messages)
        if sum(len(message["content"]) for message in messages) > _LONG_CHARACTERS:
            prompt = await asyncio.to_thread(self._engine.encode_chat, messages)
        else:
            prompt = self._engine.encode_chat(messages)
        return await self._answer(request, asked, [prompt])

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        asked = openai.read_completion(await request.read())
        self._known(asked.model)
        given = openai.prompts(asked.prompt)
        if sum(len(part) for part in given) > _LONG_CHARACTERS:
            tokens = await asyncio.to_thread(self._encoded, given)
        else:
            tokens = self._encoded(given)
        return await self._answer(request, asked, tokens)

    def _encoded(self, given: Sequence[str | list[int]]) -> list[list[int]]:
        return [self._engine.encode(part) if isinstance(part, str) else part for part in given]

    def _known(self, model: str) -> None:
        if model not in self._names:
            raise openai.unknown_model(model, self._names)

    async def _answer(self, request: web.Request, asked: Asked, prompts: Sequence[Sequence[int]]) -> web.StreamResponse:
        """Generate for every prompt, and count."""
        model, began, code = asked.model, time.monotonic(), 499
        adapter = model if model in self._settings.adapters else ""
        chat = isinstance(asked, ChatAsked)
        how, field = openai.params(asked), "messages" if chat else "prompt"
        sequences = [self._engine.sequence(prompt, how, adapter, field) for prompt in prompts]
        answer = Answer(
            id=f"{'chatcmpl' if chat else 'cmpl'}-{uuid.uuid4().hex}",
            created=int(time.time()),
            model=model,
            chat=chat,
            with_usage=bool(asked.stream_options and asked.stream_options.include_usage),
        )
        self.metrics.in_flight[model] += 1
        try:
            pieces = self._counted(model, sequences, began)
            response = await (self._stream(request, answer, pieces) if asked.stream else self._whole(answer, pieces))
            code = response.status
            return response
        except Refusal as refusal:
            code = refusal.status
            raise
        finally:
            self.metrics.in_flight[model] -= 1
            self.metrics.cancelled[model] += code == 499
            self.metrics.ended(model, code, time.monotonic() - began)

    async def _counted(
        self, model: str, sequences: Sequence[Generation], began: float
    ) -> AsyncGenerator[tuple[int, Piece, Obj], None]:
        """(choice, piece, usage so far) of all sequences, as they come."""
        spent = [0] * len(sequences)
        read = sum(len(sequence.prompt) for sequence in sequences)
        self.metrics.prompt_tokens[model] += read
        async with aclosing(_merged([self._engine.generate(sequence) for sequence in sequences])) as merged:
            async for index, piece in merged:
                if not any(spent):
                    self.metrics.first_token(model, time.monotonic() - began)
                self.metrics.generated_tokens[model] += piece.tokens - spent[index]
                spent[index] = piece.tokens
                yield index, piece, openai.usage(read, sum(spent))

    async def _whole(self, answer: Answer, pieces: AsyncGenerator[tuple[int, Piece, Obj], None]) -> web.Response:
        texts: dict[int, str] = {}
        finishes: dict[int, str] = {}
        spent: Obj = {}
        async with aclosing(pieces):
            async for index, piece, so_far in pieces:
                spent = so_far
                texts[index] = texts.get(index, "") + piece.text
                finishes[index] = piece.finish
        body = answer.whole([(texts[index], finishes[index]) for index in sorted(texts)], spent)
        return web.json_response(body=encode(body), content_type="application/json")

    async def _stream(
        self, request: web.Request, answer: Answer, pieces: AsyncGenerator[tuple[int, Piece, Obj], None]
    ) -> web.StreamResponse:
        response: web.StreamResponse | None = None
        spent: Obj = {}
        async with aclosing(pieces):
            try:
                async for index, piece, so_far in pieces:
                    spent = so_far
                    events = answer.piece(index, piece.text) if piece.text else b""
                    if piece.finish:
                        events += answer.closing(index, piece.finish)
                    if response is None:
                        response = web.StreamResponse(headers=_SSE)
                        await response.prepare(request)
                        events = (answer.opening() if answer.chat else b"") + events
                    if events:
                        await response.write(events)
            except Refusal as refusal:
                if response is None:
                    raise
                await response.write(openai.event(refusal.body))
        assert response is not None, "every sequence has at least one piece"
        await response.write((answer.spent(spent) if answer.with_usage else b"") + openai.DONE)
        await response.write_eof()
        return response


async def _merged(sources: Sequence[AsyncGenerator[Piece, None]]) -> AsyncGenerator[tuple[int, Piece], None]:
    """Several sequences as one."""
    if len(sources) == 1:
        async with aclosing(sources[0]):
            async for piece in sources[0]:
                yield 0, piece
        return
    queue: asyncio.Queue[tuple[int, Piece | Refusal | None]] = asyncio.Queue()
    tasks = [asyncio.create_task(_pump(index, source, queue)) for index, source in enumerate(sources)]
    left = len(tasks)
    try:
        while left:
            index, news = await queue.get()
            if isinstance(news, Refusal):
                raise news
            if news is None:
                left -= 1
            else:
                yield index, news
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pump(
    index: int, source: AsyncGenerator[Piece, None], queue: asyncio.Queue[tuple[int, Piece | Refusal | None]]
) -> None:
    try:
        async with aclosing(source):
            async for piece in source:
                queue.put_nowait((index, piece))
        queue.put_nowait((index, None))
    except Refusal as refusal:
        queue.put_nowait((index, refusal))


@web.middleware
async def _errors(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Everything that goes wrong before an answer begins has OpenAI's shape."""
    try:
        return await handler(request)
    except Refusal as refusal:
        headers = {"Retry-After": "1"} if refusal.status == 503 else None
        return _refused(refusal, headers)
    except web.HTTPNotFound:
        return _refused(Refusal(404, f"There is nothing at {request.path}; try /v1/models or /v1/chat/completions."))
    except web.HTTPMethodNotAllowed as error:
        return _refused(Refusal(405, f"{request.path} takes {', '.join(sorted(error.allowed_methods))}."))
    except web.HTTPRequestEntityTooLarge:
        return _refused(Refusal(413, f"The body is larger than {_BODY_BYTES_MAX} bytes."))


def _refused(refusal: Refusal, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response(
        body=encode(refusal.body), status=refusal.status, headers=headers, content_type="application/json"
    )
