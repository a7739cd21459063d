"""Git's rules for what to leave out, read from `.gitignore` and `.argosyignore`. Pure; `workspace` asks about each path.

The last rule that matches decides, a rule of a deeper directory after those above it. What lies in a directory that is
left out cannot be brought back, as with git: whoever walks does not go in there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of an ignore file."""

    pattern: re.Pattern[str]
    negated: bool
    directories_only: bool
    base: str = ""
    """The directory in which the file stands, relative to the workspace with a slash at its end; empty for the top."""
    above: str = ""
    """For a file that stands above the workspace: the way from there to the workspace, with a slash at its end."""

    def matches(self, path: str, *, directory: bool) -> bool:
        """Whether the rule speaks of this path, which is relative to the workspace."""
        if (self.directories_only and not directory) or not path.startswith(self.base):
            return False
        return self.pattern.fullmatch(self.above + path[len(self.base) :]) is not None


def read(text: str, *, base: str = "", above: str = "") -> tuple[Rule, ...]:
    """The rules of one file; `base` and `above` say where it stands."""
    rules = (_rule(line, base, above) for line in text.splitlines())
    return tuple(rule for rule in rules if rule is not None)


def ignored(rules: Sequence[Rule], path: str, *, directory: bool) -> bool:
    """Whether a path is left out."""
    for rule in reversed(rules):
        if rule.matches(path, directory=directory):
            return not rule.negated
    return False


def _rule(line: str, base: str, above: str) -> Rule | None:
    text = re.sub(r"(?<!\\)[ \t]+$", "", line)
    if not text or text.startswith("#"):
        return None
    negated = text.startswith("!")
    text = text[1:] if negated else text
    directories_only = text.endswith("/")
    text = text.rstrip("/") if directories_only else text
    anchored = "/" in text
    text = text.lstrip("/")
    if not text:
        return None
    expression = "".join(_translated(text))
    pattern = re.compile(expression if anchored else rf"(?:.*/)?{expression}")
    return Rule(pattern, negated, directories_only, base, above)


def _translated(text: str) -> Iterator[str]:
    position = 0
    while position < len(text):
        rest = text[position:]
        if rest.startswith("**/") and (position == 0 or text[position - 1] == "/"):
            yield "(?:.*/)?"
            position += 3
        elif rest == "**" and position > 0 and text[position - 1] == "/":
            yield ".+"
            position += 2
        elif rest[0] == "*":
            yield "[^/]*"
            position += 1
        elif rest[0] == "?":
            yield "[^/]"
            position += 1
        elif rest[0] == "[" and (closed := _class(rest)):
            yield closed[0]
            position += closed[1]
        elif rest[0] == "\\" and len(rest) > 1:
            yield re.escape(rest[1])
            position += 2
        else:
            yield re.escape(rest[0])
            position += 1


def _class(text: str) -> tuple[str, int] | None:
    """A character class at the start of the text as an expression, and its length; None when it is not closed."""
    end = text.find("]", 3 if text[1:2] in ("!", "^") else 2)
    if end < 0:
        return None
    inner = text[1:end]
    if inner[0] in "!^":
        return f"[^/{_escaped(inner[1:])}]", end + 1
    return f"[{_escaped(inner)}]", end + 1


def _escaped(inner: str) -> str:
    return inner.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]").replace("^", "\\^")
