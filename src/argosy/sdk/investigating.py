"""Finding out why something is not ready: its family and their events, from the cluster, judged by `why`.

`argosy why` prints the result; who waits in vain says its innermost reason.
"""

from __future__ import annotations

from argosy import kinds
from argosy.client.client import Client
from argosy.meta.json import Obj, dig
from argosy.meta.kind import Kind
from argosy.sdk import why
from argosy.sdk.ownership import family_of


async def investigate(client: Client, kind: Kind, name: str, namespace: str) -> why.Finding:
    """How an object and everything below it stands. Raises ApiError, NotFound among them."""
    family = await family_of(client, kind, name, namespace)
    listed = await client.list(kinds.EVENT, namespace if kind.namespaced else "default")
    by_uid: dict[str, list[Obj]] = {}
    for event in sorted(listed.items, key=turn):
        by_uid.setdefault(str(dig(event, "involvedObject", "uid", default="")), []).append(event)
    return why.chain(family, by_uid)


def turn(event: Obj) -> tuple[str, int]:
    """Orders Events as they were said; their times are in whole seconds, so of equals the one that was written later."""
    meta = event["metadata"]
    time = str(event.get("lastTimestamp") or event.get("eventTime") or meta.get("creationTimestamp") or "")
    version = str(meta.get("resourceVersion") or "")
    return time, int(version) if version.isdecimal() else 0
