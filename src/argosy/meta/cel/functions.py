"""The list of CEL's functions: what each takes and gives, and what computes it. `check` looks them up by name.

A signature reads `(int, int): int` for a function and `string.(int): string` for a method; capital letters stand for any
type.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from argosy.meta.cel.types import DYN, Type

Run = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Overload:
    """One shape of a function."""

    params: tuple[Type, ...]
    result: Type
    method: bool


@dataclass(frozen=True, slots=True)
class Function:
    """A function with all its shapes."""

    overloads: tuple[Overload, ...]
    run: Run


Table = Mapping[str, tuple[Iterable[str], Run]]
_WORD = re.compile(r"[A-Za-z_.0-9]+|[(),]")


@cache
def all_functions() -> dict[str, Function]:
    """Every function; the tables are read when the first expression is compiled."""
    from argosy.meta.cel import authorizer, extensions, kubernetes, library  # noqa: PLC0415 (few processes evaluate rules)

    found: dict[str, Function] = {}
    for table in (library.TABLE, extensions.TABLE, kubernetes.TABLE, authorizer.TABLE):
        for name, (signatures, run) in table.items():
            made = Function(tuple(_overload(text) for text in signatures), run)
            known = found.get(name)
            found[name] = made if known is None else Function(known.overloads + made.overloads, _either(known, made))
    return found


def _either(first: Function, second: Function) -> Run:
    """Two tables know the name: the type of the first argument decides."""
    own = {each.params[0].name for each in second.overloads}

    def run(*args: Any) -> Any:
        from argosy.meta.cel.values import type_of  # noqa: PLC0415

        return (second if type_of(args[0]) in own else first).run(*args)

    return run


@cache
def _overload(text: str) -> Overload:
    head, _, result = text.rpartition(":")
    target, dot, inner = head.partition(".(") if not head.startswith("(") else ("", "", head[1:])
    params = _types(inner.rstrip().removesuffix(")"))
    if dot:
        params = (*_types(target), *params)
    return Overload(params, _types(result)[0], bool(dot))


def _types(text: str) -> tuple[Type, ...]:
    words = _WORD.findall(text)
    place = 0

    def read() -> Type:
        nonlocal place
        name = words[place]
        place += 1
        params: list[Type] = []
        if place < len(words) and words[place] == "(":
            place += 1
            while words[place] != ")":
                params.append(read())
                place += words[place] == ","
            place += 1
        return Type(name, tuple(params)) if name != "dyn" else DYN

    found: list[Type] = []
    while place < len(words):
        found.append(read())
        place += place < len(words) and words[place] == ","
    return tuple(found)
