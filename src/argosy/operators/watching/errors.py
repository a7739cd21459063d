"""The error that began it, found in what the ranks of a gang printed. Pure.

When one rank fails its peers follow within moments, with longer tracebacks about closed connections. So of all errors the
earliest counts that does not itself speak of a lost peer; only where there is no other, the earliest of those. Read by the
operators, for their conditions and events, and by `argosy logs --first-error`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?)(Z|[+-]\d\d:\d\d) ")
_TRACEBACK = "Traceback (most recent call last):"
_RAISED = re.compile(
    r"^(?:\[rank\d+\]:\s*)?[A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit|Warning|Iteration|Group)\b"
)
_SAID = re.compile(
    r"^(?:.*\b)?(?:fatal(?: python)?(?: error)?|error|critical|panic|segmentation fault|bus error|core dumped)\b\s*[:\]|(]"
    r"|(?<![=\w.])(?-i:ERROR|CRITICAL|FATAL)\b(?!=)|^Segmentation fault|^Killed$|\bOutOfMemoryError\b|\bCUDA error\b|^terminate called after",
    re.IGNORECASE,
)
_NOT_SAID = re.compile(r"\b(?:no|0|without) errors?\b|\berrors?[:=]\s*(?:0|none)\b", re.IGNORECASE)
_CONSEQUENCE = re.compile(
    r"connection (?:was )?(?:closed|reset|refused)|broken pipe|closed by peer|socket (?:timeout|closed)|"
    r"\bgloo\b|\bNCCL\b.*(?:abort|timeout|remote|watchdog)|DistBackendError|DistNetworkError|DistStoreError|"
    r"store.*(?:timed out|unavailable)|recv.*failed|remote process exited|heartbeat.*(?:timeout|missed)|SIGTERM|"
    r"ChildFailedError|lost a peer|coordination service.*(?:unavailable|error)|SignalException",
    re.IGNORECASE,
)
_RANK = re.compile(r"\[(?:rank)?\d+\]:?")
_BLOCK_MAX = 60


class Line(NamedTuple):
    """One line of one pod."""

    time: str
    """As the API writes it, in UTC, with nine digits of a second; empty where it is not known."""
    source: str
    text: bytes


@dataclass(frozen=True, slots=True)
class FirstError:
    """The error that began it."""

    source: str
    time: str
    lines: tuple[str, ...]
    """The traceback, or the one line."""
    consequence: bool
    """Whether it speaks of a lost peer: then the cause left no words."""


def stamped(source: str, log: bytes) -> Iterator[Line]:
    """The lines of a log that was asked for with timestamps. A line without one belongs to the moment before it."""
    time = ""
    for raw in log.split(b"\n"):
        match = _STAMP.match(raw)
        if match is None:
            if raw:
                yield Line(time, source, raw)
            continue
        whole, _, fraction = match[1].decode().partition(".")
        time = f"{whole}.{fraction:0<9}"
        yield Line(time, source, raw[match.end() :])


def speaks_of_a_peer(text: str) -> bool:
    """Whether an error follows from the loss of another rank."""
    return _CONSEQUENCE.search(text) is not None


def first_error(logs: Mapping[str, Sequence[Line]]) -> FirstError | None:
    """The error that the others follow from, None where no line speaks of one."""
    found = [error for lines in logs.values() for error in _errors(lines)]
    return min(found, key=lambda error: (error.consequence, error.time), default=None)


def fatal_error(lines: Sequence[Line]) -> FirstError | None:
    """The error that ended one pod: of each process the last, since what came before it was survived; of these the first
    that does not speak of a lost peer. Tracebacks go before single lines.
    """
    last: dict[str, FirstError] = {}
    single: FirstError | None = None
    for error in _errors(lines):
        if _TRACEBACK in error.lines[0]:
            mark = _RANK.match(error.lines[0])
            process = mark[0] if mark else ""
            if process not in last or last[process].consequence or not error.consequence:
                last[process] = error
        elif single is None or single.consequence or not error.consequence:
            single = error
    traced = min(last.values(), key=lambda error: (error.consequence, error.time), default=None)
    if traced is None or (traced.consequence and single is not None and not single.consequence):
        return single
    return traced


def _errors(lines: Sequence[Line]) -> Iterator[FirstError]:
    position = 0
    while position < len(lines):
        text = lines[position].text.decode(errors="replace")
        if _TRACEBACK in text:
            block = _block(lines, position)
        elif _SAID.search(text) and not _NOT_SAID.search(text):
            block = [text]
        else:
            position += 1
            continue
        # A traceback speaks through its last line; what libraries print on the way is not the error.
        speaking = block[-1] if _TRACEBACK in text else text
        yield FirstError(
            lines[position].source, lines[position].time, tuple(block), _CONSEQUENCE.search(speaking) is not None
        )
        position += len(block)


def _block(lines: Sequence[Line], start: int) -> list[str]:
    """A traceback from its heading to what was raised, with those that it was raised from."""
    block: list[str] = []
    ended = False
    for line in lines[start : start + _BLOCK_MAX]:
        text = line.text.decode(errors="replace")
        chained = text.startswith(("During handling of", "The above exception"))
        if ended and text and not chained and _TRACEBACK not in text:
            break
        ended = (ended or _RAISED.match(text) is not None) and not (chained or _TRACEBACK in text)
        block.append(text)
    while block and not block[-1].strip():
        block.pop()
    return block
