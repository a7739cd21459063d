"""Carrying out a plan's actions.

The runner hands over the actions; what comes back says what must have been seen before the next plan may be trusted, what
went wrong for the user to read, and whether to try again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from argosy.client.client import Client
from argosy.client.requests import JSON, Request
from argosy.control.informer import Informer
from argosy.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Forbidden,
    NotFound,
    ServiceUnavailable,
    Timeout,
    TooManyRequests,
)
from argosy.intent import Action, Call, Create, Delete, Patch, Reason
from argosy.meta.json import Obj, encode
from argosy.meta.kind import Kind
from argosy.meta.objects import Key, is_controlled_by, is_deleting, key_of, uid_of, version_of

_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Expectation:
    """A write of our own that an informer has to show before the next plan."""

    kind: Kind
    key: Key
    version: int = 0
    """The resourceVersion that was written."""
    deleted_uid: str = ""
    """For a deletion: the object that has to be gone, or at least going."""

    def met_by(self, informer: Informer) -> bool:
        """Whether the informer's copy includes the write."""
        if informer.namespace and informer.namespace != self.key.namespace:
            return True
        if not self.deleted_uid:
            return informer.version >= self.version
        known = informer.get(self.key)
        return known is None or uid_of(known) != self.deleted_uid or is_deleting(known)


@dataclass(slots=True)
class Outcome:
    """What became of a plan's actions."""

    expectations: list[Expectation] = field(default_factory=list)
    failures: list[Reason] = field(default_factory=list)
    """For the user, as Warnings."""
    retry: bool = False
    retry_after_seconds: float | None = None
    status_holds: bool = True
    """Whether the plan's status may be written. A failed Create leaves it true, since it was made from what was observed;
    one that goes with a Patch or Delete (a restart that is counted, say) must not be written unless that happened."""
    subject: Obj | None = None
    """The subject as it is after the actions, when one of them changed it."""
    called: bool = False
    """Whether a program outside was told something, so that what a probe knows of it may be out of date."""


async def carry_out(client: Client, subject: Obj, actions: Sequence[Action]) -> Outcome:
    """Carry out actions in order; neighbours of the same sort at the same time. Never raises ApiError."""
    outcome = Outcome()
    for _, wave in groupby(actions, key=lambda action: (type(action), action.kind)):
        if outcome.retry:
            break
        await _together([_Carrier(client, subject, outcome).carry(action) for action in wave])
    return outcome


async def _together(carriers: Sequence[Coroutine[object, object, None]]) -> None:
    if len(carriers) == 1:
        await carriers[0]
        return
    pending = iter(carriers)

    async def work() -> None:
        for carrier in pending:
            await carrier

    await asyncio.gather(*[work() for _ in range(min(_AT_ONCE, len(carriers)))])


@dataclass(frozen=True, slots=True)
class _Carrier:
    client: Client
    subject: Obj
    outcome: Outcome

    async def carry(self, action: Action) -> None:
        try:
            match action:
                case Create():
                    await self._create(action)
                case Patch():
                    await self._patch(action)
                case Delete():
                    await self._delete(action)
                case Call():
                    await self._call(action)
        except (ConnectionError, ServiceUnavailable, Timeout, TimeoutError) as error:
            # Not about the object: the server is away, and the user need not read it on every object.
            self._fail(action, None, error)
        except ApiError as error:
            self._fail(action, Reason(f"Failed{type(action).__name__}", _sentence(action, error), warning=True), error)

    async def _create(self, action: Create) -> None:
        try:
            made = await self.client.create(action.kind, action.obj)
        except AlreadyExists:
            made = await self.client.get(action.kind, key_of(action.obj).name, key_of(action.obj).namespace)
            if not is_controlled_by(made, self.subject):
                raise
        self._wrote(action.kind, made)

    async def _patch(self, action: Patch) -> None:
        patch = action.patch
        if action.uid:
            patch = {**patch, "metadata": {**(patch.get("metadata") or {}), "uid": action.uid}}
        try:
            made = await self.client.patch(action.kind, action.key, patch, subresource=action.subresource)
        except Forbidden as error:
            if not action.optional:
                raise
            reason = Reason("FailedPatch", f"{_sentence(action, error)}; nothing else waits for it", warning=True)
            self.outcome.failures.append(reason)
            return
        except (NotFound, Conflict) as error:
            # What was observed is out of date: observe again, nothing to tell.
            self._fail(action, None, error)
            return
        self._wrote(action.kind, made)
        if uid_of(made) == uid_of(self.subject) and not action.subresource:
            self.outcome.subject = made

    async def _delete(self, action: Delete) -> None:
        try:
            gone = await self.client.delete(
                action.kind,
                action.key,
                uid=action.uid,
                grace_seconds=action.grace_seconds,
                propagation=action.propagation,
            )
        except NotFound:
            return
        except Conflict:
            if action.uid:
                return  # it is a namesake: the one that was meant is gone
            raise
        uid = action.uid or uid_of(gone if "metadata" in gone else {"metadata": {}})
        if not uid:
            uid = str((gone.get("details") or {}).get("uid") or "")
        if uid:
            self.outcome.expectations.append(Expectation(action.kind, action.key, deleted_uid=uid))

    async def _call(self, action: Call) -> None:
        path = action.kind.path(action.key.namespace, action.key.name, f"proxy/{action.path.lstrip('/')}")
        body = b"" if action.body is None else encode(action.body)
        self.outcome.called = True
        try:
            response = await self.client.raw(Request(action.method, path, {}, {"content-type": JSON}, body))
            if response.chunks is not None:
                async for _ in response.chunks:
                    pass
        except (ApiError, ConnectionError, TimeoutError):
            if not action.optional:
                raise

    def _wrote(self, kind: Kind, made: Obj) -> None:
        version = version_of(made)
        if version.isdigit():
            self.outcome.expectations.append(Expectation(kind, key_of(made), int(version)))

    def _fail(self, action: Action, reason: Reason | None, error: Exception) -> None:
        self.outcome.retry = True
        if not isinstance(action, Create):
            self.outcome.status_holds = False
        if isinstance(error, TooManyRequests) and error.retry_after_seconds:
            self.outcome.retry_after_seconds = float(error.retry_after_seconds)
        if reason is not None and not _is_ending(error):
            self.outcome.failures.append(reason)


def unmet(expectations: Iterable[Expectation], informers: dict[Kind, Informer]) -> list[tuple[Expectation, Informer]]:
    """The expectations that the informers at hand do not show yet."""
    found = ((each, informers.get(each.kind)) for each in expectations)
    return [(each, informer) for each, informer in found if informer is not None and not each.met_by(informer)]


def _is_ending(error: Exception) -> bool:
    """Creating in a namespace that is going away is no mistake of anybody's."""
    return isinstance(error, Forbidden) and any(cause.reason == "NamespaceTerminating" for cause in error.causes)


def _sentence(action: Action, error: ApiError) -> str:
    key = _wanted(action.obj) if isinstance(action, Create) else action.key
    if isinstance(action, Call):
        return f"{action.method} {action.path} at {action.kind.kind} {key} failed: {error}"
    verb = {Create: "create", Patch: "patch", Delete: "delete"}[type(action)]
    if isinstance(error, AlreadyExists):
        return (
            f"Cannot create {action.kind.kind} {key}: one that belongs to something else is there; delete or rename it"
        )
    return f"Cannot {verb} {action.kind.kind} {key}: {error}"


def _wanted(obj: Obj) -> Key:
    meta = obj["metadata"]
    return Key(meta.get("namespace") or "", meta.get("name") or f"{meta.get('generateName', '')}…")
