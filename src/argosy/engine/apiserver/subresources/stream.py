"""`pods/exec`, `pods/attach`, `pods/portforward`: requests that turn their connection into streams.

Here is what a request may and what it means; the HTTP edge joins the connection to the session that comes out. A WebSocket
begins with GET and SPDY with POST, and both need the verb `create`: a GET alone must not let anybody run commands.
"""

from __future__ import annotations

from functools import partial

from argosy.engine.apiserver.admission import webhooks
from argosy.engine.apiserver.answers import Answer
from argosy.engine.apiserver.authz import attributes_of
from argosy.engine.apiserver.backends import NodeAccess, Streams
from argosy.engine.apiserver.calls import Call
from argosy.engine.apiserver.failures import no_such_method
from argosy.engine.apiserver.routes import is_true
from argosy.engine.apiserver.streams.sessions import Forwarding, Joining, Session
from argosy.engine.apiserver.subresources.log import named_container
from argosy.engine.apiserver.verbs.get import find
from argosy.errors import BadRequest
from argosy.meta.json import Obj, dig
from argosy.meta.objects import name_of

_UPGRADES = frozenset({"websocket", "spdy/3.1"})


async def connect(call: Call) -> Answer:
    """GET or POST. Raises ApiError for what may not or cannot be joined."""
    if call.verb not in ("get", "create"):
        raise no_such_method()
    if call.verb == "get":
        call.api.authorizer.check(call.user, attributes_of("create", call.target))
    pod = find(call).obj
    await webhooks.connect(call, *_options(call))
    nodes = await call.api.reach_nodes("no node runs pods here, so there is nothing to connect to")
    session = _ports(call, pod, nodes) if call.target.subresource == "portforward" else _streams(call, pod, nodes)
    return Answer(101, session=session)


def _options(call: Call) -> tuple[str, Obj]:
    """What a webhook is shown: the kind of the request's options, and the options."""
    if call.target.subresource == "portforward":
        ports = [int(p) for value in _all(call, "ports") for p in value.split(",") if p.isdigit()]
        return "PodPortForwardOptions", {"ports": ports} if ports else {}
    found: Obj = {name: True for name in ("stdin", "stdout", "stderr", "tty") if _flag(call, name)}
    if call.query.get("container"):
        found["container"] = call.query["container"]
    if call.target.subresource == "attach":
        return "PodAttachOptions", found
    return "PodExecOptions", found | {"command": list(_all(call, "command"))}


def _streams(call: Call, pod: Obj, nodes: NodeAccess) -> Session:
    container = named_container(call, pod)
    tty = _flag(call, "tty")
    streams = Streams(_flag(call, "stdin"), _flag(call, "stdout"), _flag(call, "stderr") and not tty, tty)
    if not (streams.stdin or streams.stdout or streams.stderr):
        raise BadRequest("you must specify at least 1 of stdin, stdout, stderr")
    _check_host(call, pod)
    if call.target.subresource == "attach":
        _check_upgrade(call)
        return Joining(streams, nodes.attach(pod, container, streams))
    command = _all(call, "command")
    if not command:
        raise BadRequest("you must specify a command")
    _check_upgrade(call)
    return Joining(streams, nodes.exec(pod, container, command, streams))


def _ports(call: Call, pod: Obj, nodes: NodeAccess) -> Session:
    _check_host(call, pod)
    _check_upgrade(call)
    ports = [text for value in _all(call, "ports") for text in value.split(",")]
    if not all(text.isascii() and text.isdigit() and 0 < int(text) < 1 << 16 for text in ports):
        raise BadRequest(f"ports {','.join(ports)} are not numbers between 1 and 65535")
    return Forwarding(name_of(pod), tuple(int(text) for text in ports), partial(nodes.dial, pod))


def _check_host(call: Call, pod: Obj) -> None:
    if not dig(pod, "spec", "nodeName"):
        raise BadRequest(f"pod {call.target.name} does not have a host assigned")


def _check_upgrade(call: Call) -> None:
    headers = call.request.headers
    asks = "upgrade" in headers.get("connection", "").lower()
    if not asks or headers.get("upgrade", "").lower() not in _UPGRADES:
        raise BadRequest("Upgrade request required")


def _flag(call: Call, name: str) -> bool:
    value = call.query.get(name)
    return bool(value) and is_true(value)


def _all(call: Call, name: str) -> tuple[str, ...]:
    single = (call.query[name],) if name in call.query else ()
    return call.request.multi_query.get(name, single)
