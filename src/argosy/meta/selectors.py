"""Selectors: which labels, or which fields, an object must have.

A label selector comes as text (query parameters) or as an object (`matchLabels`, `matchExpressions`); both become the
same `Selector`. The API server filters lists and watches with it, controllers find their pods, schedulers match terms.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from argosy.errors import BadRequest
from argosy.meta import causes, names
from argosy.meta.json import Obj

Labels: TypeAlias = Mapping[str, str]

_TOKEN = re.compile(r"\s*(==|!=|=|!|<|>|\(|\)|,|[^\s=!<>(),]+)")
_SYMBOLS = ("==", "!=", "=", "!", "<", ">", "(", ")", ",")
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
        if self.operator in ("in", "notin") and len(self.values) == 1:
            return f"{self.key}{'=' if self.operator == 'in' else '!='}{self.values[0]}"
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
    """Read `a=b,c!=d,e in (f,g),h,!i`. Raises BadRequest in Kubernetes' words."""
    reader = _Reader(text)
    requirements: list[Requirement] = []
    while reader.peek():
        if reader.peek() in _SYMBOLS and reader.peek() != "!":
            raise reader.unexpected(reader.peek(), "!, identifier, or 'end of string'")
        try:
            requirements.append(reader.requirement())
        except BadRequest as error:
            raise BadRequest(f"unable to parse requirement: {error.message}") from None
        found = reader.take()
        if not found:
            break
        if found != ",":
            raise reader.unexpected(found, "',' or 'end of string'")
        if not reader.peek() or (reader.peek() in _SYMBOLS and reader.peek() != "!"):
            raise reader.unexpected(reader.peek(), "identifier after ','")
    return Selector(tuple(requirements))


class _Reader:
    """The tokens of a label selector, left to right; the empty token is the end."""

    def __init__(self, text: str) -> None:
        self.tokens = _TOKEN.findall(text)
        self.at = 0

    def peek(self) -> str:
        return str(self.tokens[self.at]) if self.at < len(self.tokens) else ""

    def take(self) -> str:
        token = self.peek()
        self.at += 1
        return token

    def unexpected(self, found: str, wanted: str) -> BadRequest:
        return BadRequest(f"found '{found}', expected: {wanted}")

    def word(self) -> str:
        token = self.take()
        if not token or token in _SYMBOLS:
            raise self.unexpected(token, "identifier")
        return token

    def requirement(self) -> Requirement:
        absent = self.peek() == "!"
        if absent:
            self.take()
        key = self.word()
        _refuse(names.qualified(key), "<nil>", key)
        if absent:
            return Requirement(key, "!")
        operator = self.peek()
        if operator in ("", ","):
            return Requirement(key, "exists")
        self.take()
        if operator in ("=", "==", "!="):
            value = "" if self.peek() in ("", ",") else self.word()
            return self._checked(Requirement(key, "notin" if operator == "!=" else "in", (value,)))
        if operator in ("<", ">"):
            value = "" if self.peek() in ("", ",") else self.word()
            if re.fullmatch(r"[-+]?[0-9]+", value) is None:
                _refuse(["for 'Gt', 'Lt' operators, the value must be an integer"], "values[0]", value)
            return Requirement(key, "gt" if operator == ">" else "lt", (value,))
        if operator in ("in", "notin"):
            values = self.values() or ("",)  # `()` holds the empty value
            return self._checked(Requirement(key, operator, values))
        raise self.unexpected(operator, "in, notin, =, ==, !=, gt, lt")

    def _checked(self, requirement: Requirement) -> Requirement:
        for index, value in enumerate(requirement.values):
            _refuse(names.label_value(value), f"values[{index}][{requirement.key}]", value)
        return requirement

    def values(self) -> tuple[str, ...]:
        found = self.take()
        if found != "(":
            raise BadRequest(f"found '{found}' expected: '('")
        if self.peek() == ")":
            self.take()
            return ()
        if not self.peek() or (self.peek() in _SYMBOLS and self.peek() != ","):
            raise self.unexpected(self.peek(), "',', ')' or identifier")
        values: set[str] = set()
        while True:
            values.add("" if self.peek() in (",", ")") else self._item())
            token = self.take()
            if token == ")":
                return tuple(sorted(values))
            if token != ",":
                raise self.unexpected(token, "',' or ')'")

    def _item(self) -> str:
        token = self.take()
        if not token or token in _SYMBOLS:
            raise self.unexpected(token, "',', or identifier")
        return token


def _refuse(complaints: Sequence[str], path: str, value: object) -> None:
    if complaints:
        raise BadRequest(f"{path}: {causes.invalid(path, value, '; '.join(complaints)).message}")


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
        found = re.match(r"(.*?)(!=|==|=)(.*)$", part, re.DOTALL)
        if found is None:
            raise BadRequest(f"invalid selector: '{text}'; can't understand '{part}'")
        terms.append(FieldTerm(found[1], _unescaped(found[3]), found[2] != "!="))
    return tuple(terms)


def _unescaped(value: str) -> str:
    """A value without its backslashes. Raises BadRequest for one too many or too few."""
    rest = re.sub(r"\\[\\,=]", "", value)
    odd = re.search(r"\\(.?)|([,=])", rest, re.DOTALL)
    if odd is None:
        return re.sub(r"\\([\\,=])", r"\1", value)
    if odd[2]:
        raise BadRequest(f"invalid field selector: unescaped character in value: {ord(odd[2])}")
    raise BadRequest(f"invalid field selector: invalid escape sequence: \\{odd[1]}")


def _split(text: str) -> list[str]:
    return re.findall(r"(?:[^\\,]|\\.)+", text, re.DOTALL)
