r"""The part of GJSON in which Katib's conditions are written: paths through a job as JSON, with queries on lists. Pure.

    status.conditions.#(type=="Complete")#|#(status=="True")#
    status.[@this].#(phase=="Succeeded")#

Keys with `.` or `|` between them, `\` before a character that is meant as it is, indices, `#` for the length of a list,
`#(query)` for the first match and `#(query)#` for all, `@this`, and `[a,b]` for a list of paths' values. After `#` or
`#(query)#` a `.` leads on from each value, a `|` from the list.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

from argosy.meta.json import Obj

MISSING: Final = object()
"""What a path that leads nowhere yields."""
_OPERATORS = ("==", "!=", "<=", ">=", "!%", "=", "<", ">", "%")


def holds(job: Obj, path: str) -> Obj | None:
    """The condition that a path finds: an object, or the first of a list that is not empty (in an object of its own, where
    it is none). None where there is nothing, as Katib reads it. Raises ValueError for what is no path.
    """
    found = get(job, path)
    if isinstance(found, list):
        found = found[0] if found else None
        return found if isinstance(found, dict) or found is None else {}
    return found if isinstance(found, dict) else None


def get(value: Any, path: str) -> Any:
    """What lies at a path; MISSING where nothing does. Raises ValueError for what is no path."""
    return _walk(value, _split(path, ".|"))


def problem(path: str) -> str:
    """What is wrong with a path; empty for a good one."""
    try:
        for _, step in _split(path, ".|"):
            _check(step)
    except ValueError as error:
        return str(error)
    return ""


def _check(step: str) -> None:
    if step.startswith("#("):
        _query(step.removesuffix("#")[2:-1])
    elif step.startswith("["):
        for _, each in _split(step[1:-1], ","):
            for _, inner in _split(each, ".|"):
                _check(inner)
    elif step.startswith("@") and step != "@this":
        raise ValueError(f"the modifier {step} is not known here")


def _walk(value: Any, steps: Sequence[tuple[str, str]]) -> Any:
    position = 0
    while position < len(steps) and value is not MISSING:
        step = steps[position][1]
        position += 1
        value = _step(value, step, last=position == len(steps) or steps[position][0] == "|")
        if step.endswith("#") and position < len(steps) and steps[position][0] == "." and isinstance(value, list):
            until = next((n for n in range(position, len(steps)) if steps[n][0] == "|"), len(steps))
            found = [_walk(item, steps[position:until]) for item in value]
            value, position = [item for item in found if item is not MISSING], until
    return value


def _step(value: Any, step: str, *, last: bool) -> Any:
    if step == "@this":
        return value
    if step.startswith("["):
        parts = [get(value, part) for _, part in _split(step[1:-1], ",")]
        return [part for part in parts if part is not MISSING]
    if step.startswith("#("):
        return _matches(value, step)
    if step == "#":
        return MISSING if not isinstance(value, list) else len(value) if last else value
    return _member(value, step)


def _member(value: Any, step: str) -> Any:
    if isinstance(value, list):
        return value[int(step)] if step.isdecimal() and int(step) < len(value) else MISSING
    if not isinstance(value, dict):
        return MISSING
    key = step.replace("\\\\", "\0").replace("\\", "").replace("\0", "\\")
    if key not in value and any(mark in step for mark in "*?"):
        return next((item for name, item in value.items() if fnmatchcase(name, step)), MISSING)
    return value.get(key, MISSING)


def _matches(value: Any, step: str) -> Any:
    everything = step.endswith("#")
    test = _query(step.removesuffix("#")[2:-1])
    if not isinstance(value, list):
        return [] if everything else MISSING
    found = [item for item in value if test(item)]
    if everything:
        return found
    return found[0] if found else MISSING


def _query(text: str) -> Callable[[Any], bool]:
    path, sign, wanted = _comparison(text)
    if not sign:
        return lambda item: get(item, path) is not MISSING
    literal = _literal(wanted)

    def test(item: Any) -> bool:
        found = get(item, path) if path else item
        return found is not MISSING and _compare(found, sign, literal)

    return test


def _comparison(text: str) -> tuple[str, str, str]:
    """(path, operator, literal) of a query; a path alone asks whether it is there."""
    for at in _bare(text):
        sign = next((s for s in _OPERATORS if text.startswith(s, at)), "")
        if sign:
            return text[:at].strip(), sign, text[at + len(sign) :].strip()
    return text.strip(), "", ""


def _bare(text: str) -> Iterator[int]:
    """The places in a text that neither brackets nor quotes keep together. Raises ValueError at its end if one is left
    open.
    """
    depth, quoted, at = 0, False, 0
    while at < len(text):
        char = text[at]
        if char == "\\":
            at += 2
            continue
        if char == '"':
            quoted = not quoted
        elif not quoted and char in "([":
            depth += 1
        elif not quoted and char in ")]":
            depth -= 1
        elif not quoted and not depth:
            yield at
        at += 1
    if depth or quoted:
        raise ValueError(f"{text!r} is no path: a bracket or quote is left open")


def _literal(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        if text.startswith('"') or not text:
            raise ValueError(f"{text!r} is no value to compare with") from None
        return text


def _compare(found: Any, sign: str, wanted: Any) -> bool:
    if sign in ("%", "!%"):
        return isinstance(found, str) and fnmatchcase(found, str(wanted)) is (sign == "%")
    alike = type(found) is type(wanted) or (_is_number(found) and _is_number(wanted))
    if sign in ("==", "="):
        return alike and bool(found == wanted)
    if sign == "!=":
        return not (alike and found == wanted)
    if not alike or isinstance(found, bool | dict | list) or found is None:
        return False
    less, equal = found < wanted, found == wanted
    return bool({"<": less, "<=": less or equal, ">": not less and not equal, ">=": not less}[sign])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _split(path: str, separators: str) -> list[tuple[str, str]]:
    """The steps of a path, each with what stands before it; brackets and quotes keep together what is in them."""
    steps: list[tuple[str, str]] = []
    before, start = "", 0
    for at in _bare(path):
        if path[at] in separators:
            steps.append((before, path[start:at].strip()))
            before, start = path[at], at + 1
    steps.append((before, path[start:].strip()))
    if not all(step for _, step in steps):
        raise ValueError(f"{path!r} is no path: a step is empty")
    return steps
