"""A request handed over to somebody else's API server, with the word of this one for who asks.

It is the protocol of Kubernetes' aggregator: the user stands in `X-Remote-*` headers, and they are to be believed because the
connection bears the certificate `front-proxy-client`. What the other server must know to check that is published in the
ConfigMap `kube-system/extension-apiserver-authentication`.
"""

from __future__ import annotations

import ssl
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote, urlencode

from argosy.client.requests import Request, User
from argosy.engine.apiserver.answers import Answer
from argosy.engine.apiserver.api import Api
from argosy.engine.apiserver.endpoints import service_peer, trust
from argosy.engine.apiserver.exchange import Message, exchange
from argosy.engine.apiserver.extensions.remotes import Remote
from argosy.errors import ServiceUnavailable
from argosy.meta.json import encode

FRONT_PROXY = "front-proxy-client"


async def forward(api: Api, remote: Remote, request: Request, user: User) -> Answer:
    """Any method, streamed both ways. Raises ServiceUnavailable when there is nobody to answer."""
    try:
        tls = _context(remote.ca_bundle, remote.insecure, _credential(api))
    except ValueError as error:
        raise ServiceUnavailable(f"APIService {remote.name}: {error}") from None
    peer = await service_peer(api, remote.namespace, remote.service, remote.port, tls)
    kept = {name: value for name, value in request.headers.items() if not name.startswith("x-remote-")}
    headers: dict[str, str | tuple[str, ...]] = {**kept, "x-remote-user": user.name}
    headers["x-remote-group"] = tuple(sorted(user.groups))
    if user.uid:
        headers["x-remote-uid"] = user.uid
    for name, values in user.extra.items():
        headers[f"x-remote-extra-{quote(name.lower(), safe='')}"] = tuple(values)
    body = request.body or (encode(request.obj) if request.obj is not None else b"")
    return await exchange(peer, Message(request.method, _target(request), headers, body))


def _target(request: Request) -> str:
    repeated = {name: value for name, value in request.query.items() if name not in request.multi_query}
    pairs = [*repeated.items(), *((name, v) for name, values in request.multi_query.items() for v in values)]
    path = quote(request.path, safe="/%:@!$&'()*+,;=~")
    return f"{path}?{urlencode(pairs)}" if pairs else path


def _credential(api: Api) -> tuple[Path, Path] | None:
    return api.settings.front_proxy() if api.settings.front_proxy is not None else None


@lru_cache(maxsize=64)
def _context(bundle: str, insecure: bool, credential: tuple[Path, Path] | None) -> ssl.SSLContext:
    made = trust(bundle)
    if insecure:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    if credential is not None:
        made.load_cert_chain(*credential)
    return made
