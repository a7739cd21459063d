"""A chat app in the browser, on Gradio: pick a model, talk to it, the answer streams.

    OPENAI_BASE_URL=http://gateway:8000/v1 python -m argosy.programs.demo.chat

Talks to any OpenAI endpoint. `ROOT_PATH` is the path below which an Ingress shows it (`/chat`). The browser loads nothing
from elsewhere: no analytics, no fonts, no content network.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from argosy.meta.json import Obj, decode, dig
from argosy.programs import pod

_PROMPT_CHARACTERS_MAX = 6000
"""Older messages are left out of a longer conversation."""
_EXAMPLES = ("What does asyncio.gather do?", "What is the module email for?", "What does unittest.mock.patch do?")


class ChatFailed(Exception):
    """The endpoint did not answer; the message is for the person at the browser."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An OpenAI endpoint; `base` ends in /v1."""

    base: str
    key: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """What every request carries."""
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    async def models(self) -> list[str]:
        """The names of the models. Raises ChatFailed."""
        try:
            timeout = aiohttp.ClientTimeout(total=10)
            async with (
                aiohttp.ClientSession(headers=self.headers, timeout=timeout) as session,
                session.get(f"{self.base}/models") as response,
            ):
                body = decode(await response.read())
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise ChatFailed(f"The endpoint {self.base} does not answer: {error}") from error
        return [str(model["id"]) for model in body.get("data") or ()]

    async def answer(
        self, model: str, messages: Sequence[Mapping[str, str]], options: Mapping[str, float]
    ) -> AsyncGenerator[str, None]:
        """The answer's pieces as they come. Raises ChatFailed."""
        asked = {"model": model, "messages": list(messages), "stream": True, **options}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
        try:
            async with (
                aiohttp.ClientSession(headers=self.headers, timeout=timeout) as session,
                session.post(f"{self.base}/chat/completions", json=asked) as response,
            ):
                if response.status != 200:
                    raise ChatFailed(explain(response.status, await response.read()))
                async for line in response.content:
                    piece = read_event(line)
                    if piece:
                        yield piece
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise ChatFailed(f"The endpoint {self.base} broke off: {error}") from error


def read_event(line: bytes) -> str:
    """The text in one line of a stream, often none. Raises ChatFailed for an error that is told in the stream."""
    if not line.startswith(b"data: {"):
        return ""
    event: Obj = decode(line[6:])
    if "error" in event:
        raise ChatFailed(str(dig(event, "error", "message", default="The model failed.")))
    return str(dig(event, "choices", 0, "delta", "content", default=""))


def explain(status: int, body: bytes) -> str:
    """An error answer as a sentence."""
    try:
        return str(dig(decode(body), "error", "message", default=f"HTTP {status}"))
    except ValueError:
        return f"HTTP {status}"


def conversation(history: Sequence[Mapping[str, Any]], message: str) -> list[dict[str, str]]:
    """What to send: the newest messages that fit, the question last. Gradio's own fields are left out."""
    said = [{"role": str(turn["role"]), "content": text_of(turn["content"])} for turn in history]
    said.append({"role": "user", "content": message})
    size, first = 0, len(said)
    while first and (size := size + len(said[first - 1]["content"])) <= _PROMPT_CHARACTERS_MAX:
        first -= 1
    return said[min(first, len(said) - 1) :]


def text_of(content: Any) -> str:
    """A message's text, whether Gradio keeps it as a string or as parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [content]
    return "".join(part if isinstance(part, str) else str(part.get("text") or "") for part in parts)


class BelowPath:
    """ASGI: the app answers below a path, whether the Ingress in front keeps that path or strips it."""

    def __init__(self, app: Any, path: str) -> None:
        self._app, self._path = app, path.rstrip("/")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request, or one connection."""
        path = str(scope.get("path") or "")
        if "path" in scope and path != self._path and not path.startswith(f"{self._path}/"):
            scope = {**scope, "path": self._path + path, "raw_path": (self._path + path).encode()}
        await self._app(scope, receive, send)


def application(endpoint: Endpoint, title: str) -> Any:
    """The Gradio app."""
    import gradio as gr  # noqa: PLC0415  (four seconds)

    async def respond(
        message: str, history: list[Mapping[str, Any]], model: str, temperature: float, tokens: float
    ) -> AsyncGenerator[str, None]:
        said = ""
        options = {"temperature": temperature, "max_tokens": int(tokens)}
        try:
            chosen = model or (await endpoint.models())[0]
            async for piece in endpoint.answer(chosen, conversation(history, message), options):
                said += piece
                yield said
        except IndexError:
            raise gr.Error("No model is served yet.") from None
        except ChatFailed as error:
            raise gr.Error(str(error)) from None

    async def refresh(chosen: str | None) -> Any:
        try:
            names = await endpoint.models()
        except ChatFailed as error:
            gr.Warning(str(error))
            names = []
        return gr.Dropdown(choices=names, value=chosen if chosen in names else next(iter(names), None))

    with gr.Blocks(title=title, analytics_enabled=False, fill_height=True) as app:
        gr.Markdown(f"# {title}\nOne endpoint, every model: the base and its fine-tuned variants.")
        with gr.Row():
            model = gr.Dropdown(choices=[], label="Model", interactive=True, allow_custom_value=True)
            temperature = gr.Slider(0.0, 1.5, value=0.3, step=0.1, label="Temperature")
            tokens = gr.Slider(8, 256, value=48, step=8, label="Longest answer")
        gr.ChatInterface(
            respond,
            chatbot=gr.Chatbot(show_label=False, height="60vh", render=False),
            additional_inputs=[model, temperature, tokens],
            examples=[[question] for question in _EXAMPLES],
            cache_examples=False,
            api_name="chat",
        )
        app.load(refresh, model, model, api_name=False)
    return app


def main() -> None:
    """The command."""
    os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1"}
    parser = argparse.ArgumentParser(prog="chat", description="A chat app for an OpenAI endpoint.")
    parser.add_argument("--endpoint", default=os.environ.get("OPENAI_BASE_URL", ""), help="ends in /v1")
    parser.add_argument("--host", default=pod.address())
    parser.add_argument("--port", type=int, default=7860)
    parser.add_argument("--root-path", default=os.environ.get("ROOT_PATH", ""))
    parser.add_argument("--title", default="Argosy chat")
    given = parser.parse_args()
    if not given.endpoint:
        pod.give_up("chat: set OPENAI_BASE_URL to the endpoint, for example http://gateway.argosy-system:8000/v1")
    serve(application(Endpoint(given.endpoint.rstrip("/"), os.environ.get("OPENAI_API_KEY", "")), given.title), given)


def serve(app: Any, given: argparse.Namespace) -> None:
    """Show the app until told to end."""
    import gradio as gr  # noqa: PLC0415
    import uvicorn  # noqa: PLC0415
    from fastapi import FastAPI  # noqa: PLC0415

    app.queue(default_concurrency_limit=16)
    path = f"/{given.root_path.strip('/')}".rstrip("/")
    theme = gr.themes.Soft(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
    front = FastAPI()
    front.add_api_route(f"{path}/health", lambda: {"ready": True})  # a page is much to make for every probe
    whole = gr.mount_gradio_app(front, app, path=path or "/", theme=theme, show_error=True, ssr_mode=False)
    uvicorn.run(BelowPath(whole, path), host=given.host, port=given.port, log_level="warning")


if __name__ == "__main__":
    main()
