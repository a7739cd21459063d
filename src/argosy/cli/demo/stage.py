"""What the chapters share: the client, the clock of the story, telling, waiting, and following logs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field

from argosy import kinds
from argosy.cli.demo.story import Moment, Story
from argosy.cli.terminal import Progress, progress, say
from argosy.client.client import Client
from argosy.errors import ApiError, NotFound
from argosy.meta.json import Obj, dig
from argosy.meta.kind import Kind
from argosy.meta.objects import Key, uid_of
from argosy.programs.demo.manifests import Demo
from argosy.sdk import waiting
from argosy.sdk.apply import apply
from argosy.sdk.investigating import turn

_POD_SECONDS = 900.0
"""Environments may have to be built before a pod starts."""


@dataclass(slots=True)
class Stage:
    """One run of the demo."""

    client: Client
    plan: Demo
    ingress: str
    story: Story
    quiet: bool = False
    began: float = field(default_factory=time.monotonic)
    shown: Progress = field(default_factory=lambda: Progress(""))
    """The present chapter's."""

    def seconds(self) -> float:
        """Since the demo began."""
        return time.monotonic() - self.began

    def tell(self, text: str) -> None:
        """A line of the story, for a person."""
        if not self.quiet:
            self.shown.close()
            say(text)

    def moment(self, what: str, since: float | None = None) -> None:
        """Mark the timeline: a point, or what lasted `since` then."""
        now = self.seconds()
        self.story.moments.append(Moment(now if since is None else since, what, None if since is None else now))

    @asynccontextmanager
    async def chapter(self, title: str) -> AsyncGenerator[Progress]:
        """A titled part with a progress line; its length goes on the timeline."""
        began = self.seconds()
        self.tell(f"\n[{began:5.0f} s] {title}")
        with progress(title) as self.shown:
            yield self.shown
        self.moment(title, began)

    async def apply(self, *objects: Obj) -> None:
        """Apply objects, all or an error."""
        await apply(self.client, objects, namespace=self.plan.namespace)

    async def until(
        self, kind: Kind, name: str, satisfied: waiting.Verdict, shown: Progress, namespace: str = ""
    ) -> Obj:
        """Wait for an object to satisfy, showing what its pods wait for."""
        key = Key(namespace or self.plan.namespace, name)
        ticker = asyncio.create_task(self._tick(key.namespace, shown))
        try:
            return await waiting.until(self.client, kind, key, satisfied, timeout_seconds=_POD_SECONDS)
        finally:
            ticker.cancel()

    async def lines(self, pod: str, *, other_than: str = "") -> AsyncGenerator[str, None]:
        """The log of a pod as it comes, from the moment it has one; with `other_than`, of a pod with another uid."""
        key = Key(self.plan.namespace, pod)
        ticker = asyncio.create_task(self._tick(key.namespace, self.shown))
        try:
            await waiting.until(
                self.client, kinds.POD, key,
                lambda found: uid_of(found) != other_than and dig(found, "status", "phase") not in (None, "Pending"),
                timeout_seconds=_POD_SECONDS, comes_back=True,
            )  # fmt: skip
        finally:
            ticker.cancel()
        pending = b""
        async with aclosing(self.client.logs(kinds.POD, key, follow=True)) as chunks:
            async for chunk in chunks:
                *whole, pending = (pending + chunk).split(b"\n")
                for line in whole:
                    yield line.decode(errors="replace")

    async def remove(self, kind: Kind, name: str) -> None:
        """Delete an object of an earlier run and wait until it is gone, its pods too."""
        key = Key(self.plan.namespace, name)
        try:
            await self.client.delete(kind, key, propagation="Foreground")
            while True:
                await self.client.get(kind, name, key.namespace)
                await asyncio.sleep(0.1)
        except NotFound:
            return

    async def _tick(self, namespace: str, shown: Progress) -> None:
        """Every so often, the newest word about what is being waited for: pulling an image, mostly."""
        while True:
            await asyncio.sleep(0.5)
            try:
                events = await self.client.list(kinds.EVENT, namespace)
            except (ApiError, ConnectionError):
                continue
            newest = max(events.items, key=turn, default=None)
            if newest is not None:
                about = newest.get("involvedObject") or {}
                shown.update(f"{str(about.get('kind')).lower()}/{about.get('name')}: {newest.get('message')}")


def is_available(deployment: Obj) -> bool:
    """Whether a Deployment has all the replicas it wants, up to date."""
    wanted = dig(deployment, "spec", "replicas", default=1)
    status = dig(deployment, "status", default={})
    seen = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    return bool(seen and status.get("availableReplicas", 0) >= wanted and status.get("updatedReplicas", 0) >= wanted)
