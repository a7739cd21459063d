"""Requests read and refused, answers and events made."""

from __future__ import annotations

from typing import Any

import pytest

from argosy.meta.json import decode, encode
from argosy.programs.model_server import openai
from argosy.programs.model_server.openai import Answer, Refusal

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
COMPLETION = {"model": "m", "prompt": "hi"}


def refused_chat(**fields: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        openai.conversation(openai.read_chat(encode(CHAT | fields)).messages)
    return caught.value


def test_defaults() -> None:
    chat = openai.params(openai.read_chat(encode(CHAT)))
    assert (chat.max_tokens, chat.temperature, chat.top_p, chat.seed, chat.stop) == (None, 1.0, 1.0, None, ())
    assert openai.params(openai.read_completion(encode(COMPLETION))).max_tokens == 16


def test_everything_given() -> None:
    asked = openai.read_chat(
        encode(
            CHAT
            | {"max_tokens": 5, "max_completion_tokens": 7, "temperature": 0, "top_p": 0.5, "seed": 3, "stop": "x"}
            | {"presence_penalty": 1, "frequency_penalty": -1, "n": 1, "logprobs": False, "user": "somebody"}
            | {"response_format": {"type": "text"}, "tools": []}
        )
    )
    made = openai.params(asked)
    assert (made.max_tokens, made.temperature, made.seed, made.stop) == (7, 0, 3, ("x",))
    assert (made.presence_penalty, made.frequency_penalty) == (1, -1)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "9"}, "max_tokens"),
        ({"temperature": 2.1}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"messages": []}, "messages"),
        ({"messages": [{"content": "no role"}]}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages"),
        ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
        ({"stop": [""]}, "stop"),
        ({"stop": ["x"] * 17}, "stop"),
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"tools": [{}]}, "tools"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"frequency_penalty": 3}, "frequency_penalty"),
    ],
)
def test_a_bad_field_is_named(fields: dict[str, Any], param: str) -> None:
    refusal = refused_chat(**fields)
    assert (refusal.status, refusal.param) == (400, param)
    assert refusal.message.startswith(param)
    assert refusal.body["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff"])
def test_what_is_no_request(body: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        openai.read_completion(body)
    assert caught.value.status == 400


def test_a_missing_model_is_named() -> None:
    with pytest.raises(Refusal, match="model") as caught:
        openai.read_completion(b'{"prompt":"x"}')
    assert caught.value.param == "model"


@pytest.mark.parametrize("field", [{"echo": True}, {"suffix": "x"}, {"best_of": 2}, {"logprobs": 0}])
def test_unsupported_completion_fields(field: dict[str, Any]) -> None:
    with pytest.raises(Refusal) as caught:
        openai.read_completion(encode(COMPLETION | field))
    assert caught.value.param == next(iter(field))


def test_messages_may_be_in_parts() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    asked = openai.read_chat(encode(CHAT | {"messages": [{"role": "user", "content": parts}, {"role": "assistant"}]}))
    assert openai.conversation(asked.messages) == [
        {"role": "user", "content": "ab"},
        {"role": "assistant", "content": ""},
    ]


@pytest.mark.parametrize(
    ("prompt", "made"),
    [("a", ["a"]), (["a", "b"], ["a", "b"]), ([1, 2], [[1, 2]]), ([[1], [2, 3]], [[1], [2, 3]])],
)
def test_prompts(prompt: Any, made: list[Any]) -> None:
    assert openai.prompts(openai.read_completion(encode(COMPLETION | {"prompt": prompt})).prompt) == made


@pytest.mark.parametrize("prompt", [[], ["a", 1]])
def test_prompts_that_make_no_sense(prompt: Any) -> None:
    with pytest.raises(Refusal, match="prompt"):
        openai.prompts(openai.read_completion(encode(COMPLETION | {"prompt": prompt})).prompt)


def test_the_shape_of_a_chat() -> None:
    answer = Answer("chatcmpl-1", 7, "m", chat=True)
    assert answer.whole([("hello", "stop")], openai.usage(3, 2)) == {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 7,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "hello", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }


def events(*raw: bytes) -> list[Any]:
    assert all(each.startswith(b"data: ") and each.endswith(b"\n\n") for each in raw)
    return [decode(each[6:]) for each in raw]


def test_the_shape_of_a_streamed_chat() -> None:
    answer = Answer("chatcmpl-1", 7, "m", chat=True, with_usage=True)
    opening, piece, closing, spent = events(
        answer.opening(), answer.piece(0, "hel"), answer.closing(0, "length"), answer.spent(openai.usage(1, 1))
    )
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "m"}
    choice = {"index": 0, "logprobs": None}
    assert opening == head | {
        "choices": [choice | {"delta": {"role": "assistant", "content": ""}, "finish_reason": None}],
        "usage": None,
    }
    assert piece["choices"] == [choice | {"delta": {"content": "hel"}, "finish_reason": None}]
    assert closing["choices"] == [choice | {"delta": {}, "finish_reason": "length"}]
    assert spent == head | {"choices": [], "usage": openai.usage(1, 1)}


def test_the_shape_of_a_streamed_completion() -> None:
    answer = Answer("cmpl-1", 7, "m", chat=False)
    piece, closing = events(answer.piece(1, "x"), answer.closing(1, "stop"))
    assert piece == {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 7,
        "model": "m",
        "choices": [{"index": 1, "text": "x", "logprobs": None, "finish_reason": None}],
    }
    assert closing["choices"][0] == {"index": 1, "text": "", "logprobs": None, "finish_reason": "stop"}


def test_models_name_their_parent() -> None:
    base, adapter = openai.models("base", ["a"], 7, 512)["data"]
    assert (base["id"], base["parent"]) == ("base", None)
    assert (adapter["id"], adapter["parent"], adapter["root"]) == ("a", "base", "base")
