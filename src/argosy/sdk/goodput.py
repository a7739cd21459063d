"""How well a training job gets on, from its annotations and what its first rank prints now: a line of `argosy why`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from argosy import kinds
from argosy.client.client import Client
from argosy.client.requests import Request
from argosy.errors import ApiError
from argosy.meta.json import Obj, dig
from argosy.meta.objects import annotations_of, name_of, namespace_of
from argosy.operators.watching import goodput
from argosy.sdk.ranks import ranks_of


async def report(client: Client, job: Obj, pods: Sequence[Obj], now: datetime) -> str:
    """A sentence; empty where nobody reports steps."""
    totals, tokens = goodput.read(annotations_of(job).get(goodput.GOODPUT, "")), None
    ranks = ranks_of(pods)
    spoke = [pod for pod in pods if dig(pod, "status", "phase") in ("Running", "Succeeded", "Failed")]
    lead = min(spoke, key=lambda pod: ranks.get(name_of(pod), 0), default=None)
    ended = None
    if lead is not None:
        head, tail = [await _log(client, lead, part) for part in (goodput.HEAD, goodput.TAIL)]
        one = goodput.epoch(head, tail, goodput.pattern_of(annotations_of(job)))
        tokens = goodput.tokens_per_second(tail)
        if one is not None:
            totals = goodput.add(totals, one)
            ended = one.ended
    if totals is None:
        return ""
    runs = lead is not None and dig(lead, "status", "phase") == "Running"
    return goodput.sentence(totals, now if runs or ended is None else ended, tokens)


async def _log(client: Client, pod: Obj, part: str) -> str:
    name, _, value = part.partition("=")
    container = str(dig(pod, "spec", "containers", 0, "name", default=""))
    path = kinds.POD.path(namespace_of(pod), name_of(pod), "log")
    try:
        response = await client.raw(Request("GET", path, {"container": container, "timestamps": "true", name: value}))
        if response.chunks is not None:
            return b"".join([chunk async for chunk in response.chunks]).decode(errors="replace")
    except (ApiError, ConnectionError, TimeoutError):
        return ""
    return response.body.decode(errors="replace")
