"""Admission webhooks: programs that are asked about writes, and may change them or say no.

`mutate` and `validate` are called for every create and update between the built-in steps, `validate_delete` for deletes,
`connect` for exec, attach and port-forward, `substitute` for scale, bindings and evictions. While a webhook is waited for others may write; then the write is done over
(`app`), as it is on any cluster. Where the cluster has no webhook all of this costs a look-up.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from uuid import uuid4

from argosy import kinds
from argosy.engine.apiserver.admission import matching
from argosy.engine.apiserver.admission.matching import States
from argosy.engine.apiserver.admission.webhooks import review
from argosy.engine.apiserver.admission.webhooks.calling import NotCalled, post
from argosy.engine.apiserver.admission.webhooks.hooks import Asked, Hook, all_hooks
from argosy.engine.apiserver.admission.webhooks.review import Rejected, Verdict
from argosy.engine.apiserver.calls import Call
from argosy.engine.apiserver.converting import between
from argosy.engine.apiserver.served import Served
from argosy.errors import BadRequest, InternalError
from argosy.meta import patches
from argosy.meta.json import Obj, encode
from argosy.meta.kind import Kind

log = logging.getLogger(__name__)

_MUTATING = kinds.MUTATING_WEBHOOK_CONFIGURATION
_VALIDATING = kinds.VALIDATING_WEBHOOK_CONFIGURATION
_UNSEEN = frozenset({"scale", "binding", "eviction"})
"""Subresources whose requests are about another kind than the stored one: webhooks are asked by `substitute` before."""


async def mutate(call: Call, obj: Obj, old: Obj | None, complete: Callable[[], None]) -> None:
    """Let webhooks change a create or an update, in place.

    `complete` does the built-in steps again, on what the webhooks made. One that asked for it (`reinvocationPolicy`) is
    then asked once more when another has changed the object after it. Raises ApiError.
    """
    hooks = _hooks(call, _MUTATING)
    if not hooks:
        return
    asked = _asked(call, obj, old)
    over: list[Hook] = []
    again: list[Hook] = []
    changed = False
    for hook in hooks:
        served = asked.version_for(hook, (obj, old))
        if served is None:
            continue
        if await _mutated(asked, hook, served, obj, old):
            changed, again, over = True, again + over, []
        if hook.spec.get("reinvocationPolicy") == "IfNeeded":
            over.append(hook)
    if not changed:
        return
    complete()
    for hook in again:
        served = asked.version_for(hook, (obj, old))
        if served is not None:
            await _mutated(asked, hook, served, obj, old)


async def validate(call: Call, obj: Obj, old: Obj | None) -> None:
    """Let webhooks say no to a create or an update. Raises ApiError."""
    if hooks := _hooks(call, _VALIDATING):
        await _review(_asked(call, obj, old), hooks, (obj, old))


async def validate_delete(call: Call, old: Obj, *, dry_run: bool) -> None:
    """Let webhooks say no to a delete. Raises ApiError."""
    if hooks := [*_hooks(call, _MUTATING), *_hooks(call, _VALIDATING)]:
        asked = Asked(call, "DELETE", matching.namespace_of(call, old), "DeleteOptions", dry_run)
        await _review(asked, hooks, (None, old))


async def substitute(call: Call, about: Kind, obj: Obj, old: Obj | None = None) -> Obj:
    """What webhooks make of an object that is sent to a subresource and is of a kind of its own. Raises ApiError."""
    mutating, validating = all_hooks(call, _MUTATING), all_hooks(call, _VALIDATING)
    if not mutating and not validating:
        return obj
    asked = replace(_asked(call, obj, old), about=about)
    named = {"kind": about.kind, "apiVersion": about.api_version}
    obj, old = {**named, **obj}, {**named, **old} if old is not None else None
    for hook in mutating:
        served = asked.version_for(hook, (obj, old))
        verdict = await _verdict(asked, hook, served, (obj, old), mutating=True) if served is not None else None
        if verdict is not None and verdict.patch:
            try:
                obj = patches.apply_json(obj, verdict.patch)
            except patches.PatchFailed as error:
                raise InternalError(f"Internal error occurred: {error}") from None
            if not isinstance(obj, dict) or not isinstance(obj.get("metadata", {}), dict):
                raise InternalError(f'Internal error occurred: admission webhook "{hook.name}" left no object')
    await _review(asked, validating, (obj, old))
    return obj


async def connect(call: Call, kind: str, options: Obj) -> None:
    """Let webhooks say no to a connection to a pod, whose options are an object of that kind. Raises ApiError."""
    if hooks := [*_hooks(call, _MUTATING), *_hooks(call, _VALIDATING)]:
        asked = Asked(call, "CONNECT", matching.namespace_of(call, {}), kind, dry_run=False)
        await _review(asked, hooks, ({"kind": kind, "apiVersion": "v1", **options}, None))


def _hooks(call: Call, configurations: Kind) -> list[Hook]:
    return [] if call.target.subresource in _UNSEEN else all_hooks(call, configurations)


def _asked(call: Call, obj: Obj, old: Obj | None) -> Asked:
    operation = "CREATE" if old is None else "UPDATE"
    options = {"apply": "PatchOptions", "patch": "PatchOptions"}.get(call.verb, f"{operation.capitalize()}Options")
    return Asked(call, operation, matching.namespace_of(call, obj), options, call.dry_run)


async def _review(asked: Asked, hooks: Sequence[Hook], states: States) -> None:
    """Ask all at once. The first of them, in their order, that says no is the one that is told."""
    wanted = [(hook, served) for hook in hooks if (served := asked.version_for(hook, states)) is not None]
    outcomes = await asyncio.gather(
        *(_verdict(asked, hook, served, states, mutating=False) for hook, served in wanted), return_exceptions=True
    )
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome


async def _mutated(asked: Asked, hook: Hook, served: Served, obj: Obj, old: Obj | None) -> bool:
    """Ask one and do what it says; whether that changed the object."""
    verdict = await _verdict(asked, hook, served, (obj, old), mutating=True)
    if verdict is None or not verdict.patch:
        return False
    call = asked.call
    before = await _shown(call, served, obj)
    try:
        patched = patches.apply_json(before, verdict.patch)
    except patches.PatchFailed as error:
        raise InternalError(f"Internal error occurred: {error}") from None
    if patched == before:
        return False
    if not isinstance(patched, dict) or not isinstance(patched.get("metadata"), dict):
        raise InternalError(f'Internal error occurred: admission webhook "{hook.name}" left no object')
    own = patched if served is call.served else await between(call.api, served, call.served, patched)
    read = call.api.schemas.read(call.served, own)
    if read.error:
        raise InternalError(f"Internal error occurred: {read.error}")
    obj.clear()
    obj.update(read.obj)
    return True


async def _verdict(asked: Asked, hook: Hook, served: Served, states: States, *, mutating: bool) -> Verdict | None:
    """A webhook's answer that lets the request through; None where it could not be asked and that does not matter.

    Raises Rejected, InternalError, BadRequest for a dry run that it could not take back.
    """
    if asked.dry_run and hook.has_effects:
        raise BadRequest(f'admission webhook "{hook.name}" does not support dry run')
    try:
        verdict = await _answer(asked, hook, served, states, mutating=mutating)
    except NotCalled as error:
        if not hook.fails_open:
            raise InternalError(f"Internal error occurred: {error}") from None
        log.warning("%s; the request goes on, as its failurePolicy says", error)
        return None
    asked.call.warnings += verdict.warnings
    if not verdict.allowed:
        raise Rejected(hook.name, verdict.status)
    return verdict


async def _answer(asked: Asked, hook: Hook, served: Served, states: States, *, mutating: bool) -> Verdict:
    version = review.version_of(hook.spec.get("admissionReviewVersions") or [])
    if not version:
        raise NotCalled(hook, "webhook does not accept known AdmissionReview versions (v1, v1beta1)")
    uid = str(uuid4())
    call = asked.call
    if asked.operation != "CONNECT" and asked.about is None:
        obj, old = [None if state is None else await _shown(call, served, state) for state in states]
        states = (obj, old)
    raw = await post(call.api, hook, encode(review.body(asked, served, states, uid, version)))
    try:
        return review.answer_of(raw, uid, version, mutating=mutating)
    except ValueError as error:
        raise NotCalled(hook, f"received invalid webhook response: {error}") from None


async def _shown(call: Call, served: Served, obj: Obj) -> Obj:
    """An object of the request in the version that a webhook wants, kind and all. Shares parts with it."""
    if served is not call.served:
        obj = await between(call.api, call.served, served, obj)
    return {**obj, "kind": served.kind.kind, "apiVersion": served.kind.api_version}
