"""Leader election on a `coordination.k8s.io/v1` Lease, so that of several replicas of the operators one acts.

`step` decides, purely; `lead` asks it, writes what it says and runs the body while this process leads. As in client-go,
nobody trusts another machine's clock: a lease counts as alive for its duration after it was last seen to change.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from argosy.client.client import Client
from argosy.clock import Clock, SystemClock, rfc3339_micro
from argosy.errors import AlreadyExists, ApiError, Conflict, NotFound
from argosy.kinds import LEASE
from argosy.meta.json import Obj

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Candidacy:
    """Who wants to lead what, and how patient everybody is (seconds)."""

    identity: str
    namespace: str
    name: str
    lease_seconds: int = 15
    renew_within_seconds: float = 10.0
    """A leader that could not renew for this long stops leading, before others may start."""
    retry_seconds: float = 2.0


@dataclass(frozen=True, slots=True)
class Standing:
    """What a candidate knows between two steps."""

    seen: tuple[str, str, int] = ("", "", 0)
    """Holder, renew time and transitions of the lease when it last changed."""
    seen_at: datetime | None = None
    renewed_at: datetime | None = None
    """When this candidate last wrote the lease successfully; None while it does not lead."""


@dataclass(frozen=True, slots=True)
class Step:
    """What to do now: write this spec if there is one."""

    standing: Standing
    spec: Obj | None = None


def step(candidacy: Candidacy, standing: Standing, spec: Obj | None, now: datetime) -> Step:
    """Decide from the lease's spec (None: there is no lease). `won` or `lost` follows when `spec` was written or not."""
    spec = spec or {}
    holder = str(spec.get("holderIdentity") or "")
    seen = (holder, str(spec.get("renewTime") or ""), int(spec.get("leaseTransitions") or 0))
    if seen != standing.seen or standing.seen_at is None:
        standing = Standing(seen, now, standing.renewed_at)
    assert standing.seen_at is not None, "set just above"
    patience = timedelta(seconds=int(spec.get("leaseDurationSeconds") or candidacy.lease_seconds))
    if holder and holder != candidacy.identity and now < standing.seen_at + patience:
        return Step(Standing(standing.seen, standing.seen_at, None))
    mine = holder == candidacy.identity
    stamp = rfc3339_micro(now)
    return Step(
        standing,
        {
            "holderIdentity": candidacy.identity,
            "leaseDurationSeconds": candidacy.lease_seconds,
            "acquireTime": spec.get("acquireTime") or stamp if mine else stamp,
            "renewTime": stamp,
            "leaseTransitions": seen[2] + (0 if mine or not spec else 1),
        },
    )


def won(standing: Standing, spec: Obj, now: datetime) -> Standing:
    """The lease was written."""
    return Standing((str(spec["holderIdentity"]), str(spec["renewTime"]), int(spec["leaseTransitions"])), now, now)


def lost(candidacy: Candidacy, standing: Standing, now: datetime) -> Standing:
    """The lease could not be read or written: leadership lasts only so long without."""
    if standing.renewed_at is None:
        return standing
    if now - standing.renewed_at >= timedelta(seconds=candidacy.renew_within_seconds):
        return Standing(standing.seen, standing.seen_at, None)
    return standing


async def lead(
    client: Client, candidacy: Candidacy, body: Callable[[], Awaitable[object]], *, clock: Clock | None = None
) -> None:
    """Run `body` whenever and only while this candidate leads, until cancelled or `body` returns or raises.

    The body is cancelled when leadership is lost, and started again when it is won back. The lease is given up at the end,
    so that the next candidate need not wait.
    """
    elector = _Elector(client, candidacy, clock or SystemClock())
    task: asyncio.Future[object] | None = None
    try:
        while True:
            leading = await elector.turn()
            if leading and task is None:
                _log.info("%s leads %s/%s", candidacy.identity, candidacy.namespace, candidacy.name)
                task = asyncio.ensure_future(body())
            elif not leading and task is not None:
                _log.warning("%s no longer leads %s/%s", candidacy.identity, candidacy.namespace, candidacy.name)
                await _end(task)
                task = None
            if task is None:
                await asyncio.sleep(candidacy.retry_seconds)
                continue
            done, _ = await asyncio.wait([task], timeout=candidacy.retry_seconds)
            if done:
                task.result()
                return
    finally:
        if task is not None:
            await _end(task)
        await elector.release()


class _Elector:
    def __init__(self, client: Client, candidacy: Candidacy, clock: Clock) -> None:
        self._client, self._candidacy, self._clock = client, candidacy, clock
        self._standing = Standing()

    async def turn(self) -> bool:
        """Read, decide, write; whether this candidate leads afterwards."""
        try:
            async with asyncio.timeout(self._candidacy.renew_within_seconds / 2):
                await self._turn()
        except (ApiError, ConnectionError, TimeoutError) as error:
            if not isinstance(error, Conflict | AlreadyExists):
                _log.info("lease %s: %s", self._candidacy.name, error)
            self._standing = lost(self._candidacy, self._standing, self._clock.now())
        return self._standing.renewed_at is not None

    async def release(self) -> None:
        """Say that nobody holds it, if this candidate does."""
        if self._standing.renewed_at is None:
            return
        with suppress(ApiError, ConnectionError, TimeoutError):
            async with asyncio.timeout(2):
                lease = await self._get()
                if lease is not None and lease["spec"].get("holderIdentity") == self._candidacy.identity:
                    await self._client.update(LEASE, {**lease, "spec": {**lease["spec"], "holderIdentity": ""}})

    async def _turn(self) -> None:
        candidacy = self._candidacy
        lease = await self._get()
        decided = step(candidacy, self._standing, lease.get("spec") if lease else None, self._clock.now())
        self._standing = decided.standing
        if decided.spec is None:
            return
        if lease is None:
            meta = {"name": candidacy.name, "namespace": candidacy.namespace}
            obj = {"apiVersion": LEASE.api_version, "kind": LEASE.kind, "metadata": meta, "spec": decided.spec}
            await self._client.create(LEASE, obj)
        else:
            await self._client.update(LEASE, {**lease, "spec": decided.spec})
        self._standing = won(self._standing, decided.spec, self._clock.now())

    async def _get(self) -> Obj | None:
        try:
            return await self._client.get(LEASE, self._candidacy.name, self._candidacy.namespace)
        except NotFound:
            return None


async def _end(task: asyncio.Future[object]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError, Exception):
        await task
