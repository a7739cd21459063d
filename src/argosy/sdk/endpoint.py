"""The one endpoint of all models: the gateway, reached through the API server's proxy, so it works wherever a kubeconfig
does, without ports being opened.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from argosy.client.client import Client
from argosy.client.requests import JSON, Request
from argosy.errors import UserError
from argosy.meta.json import Obj, decode, dig, encode

GATEWAY_NAMESPACE = "argosy-system"
GATEWAY_SERVICE = "gateway"
GATEWAY_PORT = 8000
_PROXY = f"/api/v1/namespaces/{GATEWAY_NAMESPACE}/services/{GATEWAY_SERVICE}:{GATEWAY_PORT}/proxy"


async def models(client: Client) -> list[str]:
    """The names that a request may put in `model`."""
    answer = (await client.raw(Request("GET", f"{_PROXY}/v1/models"))).decoded()
    return [str(model["id"]) for model in answer.get("data") or ()]


async def chat(
    client: Client, model: str, messages: Sequence[Mapping[str, str]], options: Mapping[str, Any]
) -> AsyncGenerator[str, None]:
    """Yield the answer's text as it is generated. Raises UserError with the gateway's own words."""
    body = encode({"model": model, "messages": list(messages), "stream": True, **options})
    request = Request("POST", f"{_PROXY}/v1/chat/completions", headers={"content-type": JSON}, body=body, stream=True)
    response = await client.raw(request)
    pending = b""
    assert response.chunks is not None, "a stream was asked for"
    async with aclosing(response.chunks) as chunks:
        async for chunk in chunks:
            *lines, pending = (pending + chunk).split(b"\n")
            for line in lines:
                if not line.startswith(b"data: ") or line.startswith(b"data: [DONE]"):
                    continue
                event: Obj = decode(line[6:])
                if "error" in event:
                    raise UserError(str(dig(event, "error", "message", default="the model failed")), "try again")
                text = dig(event, "choices", 0, "delta", "content")
                if text:
                    yield str(text)
