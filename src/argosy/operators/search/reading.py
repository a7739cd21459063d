"""Reading a trial's metrics from its pod, as they come: the log is followed, nothing is asked in turns.

`operators.experiment` and `operators.optimizationjob` hand `follow` to the runner (`argosy.control.following`) and name, in
values, which pod and container to listen to. A page for Prometheus is the one source that cannot tell by itself: it is
scraped, as its makers mean it to be.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from urllib.parse import quote

from argosy.errors import ApiError
from argosy.intent import Fetch
from argosy.meta.json import Obj
from argosy.meta.objects import Key
from argosy.operators.search.metrics import Collected, Wanted

_SCRAPE_SECONDS = 1.0
AGAIN = "\x1eagain"
"""A line after which a log says everything anew: see `collector`."""


@dataclass(frozen=True, slots=True)
class Source:
    """What to listen to. Equal sources are one stream."""

    pod: Key
    uid: str
    container: str
    wanted: Wanted
    ended: bool = False
    """Whether the pod has come to its end, so that its log is whole; before, the log is followed."""
    page: str = ""
    """`8080/metrics`: a page of the pod that is scraped in place of its log."""


async def follow(fetch: Fetch, source: Source) -> AsyncGenerator[Obj, None]:
    """Yields `metrics`, `marks` and `ended`: at each mark and, of a log that is whole, at its end."""
    collected = Collected(source.wanted)
    known = -1
    async with aclosing(_scraped(fetch, source) if source.page else _logged(fetch, source)) as batches:
        async for lines in batches:
            for line in lines:
                if line == AGAIN:
                    collected = Collected(source.wanted)
                else:
                    collected.take(line)
            if (source.page and lines) or len(collected.marks) != known:
                known = len(collected.marks)
                yield _found(collected, ended=False)
    if not source.ended:
        raise ConnectionError(f"the log of pod {source.pod} ended before the pod did")
    collected.close()
    yield _found(collected, ended=True)


def _found(collected: Collected, *, ended: bool) -> Obj:
    return {"metrics": collected.metrics, "marks": dict(collected.marks), "ended": ended}


async def _logged(fetch: Fetch, source: Source) -> AsyncGenerator[Sequence[str], None]:
    path = f"{_path(source)}/log?container={quote(source.container)}{'' if source.ended else '&follow=true'}"
    pending = b""
    async with aclosing(fetch.stream(path)) as chunks:
        async for chunk in chunks:
            *lines, pending = (pending + chunk).split(b"\n")
            yield [line.decode(errors="replace") for line in lines]
    if pending:
        yield [pending.decode(errors="replace")]


async def _scraped(fetch: Fetch, source: Source) -> AsyncGenerator[Sequence[str], None]:
    """A page's samples as `name=value` lines, those that changed, until nobody listens any more."""
    said: dict[str, str] = {}
    while True:
        port, _, path = source.page.partition("/")
        try:
            page = await fetch(f"/api/v1/namespaces/{source.pod.namespace}/pods/{source.pod.name}:{port}/proxy/{path}")
        except (ApiError, ConnectionError):
            page = b""
        now = samples(page.decode(errors="replace"), source.wanted.names)
        yield [f"{name}={value}" for name, value in now.items() if said.get(name) != value]
        said |= now
        await asyncio.sleep(_SCRAPE_SECONDS)


def samples(page: str, names: Sequence[str]) -> dict[str, str]:
    """The values of these metrics on a page in Prometheus' text format; of several series of a name, the last."""
    found = {}
    for line in page.splitlines():
        name = line.split("{", 1)[0].split(" ", 1)[0]
        if name in names and not line.startswith("#"):
            rest = line.rpartition("}")[2] if "{" in line else line[len(name) :]
            values = rest.split()
            if values:
                found[name] = values[0]
    return found


def _path(source: Source) -> str:
    return f"/api/v1/namespaces/{quote(source.pod.namespace)}/pods/{quote(source.pod.name)}"
