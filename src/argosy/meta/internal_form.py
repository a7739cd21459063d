"""Objects as Kubernetes writes them in messages about what may not change: its internal form, with Go's field names.

A refusal such as `spec.template: Invalid value: {"Spec":{"Volumes":null,…}}: field is immutable` shows every field of the
internal type, in its order, with nulls and zeros for what is not there; some refusals carry a diff of two such forms.
`internal_forms.json.gz` lists for each type its rows: the Go name ("" for an embedded type), the JSON name, a letter for
what stands there when it is absent, the type of what is below, and flags (2: the value stands in the object around this one).
Called by the rules of pods, jobs, claims and volumes.
"""

from __future__ import annotations

import difflib
import gzip
import json
from functools import cache
from importlib.resources import files
from typing import Any

from argosy.meta import causes
from argosy.meta.json import Obj

_META = (
    "name", "generateName", "namespace", "selfLink", "uid", "resourceVersion", "generation", "creationTimestamp",
    "deletionTimestamp", "deletionGracePeriodSeconds", "labels", "annotations", "ownerReferences", "finalizers",
    "managedFields",
)  # fmt: skip
_ABSENT: Obj = {"s": "", "n": 0, "b": False, "q": "0"}
_AROUND = 2


def form(kind: str, value: Obj | None) -> Obj | None:
    """The internal form of an object of a type such as `core.PodSpec`, its maps sorted; None stays None."""
    return None if value is None else _struct(kind, value, {})


def diff(kind: str, old: Obj, new: Obj) -> str:
    """What differs between the internal forms of two objects, as a unified diff without its head."""
    before, after = (_lines(form(kind, each)) for each in (old, new))
    return "".join(list(difflib.unified_diff(before, after, n=3))[2:])


def _lines(value: Obj | None) -> list[str]:
    text = json.dumps(value, indent=1, ensure_ascii=False)
    return [line + "\n" for line in causes.page_safe(text).split("\n")]


@cache
def _forms() -> dict[str, list[tuple[str, str, str, str | None, int]]]:
    raw = files("argosy.meta").joinpath("internal_forms.json.gz").read_bytes()
    rows: dict[str, list[tuple[str, str, str, str | None, int]]] = json.loads(gzip.decompress(raw))
    return rows


def _struct(kind: str, value: Obj, around: Obj) -> Obj:
    if kind == "metav1.LabelSelector":
        return _selector(value)
    found: Obj = {}
    for go, name, letter, below, flags in _forms()[kind]:
        if letter == "o":
            meta = value.get(name) or {}
            found |= {each: _sorted(meta[each]) for each in _META if meta.get(each)}
        elif not go:
            found |= _struct(below or "", value, around)
        else:
            source = around if flags & _AROUND else value
            found[go] = _field(letter, below, source.get(name), value)
    return found


def _field(letter: str, below: str | None, value: Any, around: Obj) -> Any:
    if value is None:
        return _struct(below or "", {}, around) if letter == "t" else _ABSENT.get(letter)
    if below is None:
        return _sorted(value)
    if isinstance(value, list):
        return [_struct(below, each, around) for each in value]
    return _struct(below, value, around)


def _selector(value: Obj) -> Obj:
    found: Obj = {}
    if value.get("matchLabels"):
        found["matchLabels"] = _sorted(value["matchLabels"])
    if value.get("matchExpressions"):
        found["matchExpressions"] = [
            {name: each.get(name, "") for name in ("key", "operator")}
            | ({"values": each["values"]} if each.get("values") else {})
            for each in value["matchExpressions"]
        ]
    return found


def _sorted(value: Any) -> Any:
    if isinstance(value, list):
        return [_sorted(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {key: _sorted(value[key]) for key in sorted(value)}
