"""The chat app's own logic; Gradio is not needed for it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from argosy.programs.demo import chat


def test_a_conversation_carries_roles_and_text_only() -> None:
    history = [
        {"role": "user", "content": [{"type": "text", "text": "Hi"}], "metadata": {"title": None}},
        {"role": "assistant", "content": "Hello", "options": []},
    ]
    assert chat.conversation(history, "How?") == [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "How?"},
    ]


def test_the_oldest_messages_make_room() -> None:
    history = [{"role": "user", "content": f"{number}:" + "x" * 1000} for number in range(20)]
    sent = chat.conversation(history, "last")
    assert sent[-1]["content"] == "last"
    assert 3 <= len(sent) < 10
    assert chat.conversation([], "y" * 10_000) == [{"role": "user", "content": "y" * 10_000}]


def test_stream_events() -> None:
    assert chat.read_event(b'data: {"choices":[{"delta":{"content":"word"}}]}\n') == "word"
    assert chat.read_event(b'data: {"choices":[],"usage":{}}\n') == ""
    assert chat.read_event(b"data: [DONE]\n") == ""
    assert chat.read_event(b"\n") == ""
    with pytest.raises(chat.ChatFailed, match="the replica ended"):
        chat.read_event(b'data: {"error":{"message":"the replica ended"}}\n')


def test_error_answers_become_sentences() -> None:
    assert chat.explain(404, b'{"error":{"message":"no such model"}}') == "no such model"
    assert chat.explain(502, b"<html>") == "HTTP 502"


@pytest.mark.parametrize(
    ("asked", "seen"),
    [
        ("/chat/", "/chat/"),
        ("/chat", "/chat"),
        ("/assets/x.js", "/chat/assets/x.js"),
        ("/", "/chat/"),
        ("/chatter", "/chat/chatter"),
    ],
)
def test_an_ingress_may_strip_the_path_or_keep_it(asked: str, seen: str) -> None:
    paths: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        paths.append(scope["path"])

    asyncio.run(chat.BelowPath(app, "/chat/")({"type": "http", "path": asked}, None, None))
    assert paths == [seen]
