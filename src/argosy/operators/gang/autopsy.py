"""What the logs of failed pods say: the error in its own words, and whether it is a mistake that no restart mends.

The API tells of an end in whole seconds, and of its words only what fits a termination message, which torchrun fills with
its own. So before a failure is answered the ends of the logs are asked for. Pure; called by `failing`, and by the JobSet
operator for its pods.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from argosy.operators.gang import failure
from argosy.operators.gang.failure import Failure
from argosy.operators.watching import keeping
from argosy.operators.watching.errors import FirstError, fatal_error, speaks_of_a_peer, stamped

_LOGS_MAX, _LINES_MAX = 16, 400
_FIRST_STEPS_SECONDS = 120.0
"""A mistake in the code shows at once; the same words after hours may have come from what was read."""
_RANK_MARK = re.compile(r"^\[(?:rank)?\d+\]:?\s*")
_NEVER = re.compile(
    r"^(?:SyntaxError|IndentationError|TabError|ModuleNotFoundError|ImportError)\b(?!.*(?:\.so\b|undefined symbol))"
    r"|^AssertionError: Torch not compiled with CUDA enabled"
    r"|can't open file '|: error: (?:unrecognized arguments|the following arguments are required|argument \S+: invalid)"
)
_EARLY = re.compile(r"^(?:NameError|UnboundLocalError|AttributeError|TypeError|NotImplementedError)\b")
_NOT_PREPARED = re.compile(
    r"init container (?:\S+, which exited with code (?:12[67]\b|\d+: the image \S+ has no Python)"
    r"|datasets, which exited with code 3\b)"
)
"""An init container that cannot run in this image, or whose data set is not there or not for us."""
_NOT_RUNNABLE = (126, 127)
_NUMBERS = re.compile(r"0x[0-9a-f]+|\d+", re.IGNORECASE)


def paths(failures: Iterable[Failure], namespace: str) -> tuple[str, ...]:
    """The logs to ask for: of the first of those whose container ended."""
    ended = sorted((one for one in failures if one.container and not one.by_the_cluster), key=failure.rank)
    return tuple(_path(one, namespace) for one in ended[:_LOGS_MAX])


def read(failures: Sequence[Failure], namespace: str, answers: Mapping[str, str]) -> list[Failure]:
    """The failures with the words that were found."""
    return [_with_words(one, answers.get(_path(one, namespace), "")) for one in failures]


def is_mistake(of: Failure) -> bool:
    """Whether nothing but another program helps: it does not start, or fails in its first steps as only code does."""
    if _NOT_PREPARED.search(of.what):
        return True
    if not of.by_the_program or of.consequence:
        return False
    if of.code in _NOT_RUNNABLE or _NEVER.search(of.error):
        return True
    return _EARLY.search(of.error) is not None and (of.ran is None or of.ran < _FIRST_STEPS_SECONDS)


def signature(of: Failure) -> str:
    """What two failures of the same sort have in common; empty where it was not the program's doing."""
    if not of.by_the_program or of.consequence:
        return ""
    return _NUMBERS.sub("#", f"{of.code} {of.error}")[:160]


def _path(of: Failure, namespace: str) -> str:
    return keeping.path(namespace, of.pod, of.container)


def _with_words(of: Failure, log: str) -> Failure:
    lines = list(stamped(of.pod, log.encode()))[-_LINES_MAX:]
    found = fatal_error(lines)
    if found is None:
        last = next((text for line in reversed(lines) if (text := line.text.decode(errors="replace").strip())), "")
        said = of.what.partition(": ")[2] or (last if of.by_the_program else "")
        of = replace(of, what=failure.worded(of.what.partition(": ")[0], said))
        return replace(of, error=said, consequence=of.by_the_program and speaks_of_a_peer(said)) if said else of
    line = _spoken(found)
    what = of.what.partition(": ")[0]
    theirs = found.consequence and of.by_the_program
    return replace(of, what=failure.worded(what, line), error=line, said_at=found.time, consequence=theirs)


def _spoken(found: FirstError) -> str:
    """A traceback's last line that is an error; torchrun marks lines with their rank."""
    said = [_RANK_MARK.sub("", line).strip() for line in found.lines if line.strip()]
    raised = [line for line in said if re.match(r"[A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit)\b", line)]
    return (raised or said or [""])[-1]
