"""Sets of fields, as `metadata.managedFields` records who set what.

A set is a tree whose keys are the path elements of FieldsV1 (`f:name`, `k:{"name":"c"}`, `v:"x"`, `i:0`); a node that is
itself in the set has the key `.`. Trees are values: every operation makes a new one, without empty branches, so an empty
set is an empty dict. Used by `typed` and `apply`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from argosy.meta.json import Obj

SELF = "."
LEAF: Obj = {SELF: {}}


def decode(fields: Any) -> Obj:
    """FieldsV1 as a tree. Raises ValueError for what is none."""
    if not isinstance(fields, dict):
        raise ValueError("fieldsV1 must be an object")
    tree: Obj = {}
    for key, inner in fields.items():
        if key == SELF:
            tree[SELF] = {}
        elif key[:2] in ("f:", "k:", "v:", "i:"):
            tree[key] = decode(inner) if inner else {SELF: {}}
        else:
            raise ValueError(f"{key} is not a path element")
    return tree


def encode(tree: Obj) -> Obj:
    """The tree as FieldsV1, sorted."""
    return {key: {} if key == SELF or tree[key] == LEAF else encode(tree[key]) for key in sorted(tree)}


def union(left: Obj, right: Obj) -> Obj:
    """What is in either."""
    if not left:
        return right
    result = dict(left)
    for key, inner in right.items():
        result[key] = union(result[key], inner) if key in result and key != SELF else inner
    return result


def difference(left: Obj, right: Obj) -> Obj:
    """What is in the left and not, itself, in the right."""
    result: Obj = {}
    for key, inner in left.items():
        if key == SELF:
            if SELF not in right:
                result[SELF] = {}
        elif key in right:
            rest = difference(inner, right[key])
            if rest:
                result[key] = rest
        else:
            result[key] = inner
    return result


def without(left: Obj, right: Obj) -> Obj:
    """What is in the left and neither in the right nor below a member of it."""
    result: Obj = {}
    for key, inner in left.items():
        if key == SELF:
            if SELF not in right:
                result[SELF] = {}
        elif key in right:
            rest = {} if SELF in right[key] else without(inner, right[key])
            if rest:
                result[key] = rest
        else:
            result[key] = inner
    return result


def intersection(left: Obj, right: Obj) -> Obj:
    """What is in both."""
    result: Obj = {}
    for key, inner in left.items():
        if key not in right:
            continue
        if key == SELF:
            result[SELF] = {}
        else:
            both = intersection(inner, right[key])
            if both:
                result[key] = both
    return result


def has(tree: Obj, element: str) -> bool:
    """Whether the child of this name is itself in the set."""
    return SELF in tree.get(element, ())


def insert(tree: Obj, path: Sequence[str]) -> None:
    """Add a path to a tree that is still being made, in place."""
    for element in path:
        tree = tree.setdefault(element, {})
    tree[SELF] = {}


def of_paths(*paths: Sequence[str]) -> Obj:
    """The set of these paths of field names: `of_paths(("spec",), ("metadata", "labels"))`."""
    tree: Obj = {}
    for path in paths:
        insert(tree, [f"f:{name}" for name in path])
    return tree


def members(tree: Obj, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every path in the set, in order."""
    if SELF in tree:
        yield path
    for key in sorted(tree):
        if key != SELF:
            yield from members(tree[key], (*path, key))


def path_text(path: Sequence[str]) -> str:
    """A path as conflicts show it: `.spec.containers[name="c"].image`."""
    return "".join(element_text(element) for element in path)


def element_text(element: str) -> str:
    """One path element as conflicts show it."""
    sort, rest = element[:2], element[2:]
    if sort == "f:":
        return f".{rest}"
    if sort == "k:":
        keys = json.loads(rest)
        return "[" + ",".join(f"{key}={_shown(keys[key])}" for key in sorted(keys)) + "]"
    if sort == "v:":
        return f"[={_shown(json.loads(rest))}]"
    return f"[{rest}]"


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
