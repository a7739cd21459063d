"""The output of a job's pods as it comes, also of those that a restart makes anew; and the word when they cannot start.

Used while somebody waits for a job: `argosy train`, `argosy.sdk.train`, and `argosy logs -f` of a whole job.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import aclosing
from typing import Any

from argosy import kinds
from argosy.client.client import Client
from argosy.errors import ApiError, Expired, UserError
from argosy.meta.conditions import is_true
from argosy.meta.json import Obj, dig
from argosy.meta.objects import key_of, labels_of, name_of, uid_of
from argosy.sdk.ranks import ranks_of

_HOPELESS = frozenset(["InvalidImageName", "ErrImageNeverPull", "ImagePullBackOff", "CreateContainerConfigError"])
_DRAIN_SECONDS = 3.0
_GANGS = (
    "training.kubeflow.org/job-name",
    "jobset.sigs.k8s.io/jobset-name",
    "leaderworkerset.sigs.k8s.io/name",
    "ray.io/cluster",
    "batch.kubernetes.io/job-name",
)
"""Labels by which a gang's pods know that they belong together."""


class Follower:
    """Follows the pods that a label selector names."""

    def __init__(
        self,
        client: Client,
        namespace: str,
        selector: str,
        write: Callable[[bytes], None] | None,
        rank: int | None = None,
    ) -> None:
        """`write` gets whole lines, with the rank before them where there are several pods; None: output is not read.
        `rank` chooses one.
        """
        self._client, self._namespace, self._selector, self._write = client, namespace, selector, write
        self._rank = rank
        self._pods: dict[str, Obj] = {}
        self._streams: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Follow until cancelled. Raises UserError when a pod cannot be started and no waiting will help."""
        try:
            while True:
                try:
                    await self._watch()
                except (Expired, ConnectionError):
                    await asyncio.sleep(0.5)
        finally:
            for stream in self._streams.values():
                stream.cancel()

    async def drain(self) -> None:
        """Let what was written before the end arrive."""
        streams = [stream for stream in self._streams.values() if not stream.done()]
        if streams:
            await asyncio.wait(streams, timeout=_DRAIN_SECONDS)

    async def _watch(self) -> None:
        listed = await self._client.list(kinds.POD, self._namespace, labels=self._selector)
        for pod in listed.items:
            self._see(pod)
        events = self._client.watch(kinds.POD, self._namespace, since=listed.resource_version, labels=self._selector)
        async with aclosing(events):
            async for event in events:
                if event.type in ("ADDED", "MODIFIED"):
                    self._see(event.obj)
        raise ConnectionError("the watch ended")

    def _see(self, pod: Obj) -> None:
        self._pods[name_of(pod)] = pod
        problem = hopeless(pod)
        if problem:
            namespace, name = key_of(pod)
            raise UserError(f"pod {name} cannot start: {problem}", f"see: argosy why pod/{name} -n {namespace}")
        started = dig(pod, "status", "phase") in ("Running", "Succeeded", "Failed")
        if self._rank is not None and ranks_of(self._pods.values()).get(name_of(pod)) != self._rank:
            return
        if self._write is not None and started and uid_of(pod) not in self._streams:
            self._streams[uid_of(pod)] = asyncio.create_task(self._stream(pod), name=f"log of {name_of(pod)}")

    async def _stream(self, pod: Obj) -> None:
        assert self._write is not None, "nobody reads"
        container = str(pod["spec"]["containers"][0]["name"])
        pending = b""
        try:
            async for chunk in self._client.logs(kinds.POD, key_of(pod), container=container, follow=True):
                *lines, pending = (pending + chunk).split(b"\n")
                prefix = self._prefix(pod)
                if lines:
                    self._write(b"".join(prefix + line + b"\n" for line in lines))
        except (ApiError, ConnectionError):
            pass  # a pod that went, or never ran: its end is told by the job
        if pending:
            self._write(self._prefix(pod) + pending + b"\n")

    def _prefix(self, pod: Obj) -> bytes:
        return prefix_of(ranks_of(self._pods.values()).get(name_of(pod), 0), len(self._pods))


async def follow(follower: Follower, ending: Coroutine[Any, Any, Obj]) -> Obj:
    """Follow until `ending`, a wait, comes to its end; its result. Raises what it raises, and why pods cannot start."""
    waiting = asyncio.create_task(ending)
    following = asyncio.create_task(follower.run())
    try:
        await asyncio.wait([waiting, following], return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            following.result()
        await follower.drain()
        return await waiting
    finally:
        waiting.cancel()
        following.cancel()
        await asyncio.gather(waiting, following, return_exceptions=True)


def gang_selector(pods: Sequence[Obj]) -> str:
    """A label selector of the gang that these pods are, so that their successors are found too; empty where they are none."""
    for label in _GANGS:
        values = {labels_of(pod).get(label, "") for pod in pods}
        if len(values) == 1 and "" not in values:
            return f"{label}={values.pop()}"
    return ""


def has_ended(job: Obj) -> bool:
    """Whether a job of any kind has come to its end, well or not."""
    return any(is_true(job, type) for type in ("Succeeded", "Failed", "Complete", "Completed"))


def prefix_of(rank: int, pods: int) -> bytes:
    """What stands before a rank's lines; nothing where there is one pod."""
    return f"[{rank:>{len(str(pods - 1))}}] ".encode() if pods > 1 else b""


def hopeless(pod: Obj) -> str:
    """Why a pod will not start however long one waits; empty while it may."""
    for field in ("initContainerStatuses", "containerStatuses"):
        for status in dig(pod, "status", field, default=()):
            waiting = dig(status, "state", "waiting", default={})
            if waiting.get("reason") in _HOPELESS and waiting.get("message"):
                return f"{waiting['reason']}: {waiting['message']}"
    return ""
