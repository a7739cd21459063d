"""Regular expressions in linear time, where Python's own may take exponential: patterns come from whoever writes a CRD.

`re2` asks `search` for expressions and texts on which backtracking could blow up. The expression's parse tree (Python's
parser made it) becomes a Thompson automaton, run as a set of states at once, and what was computed for a set is kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from re import _constants as c  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any, TypeAlias

STATES_MAX = 20_000
"""RE2 refuses expressions whose repetitions multiply beyond a thousand; these are what that comes to, generously."""
_KEPT_MAX = 20_000
SHORT = 16
"""Up to this length nothing is slow."""
_STEPS_MAX = 1_000_000

Test: TypeAlias = Callable[[str], bool]
Context: TypeAlias = tuple[str, str]
"""The characters before and after a place; empty at the ends."""
_REPEATS = (c.MAX_REPEAT, c.MIN_REPEAT)


class Automaton:
    """One expression. Raises OverflowError when it is too large."""

    def __init__(self, pattern: str, flags: int) -> None:
        tree = _parser.parse(pattern, flags)
        self._risk, self._power = _risk(tree), _power(tree)
        self._tree, self._flags = tree, tree.state.flags
        self._tests: list[Test | None] = []
        self._anchors: dict[int, Any] = {}
        self._next: list[list[int]] = []
        self._start = self._accept = 0
        self._closures: dict[tuple[frozenset[int], Context], frozenset[int]] = {}
        self._steps: dict[tuple[frozenset[int], str], frozenset[int]] = {}
        if _size(tree) > STATES_MAX:
            raise OverflowError("repetitions multiply to too many states")

    def backtracks(self, length: int) -> bool:
        """Whether Python's matcher might take long over a text of that length."""
        if length <= SHORT:
            return False
        return self._risk or bool(length**self._power > _STEPS_MAX)

    def search(self, text: str) -> bool:
        """Whether the expression is found anywhere in the text."""
        if not self._next:
            self._accept = self._state()
            self._start = self._sequence(self._tree, self._accept, self._flags)
        current: frozenset[int] = frozenset()
        before = ""
        for index in range(len(text) + 1):
            after = text[index] if index < len(text) else ""
            reached = self._closure(current | {self._start}, (before, after))
            if self._accept in reached:
                return True
            current = self._step(reached, after) if after else current
            before = after
        return False

    # -- running

    def _closure(self, states: frozenset[int], context: Context) -> frozenset[int]:
        key = (states, context)
        found = self._closures.get(key)
        if found is None:
            seen: set[int] = set()
            waiting = list(states)
            while waiting:
                state = waiting.pop()
                if state not in seen and (state not in self._anchors or self._anchors[state](context)):
                    seen.add(state)
                    if self._tests[state] is None:
                        waiting += self._next[state]
            found = _kept(self._closures, key, frozenset(seen))
        return found

    def _step(self, states: frozenset[int], letter: str) -> frozenset[int]:
        key = (states, letter)
        found = self._steps.get(key)
        if found is None:
            after: set[int] = set()
            for state in states:
                test = self._tests[state]
                if test is not None and test(letter):
                    after.update(self._next[state])
            found = _kept(self._steps, key, frozenset(after))
        return found

    # -- building, from the end to the beginning

    def _state(self, following: Iterable[int] = (), test: Test | None = None) -> int:
        self._next.append(list(following))
        self._tests.append(test)
        return len(self._next) - 1

    def _sequence(self, tree: Any, after: int, flags: int) -> int:
        for code, argument in reversed(list(tree)):
            after = self._one(code, argument, after, flags)
        return after

    def _one(self, code: Any, argument: Any, after: int, flags: int) -> int:
        if code is c.BRANCH:
            return self._state(self._sequence(each, after, flags) for each in argument[1])
        if code is c.SUBPATTERN:
            _, added, removed, inner = argument
            return self._sequence(inner, after, flags & ~removed | added)
        if code in _REPEATS:
            least, most, inner = argument
            return self._repeat(least, most, inner, after, flags)
        if code is c.AT:
            state = self._state([after])
            self._anchors[state] = _anchor(argument, flags)
            return state
        return self._state([after], _letter(code, argument, flags))

    def _repeat(self, least: int, most: int, inner: Any, after: int, flags: int) -> int:
        if most is c.MAXREPEAT:
            loop = self._state()
            self._next[loop] = [self._sequence(inner, loop, flags), after]
            first = loop
        else:
            first = after
            for _ in range(most - least):
                first = self._state([self._sequence(inner, first, flags), after])
        for _ in range(least):
            first = self._sequence(inner, first, flags)
        return first


def _kept(memory: dict[Any, Any], key: Any, value: frozenset[int]) -> frozenset[int]:
    if len(memory) >= _KEPT_MAX:
        memory.clear()
    memory[key] = value
    return value


def _inner(code: Any, argument: Any) -> list[Any]:
    if code is c.BRANCH:
        return list(argument[1])
    if code is c.SUBPATTERN:
        return [argument[3]]
    return [argument[2]] if code in _REPEATS else []


def _size(tree: Any) -> int:
    total = 1
    for code, argument in tree:
        within = sum(map(_size, _inner(code, argument)))
        if code in _REPEATS:
            least, most, _ = argument
            within *= max(least if most is c.MAXREPEAT else most, 1)
        total += 1 + within
    return total


def _varies(tree: Any) -> bool:
    """Whether there is more than one way through it."""
    return any(
        code is c.BRANCH
        or (code in _REPEATS and argument[0] != argument[1])
        or any(map(_varies, _inner(code, argument)))
        for code, argument in tree
    )


def _risk(tree: Any) -> bool:
    """Whether something that varies is repeated: the ways through it multiply with each round."""
    return any(
        (code in _REPEATS and argument[1] > 1 and _varies(argument[2])) or any(map(_risk, _inner(code, argument)))
        for code, argument in tree
    )


def _power(tree: Any) -> int:
    """How many repetitions may share the text between them, and the place where it begins."""
    return 1 + sum(
        (code in _REPEATS and argument[1] > 8) + sum(_power(each) - 1 for each in _inner(code, argument))
        for code, argument in tree
    )


def _is_word(letter: str, flags: int) -> bool:
    return bool(letter) and (letter == "_" or (letter.isalnum() and (letter.isascii() or not flags & re.ASCII)))


_CATEGORIES: dict[Any, Callable[[str, int], bool]] = {
    c.CATEGORY_DIGIT: lambda letter, flags: letter.isdecimal() and (letter.isascii() or not flags & re.ASCII),
    c.CATEGORY_SPACE: lambda letter, flags: letter in " \t\n\r\f\v" or (letter.isspace() and not flags & re.ASCII),
    c.CATEGORY_WORD: _is_word,
}
_OPPOSITES = {
    c.CATEGORY_NOT_DIGIT: c.CATEGORY_DIGIT, c.CATEGORY_NOT_SPACE: c.CATEGORY_SPACE, c.CATEGORY_NOT_WORD: c.CATEGORY_WORD,
}  # fmt: skip


def _anchor(code: Any, flags: int) -> Callable[[Context], bool]:
    if code in (c.AT_BEGINNING_STRING, c.AT_BEGINNING):
        lines = code is c.AT_BEGINNING and flags & re.MULTILINE
        return lambda context: not context[0] or bool(lines and context[0] == "\n")
    if code in (c.AT_END_STRING, c.AT_END):
        lines = code is c.AT_END and flags & re.MULTILINE
        return lambda context: not context[1] or bool(lines and context[1] == "\n")
    wanted = code is c.AT_BOUNDARY
    return lambda context: (_is_word(context[0], flags) is not _is_word(context[1], flags)) is wanted


def _letter(code: Any, argument: Any, flags: int) -> Test:
    if code is c.ANY:
        return lambda letter: bool(flags & re.DOTALL) or letter != "\n"
    if code in (c.LITERAL, c.NOT_LITERAL):
        items, negated = [(c.LITERAL, argument)], code is c.NOT_LITERAL
    elif code is c.IN:
        negated = argument[0][0] is c.NEGATE
        items = argument[1:] if negated else argument
    else:
        raise OverflowError(f"{code} cannot be searched for in linear time")

    def plain(letter: str) -> bool:
        return any(_holds(kind, value, letter, flags) for kind, value in items)

    def test(letter: str) -> bool:
        found = plain(letter)
        if not found and flags & re.IGNORECASE:
            found = plain(letter.lower()) or plain(letter.upper())
        return found is not negated

    return test


def _holds(kind: Any, value: Any, letter: str, flags: int) -> bool:
    if len(letter) != 1:
        return False  # a capital of several letters
    if kind is c.LITERAL:
        return bool(ord(letter) == value)
    if kind is c.RANGE:
        return bool(value[0] <= ord(letter) <= value[1])
    if value in _OPPOSITES:
        return not _CATEGORIES[_OPPOSITES[value]](letter, flags)
    return _CATEGORIES[value](letter, flags)
