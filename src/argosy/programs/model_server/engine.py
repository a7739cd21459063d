"""The thread that generates, and the asyncio side that asks it.

One worker thread owns the model: it takes waiting requests into the batch between two tokens (continuous batching), so
a short answer never waits for a long one, and eight requests cost little more than one. After each token it hands all
news to the event loop in a single call. torch is imported here, by that thread.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from argosy.programs.model_server.loading import Loaded, LoadError, load
from argosy.programs.model_server.openai import Params, Refusal
from argosy.programs.model_server.rows import Row, Rows
from argosy.programs.model_server.settings import Settings
from argosy.programs.model_server.text import TextStream

log = logging.getLogger(__name__)
_PREFILL_TOKENS_MAX = 4096
"""Prompts read in one pass; more wait for the next, so that those who are generating are not held up."""


@dataclass(frozen=True, slots=True)
class Piece:
    """News of one sequence. `finish` is `stop` or `length` on the last one."""

    text: str
    tokens: int
    """Generated so far."""
    finish: str = ""
    error: str = ""


@dataclass(slots=True, eq=False)
class Generation:
    """One prompt on its way to an answer."""

    prompt: Sequence[int]
    params: Params
    adapter: str
    room: int
    """The most tokens that may be generated."""
    news: asyncio.Queue[Piece] = field(default_factory=asyncio.Queue)
    cancelled: bool = False
    text: TextStream | None = None
    tokens: int = 0
    row: Row | None = None


News: TypeAlias = list[tuple[Generation, Piece]]
Loader: TypeAlias = Callable[[Settings], tuple[Loaded, Callable[[], Rows]]]
"""(settings) -> the model, and how to begin an empty batch of it. Raises LoadError."""


def load_with_torch(settings: Settings) -> tuple[Loaded, Callable[[], Rows]]:
    """The loader outside of tests."""
    loaded = load(settings)
    from argosy.programs.model_server.batch import Batch  # noqa: PLC0415  (imports torch)

    return loaded, lambda: Batch(loaded)


class Engine:
    """Start it inside a running event loop; all methods but the worker's are for that loop."""

    def __init__(self, settings: Settings, loader: Loader = load_with_torch) -> None:
        self._settings, self._loader = settings, loader
        self._loop = asyncio.get_running_loop()
        self._wake = threading.Condition()
        self._waiting: deque[Generation] = deque()
        self._closing = False
        self._loaded: Loaded | None = None
        self._active: list[Generation] = []
        self.failure: asyncio.Future[str] = self._loop.create_future()
        """Done with one sentence when the model cannot be loaded."""
        self.ready = asyncio.Event()
        self._thread = threading.Thread(target=self._work, name="generation", daemon=True)

    def start(self) -> None:
        """Begin to load."""
        self._thread.start()

    async def close(self) -> None:
        """End the thread after the token that it is at."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, 10)

    @property
    def running(self) -> int:
        """Sequences in the batch."""
        return len(self._active)

    @property
    def waiting(self) -> int:
        """Sequences before the batch."""
        return len(self._waiting)

    @property
    def context(self) -> int | None:
        """Tokens of prompt and answer together; None while loading."""
        return self._loaded.context if self._loaded else None

    def encode_chat(self, messages: Sequence[dict[str, str]]) -> list[int]:
        """The prompt of a conversation. Raises Refusal when the model's template does not take it."""
        return self.encode(render(self._model().tokenizer, messages), special=False)

    def encode(self, text: str, *, special: bool = True) -> list[int]:
        """The tokens of a text."""
        return list(self._model().tokenizer.encode(text, add_special_tokens=special))

    def sequence(self, prompt: Sequence[int], params: Params, adapter: str, field: str) -> Generation:
        """Check that a prompt fits, and that there is room to wait. Raises Refusal about the request's `field`."""
        context = self._model().context
        if not prompt:
            raise Refusal(400, f"{field}: the prompt is empty.", param=field)
        if len(prompt) >= context:
            raise Refusal(
                400,
                f"{field}: the prompt has {len(prompt)} tokens; with this model prompt and answer share {context}: shorten it.",
                param=field,
                code="context_length_exceeded",
            )
        if self.waiting >= self._settings.queue_max:
            raise Refusal(503, f"{self.waiting} requests are waiting already; try again soon.", code="overloaded")
        room = min(params.max_tokens or context, context - len(prompt))
        return Generation(prompt, params, adapter, room)

    async def generate(self, sequence: Generation) -> AsyncGenerator[Piece, None]:
        """Yield news until the last piece. Closing the generator takes the sequence out of the batch."""
        with self._wake:
            self._waiting.append(sequence)
            self._wake.notify()
        try:
            while True:
                piece = await sequence.news.get()
                while not piece.finish and not sequence.news.empty():
                    later = sequence.news.get_nowait()
                    piece = Piece(piece.text + later.text, later.tokens, later.finish, later.error)
                if piece.error:
                    raise Refusal(500, f"Generation failed: {piece.error}", code="generation_failed")
                yield piece
                if piece.finish:
                    return
        finally:
            sequence.cancelled = True

    def _model(self) -> Loaded:
        if self._loaded is None:
            raise Refusal(503, "The model is being loaded; try again in a few seconds.", code="model_loading")
        return self._loaded

    # What follows runs in the worker thread.

    def _work(self) -> None:
        try:
            loaded, begin = self._loader(self._settings)
        except LoadError as error:
            self._tell(self._fail, str(error))
            return
        except Exception as error:
            log.exception("loading failed")
            self._tell(self._fail, f"{self._settings.source} cannot be loaded: {type(error).__name__}: {error}")
            return
        self._tell(self._begin, loaded)
        batch = begin()
        decode = decoder(copy.deepcopy(loaded.tokenizer))
        while True:
            new = self._next(batch.rows)
            if new is None:
                return
            try:
                news = self._round(batch, new, decode, loaded.ends)
            except Exception as error:
                log.exception("generation failed")
                broken = {id(sequence): sequence for sequence in (*new, *self._active)}.values()
                news = [(sequence, Piece("", sequence.tokens, "error", str(error)[:300])) for sequence in broken]
                batch, self._active = begin(), []
            self._tell(_deliver, news)

    def _next(self, rows: Sequence[object]) -> list[Generation] | None:
        """Those who join the batch now; waits while there is nothing to do. None to end."""
        with self._wake:
            while not self._closing and not self._waiting and not rows:
                self._wake.wait()
            if self._closing:
                return None
            new: list[Generation] = []
            budget = _PREFILL_TOKENS_MAX
            while self._waiting and len(rows) + len(new) < self._settings.batch_max:
                if new and (len(new) + 1) * max(len(s.prompt) for s in (*new, self._waiting[0])) > budget:
                    break
                sequence = self._waiting.popleft()
                if not sequence.cancelled:
                    new.append(sequence)
            return new

    def _round(
        self, batch: Rows, new: list[Generation], decode: Callable[[Sequence[int]], str], ends: frozenset[int]
    ) -> News:
        """One token for everyone who was there, and the first one for those who join."""
        if self._active:
            batch.step()
        if new:
            rows = [Row(sequence.prompt, sequence.params, sequence.adapter) for sequence in new]
            for sequence, row in zip(new, rows, strict=True):
                sequence.text, sequence.row = TextStream(decode, sequence.params.stop), row
            batch.admit(rows)
            self._active = [*self._active, *new]
        news: News = []
        kept: list[int] = []
        for number, sequence in enumerate(self._active):
            if sequence.cancelled:
                continue
            piece = _advance(sequence, ends)
            news.append((sequence, piece))
            if not piece.finish:
                kept.append(number)
        batch.keep(kept)
        self._active = [self._active[number] for number in kept]
        return news

    def _tell(self, call: Callable[..., None], *arguments: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(call, *arguments)
        except RuntimeError:  # the loop is closed: nobody listens any more
            self._closing = True

    def _begin(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self.ready.set()

    def _fail(self, sentence: str) -> None:
        if not self.failure.done():
            self.failure.set_result(sentence)


def _advance(sequence: Generation, ends: frozenset[int]) -> Piece:
    """Take in the token that was just chosen."""
    row = sequence.row
    assert row is not None, "set when the sequence joined"
    assert sequence.text is not None, "set when the sequence joined"
    token = row.last
    sequence.tokens += 1
    if token in ends and not sequence.params.ignore_eos:
        return Piece(sequence.text.finish(), sequence.tokens, "stop")
    text = sequence.text.push(token)
    if sequence.text.stopped:
        return Piece(text, sequence.tokens, "stop")
    if sequence.tokens >= sequence.room:
        text += sequence.text.finish()
        return Piece(text, sequence.tokens, "stop" if sequence.text.stopped else "length")
    return Piece(text, sequence.tokens)


def _deliver(news: News) -> None:
    for sequence, piece in news:
        sequence.news.put_nowait(piece)


def decoder(tokenizer: Any) -> Callable[[Sequence[int]], str]:
    """The quickest way that a tokenizer has from tokens to text."""
    fast = getattr(tokenizer, "backend_tokenizer", None)
    if fast is not None:
        return lambda tokens: str(fast.decode(list(tokens), skip_special_tokens=True))
    return lambda tokens: str(tokenizer.decode(list(tokens), skip_special_tokens=True))


def render(tokenizer: Any, messages: Sequence[dict[str, str]]) -> str:
    """A conversation as the model's chat template writes it; without a template, line by line with the roles' names."""
    if not getattr(tokenizer, "chat_template", None):
        lines = [f"{message['role'].capitalize()}: {message['content']}" for message in messages]
        return "\n".join([*lines, "Assistant:"])
    try:
        return str(tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True))
    except Exception as error:  # a template is a program of the model's author
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise Refusal(
            400, f"messages: the model's chat template does not take them: {first}", param="messages"
        ) from None
