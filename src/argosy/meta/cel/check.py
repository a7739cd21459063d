"""Checks the tree of an expression: what every part of it is, and that functions are given what they take.

`rules` calls `compiled` with the types of the variables. The complaints are those of Google's checker, at its places.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from argosy.meta import re2
from argosy.meta.cel import values
from argosy.meta.cel.functions import Function, all_functions
from argosy.meta.cel.syntax import Call, Const, Ident, Issue, Issues, ListOf, Macro, MapOf, Node, Select, parse
from argosy.meta.cel.types import BOOL, DYN, INT, SIMPLE, STRING, Type, assignable, filled, list_of, map_of, optional_of

_TYPE_NAMES = {**SIMPLE, "list": list_of(DYN), "map": map_of(DYN, DYN), "optional_type": optional_of(DYN)}
_OPERATORS = ("_&&_", "_||_", "_?_:_")


@dataclass(frozen=True, slots=True)
class Checked:
    """An expression that makes sense."""

    source: str
    node: Node
    type: Type
    names: frozenset[str]
    """The variables that it mentions."""


def compiled(source: str, variables: Mapping[str, Type], *, bindings: bool = False) -> Checked:
    """Parse and check; `bindings` allows `cel.bind`. Raises Issues."""
    node = parse(source, bindings=bindings)
    checker = _Checker(variables)
    type = checker.of(node)
    if not checker.issues:
        _literals(node, checker.issues)
    if checker.issues:
        raise Issues(source, checker.issues)
    return Checked(source, node, type, frozenset(checker.mentioned))


class _Checker:
    """One walk over a tree."""

    def __init__(self, variables: Mapping[str, Type]) -> None:
        self._scope = dict(variables)
        self._functions = all_functions()
        self.issues: list[Issue] = []
        self.mentioned: set[str] = set()
        self._mixed: set[int] = set()

    def of(self, node: Node) -> Type:
        """The type of a node; dynamic after a complaint, so that one mistake is told once."""
        found = node.type = self._of(node)
        return found

    def _of(self, node: Node) -> Type:
        if isinstance(node, Const):
            size = len(node.value) if isinstance(node.value, str | bytes) else 1
            return Type(node.kind, size=size)
        if isinstance(node, Ident):
            return self._ident(node)
        if isinstance(node, Select):
            return self._select(node)
        if isinstance(node, ListOf):
            return self._list(node)
        if isinstance(node, MapOf):
            return self._map(node)
        if isinstance(node, Macro):
            return self._macro(node)
        assert isinstance(node, Call), "there is no other kind of node"
        return self._call(node)

    def _wrong(self, at: int, message: str) -> Type:
        self.issues.append(Issue(message, at))
        return DYN

    def _ident(self, node: Ident) -> Type:
        if node.name in self._scope:
            self.mentioned.add(node.name)
            return self._scope[node.name]
        if node.name in _TYPE_NAMES:
            return Type("type", (_TYPE_NAMES[node.name],))
        return self._wrong(node.at, f"undeclared reference to '{node.name}' (in container '')")

    def _select(self, node: Select) -> Type:
        operand = self.of(node.operand)
        node.key = node.name
        maybe = operand.name == "optional_type"
        inner = operand.params[0] if maybe else operand
        if inner.fields is not None:
            known = inner.fields.get(node.name)
            if known is None:
                return self._wrong(node.at, f"undefined field '{node.name}'")
            node.key, found = known
        elif inner.name == "map":
            found = inner.params[1]
        elif inner.name == "dyn":
            found = DYN
        else:
            return self._wrong(node.at, f"type '{inner}' does not support field selection")
        if node.test:
            return BOOL
        return optional_of(found) if node.optional or maybe else found

    def _list(self, node: ListOf) -> Type:
        item: Type | None = None
        for place, each in enumerate(node.items):
            found = self.of(each)
            if place in node.optional:
                found = self._inside(each, found)
            item = DYN if id(node) in self._mixed else self._same(item, found, each.at)
        return list_of(item or DYN, len(node.items))

    def _inside(self, node: Node, found: Type) -> Type:
        if found.name not in ("optional_type", "dyn"):
            return self._wrong(node.at, f"expected type 'optional_type(A)' but found '{found}'")
        return found.params[0] if found.params else DYN

    def _same(self, known: Type | None, found: Type, at: int) -> Type:
        if known is None or known.name == "dyn":
            return found
        if not assignable(known, found, {}):
            if assignable(found, known, {}):
                return found
            self._wrong(at, f"expected type '{known}' but found '{found}'")
        return known

    def _map(self, node: MapOf) -> Type:
        key: Type | None = None
        value: Type | None = None
        for place, (name, each) in enumerate(node.entries):
            key = self._same(key, self.of(name), name.at)
            found = self.of(each)
            if place in node.optional:
                found = self._inside(each, found)
            value = self._same(value, found, each.at)
        return map_of(key or DYN, value or DYN, len(node.entries))

    def _call(self, node: Call) -> Type:
        target = node.args[0] if node.method else None
        if isinstance(target, Ident) and target.name not in self._scope:
            qualified = f"{target.name}.{node.name}"
            if qualified in self._functions:
                node.name, node.method = qualified, False
                del node.args[0]
        if node.name == "format" and node.method:
            # What is to be formatted may be of any types.
            self._mixed.update(id(each) for each in node.args[1:])
        given = [self.of(each) for each in node.args]
        if node.name in _OPERATORS:
            return self._operator(node, given)
        function = self._functions.get(node.name)
        if function is None:
            return self._wrong(node.at, f"undeclared reference to '{node.name}' (in container '')")
        return self._resolve(node, function, given)

    def _resolve(self, node: Call, function: Function, given: list[Type]) -> Type:
        results: list[Type] = []
        for overload in function.overloads:
            if overload.method is not node.method or len(overload.params) != len(given):
                continue
            bound: dict[str, Type] = {}
            if all(assignable(wanted, each, bound) for wanted, each in zip(overload.params, given, strict=True)):
                results.append(filled(overload.result, bound))
        if not results:
            return self._unmatched(node, given)
        node.run = function.run
        return results[0] if all(each == results[0] for each in results) else DYN

    def _unmatched(self, node: Call, given: list[Type]) -> Type:
        if any(each.name == "dyn" for each in given) and self.issues:
            return DYN
        shown = ", ".join(map(str, given[node.method :]))
        shown = f"{given[0]}.({shown})" if node.method else f"({shown})"
        return self._wrong(node.at, f"found no matching overload for '{node.name}' applied to '{shown}'")

    def _operator(self, node: Call, given: list[Type]) -> Type:
        if node.name == "_?_:_":
            condition, yes, no = given
            if condition.name not in ("bool", "dyn") or not (assignable(yes, no, {}) or assignable(no, yes, {})):
                return self._unmatched(node, given)
            if "dyn" in (yes.name, no.name):
                return DYN
            return yes if assignable(yes, no, {}) else no
        if any(each.name not in ("bool", "dyn") for each in given):
            return self._unmatched(node, given)
        return BOOL

    def _macro(self, node: Macro) -> Type:
        target = self.of(node.target)
        if node.name == "bind":
            return self._within(node, (target,))[0]
        if node.name in ("optMap", "optFlatMap"):
            inner = target.params[0] if target.name == "optional_type" else DYN
            found = self._within(node, (inner,))[0]
            return optional_of(found) if node.name == "optMap" else found
        if target.name not in ("list", "map", "dyn"):
            what = f"expression of type '{target}' cannot be range of a comprehension (must be list, map, or dynamic)"
            return self._wrong(node.target.at, what)
        return self._outcome(node, target, self._within(node, _steps(target, len(node.variables))))

    def _within(self, node: Macro, types: tuple[Type, ...]) -> list[Type]:
        """The types of a macro's arguments, where its variables are known."""
        outer = {name: self._scope.get(name) for name in node.variables}
        self._scope.update(zip(node.variables, types, strict=True))
        found = [self.of(each) for each in node.args]
        for name, type in outer.items():
            if type is None:
                del self._scope[name]
            else:
                self._scope[name] = type
        return found

    def _outcome(self, node: Macro, target: Type, found: list[Type]) -> Type:
        filtered = node.name in ("all", "exists", "exists_one", "filter") or len(found) == 2
        if filtered and found[0].name not in ("bool", "dyn"):
            operator = {"all": "_&&_", "exists": "_||_"}.get(node.name, "_?_:_")
            return self._wrong(
                node.args[0].at, f"found no matching overload for '{operator}' applied to '(bool, {found[0]})'"
            )
        if node.name in ("all", "exists", "exists_one"):
            return BOOL
        if node.name == "filter":
            item = target.params[0] if target.params else DYN
            return list_of(item, target.size)
        if node.name == "transformMap":
            return map_of(target.params[0] if target.name == "map" else INT, found[-1], target.size)
        return list_of(found[-1], target.size)


def _steps(target: Type, variables: int) -> tuple[Type, ...]:
    """What a comprehension's variables are."""
    if target.name == "dyn":
        return (DYN,) * variables
    key, value = (INT, target.params[0]) if target.name == "list" else target.params
    if variables == 2:
        return key, value
    return (value if target.name == "list" else key,)


def children(node: Node) -> list[Node]:
    """The nodes below one."""
    if isinstance(node, Select):
        return [node.operand]
    if isinstance(node, Call):
        return node.args
    if isinstance(node, ListOf):
        return node.items
    if isinstance(node, MapOf):
        return [each for entry in node.entries for each in entry]
    return [node.target, *node.args] if isinstance(node, Macro) else []


_READ: dict[str, Callable[[str], Any]] = {
    "matches": re2.compiled, "duration": values.duration, "timestamp": values.timestamp,
}  # fmt: skip


def _literals(node: Node, issues: list[Issue]) -> None:
    """Complain of literals that their function will never take."""
    if isinstance(node, Call) and node.args:
        last = node.args[-1]
        reads = _READ.get(node.name)
        if reads is not None and isinstance(last, Const) and last.kind == STRING.name:
            _try(partial(reads, last.value), node.name, last.at, issues)
    for each in children(node):
        _literals(each, issues)


def _try(read: Any, name: str, at: int, issues: list[Issue]) -> None:
    try:
        read()
    except ValueError:
        issues.append(Issue(f"invalid {name} argument", at))
