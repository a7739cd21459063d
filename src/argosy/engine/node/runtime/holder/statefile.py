"""A run's state file: JSON lines written by its shim, read by whichever engine comes along.

The writer is forked from the holder and must not import `json` (it would double the holder's size), and what is written is
flat: strings, numbers and lists or mappings of strings, so a page of code does.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_ESCAPES = {ord('"'): '\\"', ord("\\"): "\\\\", **{n: f"\\u{n:04x}" for n in range(32)}}
_ESCAPES |= {n: f"\\u{n:04x}" for n in range(0xD800, 0xE000)}  # lone surrogates: bytes that were not UTF-8


def encode(value: object) -> str:
    """JSON. Raises TypeError for anything but plain values."""
    if isinstance(value, str):
        return f'"{value.translate(_ESCAPES)}"'
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{encode(str(k))}:{encode(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(encode(item) for item in value) + "]"
    raise TypeError(f"{type(value).__name__} in a state file")


def append(path: str, state: Mapping[str, object]) -> None:
    """Add a line: the first says what was started, the second how it ended.

    One write(2) each, so a reader sees a line whole or not at all; the second needs no new block, so it gets onto a full
    disk too. Creating files is what a start pays most for on many file systems: this is one, where replacing would be two.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, encode(state).encode() + b"\n")
    finally:
        os.close(fd)
