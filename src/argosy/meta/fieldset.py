"""Sets of fields, as `metadata.managedFields` records who set what.

A set is a tree in the form of FieldsV1 itself, so nothing is translated on the way in and out: keys are path elements
(`f:name`, `k:{"name":"c"}`, `v:"x"`, `i:0`); an empty node is a field that is in the set, a node with fields below it is
itself in the set when it has the key `.`. The root stands for the whole object and is never in the set: an empty root is
the empty set. Trees are values: every operation makes a new one. Used by `typed` and `apply`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from argosy.meta.json import Obj, decode, encode

SELF = "."
LEAF: Obj = {}


def check(fields: Any) -> None:
    """Raise ValueError for what is no FieldsV1."""
    if not isinstance(fields, dict):
        raise ValueError("fieldsV1 must be an object")
    for key, inner in fields.items():
        if key != SELF and key[:2] not in ("f:", "k:", "v:", "i:"):
            raise ValueError(f"{key} is not a path element")
        if inner:
            check(inner)


def ordered(tree: Obj) -> Obj:
    """The tree with its keys sorted, as kube-apiserver writes it; one and the same value for all that are alike.

    Objects that were made of one template set the same fields: thousands of them share one tree.
    """
    return _shared_tree(encode(tree))


@lru_cache(maxsize=2048)
def _shared_tree(written: bytes) -> Obj:
    return _sorted(decode(written))


def _sorted(tree: Obj) -> Obj:
    return {key: _sorted(tree[key]) if tree[key] else LEAF for key in sorted(tree)}


def is_member(node: Mapping[str, Any]) -> bool:
    """Whether a node below the root is itself in the set."""
    return not node or SELF in node


def as_member(node: Obj) -> Obj:
    """The node, itself in the set."""
    return node if is_member(node) else {SELF: LEAF, **node}


def union(left: Obj, right: Obj) -> Obj:
    """What is in either."""
    if not left:
        return right
    result = dict(left)
    for key, inner in right.items():
        mine = result.get(key)
        if mine is None:
            result[key] = inner
        elif key != SELF:
            both = union({k: v for k, v in mine.items() if k != SELF}, {k: v for k, v in inner.items() if k != SELF})
            result[key] = as_member(both) if both and (is_member(mine) or is_member(inner)) else both
    return result


def difference(left: Obj, right: Obj) -> Obj:
    """What is in the left and not, itself, in the right."""
    return _reduced(left, right, below=False)


def without(left: Obj, right: Obj) -> Obj:
    """What is in the left and neither in the right nor below a member of it."""
    return _reduced(left, right, below=True)


def _reduced(left: Obj, right: Obj, *, below: bool) -> Obj:
    result: Obj = {}
    for key, inner in left.items():
        other = right.get(key) if key != SELF else None
        if other is None:
            if key != SELF:
                result[key] = inner
            continue
        gone = is_member(other)
        if gone and (below or not inner):
            continue
        rest = _reduced(inner, other, below=below)
        if is_member(inner) and not gone:
            result[key] = {SELF: LEAF, **rest} if rest else LEAF
        elif rest:
            result[key] = rest
    return result


def intersection(left: Obj, right: Obj) -> Obj:
    """What is in both."""
    result: Obj = {}
    for key, inner in left.items():
        other = right.get(key) if key != SELF else None
        if other is None:
            continue
        both = intersection(inner, other)
        if is_member(inner) and is_member(other):
            result[key] = {SELF: LEAF, **both} if both else LEAF
        elif both:
            result[key] = both
    return result


def has(tree: Obj, element: str) -> bool:
    """Whether the child of this name is itself in the set."""
    node = tree.get(element)
    return node is not None and is_member(node)


def of_paths(*paths: Sequence[str]) -> Obj:
    """The set of these paths of field names: `of_paths(("spec",), ("metadata", "labels"))`."""
    tree: Obj = {}
    for path in paths:
        node: Obj = LEAF
        for name in reversed(path):
            node = {f"f:{name}": node}
        tree = union(tree, node)
    return tree


def members(tree: Obj, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every path in the set: at each level first what is itself in the set, in order, then what is below."""
    keys = sorted((key for key in tree if key != SELF), key=_place)
    yield from ((*path, key) for key in keys if is_member(tree[key]))
    for key in keys:
        yield from members(tree[key], (*path, key))


_SORTS = {"f:": 0, "k:": 1, "v:": 2, "i:": 3}


def _place(element: str) -> tuple[Any, ...]:
    sort, rest = element[:2], element[2:]
    if sort == "f:":
        return (0, rest)
    value = json.loads(rest)
    if sort == "k:":
        return (1, [(key, _rank(value[key])) for key in sorted(value)])
    return (_SORTS[sort], _rank(value))


def _rank(value: Any) -> tuple[int, Any]:
    """Numbers by size before texts, and those before truth values."""
    if isinstance(value, bool):
        return (2, value)
    if isinstance(value, int | float):
        return (0, value)
    return (1, value) if isinstance(value, str) else (3, encode(value))


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
