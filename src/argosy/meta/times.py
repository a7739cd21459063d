"""Timestamps of RFC 3339, and what is wrong with a text that is none, in the words of Go's `time.Parse`.

`decode` calls this for every time in an object; clients see the words.
"""

from __future__ import annotations

import json
import re
from calendar import monthrange
from typing import Final

_SECONDS: Final = "2006-01-02T15:04:05Z07:00"
_MICROS: Final = "2006-01-02T15:04:05.000000Z07:00"
_PARTS: Final = (
    ("2006", r"[0-9]{4}", ""), ("-", "-", ""), ("01", r"[0-9]{2}", "month"), ("-", "-", ""), ("02", r"[0-9]{2}", ""),
    ("T", "T", ""), ("15", r"[0-9]{1,2}", "hour"), (":", ":", ""), ("04", r"[0-9]{2}", "minute"), (":", ":", ""),
    ("05", r"[0-9]{2}", "second"),
)  # fmt: skip
_RANGES: Final = {"month": (1, 12), "hour": (0, 23), "minute": (0, 59), "second": (0, 59)}
_ZONE = re.compile(r"Z|[+-]([0-9]{2}):([0-9]{2})")


def fault(text: str, *, micro: bool) -> str:
    """What is wrong with a time; empty when nothing. With `micro` it must tell microseconds."""
    layout, rest = _MICROS if micro else _SECONDS, text
    numbers: list[int] = []
    for element, pattern, name in _PARTS:
        found = re.match(pattern, rest)
        if found is None:
            return _unread(text, layout, rest, element)
        rest = rest[found.end() :]
        if pattern[0] == "[":
            numbers.append(int(found.group()))
        if name and not _RANGES[name][0] <= numbers[-1] <= _RANGES[name][1]:
            return f"parsing time {_quoted(text)}: {name} out of range"
    fraction = re.match(r"[.,][0-9]{6}" if micro else r"[.,][0-9]+", rest)
    if micro and fraction is None:
        return _unread(text, layout, rest, ".000000")
    rest = rest[fraction.end() :] if fraction else rest
    zone = _ZONE.match(rest)
    if zone is None:
        return _unread(text, layout, rest, "Z07:00")
    if zone.group(1) and (int(zone.group(1)) > 24 or int(zone.group(2)) > 60):
        return f"parsing time {_quoted(text)}: time zone offset {'hour' if int(zone.group(1)) > 24 else 'minute'} out of range"
    if rest[zone.end() :]:
        return f"parsing time {_quoted(text)}: extra text: {_quoted(rest[zone.end() :])}"
    if not 1 <= numbers[2] <= (monthrange(numbers[0], numbers[1])[1] if numbers[0] else 29):
        return f"parsing time {_quoted(text)}: day out of range"
    return ""


def _unread(text: str, layout: str, rest: str, element: str) -> str:
    return f"parsing time {_quoted(text)} as {_quoted(layout)}: cannot parse {_quoted(rest)} as {_quoted(element)}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
