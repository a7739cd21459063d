"""How the server asks a program that somebody else runs: over HTTPS, at a Service of the cluster or at a URL.

Admission webhooks and the conversion of custom kinds are asked this way, by their `clientConfig`.
"""

from __future__ import annotations

import asyncio
import socket
from urllib.parse import urlsplit

from argosy.engine.apiserver.api import Api
from argosy.engine.apiserver.endpoints import service_peer, trusting
from argosy.engine.apiserver.exchange import Message, Peer, exchange, whole
from argosy.errors import ApiError, ArgosyError
from argosy.meta.json import Obj

_LARGEST_ANSWER = 64 * 1024 * 1024
_HEADERS = {"accept": "application/json", "content-type": "application/json", "user-agent": "kube-apiserver-admission"}


class Unanswered(ArgosyError):
    """Nobody was reached, or the answer was a failure."""


async def ask(api: Api, config: Obj, seconds: int, body: bytes) -> bytes:
    """The answer to a question that is posted to where a `clientConfig` says. Raises Unanswered."""
    url = _url(config)
    target = url.partition("://")[2].partition("/")[2]
    joint = "&" if "?" in target else "?"
    shown = f"{url}{joint}timeout={seconds}s"
    try:
        async with asyncio.timeout(seconds):
            peer = await _peer(api, config, url)
            answer = await exchange(peer, Message("POST", f"/{target}{joint}timeout={seconds}s", _HEADERS, body))
            said = await whole(answer, _LARGEST_ANSWER)
    except TimeoutError:
        raise Unanswered(f'Post "{shown}": context deadline exceeded') from None
    except (ApiError, ValueError) as error:
        raise Unanswered(f'Post "{shown}": {error}') from None
    if answer.status != 200:
        text = said.decode(errors="replace").strip()[:200]
        raise Unanswered(f"the server answered {answer.status}: {text}")
    return said


def _url(config: Obj) -> str:
    if config.get("url"):
        return str(config["url"])
    service = config.get("service") or {}
    path = str(service.get("path") or "/")
    host = f"{service.get('name')}.{service.get('namespace')}.svc"
    return f"https://{host}:{service.get('port') or 443}/{path.removeprefix('/')}"


async def _peer(api: Api, config: Obj, url: str) -> Peer:
    parts = urlsplit(url)
    name, tls = parts.hostname or "", trusting(str(config.get("caBundle") or ""))
    if config.get("url"):
        found = await asyncio.get_running_loop().getaddrinfo(
            name, parts.port or 443, family=socket.AF_INET, type=socket.SOCK_STREAM
        )
        return Peer(str(found[0][4][0]), int(found[0][4][1]), tls=tls, name=name)
    service = config.get("service") or {}
    return await service_peer(
        api, str(service.get("namespace")), str(service.get("name")), int(service.get("port") or 443), tls
    )
