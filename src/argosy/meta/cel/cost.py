"""An upper bound of what evaluating an expression costs, before any value is known, in the units of Google's estimator.

`rules` refuses what may cost too much. Sizes come from the schema's own bounds; what has none is taken for as large as a
request may be.
"""

from __future__ import annotations

import math

from argosy.meta.cel.check import Checked
from argosy.meta.cel.syntax import Call, Const, Ident, ListOf, Macro, MapOf, Node, Select
from argosy.meta.cel.types import UNBOUNDED, Type

_TRAVERSE = 0.1
"""For every byte of a text that is walked along."""
_PATTERN = 0.25
_LIST, _MAP = 10, 30
_SIZED = frozenset({"string", "bytes", "list", "map", "dyn", "optional_type"})
_SCALARS = frozenset({"int", "uint", "double", "bool", "timestamp", "duration", "null_type"})
_SAME_SIZE = frozenset(
    {"lowerAscii", "upperAscii", "trim", "substring", "split", "charAt", "orValue", "value", "bytes", "dyn"}
)
_WALKS = frozenset({
    "isSorted", "sum", "min", "max", "distinct", "lowerAscii", "upperAscii", "trim", "substring", "replace", "split",
    "charAt", "indexOf", "lastIndexOf", "isIP", "ip", "isCIDR", "cidr", "url", "isURL", "quantity", "isQuantity",
    "semver", "isSemver", "validate", "format", "ip.isCanonical", "strings.quote",
})  # fmt: skip
_ELEMENTWISE = frozenset({"isSorted", "sum", "min", "max", "indexOf", "lastIndexOf"})
_COMPARISONS = frozenset({"_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_"})


def upper_bound(checked: Checked) -> float:
    """The most that an evaluation costs; infinite where nothing bounds it."""
    return _cost(checked.node)


def _times(left: float, right: float) -> float:
    return 0.0 if 0 in (left, right) else left * right


def _up(value: float) -> float:
    return value if math.isinf(value) else float(math.ceil(value))


def size_of(node: Node) -> float:
    """The most characters, bytes or items that a node's value has."""
    type: Type = node.type
    if type.name == "optional_type":
        type = type.params[0]
    if type.name in _SCALARS:
        return 1
    if isinstance(node, Const | ListOf | MapOf | Ident | Select):
        return type.size
    if isinstance(node, Macro):
        if node.name == "bind":
            return size_of(node.args[0])
        return size_of(node.target) if node.name in ("filter", "map", "transformList", "transformMap") else type.size
    assert isinstance(node, Call), "there is no other kind of node"
    if node.name == "_+_":
        return sum(map(size_of, node.args))
    if node.name == "_?_:_":
        return max(size_of(node.args[1]), size_of(node.args[2]))
    if node.name == "_[_]":
        holder: Type = node.args[0].type
        return holder.params[-1].size if holder.params else UNBOUNDED
    return size_of(node.args[0]) if node.name in _SAME_SIZE and node.args else UNBOUNDED


def _cost(node: Node) -> float:
    if isinstance(node, Const):
        return 0
    if isinstance(node, Ident):
        return 1
    if isinstance(node, Select):
        return _cost(node.operand) + 1
    if isinstance(node, ListOf):
        return _LIST + sum(map(_cost, node.items))
    if isinstance(node, MapOf):
        return _MAP + sum(_cost(key) + _cost(value) for key, value in node.entries)
    if isinstance(node, Macro):
        return _macro(node)
    assert isinstance(node, Call), "there is no other kind of node"
    args = [_cost(each) for each in node.args]
    if node.name == "_?_:_":
        return args[0] + max(args[1:])
    return sum(args) + _function(node)


def _function(node: Call) -> float:
    """What a call costs beside its arguments."""
    name = node.name
    if name in ("_&&_", "_||_"):
        return 0
    sizes = [size_of(each) for each in node.args]
    if name == "@in":
        return sizes[1] if node.args[1].type.name == "list" else 1
    if name in _COMPARISONS:
        return _comparison(node, sizes)
    if name == "_+_":
        return _up(sum(sizes) * _TRAVERSE) if node.type.name in ("string", "bytes", "dyn") else 1
    if name == "contains":
        return _times(_up(sizes[0] * _TRAVERSE), _up(sizes[1] * _TRAVERSE))
    if name in ("startsWith", "endsWith"):
        return _up(sizes[1] * _TRAVERSE)
    if name in ("matches", "find", "findAll"):
        return _times(_up((sizes[0] + 1) * _TRAVERSE), max(_up(sizes[1] * _PATTERN), 1))
    if name in ("string", "bytes") and node.args[0].type.name in ("string", "bytes"):
        return _up(sizes[0] * _TRAVERSE)
    if name == "join":
        item = node.args[0].type.params[0].size if node.args[0].type.params else UNBOUNDED
        return _up(_times(sizes[0], item + sum(sizes[1:])) * _TRAVERSE)
    if name in _WALKS:
        elementwise = name in _ELEMENTWISE and node.args[0].type.name == "list"
        return sizes[0] if elementwise else _up(sizes[-1 if name == "validate" else 0] * _TRAVERSE)
    if name.startswith("sets."):
        return _times(sizes[0], sizes[1])
    return 1


def _comparison(node: Call, sizes: list[float]) -> float:
    if all(each.type.name not in _SIZED for each in node.args):
        return 1
    return max(_up(min(sizes) * _TRAVERSE), 1)


def _macro(node: Macro) -> float:
    target = _cost(node.target)
    args = [_cost(each) for each in node.args]
    if node.name == "bind":
        return target + sum(args) + _LIST
    if node.name in ("optMap", "optFlatMap"):
        return target + sum(args) + 1
    turns = size_of(node.target)
    add = 1 + _LIST + 1
    each = {
        "all": 2 + 1 + args[0],
        "exists": 3 + 1 + args[0],
        "exists_one": args[0] + 2,
        "filter": args[0] + add + 1,
    }.get(node.name, sum(args) + add)
    start = _LIST if node.name in ("filter", "map", "transformList") else _MAP if node.name == "transformMap" else 0
    return target + start + _times(turns, each) + 1
