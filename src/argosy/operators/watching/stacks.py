"""Where every rank of a hung gang stands, and which rank stands apart.

`COMMAND` runs in each training container and prints its processes with their state and, where py-spy is at hand, their
Python stacks; the rest is pure and reads what came back.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

COMMAND = (
    "sh",
    "-c",
    """for d in /proc/[0-9]*; do
  p=${d##*/}; [ "$p" != "$$" ] || continue
  [ -z "$ARGOSY_ROOT" ] || { tr '\\0' '\\n' < "$d/environ"; } 2>/dev/null | grep -qx "POD_IP=$POD_IP" || continue
  c=$({ tr '\\0' ' ' < "$d/cmdline"; } 2>/dev/null); [ -n "$c" ] || continue
  case "$c" in *py-spy*|*'for d in /proc'*) continue;; esac
  echo "process $p $(sed -n 's/^State:[[:space:]]*//p' "$d/status"): $c"
  case "$c" in *python*)
    py-spy dump --nonblocking --pid "$p" 2>/dev/null || echo "no Python stack: py-spy is not there, or may not look";;
  esac
done""",
)
"""Without namespaces (isolation L0, where this variable is set) a pod's processes stand among the machine's: its own are
those with its address.
"""
_PROCESS = re.compile(r"^process (\d+) (\S) ?(?:\([^)]*\))?: (.*)$")
_FRAME = re.compile(r"^\s{2,}(\S.*) \(([^()]*)\)$")
_STOPPED = ("T", "t")
_FRAMES_COMPARED = 3


@dataclass(frozen=True, slots=True)
class Standing:
    """One rank's main process."""

    stopped: bool = False
    top: tuple[str, ...] = ()
    """The innermost Python frames of its first thread, `function (file:line)`."""

    def __str__(self) -> str:
        if self.stopped:
            return "its process is stopped (SIGSTOP)"
        return f"it is in {self.top[0]}" if self.top else "it does not report"


def read(dump: str) -> Standing:
    """What a dump says of the rank: stopped if any of its processes is; else where its busiest Python process stands."""
    stopped, threads = False, 0
    best: tuple[str, ...] = ()
    current: list[str] = []
    for line in [*dump.splitlines(), "process 0 R: end"]:
        process = _PROCESS.match(line)
        if process is not None:
            stopped |= process[2] in _STOPPED
            best = max(best, tuple(current), key=len)
            current, threads = [], 0
        elif line.startswith("Thread "):
            threads += 1
        elif threads == 1 and len(current) < _FRAMES_COMPARED and (frame := _FRAME.match(line)):
            current.append(f"{frame[1]} ({frame[2]})")
    return Standing(stopped, best)


def odd(standings: Mapping[str, Standing], steps: Mapping[str, str]) -> str:
    """The rank that holds the others up: one that is stopped; one that stands where no other does; the one that is
    furthest behind. Empty when none stands apart.
    """
    stopped = [name for name, standing in standings.items() if standing.stopped]
    if stopped:
        return stopped[0]
    places = Counter(standing.top for standing in standings.values() if standing.top)
    alone = [name for name, standing in standings.items() if standing.top and places[standing.top] == 1]
    if len(alone) == 1 and len(standings) > 2:
        return alone[0]
    behind = {name: int(step) for name, step in steps.items() if step.isdigit()}
    if len(set(behind.values())) > 1:
        return min(behind, key=lambda name: behind[name])
    return ""
