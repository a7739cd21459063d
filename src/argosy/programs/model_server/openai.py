"""OpenAI's API as values: requests read and checked, responses and stream events made. Pure.

What a field means and which errors there are follows OpenAI's reference; what this server cannot do is refused with the
field's name rather than ignored. Fields it does not know are ignored, as every server of this API does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta, Struct

from argosy.meta.json import Obj, encode

STOPS_MAX = 16
COMPLETION_TOKENS = 16
"""What `/v1/completions` generates when `max_tokens` is not given."""


class Refusal(Exception):
    """An answer in OpenAI's error shape."""

    def __init__(self, status: int, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code

    @property
    def body(self) -> Obj:
        """The error as JSON."""
        type = "invalid_request_error" if self.status < 500 else "server_error"
        return {"error": {"message": self.message, "type": type, "param": self.param, "code": self.code}}


class StreamOptions(Struct):
    """`stream_options`."""

    include_usage: bool = False


class Part(Struct):
    """A part of a message."""

    type: str
    text: str = ""


class Message(Struct):
    """One message of a conversation."""

    role: str
    content: str | list[Part] | None = None


Positive: TypeAlias = Annotated[int, Meta(ge=1)]
Penalty: TypeAlias = Annotated[float, Meta(ge=-2, le=2)]


class Asked(Struct, kw_only=True):
    """What both kinds of request share."""

    model: str
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Positive | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(gt=0, le=1)] | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    n: int | None = None
    ignore_eos: bool | None = None


class ChatAsked(Asked, kw_only=True):
    """A body of `/v1/chat/completions`."""

    messages: Annotated[list[Message], Meta(min_length=1)]
    max_completion_tokens: Positive | None = None
    logprobs: bool | None = None
    tools: list[Any] | None = None
    functions: list[Any] | None = None
    response_format: Obj | None = None
    add_generation_prompt: bool | None = None


class CompletionAsked(Asked, kw_only=True):
    """A body of `/v1/completions`."""

    prompt: str | list[str | int | list[int]]
    logprobs: int | None = None
    echo: bool | None = None
    suffix: str | None = None
    best_of: int | None = None


_chat = msgspec.json.Decoder(ChatAsked)
_completion = msgspec.json.Decoder(CompletionAsked)
_WHERE = re.compile(r" - at `\$\.?([^`\[]*)[^`]*`")
_MISSING = re.compile(r"missing required field `([^`]+)`")


@dataclass(frozen=True, slots=True)
class Params:
    """How to generate."""

    max_tokens: int | None
    """None: as many as the context has room for."""
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    ignore_eos: bool = False


def read_chat(body: bytes) -> ChatAsked:
    """Read a chat request. Raises Refusal that names the field."""
    asked = _read(_chat, body)
    assert isinstance(asked, ChatAsked)
    _refuse(
        logprobs=asked.logprobs,
        tools=asked.tools,
        functions=asked.functions,
        response_format=asked.response_format and asked.response_format.get("type") != "text",
        n=asked.n not in (None, 1),
    )
    return asked


def read_completion(body: bytes) -> CompletionAsked:
    """Read a completion request. Raises Refusal that names the field."""
    asked = _read(_completion, body)
    assert isinstance(asked, CompletionAsked)
    _refuse(
        logprobs=asked.logprobs is not None,
        echo=asked.echo,
        suffix=asked.suffix,
        best_of=asked.best_of not in (None, 1),
        n=asked.n not in (None, 1),
    )
    return asked


def _read(decoder: msgspec.json.Decoder[Any], body: bytes) -> Asked:
    try:
        asked = decoder.decode(body)
    except msgspec.ValidationError as error:
        text = str(error)
        missing, where = _MISSING.search(text), _WHERE.search(text)
        field = (where.group(1) if where else "") or (missing.group(1) if missing else "")
        sentence = _WHERE.sub("", text)
        raise Refusal(400, f"{field}: {sentence}." if field else f"{sentence}.", param=field or None) from None
    except msgspec.DecodeError as error:
        raise Refusal(400, f"The body is not JSON: {error}.") from None
    stops = [asked.stop] if isinstance(asked.stop, str) else asked.stop or []
    if len(stops) > STOPS_MAX or "" in stops:
        raise Refusal(400, f"stop: give at most {STOPS_MAX} strings, none of them empty.", param="stop")
    assert isinstance(asked, Asked)
    return asked


def _refuse(**fields: object) -> None:
    for name, value in fields.items():
        if value:
            what = "must be 1" if name in ("n", "best_of") else "is not supported by this server"
            raise Refusal(400, f"{name}: {what}.", param=name, code="unsupported_parameter")


def params(asked: Asked) -> Params:
    """How a request wants its answer generated."""
    tokens = asked.max_tokens
    if isinstance(asked, ChatAsked):
        tokens = asked.max_completion_tokens or tokens
    elif tokens is None:
        tokens = COMPLETION_TOKENS
    stops = [asked.stop] if isinstance(asked.stop, str) else asked.stop or []
    return Params(
        max_tokens=tokens,
        temperature=1.0 if asked.temperature is None else asked.temperature,
        top_p=1.0 if asked.top_p is None else asked.top_p,
        seed=asked.seed,
        stop=tuple(stops),
        presence_penalty=asked.presence_penalty or 0.0,
        frequency_penalty=asked.frequency_penalty or 0.0,
        ignore_eos=bool(asked.ignore_eos),
    )


def conversation(messages: Sequence[Message]) -> list[dict[str, str]]:
    """Messages as chat templates take them. Raises Refusal for what is not text."""
    found = []
    for number, message in enumerate(messages):
        parts = message.content if isinstance(message.content, list) else [Part("text", message.content or "")]
        for part in parts:
            if part.type not in ("text", "input_text", "output_text"):
                where = f"messages[{number}].content"
                raise Refusal(400, f"{where}: a part of type {part.type} is not text.", param="messages")
        found.append({"role": message.role, "content": "".join(part.text for part in parts)})
    return found


def prompts(prompt: str | list[str | int | list[int]]) -> list[str | list[int]]:
    """The prompts of a completion request: one or several, as text or tokens. Raises Refusal."""
    if isinstance(prompt, str):
        return [prompt]
    if prompt and all(isinstance(part, int) for part in prompt):
        return [[part for part in prompt if isinstance(part, int)]]
    found = [part for part in prompt if not isinstance(part, int)]
    if not found or len(found) != len(prompt):
        raise Refusal(400, "prompt: give a string, a list of strings, or token numbers.", param="prompt")
    return found


def usage(prompt_tokens: int, completion_tokens: int) -> Obj:
    """The `usage` of an answer."""
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
    }


@dataclass(frozen=True, slots=True)
class Answer:
    """What every message of one answer repeats. `created` is in seconds since the epoch."""

    id: str
    created: int
    model: str
    chat: bool
    with_usage: bool = False
    """Whether a stream ends with the usage: then every event has the field."""

    def whole(self, texts: Sequence[tuple[str, str]], spent: Obj) -> Obj:
        """The answer that is not streamed: (text, why it ended) of each choice."""
        kind = "chat.completion" if self.chat else "text_completion"
        choices = []
        for index, (text, finish) in enumerate(texts):
            said: Obj = (
                {"message": {"role": "assistant", "content": text, "refusal": None}} if self.chat else {"text": text}
            )
            choices.append({"index": index, **said, "logprobs": None, "finish_reason": finish})
        return self._head(kind) | {"choices": choices, "usage": spent}

    def opening(self) -> bytes:
        """The first event of a chat: whose turn it is."""
        return self._event(0, {"delta": {"role": "assistant", "content": ""}}, None)

    def piece(self, index: int, text: str) -> bytes:
        """Some more text."""
        return self._event(index, {"delta": {"content": text}} if self.chat else {"text": text}, None)

    def closing(self, index: int, finish: str) -> bytes:
        """Why a choice ended."""
        return self._event(index, {"delta": {}} if self.chat else {"text": ""}, finish)

    def spent(self, spent: Obj) -> bytes:
        """The event that `include_usage` asks for, after all choices."""
        return event(self._stream_head() | {"choices": [], "usage": spent})

    def _event(self, index: int, said: Obj, finish: str | None) -> bytes:
        choice = {"index": index, **said, "logprobs": None, "finish_reason": finish}
        return event(self._stream_head() | {"choices": [choice]} | ({"usage": None} if self.with_usage else {}))

    def _stream_head(self) -> Obj:
        return self._head("chat.completion.chunk" if self.chat else "text_completion")

    def _head(self, kind: str) -> Obj:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


DONE = b"data: [DONE]\n\n"


def event(value: Mapping[str, Any]) -> bytes:
    """One server-sent event."""
    return b"data: " + encode(value) + b"\n\n"


def models(name: str, adapters: Sequence[str], created: int, context: int | None) -> Obj:
    """`GET /v1/models`."""
    return {"object": "list", "data": [model(each, name, created, context) for each in (name, *adapters)]}


def model(name: str, base: str, created: int, context: int | None) -> Obj:
    """One model of the list; an adapter names its `parent`."""
    return {
        "id": name,
        "object": "model",
        "created": created,
        "owned_by": "argosy",
        "root": base,
        "parent": base if name != base else None,
        "max_model_len": context,
    }


def unknown_model(name: str, known: Sequence[str]) -> Refusal:
    """404 that says what there is."""
    return Refusal(
        404,
        f"The model `{name}` does not exist. There are: {', '.join(known)}.",
        param="model",
        code="model_not_found",
    )
