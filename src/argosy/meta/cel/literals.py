"""What a quoted literal of CEL stands for; `syntax` calls this for every string and bytes."""

from __future__ import annotations

import re

_ESCAPE = re.compile(r"""\\(?:([abfnrtv\\?"'`])|([xX])([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|(.)?)""", re.DOTALL)  # fmt: skip
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def text_of(token: str) -> str | bytes:
    """The value of a literal with its quotes and prefix. Raises ValueError for an escape that is none."""
    prefix = token[: min(place for place in (token.find("'"), token.find('"')) if place >= 0)].lower()
    body = token[len(prefix) :]
    size = 3 if body[:3] in ('"""', "'''") else 1
    inner = body[size:-size]
    if "r" in prefix:
        return inner.encode() if "b" in prefix else inner
    return _bytes(inner) if "b" in prefix else _ESCAPE.sub(_character, inner)


def _character(match: re.Match[str]) -> str:
    simple, _, hexadecimal, short, long, octal, _ = match.groups()
    if simple is not None:
        return _SIMPLE.get(simple, simple)
    digits = hexadecimal or short or long
    code = int(digits, 16) if digits else int(octal, 8) if octal else -1
    if not 0 <= code < 0x110000 or 0xD800 <= code < 0xE000:
        raise ValueError("unable to unescape string")
    return chr(code)


def _bytes(inner: str) -> bytes:
    """In bytes, hexadecimal and octal escapes are bytes; everything else is UTF-8."""
    made = bytearray()
    place = 0
    for match in _ESCAPE.finditer(inner):
        made += inner[place : match.start()].encode()
        _, _, hexadecimal, _, _, octal, _ = match.groups()
        if hexadecimal or octal:
            made.append(int(hexadecimal, 16) if hexadecimal else int(octal, 8))
        else:
            made += _character(match).encode()
        place = match.end()
    return bytes(made + inner[place:].encode())
