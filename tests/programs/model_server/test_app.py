"""The whole server over HTTP, with a batch that needs no torch: it says the prompt backwards, letter by letter."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from argosy.meta.json import Obj, decode
from argosy.programs.model_server.app import Server
from argosy.programs.model_server.engine import Engine, Loader
from argosy.programs.model_server.loading import Loaded, LoadError
from argosy.programs.model_server.rows import Row
from argosy.programs.model_server.settings import Settings

END = 0
SETTINGS = Settings(name="base", source="-", is_directory=False, adapters={"shout": "-"}, batch_max=4, queue_max=8)


class Letters:
    """A tokenizer whose tokens are code points."""

    chat_template = ""

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        return [ord(letter) for letter in text]

    def decode(self, tokens: Sequence[int], *, skip_special_tokens: bool) -> str:
        return "".join(chr(token) for token in tokens if token != END)


class Backwards:
    """Rows that say their prompts backwards, then end. Waits at the gate before every token."""

    def __init__(self, gate: threading.Event) -> None:
        self.rows: list[Row] = []
        self.widest = 0
        self._gate = gate

    def admit(self, new: Sequence[Row]) -> None:
        for row in new:
            if "!" in map(chr, row.prompt):
                raise RuntimeError("the batch is broken")
            self._speak(row)
        self.rows.extend(new)
        self.widest = max(self.widest, len(self.rows))

    def step(self) -> None:
        assert self._gate.wait(20), "nobody opened the gate"
        for row in self.rows:
            self._speak(row)

    def keep(self, kept: Sequence[int]) -> None:
        self.rows = [self.rows[number] for number in kept]

    def _speak(self, row: Row) -> None:
        said = sum(row.said.values())
        letter = row.prompt[-1 - said] if said < len(row.prompt) else END
        row.last = ord(chr(letter).upper()) if row.adapter else letter
        row.said[row.last] += 1


class Bench:
    """A running server and what the tests turn."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.loading = threading.Event()
        self.loading.set()
        self.batch = Backwards(self.gate)
        self.session: Any = None
        self.server: Any = None
        self.engine: Any = None

    def load(self, _: Settings) -> tuple[Loaded, Callable[[], Backwards]]:
        assert self.loading.wait(20), "nobody let it load"
        loaded = Loaded(None, Letters(), context=40, ends=frozenset({END}), adapters=("shout",), device=None)
        return loaded, lambda: self.batch

    async def post(self, path: str, **body: Any) -> tuple[int, Obj]:
        async with self.session.post(path, json=body) as response:
            return response.status, decode(await response.read())

    async def complete(self, prompt: Any, **fields: Any) -> tuple[int, Obj]:
        return await self.post("/v1/completions", **({"model": "base", "prompt": prompt, "max_tokens": 30} | fields))


@asynccontextmanager
async def bench(loader: Loader | None = None, *, loaded: bool = True) -> AsyncGenerator[Bench]:
    made = Bench()
    if not loaded:
        made.loading.clear()
    made.engine = Engine(SETTINGS, loader or made.load)
    made.server = Server(SETTINGS, made.engine)
    runner = web.AppRunner(made.server.application(), handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.engine.start()
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}") as made.session:
            if loaded and loader is None:
                await asyncio.wait_for(made.engine.ready.wait(), 20)
            yield made
    finally:
        made.loading.set()
        made.gate.set()
        await runner.cleanup()
        await made.engine.close()


def scenario(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def run() -> None:
        asyncio.run(test())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  (what the worker thread does has no event)
            await asyncio.sleep(0.005)


@scenario
async def test_a_completion() -> None:
    async with bench() as b:
        status, body = await b.complete("abc")
        assert status == 200
        assert body["choices"][0] == {"index": 0, "text": "cba", "logprobs": None, "finish_reason": "stop"}
        assert body["usage"] == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
        status, body = await b.complete("abcdef", max_tokens=2)
        assert (body["choices"][0]["text"], body["choices"][0]["finish_reason"]) == ("fe", "length")
        status, body = await b.complete("abcdef", stop=["dc"])
        assert (body["choices"][0]["text"], body["choices"][0]["finish_reason"]) == ("fe", "stop")


@scenario
async def test_a_chat_with_an_adapter_under_kserves_path() -> None:
    async with bench() as b:
        messages = [{"role": "user", "content": "hi"}]
        status, body = await b.post("/openai/v1/chat/completions", model="shout", messages=messages)
        assert status == 200
        assert body["choices"][0]["message"]["content"] == ":TNATSISSA\nIH :RESU"
        assert body["model"] == "shout"


@scenario
async def test_a_stream() -> None:
    async with bench() as b:
        asked = {"model": "base", "prompt": "abc", "stream": True, "stream_options": {"include_usage": True}}
        async with b.session.post("/v1/completions", json=asked) as response:
            assert response.headers["Content-Type"].startswith("text/event-stream")
            events = (await response.text()).strip().split("\n\n")
        assert events[-1] == "data: [DONE]"
        parsed = [decode(event[6:]) for event in events[:-1]]
        assert "".join(event["choices"][0]["text"] for event in parsed[:-1]) == "cba"
        assert parsed[-2]["choices"][0]["finish_reason"] == "stop"
        assert parsed[-1]["choices"] == []
        assert parsed[-1]["usage"]["completion_tokens"] == 4


@scenario
async def test_several_prompts_are_several_choices() -> None:
    async with bench() as b:
        _, body = await b.complete(["ab", "xyz"])
        assert [(choice["index"], choice["text"]) for choice in body["choices"]] == [(0, "ba"), (1, "zyx")]
        assert body["usage"]["prompt_tokens"] == 5


@scenario
async def test_many_at_once_share_the_batch() -> None:
    async with bench() as b:
        b.gate.clear()
        asked = [asyncio.create_task(b.complete(f"{number}abc")) for number in range(8)]
        await eventually(lambda: len(b.batch.rows) + b.engine.waiting == 8)
        b.gate.set()
        answers = [(await task)[1]["choices"][0]["text"] for task in asked]
        assert answers == [f"cba{number}" for number in range(8)]
        assert b.batch.widest == 4


@scenario
async def test_a_full_queue_answers_503() -> None:
    async with bench() as b:
        b.gate.clear()
        asked = [asyncio.create_task(b.complete("abcd"))]
        await eventually(lambda: b.engine.running == 1)
        asked += [asyncio.create_task(b.complete("abcd")) for _ in range(8)]
        await eventually(lambda: b.engine.waiting == 8)
        status, body = await b.complete("one too many")
        assert (status, body["error"]["code"]) == (503, "overloaded")
        b.gate.set()
        assert [(await task)[0] for task in asked] == [200] * 9


@scenario
async def test_a_client_that_goes_away_frees_its_place() -> None:
    async with bench() as b:
        b.gate.clear()
        task = asyncio.create_task(b.complete("abcdefgh"))
        await eventually(lambda: b.engine.running == 1)
        task.cancel()
        await eventually(lambda: b.server.metrics.cancelled["base"] == 1)
        b.gate.set()
        await eventually(lambda: b.engine.running == 0)
        assert b.server.metrics.in_flight["base"] == 0


@scenario
async def test_what_is_wrong_is_said() -> None:
    async with bench() as b:
        cases = [
            (await b.complete("x", model="nope"), 404, "model_not_found", "base, shout"),
            (await b.complete("x" * 40), 400, "context_length_exceeded", "share 40"),
            (await b.complete(""), 400, None, "prompt: the prompt is empty"),
            (await b.complete("x", max_tokens=0), 400, None, "max_tokens"),
            (await b.post("/v1/nothing"), 404, None, "There is nothing at /v1/nothing"),
            (await b.post("/v1/models"), 405, None, "takes GET"),
        ]
        for (status, body), wanted, code, said in cases:
            assert (status, body["error"]["code"]) == (wanted, code), said
            assert said in body["error"]["message"]


@scenario
async def test_a_broken_batch_is_begun_anew() -> None:
    async with bench() as b:
        status, body = await b.complete("now!")
        assert (status, body["error"]["code"]) == (500, "generation_failed")
        b.batch.rows = []
        assert (await b.complete("abc"))[0] == 200


@scenario
async def test_while_it_loads_it_says_so() -> None:
    async with bench(loaded=False) as b:
        for path, status in (("/v2/health/live", 200), ("/v2/health/ready", 503), ("/health", 503)):
            async with b.session.get(path) as response:
                assert response.status == status
                if status == 503:
                    assert (await response.json())["status"] == "loading"
        status, body = await b.complete("abc")
        assert (status, body["error"]["code"]) == (503, "model_loading")
        assert (await b.complete("abc", model="nope"))[0] == 404
        async with b.session.get("/v1/models") as response:
            assert [model["id"] for model in (await response.json())["data"]] == ["base", "shout"]
        b.loading.set()
        await asyncio.wait_for(b.engine.ready.wait(), 20)
        async with b.session.get("/v2/health/ready") as response:
            assert (response.status, (await response.json())["status"]) == (200, "ready")
        b.server.draining = True
        async with b.session.get("/health") as response:
            assert (response.status, (await response.json())["status"]) == (503, "draining")


@pytest.mark.parametrize(
    ("error", "said"), [(LoadError("it is no model"), "it is no model"), (MemoryError("all of it"), "MemoryError")]
)
def test_a_model_that_does_not_load(error: Exception, said: str) -> None:
    def fail(_: Settings) -> Any:
        raise error

    async def run() -> None:
        async with bench(fail) as b:
            assert said in await asyncio.wait_for(b.engine.failure, 20)

    asyncio.run(run())


@scenario
async def test_metrics() -> None:
    async with bench() as b:
        await b.complete("abc")
        await b.complete("x", model="shout")
        async with b.session.get("/metrics") as response:
            text = await response.text()
        for line in (
            'argosy_model_server_requests_total{model="base",code="200"} 1',
            'argosy_model_server_requests_in_flight{model="base"} 0',
            'argosy_model_server_prompt_tokens_total{model="base"} 3',
            'argosy_model_server_generated_tokens_total{model="base"} 4',
            'argosy_model_server_time_to_first_token_seconds_count{model="shout"} 1',
        ):
            assert line in text
