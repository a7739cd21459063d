"""Objects in the version that was asked for, and back in the one that is stored.

The versions of most kinds differ in nothing but their name, or are converted here (`conversions`). Where a
CustomResourceDefinition names a webhook (`conversion.strategy: Webhook`) that one is asked; so this waits, and writes hold
the revision that they began with against the newest one, as they do when an admission webhook was asked.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any
from uuid import uuid4

from argosy.engine.apiserver import conversions
from argosy.engine.apiserver.answers import Answer, Seen
from argosy.engine.apiserver.api import Api
from argosy.engine.apiserver.failures import Unreasoned
from argosy.engine.apiserver.outbound import Unanswered, ask
from argosy.engine.apiserver.served import Served
from argosy.engine.store import Change, Record
from argosy.meta.json import Obj, decode, encode, thaw
from argosy.meta.kind import Kind

_SECONDS = 30
_VERSIONS = ("v1", "v1beta1")
_CHANGEABLE = ("labels", "annotations")


async def stored_form(api: Api, served: Served, obj: Obj) -> Obj:
    """An object of the version that was asked for, in the version that is stored."""
    if served.webhook is not None:
        return (await _converted(api, served, [obj], served.storage))[0]
    return conversions.to_storage(served, obj) if served.converts else obj


async def shown_form(api: Api, served: Served, obj: Obj) -> Obj:
    """A stored object in the version that was asked for."""
    if served.webhook is not None:
        return (await _converted(api, served, [obj], served.kind))[0]
    return conversions.from_storage(served, obj) if served.converts else obj


async def between(api: Api, given: Served, wanted: Served, obj: Obj) -> Obj:
    """An object of one served version in another of the same kind."""
    if given.webhook is not None:
        return (await _converted(api, wanted, [obj], wanted.kind))[0]
    return conversions.from_storage(wanted, conversions.to_storage(given, obj))


async def answered(api: Api, served: Served, answer: Answer) -> Answer:
    """An answer whose records are shown in the version that was asked for, where only a webhook can tell what they are."""
    if served.webhook is None:
        return answer
    if answer.record is not None:
        (record,) = await _records(api, served, [answer.record])
        return replace(answer, record=record)
    if answer.records is not None:
        return replace(answer, records=await _records(api, served, answer.records))
    return replace(answer, watch=_events(api, served, answer.watch)) if answer.watch is not None else answer


async def _events(
    api: Api, served: Served, seen: AsyncGenerator[Sequence[Seen], None]
) -> AsyncGenerator[Sequence[Seen], None]:
    async with aclosing(seen) as batches:
        async for batch in batches:
            changes = [event.change for event in batch if event.change is not None]
            records = iter(await _records(api, served, [change.record for change in changes]))
            yield [
                event
                if event.change is None
                else Seen(event.type, change=Change(event.change.type, next(records), event.change.previous))
                for event in batch
            ]


async def _records(api: Api, served: Served, records: Sequence[Record]) -> list[Record]:
    """Records as if what is wanted were what is stored."""
    objs = await _converted(api, served, [record.obj for record in records], served.kind)
    return [
        record if obj is record.obj else Record(record.resource, record.key, record.revision, encode(obj))
        for record, obj in zip(records, objs, strict=True)
    ]


async def _converted(api: Api, served: Served, objs: Sequence[Obj], wanted: Kind) -> list[Obj]:
    """Objects in the wanted version, those of other versions by asking the webhook once. Raises Unreasoned."""
    odd = [obj for obj in objs if obj["apiVersion"] != wanted.api_version]
    if not odd:
        return list(objs)
    shown = f"{odd[0]['apiVersion']}, Kind={odd[0]['kind']}"
    try:
        made = iter(await _asked(api, served, odd, wanted))
    except (Unanswered, ValueError) as error:
        raise Unreasoned(f"conversion webhook for {shown} failed: {error}") from None
    found: list[Obj] = []
    for obj in objs:
        if obj["apiVersion"] == wanted.api_version:
            found.append(obj)
            continue
        try:
            converted = _restored(obj, next(made), wanted)
        except ValueError as error:
            raise Unreasoned(f"conversion webhook for {shown} returned invalid object: {error}") from None
        found.append(_whole(api, served, converted, wanted))
    return found


async def _asked(api: Api, served: Served, objs: Sequence[Obj], wanted: Kind) -> list[Any]:
    """What the webhook makes of objects. Raises Unanswered, ValueError."""
    webhook = served.webhook or {}
    version = next((each for each in webhook.get("conversionReviewVersions") or () if each in _VERSIONS), "")
    if not version:
        raise ValueError("no supported conversion review versions")
    uid, group = str(uuid4()), f"apiextensions.k8s.io/{version}"
    request = {"uid": uid, "desiredAPIVersion": wanted.api_version, "objects": list(objs)}
    review = {"kind": "ConversionReview", "apiVersion": group, "request": request}
    said = decode(await ask(api, webhook.get("clientConfig") or {}, _SECONDS, encode(review)))
    response = said.get("response") if isinstance(said, dict) else None
    if not isinstance(response, dict):
        raise ValueError("no response provided")
    if version == "v1" and (said.get("apiVersion"), said.get("kind")) != (group, "ConversionReview"):
        got = f"{said.get('apiVersion')}, Kind={said.get('kind')}"
        raise ValueError(f"expected webhook response of {group}, Kind=ConversionReview, got {got}")
    if version == "v1" and response.get("uid") != uid:
        raise ValueError(f'expected response.uid="{uid}", got "{response.get("uid") or ""}"')
    result = response.get("result") or {}
    if result.get("status") != "Success":
        raise ValueError(
            result.get("message") or f"response.result.status was '{result.get('status') or ''}', not 'Success'"
        )
    made = response.get("convertedObjects") or []
    if len(made) != len(objs):
        raise ValueError(f"returned {len(made)} objects, expected {len(objs)}")
    return list(made)


def _restored(obj: Obj, made: Any, wanted: Kind) -> Obj:
    """A converted object that is still the same one: of its metadata only labels and annotations may have changed.

    Raises ValueError, with the reason.
    """
    if not isinstance(made, dict) or made.get("apiVersion") != wanted.api_version:
        got = made.get("apiVersion") if isinstance(made, dict) else None
        raise ValueError(f"invalid groupVersion (expected {wanted.api_version}, received {got})")
    if made.get("kind") != obj["kind"]:
        raise ValueError(f"invalid kind (expected {obj['kind']}, received {made.get('kind')})")
    meta, said = thaw(obj["metadata"]), made.get("metadata")
    if not isinstance(said, dict):
        raise ValueError("missing metadata in converted object")
    for field in ("name", "namespace", "uid"):
        if (said.get(field) or "") != (meta.get(field) or ""):
            raise ValueError(f"must have the same {field}: {meta.get(field) or ''} != {said.get(field) or ''}")
    for field in _CHANGEABLE:
        given = said.get(field)
        if given is None:
            meta.pop(field, None)
        elif isinstance(given, dict) and all(isinstance(value, str) for value in given.values()):
            meta[field] = given
        else:
            raise ValueError(f"invalid metadata.{field} in converted object")
    return {**made, "metadata": meta}


def _whole(api: Api, served: Served, obj: Obj, wanted: Kind) -> Obj:
    """A converted object as its version's schema wants it: pruned, and with its defaults."""
    target = api.registry.find(wanted.group, wanted.version, wanted.plural)
    read = api.schemas.read(target, obj) if target is not None else None
    if read is None:
        return obj
    if read.error:
        raise Unreasoned(f"conversion webhook for {served.kind.api_version} returned invalid object: {read.error}")
    return read.obj
