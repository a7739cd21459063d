"""The simple JSONPaths of printer columns, selectable fields and scale subresources.

Understands fields, quoted fields, indices, slices, `[*]` and filters `[?(@.type=="Ready")]`; anything else finds nothing. Parsed
once, then called for every object. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

_STEP = re.compile(
    r"""(?P<all>\[\*\]|\.\*)"""
    r"""|\.(?P<field>(?:[^.\[\\]|\\.)+)"""
    r"""|\[(?P<quote>['"])(?P<quoted>.*?)(?P=quote)\]"""
    r"""|\[(?P<index>-?\d+)\]"""
    r"""|\[(?P<from>-?\d*):(?P<to>-?\d*)\]"""
    r"""|\[\?\(@\.(?P<left>[\w.]+)\s*(?P<op>==|!=)\s*(?P<right>'[^']*'|"[^"]*"|[^)\s]+)\s*\)\]"""
)

Step = Callable[[Any], Iterable[Any]]


def find(path: str, value: Any) -> list[Any]:
    """Everything at the path, in order."""
    found: list[Any] = [value]
    for step in _steps(path):
        found = [item for one in found for item in step(one)]
    return found


def first(path: str, value: Any) -> Any:
    """The first thing at the path, or None."""
    found = find(path, value)
    return found[0] if found else None


@lru_cache(maxsize=4096)
def _steps(path: str) -> tuple[Step, ...]:
    text = path.strip().removeprefix("{").removesuffix("}").removeprefix("$")
    if text and text[0] not in ".[":
        text = f".{text}"
    steps: list[Step] = []
    at = 0
    while at < len(text):
        match = _STEP.match(text, at)
        if match is None:
            return (_nothing,)
        steps.append(_step(match))
        at = match.end()
    return tuple(steps)


def _nothing(value: Any) -> Iterable[Any]:
    return ()


def _step(match: re.Match[str]) -> Step:
    if match["all"]:
        return _every
    if match["index"] is not None:
        return _index(int(match["index"]))
    if match["from"] is not None:
        return _slice(slice(*(int(end) if end else None for end in (match["from"], match["to"]))))
    if match["left"]:
        return _filter(match["left"], match["op"] == "==", _literal(match["right"]))
    name = match["quoted"] if match["quoted"] is not None else re.sub(r"\\(.)", r"\1", match["field"])
    return _field(name)


def _field(name: str) -> Step:
    return lambda value: (value[name],) if isinstance(value, dict) and name in value else ()


def _index(at: int) -> Step:
    return lambda value: (value[at],) if isinstance(value, list) and -len(value) <= at < len(value) else ()


def _slice(part: slice) -> Step:
    return lambda value: value[part] if isinstance(value, list) else ()


def _every(value: Any) -> Iterable[Any]:
    if isinstance(value, list):
        return value
    return list(value.values()) if isinstance(value, dict) else ()


def _filter(left: str, wanted: bool, right: Any) -> Step:
    steps = _steps(f".{left}")

    def holds(item: Any) -> bool:
        found = [item]
        for step in steps:
            found = [inner for one in found for inner in step(one)]
        return bool(found) and (found[0] == right) is wanted

    return lambda value: [item for item in value if holds(item)] if isinstance(value, list) else ()


def _literal(text: str) -> Any:
    if text[0] in "'\"":
        return text[1:-1]
    if text in ("true", "false"):
        return text == "true"
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return text
