"""Selectors: which labels, or which fields, an object must have.

A label selector comes as text (query parameters) or as an object (`matchLabels`, `matchExpressions`); both become the
same `Selector`. The API server filters lists and watches with it, controllers find their pods, schedulers match terms.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from argosy.errors import BadRequest
from argosy.meta.json import Obj

Labels: TypeAlias = Mapping[str, str]

_TOKEN = re.compile(r"\s*(==|!=|=|!|<|>|\(|\)|,|[^\s=!<>(),]+)")
_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!", "Gt": "gt", "Lt": "lt"}


@dataclass(frozen=True, slots=True)
class Requirement:
    """One term; `operator` is `in`, `notin`, `exists`, `!`, `gt` or `lt`."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Labels) -> bool:
        """Whether labels satisfy the term."""
        value = labels.get(self.key)
        if self.operator == "in":
            return value in self.values
        if self.operator == "notin":
            return value not in self.values
        if self.operator == "exists":
            return value is not None
        if self.operator == "!":
            return value is None
        try:
            have, bound = int(value or ""), int(self.values[0])
        except (ValueError, IndexError):
            return False
        return have > bound if self.operator == "gt" else have < bound

    def __str__(self) -> str:
        if self.operator == "exists":
            return self.key
        if self.operator == "!":
            return f"!{self.key}"
        if self.operator == "in" and len(self.values) == 1:
            return f"{self.key}={self.values[0]}"
        sign = {"gt": ">", "lt": "<"}.get(self.operator)
        if sign:
            return f"{self.key}{sign}{self.values[0]}"
        return f"{self.key} {self.operator} ({','.join(sorted(self.values))})"


@dataclass(frozen=True, slots=True)
class Selector:
    """All of its requirements must hold; with none it matches everything."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Labels | None) -> bool:
        """Whether an object with these labels is selected."""
        have = labels or {}
        return all(requirement.matches(have) for requirement in self.requirements)

    def __str__(self) -> str:
        return ",".join(str(requirement) for requirement in self.requirements)

    def __bool__(self) -> bool:
        return bool(self.requirements)


EVERYTHING = Selector()


@lru_cache(maxsize=2048)
def parse_labels(text: str) -> Selector:
    """Read `a=b,c!=d,e in (f,g),h,!i`. Raises BadRequest."""
    reader = _Reader(text)
    requirements: list[Requirement] = []
    while reader.peek():
        requirements.append(reader.requirement())
        if reader.peek():
            reader.expect(",")
            if not reader.peek():
                raise reader.unexpected("", "identifier after ','")
    return Selector(tuple(requirements))


class _Reader:
    """The tokens of a label selector, left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = _TOKEN.findall(text)
        self.at = 0

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        token = self.peek()
        self.at += 1
        return token

    def unexpected(self, found: str, wanted: str) -> BadRequest:
        return BadRequest(f"unable to parse requirement: found '{found}', expected: {wanted}")

    def expect(self, token: str) -> None:
        found = self.take()
        if found != token:
            raise self.unexpected(found, f"'{token}'")

    def word(self, wanted: str = "identifier") -> str:
        token = self.take()
        if not token or token in ("==", "!=", "=", "!", "<", ">", "(", ")", ","):
            raise self.unexpected(token, wanted)
        return token

    def requirement(self) -> Requirement:
        if self.peek() == "!":
            self.take()
            return Requirement(self.word(), "!")
        key = self.word()
        operator = self.peek()
        if operator in ("", ","):
            return Requirement(key, "exists")
        self.take()
        if operator in ("=", "==", "!="):
            value = "" if self.peek() in ("", ",") else self.word()
            return Requirement(key, "notin" if operator == "!=" else "in", (value,))
        if operator in ("<", ">"):
            return Requirement(key, "gt" if operator == ">" else "lt", (self.word(),))
        if operator in ("in", "notin"):
            return Requirement(key, operator, self.values())
        raise self.unexpected(operator, "in, notin, =, ==, !=, gt, lt")

    def values(self) -> tuple[str, ...]:
        self.expect("(")
        values: list[str] = []
        while True:
            values.append("" if self.peek() in (",", ")") else self.word())
            token = self.take()
            if token == ")":
                return tuple(values)
            if token != ",":
                raise self.unexpected(token, "',' or ')'")


def from_object(selector: Mapping[str, Any] | None) -> Selector:
    """The Selector of a metav1.LabelSelector. None selects nothing in Kubernetes: ask `matches` for that rule."""
    if not selector:
        return EVERYTHING
    requirements = [Requirement(key, "in", (value,)) for key, value in (selector.get("matchLabels") or {}).items()]
    requirements += [
        Requirement(term["key"], _OPERATORS[term["operator"]], tuple(term.get("values") or ()))
        for term in selector.get("matchExpressions") or ()
    ]
    return Selector(tuple(requirements))


def from_labels(labels: Labels | None) -> Selector:
    """The Selector of a plain map, as a Service's `spec.selector`."""
    return Selector(tuple(Requirement(key, "in", (value,)) for key, value in (labels or {}).items()))


def matches(selector: Mapping[str, Any] | None, labels: Labels | None) -> bool:
    """Whether a metav1.LabelSelector selects these labels; None selects nothing, {} everything."""
    if selector is None:
        return False
    have = labels or {}
    for key, value in (selector.get("matchLabels") or {}).items():
        if have.get(key) != value:
            return False
    terms: Sequence[Obj] = selector.get("matchExpressions") or ()
    return not terms or from_object({"matchExpressions": terms}).matches(have)


@dataclass(frozen=True, slots=True)
class FieldTerm:
    """One term of a field selector: the field must equal the value, or must not."""

    field: str
    value: str
    equal: bool = True


@lru_cache(maxsize=2048)
def parse_fields(text: str) -> tuple[FieldTerm, ...]:
    """Read `metadata.name=a,status.phase!=Running`; empty terms (a trailing comma) are passed over. Raises BadRequest."""
    terms: list[FieldTerm] = []
    for part in _split(text):
        if not part:
            continue
        found = re.match(r"((?:[^\\=!]|\\.)*)(!=|==|=)(.*)$", part, re.DOTALL)
        if found is None:
            raise BadRequest(f"invalid selector: '{text}'; can't understand '{part}'")
        terms.append(FieldTerm(found[1], re.sub(r"\\([\\,=])", r"\1", found[3]), found[2] != "!="))
    return tuple(terms)


def _split(text: str) -> list[str]:
    return re.findall(r"(?:[^\\,]|\\.)+", text, re.DOTALL)


def fields_match(terms: Sequence[FieldTerm], value_of: Callable[[str], str]) -> bool:
    """Whether the fields, looked up by `value_of` (empty string where unset), satisfy every term."""
    return all((value_of(term.field) == term.value) is term.equal for term in terms)
