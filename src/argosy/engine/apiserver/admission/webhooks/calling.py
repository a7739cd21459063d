"""How a webhook is asked: over HTTPS, at a Service of the cluster or at a URL."""

from __future__ import annotations

import asyncio
import socket
from urllib.parse import urlsplit

from argosy.engine.apiserver.admission.webhooks.hooks import Hook
from argosy.engine.apiserver.api import Api
from argosy.engine.apiserver.endpoints import service_peer, trusting
from argosy.engine.apiserver.exchange import Message, Peer, exchange, whole
from argosy.errors import ApiError, ArgosyError
from argosy.meta.json import Obj

_LARGEST_ANSWER = 3 * 1024 * 1024
_HEADERS = {"accept": "application/json", "content-type": "application/json", "user-agent": "kube-apiserver-admission"}


class NotCalled(ArgosyError):
    """A webhook could not be asked, or said nothing that means anything."""

    def __init__(self, hook: Hook, why: str) -> None:
        super().__init__(f'failed calling webhook "{hook.name}": {why}')


async def post(api: Api, hook: Hook, review: bytes) -> bytes:
    """The webhook's answer to a review. Raises NotCalled."""
    config = hook.spec.get("clientConfig") or {}
    seconds = hook.timeout_seconds
    url = _url(config)
    target = url.partition("://")[2].partition("/")[2]
    joint = "&" if "?" in target else "?"
    shown = f"{url}{joint}timeout={seconds}s"
    try:
        async with asyncio.timeout(seconds):
            peer = await _peer(api, config, url)
            answer = await exchange(peer, Message("POST", f"/{target}{joint}timeout={seconds}s", _HEADERS, review))
            body = await whole(answer, _LARGEST_ANSWER)
    except TimeoutError:
        raise NotCalled(hook, f'failed to call webhook: Post "{shown}": context deadline exceeded') from None
    except (ApiError, ValueError) as error:
        raise NotCalled(hook, f'failed to call webhook: Post "{shown}": {error}') from None
    if answer.status != 200:
        said = body.decode(errors="replace").strip()[:200]
        raise NotCalled(hook, f"failed to call webhook: the server answered {answer.status}: {said}")
    return body


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
