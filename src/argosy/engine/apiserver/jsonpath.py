r"""The JSONPaths of printer columns, selectable fields and scale subresources, in Kubernetes' own dialect.

Understands fields (a backslash keeps the next character), quoted fields (`['a\.b']`: a quoted key is a path, too), indices,
slices with a step, unions, `[*]`, `.*`, `..name` and filters (`[?(@.type=="Ready")]`, comparisons, or existence). What cannot
be parsed, and what fails on the way (an index out of bounds, a comparison of unlike things), finds nothing. Parsed once,
then called for every object. Pure.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

_FIELD = re.compile(r"\.((?:\\.|[^.,\[\]$@{}\s\\])*)")
_RECURSIVE = re.compile(r"\.\.((?:\w(?:\\.|[^.,\[\]$@{}\s\\])*)?)")
_FILTER = re.compile(r"""\[\?\(((?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[^"')])*)\)\]""")
_BRACKETS = re.compile(r"\[([^\]\n]*)\]")
_KEY = re.compile(r"'([^']*)'")
_SLICE = re.compile(r"(-?\d*)(:-?\d*)?(:-?\d*)?")
_COMPARED = re.compile(r"([^!<>=]+)([!<>=]+)(.+)")
_NUMBER = re.compile(r"[+-]?\d[\d.]*")

Step = Callable[[Sequence[Any]], Sequence[Any]]


class _Failed(Exception):
    """The path makes no sense, or not for this value."""


def find(path: str, value: Any) -> list[Any]:
    """Everything at the path, in order."""
    try:
        return _walk(_parsed(path), [value])
    except _Failed:
        return []


def first(path: str, value: Any) -> Any:
    """The first thing at the path, or None."""
    found = find(path, value)
    return found[0] if found else None


def _walk(steps: Sequence[Step], values: Sequence[Any]) -> list[Any]:
    for step in steps:
        values = step(values)
    return list(values)


@lru_cache(maxsize=4096)
def _parsed(path: str) -> tuple[Step, ...]:
    text = path.strip().removeprefix("{").removesuffix("}")
    if text and text[0] not in ".[$@":
        text = f".{text}"
    try:
        return tuple(_steps(text))
    except _Failed:
        return (_nothing,)


def _nothing(values: Sequence[Any]) -> Sequence[Any]:
    return ()


def _steps(text: str) -> list[Step]:
    """The steps of a path, or of one side of a filter. Raises _Failed."""
    steps: list[Step] = []
    at = 0
    while at < len(text):
        if text[at] in "$@ ":
            at += 1
        elif match := _FILTER.match(text, at):
            steps.append(_filter(match[1]))
            at = match.end()
        elif match := _RECURSIVE.match(text, at):
            steps.append(_every_level)
            if match[1]:
                steps.append(_field(match[1]))
            at = match.end()
        elif match := _BRACKETS.match(text, at):
            steps += _brackets(match[1])
            at = match.end()
        elif match := _FIELD.match(text, at):
            steps.append(_every if match[1] == "*" else _field(match[1]))
            at = match.end()
        else:
            literal, at = _literal(text, at)
            steps.append(lambda values, literal=literal: [literal] * len(values))  # type: ignore[misc]
    return steps


def _literal(text: str, at: int) -> tuple[Any, int]:
    """A quoted text, a number or a boolean, and where it ends."""
    if text[at] in "'\"":
        quoted = re.compile(rf"{text[at]}((?:\\.|[^\\{text[at]}])*){text[at]}").match(text, at)
        if quoted is None:
            raise _Failed
        return re.sub(r"\\(.)", r"\1", quoted[1]), quoted.end()
    if number := _NUMBER.match(text, at):
        try:
            return (float if "." in number[0] else int)(number[0]), number.end()
        except ValueError:
            raise _Failed from None
    for word, value in (("true", True), ("false", False)):
        if text.startswith(word, at):
            return value, at + len(word)
    raise _Failed


def _brackets(inside: str) -> list[Step]:
    if inside == "*":
        inside = ":"
    if "," in inside:
        parts = [_brackets(part.strip(" ")) for part in inside.split(",")]
        return [lambda values: [found for steps in parts for found in _walk(steps, values)]]
    if key := _KEY.fullmatch(inside):
        return _steps(f".{key[1]}")
    if span := _SLICE.fullmatch(inside):
        return [_slice(*span.groups())]
    raise _Failed


def _field(written: str) -> Step:
    name = written.replace("\\", "")
    return lambda values: [value[name] for value in values if isinstance(value, dict) and name in value]


def _slice(start: str, end: str | None, step: str | None) -> Step:
    """`[2]`, `[-1]`, `[1:3]`, `[:]`, `[0:6:2]`: as Kubernetes reads them, which is not as Python does."""
    try:
        low = int(start) if start else 0
        high = int(end[1:]) if end and end != ":" else None
        stride = int(step[1:]) if step and step != ":" else 1
    except ValueError:
        raise _Failed from None

    def sliced(values: Sequence[Any]) -> Sequence[Any]:
        found: list[Any] = []
        for value in values:
            if value is None:
                continue
            if not isinstance(value, list):
                raise _Failed
            size = len(value)
            begin = low + size if low < 0 else low
            stop = begin + 1 if end is None else size if high is None else high + size if high < 0 else high
            if begin == stop:
                return found
            if not (0 <= begin < size and 0 <= stop <= size and begin <= stop) or stride <= 0:
                raise _Failed
            found += value[begin:stop:stride]
        return found

    return sliced


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, list) else []


def _every(values: Sequence[Any]) -> Sequence[Any]:
    return [item for value in values for item in _inside(value)]


def _every_level(values: Sequence[Any]) -> Sequence[Any]:
    """Whatever holds something, at any depth, the outer before the inner."""
    found: list[Any] = []
    for value in values:
        if inside := _inside(value):
            found.append(value)
            found += _every_level(inside)
    return found


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def _filter(text: str) -> Step:
    compared = _COMPARED.fullmatch(text)
    left = _steps(compared[1] if compared else text)
    right = _steps(compared[3]) if compared else []
    compare = _COMPARE.get(compared[2]) if compared else None

    def holds(item: Any) -> bool:
        lefts = _walk(left, [item])
        if compared is None:
            return bool(lefts)
        rights = _walk(right, [item]) if len(lefts) == 1 else []
        if len(lefts) > 1 or len(rights) > 1:
            raise _Failed
        if not lefts or not rights:
            return False
        a, b = lefts[0], rights[0]
        ordered = compared[2] not in ("==", "!=")
        if compare is None or type(a) is not type(b) or not isinstance(a, bool | int | float | str):
            raise _Failed
        if ordered and isinstance(a, bool):
            raise _Failed
        return compare(a, b)

    def filtered(values: Sequence[Any]) -> Sequence[Any]:
        found: list[Any] = []
        for value in values:
            if not isinstance(value, list):
                raise _Failed
            found += [item for item in value if holds(item)]
        return found

    return filtered
