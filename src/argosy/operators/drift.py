"""Bringing an object that is there to the form that an operator wants.

Servers fill in defaults, so what comes back is never equal to what was sent. An operator therefore marks what it sends
with a hash of its own wish and compares hashes; only where they differ does it patch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from argosy.meta.json import Obj, encode, thaw
from argosy.meta.objects import annotations_of, labels_of
from argosy.operators.settings import PREFIX

WISH = f"{PREFIX}wish"


def marked(obj: Obj) -> Obj:
    """The object with the hash of itself among its annotations."""
    made: Obj = thaw(obj)
    made["metadata"].setdefault("annotations", {})[WISH] = _hash(obj)
    return made


def patch(live: Obj, wanted: Obj, *fields: str) -> Obj | None:
    """The merge patch that brings `live` to a `marked` object in these fields of its spec, its labels and annotations;
    None when the hashes agree. Fields of the spec that are not named (replicas, say) are left to others.
    """
    if annotations_of(live).get(WISH) == annotations_of(wanted)[WISH]:
        return None
    spec = {name: replacement(live["spec"].get(name), wanted["spec"].get(name)) for name in fields}
    metadata: Obj = {"annotations": annotations_of(wanted)}
    if labels_of(wanted):
        metadata["labels"] = labels_of(wanted)
    return {"metadata": metadata, "spec": spec}


def replacement(live: object, wanted: object) -> object:
    """The merge patch value that turns `live` into `wanted`: what is no longer wanted becomes null."""
    if not isinstance(live, Mapping) or not isinstance(wanted, Mapping):
        return thaw(wanted)
    gone: Obj = {name: None for name in live if name not in wanted}
    return gone | {name: replacement(live.get(name), value) for name, value in wanted.items()}


def _hash(obj: Obj) -> str:
    # Through JSON with sorted keys, so that equal wishes are equal whatever order they were made in.
    return hashlib.sha256(encode(_sorted(obj))).hexdigest()[:16]


def _sorted(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: _sorted(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return [_sorted(item) for item in value]
    return value
