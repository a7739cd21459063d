"""`pods/proxy` and `services/proxy`: an HTTP request passed on to a pod, streamed both ways.

The connection is a socket in the cluster's network, which the node provides.
"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote, urlencode

from argosy import kinds
from argosy.engine.apiserver import impersonation
from argosy.engine.apiserver.answers import Answer
from argosy.engine.apiserver.calls import Call
from argosy.engine.apiserver.endpoints import endpoint, refuse_strangers
from argosy.engine.apiserver.exchange import Message, Peer, exchange
from argosy.engine.apiserver.verbs.get import find
from argosy.errors import BadRequest, NotFound, ServiceUnavailable
from argosy.meta.json import dig


async def forward(call: Call) -> Answer:
    """Any method. Raises ServiceUnavailable when there is nobody to answer."""
    nodes = await call.api.reach_nodes("no node runs pods here, so there is nothing to connect to")
    host, port = _pod(call) if call.served.storage is kinds.POD else _service(call)
    refuse_strangers(call.api.store, host)
    request = call.request
    # The path came decoded: as it stands a line break in it would be one in the request that is passed on.
    target = quote(f"/{call.target.rest}", safe="/:@!$&'()*+,;=~")
    if request.query:
        target += f"?{urlencode({**request.query, **request.multi_query}, doseq=True)}"
    headers = {name: value for name, value in request.headers.items() if not name.startswith(impersonation.MARK)}
    message = Message(request.method, target, headers, request.body)
    return await exchange(Peer(host, port, nodes.socket), message)


def _split(name: str) -> tuple[str, str]:
    """`[scheme:]name[:port]` as name and port."""
    parts = name.split(":")
    if len(parts) == 3:
        return parts[1], parts[2]
    return (parts[0], parts[1]) if len(parts) == 2 else (parts[0], "")


def _pod(call: Call) -> tuple[str, int]:
    name, port = _split(call.target.name)
    pod = find(_named(call, name)).obj
    address = dig(pod, "status", "podIP")
    if not address:
        raise ServiceUnavailable(f"address not allowed: pod {name} has no address yet")
    containers = dig(pod, "spec", "containers", default=())
    ports = [p for container in containers for p in container.get("ports") or ()]
    if not port:
        return str(address), int(ports[0]["containerPort"]) if ports else 80
    for candidate in ports:
        if candidate.get("name") == port:
            return str(address), int(candidate["containerPort"])
    return str(address), _number(port)


def _named(call: Call, name: str) -> Call:
    return replace(call, target=replace(call.target, name=name))


def _service(call: Call) -> tuple[str, int]:
    name, wanted = _split(call.target.name)
    service = find(_named(call, name)).obj
    ports = dig(service, "spec", "ports", default=())
    chosen = [p for p in ports if not wanted or wanted in (p.get("name"), str(p.get("port")))]
    if not chosen:
        raise BadRequest(f"service {name} has no port {wanted}; name one of its ports")
    found = endpoint(call.api.store, call.target.namespace, name, chosen[0])
    if found is None:
        raise ServiceUnavailable(f'no endpoints available for service "{name}"')
    return found


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 0 < int(text[:6]) < 1 << 16:
        raise NotFound(f"no port is called {text}", details={})
    return int(text)
