"""What `kubectl explain` says of the kinds that come with Argosy, whose own schemas carry no prose.

`openapi` asks for it when a client reads a document; nothing is read, or kept, before. The words are in `prose.txt`.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

from argosy.meta.json import Obj

Words = dict[tuple[str, ...], str]
"""The end of a field's path → what it is about."""


_ELSEWHERE = frozenset({
    "template", "leaderTemplate", "workerTemplate", "submitterPodTemplate", "trainJobTemplate", "volumeClaimTemplates",
})  # fmt: skip
"""Fields that hold objects of other kinds, which have words of their own."""


def described(group: str, kind: str, schema: Obj) -> Obj:
    """A schema with what there is to say of its fields; as it is where it speaks for itself."""
    words = words_of(group, kind) if "description" not in schema else {}
    return _with(schema, (), words) if words else schema


def _text() -> bytes:
    return files("argosy.meta").joinpath("prose.txt").read_bytes()


@cache
def digest() -> bytes:
    """Changes with the words, for clients that keep what they were told."""
    return hashlib.sha256(_text()).digest()


def words_of(group: str, kind: str) -> Words:
    """Everything that is said of a kind; nothing for one that did not come with Argosy."""
    found: Words = {}
    ours = False
    for line in _text().decode().splitlines():
        if line.startswith("["):
            place, _, kinds = line.strip("[]").partition(": ")
            ours = place == group and kind in kinds.split()
        elif ours and line and not line.startswith("#"):
            field, _, text = line.partition(" = ")
            found[tuple(field.split(".")) if field else ()] = text
    return found


def about(path: tuple[str, ...], words: Words) -> tuple[str, ...] | None:
    """The end of a path that something is said of; None where nothing is."""
    for length in range(len(path), -1, -1):
        end = path[len(path) - length :]
        if end in words and (end or not path):
            return end
        # `ReplicaSpecs.replicas` is about `pytorchReplicaSpecs.replicas` and its kin.
        for known in words if length else ():
            kin = known and known[0][0].isupper() and end[0].endswith(known[0])
            if kin and known[1:] == end[1:]:
                return known
    return None


def _with(schema: Obj, path: tuple[str, ...], words: Words) -> Obj:
    made = dict(schema)
    known = about(path, words)
    if known is not None:
        made = {"description": words[known], **made}
    if path and path[-1] in _ELSEWHERE:
        return made
    if isinstance(schema.get("properties"), dict):
        made["properties"] = {name: _with(each, (*path, name), words) for name, each in schema["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            inner = _with(schema[key], path, words)
            inner.pop("description", None)
            made[key] = inner
    return made
