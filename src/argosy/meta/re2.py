"""RE2's regular expressions, which Kubernetes' schemas and rules are written in, said in Python's dialect.

`validation` uses it for patterns, `cel` for `matches`. Where the two mean the same they are left alone.
"""

from __future__ import annotations

import re
from functools import lru_cache

from argosy.meta.automaton import SHORT, Automaton

_CLASSES = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "ascii": r"\x00-\x7F", "blank": r"\t ", "cntrl": r"\x00-\x1F\x7F",
    "digit": "0-9", "graph": "!-~", "lower": "a-z", "print": " -~", "punct": r"!-/:-@\[-`{-~", "space": r"\t\n\v\f\r ",
    "upper": "A-Z", "word": r"0-9A-Za-z_", "xdigit": "0-9A-Fa-f",
}  # fmt: skip
_UNICODE = {
    "L": "^\\W\\d_", "Lu": "A-ZÀ-ÖØ-ÞĀ-ĒА-Я", "Ll": "a-zß-öø-ÿа-я", "N": r"\d", "Nd": r"\d", "Greek": "Ͱ-Ͽ", "Han": "一-鿿",
    "Cyrillic": "Ѐ-ӿ", "Latin": "A-Za-zÀ-ÖØ-öø-ɏ", "P": r"!-/:-@\[-`{-~", "Z": r"\s", "Zs": " ", "S": r"$+<=>^`|~", "M": "̀-ͯ",
}  # fmt: skip
"""What is said of the classes of Unicode: the everyday part of the larger ones."""
_PIECE = re.compile(
    r"\[\[:(?P<alone>\^?[a-z]+):\]\]|\[:(?P<posix>\^?[a-z]+):\]|\\(?P<neg>[pP])(?:\{(?P<long>\^?\w+)\}|(?P<short>\w))"
    r"|\\Q(?P<quoted>.*?)(?:\\E|$)|\\x\{(?P<hex>[0-9a-fA-F]+)\}|\\(?P<escaped>.)|\(\?(?P<flags>[imsU]*(?:-[imsU]+)?)(?P<how>[:)])"
    r"|(?P<ahead>\(\?(?:<?[=!]|P=|>|\())|\(\?<(?P<name>\w+)>|(?P<bracket>\[\^?\]?|\])|(?P<dollar>\$)",
    re.DOTALL,
)


class Unsupported(ValueError):
    """No regular expression, or none that can be said in Python."""


@lru_cache(maxsize=4096)
def compiled(pattern: str) -> re.Pattern[str]:
    """The expression. Raises Unsupported."""
    try:
        expression = re.compile(_Translation(pattern).made, re.ASCII)
        if pattern.count("{") > 1:
            _automaton(expression.pattern)
        return expression
    except (re.error, RecursionError, OverflowError) as error:
        raise Unsupported(f"`{pattern}`: {error}") from None


def found(pattern: str, text: str) -> bool:
    """Whether the expression is somewhere in the text, told in a time that grows with the text alone. Raises Unsupported."""
    expression = compiled(pattern)
    automaton = _automaton(expression.pattern) if len(text) > SHORT else None
    if automaton is not None and automaton.backtracks(len(text)):
        return automaton.search(text)
    return expression.search(text) is not None


@lru_cache(maxsize=4096)
def _automaton(made: str) -> Automaton:
    return Automaton(made, re.ASCII)


class _Translation:
    """One walk over a pattern."""

    def __init__(self, pattern: str) -> None:
        self._within = False
        self._opened = 0
        self._multiline = False
        self.made = _PIECE.sub(self._piece, pattern)
        self.made += ")" * self._opened

    def _piece(self, match: re.Match[str]) -> str:
        found = match.groupdict()
        if found["bracket"]:
            return self._bracket(match.group())
        if found["alone"] or found["posix"]:
            return self._class(match, found)
        if found["neg"]:
            return self._unicode(found)
        if found["quoted"] is not None:
            return re.escape(found["quoted"])
        if found["hex"]:
            return re.escape(chr(int(found["hex"], 16)))
        if found["escaped"]:
            return self._escaped(found["escaped"])
        if self._within:
            return match.group()
        if found["ahead"]:
            raise re.error(f"invalid or unsupported Perl syntax: `{match.group()}`")
        if found["name"]:
            return f"(?P<{found['name']}>"
        if found["dollar"]:
            return "$" if self._multiline else r"\Z"
        return self._flags(found["flags"], found["how"])

    def _bracket(self, text: str) -> str:
        if self._within:
            if text == "]":
                self._within = False
                return text
            return "\\" + text if text == "[" else "\\[" + text[1:] if text == "[^" else self._end(text)
        if text == "]":
            return r"\]"
        self._within = True
        return text.replace("]", r"\]")

    def _end(self, text: str) -> str:
        """A bracket within a class, together with the one that ends it."""
        self._within = False
        return "\\" + text

    def _class(self, match: re.Match[str], found: dict[str, str | None]) -> str:
        if found["alone"] and self._within:
            self._within = False
            return rf"\[{_named(str(found['alone']))}]"
        if found["alone"]:
            name = str(found["alone"])
            return f"[^{_named(name[1:])}]" if name[0] == "^" else f"[{_named(name)}]"
        return _named(str(found["posix"])) if self._within else match.group()

    def _unicode(self, found: dict[str, str | None]) -> str:
        name = str(found["long"] or found["short"])
        inside = _UNICODE.get(name.lstrip("^"))
        if inside is None:
            raise re.error(f"unknown character class {name}")
        negative = (found["neg"] == "P") is not name.startswith("^")
        if inside.startswith("^"):
            if self._within:
                return "A-Za-zÀ-ÖØ-öø-ɏͰ-ӿ一-鿿" if not negative else r"\W\d_"
            return f"(?u:[{inside if not negative else inside[1:]}])"
        if self._within:
            return inside if not negative else ""
        return f"[{'^' if negative else ''}{inside}]"

    def _escaped(self, letter: str) -> str:
        if letter == "z":
            return r"\Z"
        if letter == "C":
            return r"[\s\S]"
        if letter == "a":
            return r"\x07"
        if letter in "ZGKXRNEe<>`'" or letter in "123456789":
            raise re.error(f"invalid escape sequence: `\\{letter}`")
        return "\\" + letter

    def _flags(self, flags: str | None, how: str | None) -> str:
        flags = (flags or "").replace("U", "")
        if how == ":":
            return f"(?{flags}:"
        self._multiline = self._multiline or "m" in flags.partition("-")[0]
        if not flags:
            return ""
        # What RE2 lets stand anywhere holds to the end of the group: so does a group of its own.
        self._opened += 1
        return f"(?{flags}:"


def _named(name: str) -> str:
    if name not in _CLASSES:
        raise re.error(f"unknown character class {name}")
    return _CLASSES[name]
