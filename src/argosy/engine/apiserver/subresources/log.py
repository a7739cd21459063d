"""`pods/log`: a container's log, from the node that runs it."""

from __future__ import annotations

from contextlib import aclosing

from argosy.engine.apiserver.answers import Answer
from argosy.engine.apiserver.backends import LogOptions
from argosy.engine.apiserver.calls import Call
from argosy.engine.apiserver.verbs.get import find
from argosy.errors import BadRequest
from argosy.meta.json import Obj, dig

_TEXT = {"content-type": "text/plain"}


async def get(call: Call) -> Answer:
    """GET. Raises BadRequest for a container that is not there or has no log yet."""
    pod = find(call).obj
    options = _options(call)
    container = named_container(call, pod)
    nodes = await call.api.reach_nodes("no node runs pods here, so there are no logs")
    if not dig(pod, "spec", "nodeName"):
        return Answer(body=b"", headers=dict(_TEXT))
    stream = nodes.logs(pod, container, options)
    if options.follow:
        return Answer(chunks=stream, headers=dict(_TEXT))
    async with aclosing(stream) as chunks:
        return Answer(body=b"".join([chunk async for chunk in chunks]), headers=dict(_TEXT))


def _options(call: Call) -> LogOptions:
    def flag(name: str) -> bool:
        return call.query.get(name, "") in ("true", "1", "True")

    return LogOptions(
        follow=flag("follow"),
        tail_lines=call.number("tailLines"),
        since_seconds=call.number("sinceSeconds"),
        since_time=call.query.get("sinceTime") or "",
        previous=flag("previous"),
        timestamps=flag("timestamps"),
        limit_bytes=call.number("limitBytes"),
    )


def named_container(call: Call, pod: Obj) -> str:
    """The container that a request means. Raises BadRequest in Kubernetes' words."""
    named = [
        str(container["name"])
        for field in ("containers", "initContainers", "ephemeralContainers")
        for container in dig(pod, "spec", field, default=())
    ]
    wanted = call.query.get("container") or ""
    if wanted:
        if wanted not in named:
            raise BadRequest(f"container {wanted} is not valid for pod {call.target.name}")
        return wanted
    main = [str(container["name"]) for container in dig(pod, "spec", "containers", default=())]
    if len(main) > 1:
        init = [name for name in named if name not in main]
        choices = f"choose one of: [{' '.join(main)}]"
        if init:
            choices += f" or one of the init containers: [{' '.join(init)}]"
        raise BadRequest(f"a container name must be specified for pod {call.target.name}, {choices}")
    return main[0]
