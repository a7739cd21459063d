"""Turns a checked expression into a function of its variables, once; calling that is an evaluation.

An evaluation that takes more steps than it may is ended: rules come from whoever may write a CustomResourceDefinition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from argosy.meta.cel import library
from argosy.meta.cel.check import Checked
from argosy.meta.cel.syntax import Call, Const, Ident, ListOf, Macro, MapOf, Node, Select
from argosy.meta.cel.values import NOTHING, EvalError, Opaque, Optional, TooCostly, TypeValue, UInt

MOST_STEPS = 200_000
"""Turns of loops that one evaluation may take."""
_TYPE_VALUES = {"timestamp": "google.protobuf.Timestamp", "duration": "google.protobuf.Duration", "object": "map"}


class _Frame:
    """The variables of one evaluation, and the steps that it has left."""

    __slots__ = ("left", "variables")

    def __init__(self, variables: Mapping[str, Any]) -> None:
        self.variables = dict(variables)
        self.left = MOST_STEPS


_Run = Callable[[_Frame], Any]


def program(checked: Checked) -> Callable[[Mapping[str, Any]], Any]:
    """The function. It raises EvalError where the expression has no value, TooCostly where it takes too long."""
    run = _make(checked.node)

    def evaluate(variables: Mapping[str, Any]) -> Any:
        try:
            return run(_Frame(variables))
        except (TypeError, AttributeError, ValueError, ArithmeticError, LookupError) as error:
            raise EvalError(f"no such overload ({error})") from error

    return evaluate


def _make(node: Node) -> _Run:
    if isinstance(node, Const):
        value = UInt(node.value) if node.kind == "uint" else node.value
        return lambda frame: value
    if isinstance(node, Ident):
        return _ident(node)
    if isinstance(node, Select):
        return _select(node)
    if isinstance(node, ListOf):
        return _list(node)
    if isinstance(node, MapOf):
        return _map(node)
    if isinstance(node, Macro):
        return _macro(node)
    assert isinstance(node, Call), "there is no other kind of node"
    special = _SPECIAL.get(node.name)
    return special(node) if special is not None else _call(node)


def _ident(node: Ident) -> _Run:
    name = node.name
    if node.type.name == "type":
        inner = node.type.params[0].name
        named = TypeValue(_TYPE_VALUES.get(inner, inner))
        return lambda frame: frame.variables.get(name, named)
    return lambda frame: frame.variables[name]


def _select(node: Select) -> _Run:
    operand, key, test, optional = _make(node.operand), node.key, node.test, node.optional

    def run(frame: _Frame) -> Any:
        holder = operand(frame)
        if isinstance(holder, Optional):
            if not holder.present:
                return False if test else NOTHING
            present = isinstance(holder.value, dict) and key in holder.value
            return present if test else Optional(True, holder.value[key]) if present else NOTHING
        if isinstance(holder, Opaque):
            holder = holder.value
        if not isinstance(holder, dict):
            raise EvalError(f"no such key: {key}")
        if test:
            return key in holder
        if optional:
            return Optional(True, holder[key]) if key in holder else NOTHING
        if key not in holder:
            raise EvalError(f"no such key: {key}")
        return holder[key]

    return run


def _list(node: ListOf) -> _Run:
    items = [(_make(each), place in node.optional) for place, each in enumerate(node.items)]

    def run(frame: _Frame) -> Any:
        made: list[Any] = []
        for make, optional in items:
            value = make(frame)
            if not optional:
                made.append(value)
            elif value.present:
                made.append(value.value)
        return made

    return run


def _map(node: MapOf) -> _Run:
    entries = [(_make(key), _make(value), place in node.optional) for place, (key, value) in enumerate(node.entries)]

    def run(frame: _Frame) -> Any:
        made: dict[Any, Any] = {}
        for make_key, make_value, optional in entries:
            key, value = make_key(frame), make_value(frame)
            if key in made:
                raise EvalError(f"Failed with repeated key: {library.shown(key)}")
            if not optional:
                made[key] = value
            elif value.present:
                made[key] = value.value
        return made

    return run


def _call(node: Call) -> _Run:
    run, args = node.run, [_make(each) for each in node.args]
    if len(args) == 1:
        (only,) = args
        return lambda frame: run(only(frame))
    if len(args) == 2:
        first, second = args
        return lambda frame: run(first(frame), second(frame))
    return lambda frame: run(*[each(frame) for each in args])


def _logical(decisive: bool) -> Callable[[Call], _Run]:
    """`&&` and `||`: one side that decides is enough, whatever becomes of the other."""

    def make(node: Call) -> _Run:
        first, second = (_make(each) for each in node.args)

        def run(frame: _Frame) -> Any:
            failed: EvalError | None = None
            try:
                if _truth(first(frame)) is decisive:
                    return decisive
            except EvalError as error:
                failed = error
            if _truth(second(frame)) is decisive:
                return decisive
            if failed is not None:
                raise failed
            return not decisive

        return run

    return make


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise EvalError("no such overload")
    return value


def _conditional(node: Call) -> _Run:
    condition, yes, no = (_make(each) for each in node.args)
    return lambda frame: yes(frame) if _truth(condition(frame)) else no(frame)


def _or_value(node: Call) -> _Run:
    first, second = (_make(each) for each in node.args)

    def run(frame: _Frame) -> Any:
        found = first(frame)
        return found.value if found.present else second(frame)

    return run


_SPECIAL: dict[str, Callable[[Call], _Run]] = {
    "_&&_": _logical(False), "_||_": _logical(True), "_?_:_": _conditional, "orValue": _or_value,
}  # fmt: skip


def _macro(node: Macro) -> _Run:
    target, args, names = _make(node.target), [_make(each) for each in node.args], node.variables
    if node.name in ("optMap", "optFlatMap", "bind"):
        return _bound(node.name, target, args[0], names[0])
    fold = _FOLDS[node.name]
    body = args[-1]
    chosen = args[0] if len(args) == 2 else None

    def run(frame: _Frame) -> Any:
        holder = target(frame)
        variables = frame.variables
        outer = {name: variables[name] for name in names if name in variables}
        try:
            return fold(_turns(frame, holder, names), body, chosen, frame)
        finally:
            for name in names:
                variables.pop(name, None)
            variables.update(outer)

    return run


def _bound(name: str, target: _Run, body: _Run, variable: str) -> _Run:
    def run(frame: _Frame) -> Any:
        value = target(frame)
        if name != "bind":
            if not value.present:
                return NOTHING
            value = value.value
        missing = object()
        outer = frame.variables.get(variable, missing)
        frame.variables[variable] = value
        try:
            found = body(frame)
        finally:
            if outer is missing:
                del frame.variables[variable]
            else:
                frame.variables[variable] = outer
        return Optional(True, found) if name == "optMap" else found

    return run


def _turns(frame: _Frame, holder: Any, names: tuple[str, ...]) -> Iterable[tuple[Any, Any]]:
    """Set the variables for one item after the other; gives (key or index, item)."""
    if isinstance(holder, dict):
        pairs: Iterable[tuple[Any, Any]] = holder.items()
    elif isinstance(holder, list):
        pairs = enumerate(holder)
    else:
        raise EvalError("no such overload")
    variables = frame.variables
    for key, value in pairs:
        frame.left -= 1
        if frame.left < 0:
            raise TooCostly("operation cancelled: actual cost limit exceeded")
        if len(names) == 2:
            variables[names[0]], variables[names[1]] = key, value
        else:
            variables[names[0]] = key if isinstance(holder, dict) else value
        yield key, value if isinstance(holder, list) or len(names) == 2 else key


_Turns = Iterable[tuple[Any, Any]]


def _quantified(decisive: bool) -> Callable[[_Turns, _Run, _Run | None, _Frame], Any]:
    def fold(turns: _Turns, body: _Run, chosen: _Run | None, frame: _Frame) -> bool:
        failed: EvalError | None = None
        for _ in turns:
            try:
                if _truth(body(frame)) is decisive:
                    return decisive
            except EvalError as error:
                failed = error
        if failed is not None:
            raise failed
        return not decisive

    return fold


def _exactly_one(turns: _Turns, body: _Run, chosen: _Run | None, frame: _Frame) -> bool:
    return sum(_truth(body(frame)) for _ in turns) == 1


def _filter(turns: _Turns, body: _Run, chosen: _Run | None, frame: _Frame) -> list[Any]:
    return [item for _, item in turns if _truth(body(frame))]


def _mapped(turns: _Turns, body: _Run, chosen: _Run | None, frame: _Frame) -> list[Any]:
    return [body(frame) for _ in turns if chosen is None or _truth(chosen(frame))]


def _transformed(turns: _Turns, body: _Run, chosen: _Run | None, frame: _Frame) -> dict[Any, Any]:
    return {key: body(frame) for key, _ in turns if chosen is None or _truth(chosen(frame))}


_FOLDS: dict[str, Callable[[_Turns, _Run, _Run | None, _Frame], Any]] = {
    "all": _quantified(False), "exists": _quantified(True), "exists_one": _exactly_one, "filter": _filter,
    "map": _mapped, "transformList": _mapped, "transformMap": _transformed,
}  # fmt: skip
