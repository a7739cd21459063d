"""CEL's syntax: from the text of an expression to its tree, with the complaints of Google's parser.

`check.compiled` calls `parse`; nothing else in the package reads text. Macros (`has`, `all`, `map` …) become nodes of
their own here, so that checking, costing and evaluation each say once what they mean.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from argosy.meta.cel.literals import text_of

RESERVED = frozenset({
    "as", "break", "const", "continue", "else", "for", "function", "if", "import", "in", "let", "loop", "package",
    "namespace", "return", "var", "void", "while",
})  # fmt: skip
_TOKEN = re.compile(
    r"""(?P<skip>[ \t\r\n\f]+|//[^\n]*)
  |(?P<text>(?:[rR][bB]?|[bB][rR]?)?(?:\"{3}.*?\"{3}|'{3}.*?'{3}))
  |(?P<raw>(?:[rR][bB]?|[bB][rR])(?:"[^"\n\r]*"|'[^'\n\r]*'))
  |(?P<plain>[bB]?(?:"(?:\\.|[^"\\\n\r])*"|'(?:\\.|[^'\\\n\r])*'))
  |(?P<float>(?:\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?))
  |(?P<uint>(?:0x[0-9a-fA-F]+|\d+)[uU])
  |(?P<int>0x[0-9a-fA-F]+|\d+)
  |(?P<name>[A-Za-z_][A-Za-z_0-9]*)
  |(?P<quoted>`[A-Za-z0-9_.\-/ ]+`)
  |(?P<op>==|!=|<=|>=|&&|\|\||[-+*/%<>!?:.,\[\](){}])""",
    re.VERBOSE | re.DOTALL,
)
_STARTS = (
    "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"
)
_LITERALS = {"true": True, "false": False, "null": None}
_BINARY = (("||",), ("&&",), ("<", "<=", ">", ">=", "==", "!=", "in"), ("+", "-"), ("*", "/", "%"))
_DEEPEST = 50
_LONGEST = 100_000


@dataclass(slots=True)
class Issue(Exception):
    """What is wrong, and where: an offset into the text."""

    message: str
    at: int


class Issues(Exception):
    """An expression that does not compile. `str` gives every issue with its line, as Google's tools print it."""

    def __init__(self, source: str, issues: list[Issue]) -> None:
        super().__init__("\n".join(_shown(source, issue) for issue in sorted(issues, key=lambda each: each.at)))
        self.issues = issues


def _shown(source: str, issue: Issue) -> str:
    before = source[: issue.at]
    line = before.count("\n") + 1
    column = issue.at - (before.rfind("\n") + 1)
    if not source:
        return f"ERROR: <input>:1:0: {issue.message}"
    text = source.split("\n")[line - 1]
    return f"ERROR: <input>:{line}:{column + 1}: {issue.message}\n | {text}\n | {'.' * column}^"


@dataclass(slots=True)
class Node:
    """One node. `type` and `key` are filled in by the checker."""

    at: int
    """Where in the text."""
    type: Any = field(default=None, init=False)


@dataclass(slots=True)
class Const(Node):
    """A literal; `kind` is its type's name."""

    value: Any
    kind: str


@dataclass(slots=True)
class Ident(Node):
    """A variable, or the name of a type."""

    name: str


@dataclass(slots=True)
class Select(Node):
    """`operand.name`, `operand.?name` or `has(operand.name)`."""

    operand: Node
    name: str
    test: bool = False
    optional: bool = False
    key: str = field(default="", init=False)
    """The field's name in the data, where the language had to escape it."""


@dataclass(slots=True)
class Call(Node):
    """A function, an operator (`_+_`) or a method, whose first argument is then its target."""

    name: str
    args: list[Node]
    method: bool = False
    run: Any = field(default=None, init=False)
    """What computes it, chosen by the checker."""


@dataclass(slots=True)
class ListOf(Node):
    """`[a, ?b]`."""

    items: list[Node]
    optional: frozenset[int] = frozenset()


@dataclass(slots=True)
class MapOf(Node):
    """`{k: v, ?k: v}`."""

    entries: list[tuple[Node, Node]]
    optional: frozenset[int] = frozenset()


@dataclass(slots=True)
class Macro(Node):
    """A comprehension: `target.all(x, …)`, `exists`, `filter`, `map`, `transformList` …, or `optMap`, or `cel.bind`."""

    name: str
    target: Node
    variables: tuple[str, ...]
    args: list[Node]


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


_END = "<EOF>"
_LOOPS: dict[str, tuple[tuple[int, int], ...]] = {
    "all": ((1, 1), (2, 1)),
    "exists": ((1, 1), (2, 1)),
    "exists_one": ((1, 1),),
    "existsOne": ((1, 1), (2, 1)),
    "filter": ((1, 1),),
    "map": ((1, 1), (1, 2)),
    "transformList": ((2, 1), (2, 2)),
    "transformMap": ((2, 1), (2, 2)),
    "optMap": ((1, 1),),
    "optFlatMap": ((1, 1),),
}
"""Macros: how many variables and further arguments they take."""


def _tokens(source: str, issues: list[Issue]) -> list[_Token]:
    found: list[_Token] = []
    place = 0
    while place < len(source):
        match = _TOKEN.match(source, place)
        if match is None:
            wrong = _unread(source, place)
            issues.append(Issue(f"Syntax error: token recognition error at: '{wrong}'", place))
            place += len(wrong)
            continue
        if match.lastgroup != "skip":
            found.append(_Token(str(match.lastgroup), match.group(), place))
        place = match.end()
    found.append(_Token("end", _END, len(source)))
    return found


def _unread(source: str, place: int) -> str:
    """The characters that a reader of tokens gives up on."""
    first = source[place]
    if first in "'\"":
        return source[place:].split("\n", 1)[0]
    return source[place : place + 2] if first in "=&|" else first


def parse(source: str, *, bindings: bool = False) -> Node:
    """The tree of an expression, which may use `cel.bind` where `bindings` says so. Raises Issues."""
    issues: list[Issue] = []
    if len(source) > _LONGEST:
        raise Issues(source[:80], [Issue(f"expression code point size exceeds limit: {_LONGEST}", 0)])
    parser = _Parser(_tokens(source, issues), bindings=bindings)
    try:
        node = parser.expression()
        parser.finish()
    except Issue as issue:
        issues.append(issue)
    if issues:
        raise Issues(source, issues)
    return node


class _Parser:
    """Recursive descent over the tokens."""

    def __init__(self, tokens: list[_Token], *, bindings: bool) -> None:
        self._tokens = tokens
        self._bindings = bindings
        self._next = 0
        self._depth = 0

    @property
    def _here(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._here
        self._next += token.kind != "end"
        return token

    def _at(self, *texts: str) -> bool:
        return self._here.kind in ("op", "name") and self._here.text in texts

    def _skip(self, text: str) -> bool:
        if self._at(text):
            self._next += 1
            return True
        return False

    def _expect(self, text: str) -> _Token:
        if not self._at(text):
            token = self._here
            what = "missing" if token.kind == "end" else "mismatched input"
            tail = f"'{text}' at '{token.text}'" if what == "missing" else f"'{token.text}' expecting '{text}'"
            raise Issue(f"Syntax error: {what} {tail}", token.at)
        return self._take()

    def finish(self) -> None:
        """Nothing may follow."""
        token = self._here
        if token.kind == "end":
            return
        last = self._tokens[self._next + 1].kind == "end"
        raise Issue(
            f"Syntax error: {'extraneous' if last else 'mismatched'} input '{token.text}' expecting <EOF>", token.at
        )

    def expression(self) -> Node:
        """The ternary, which binds least."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise Issue(f"expression recursion limit exceeded: {_DEEPEST}", self._here.at)
        node = self._binary(0)
        if self._at("?"):
            at = self._take().at
            yes = self._binary(0)
            self._expect(":")
            node = Call(at, "_?_:_", [node, yes, self.expression()])
        self._depth -= 1
        return node

    def _binary(self, level: int) -> Node:
        if level == len(_BINARY):
            return self._unary()
        node = self._binary(level + 1)
        while self._at(*_BINARY[level]):
            token = self._take()
            name = "@in" if token.text == "in" else f"_{token.text}_"
            node = Call(token.at, name, [node, self._binary(level + 1)])
        return node

    def _unary(self) -> Node:
        token = self._here
        if not self._at("!", "-"):
            return self._member()
        count = 0
        while self._skip(token.text):
            count += 1
        negative = token.text == "-" and count % 2
        number = self._here
        if negative and number.kind in ("int", "float"):
            self._take()
            return self._members(_number(token.at, number.kind, f"-{number.text}"))
        inner = self._member()
        return Call(token.at, f"{token.text}_", [inner]) if count % 2 else inner

    def _member(self) -> Node:
        return self._members(self._primary())

    def _members(self, node: Node) -> Node:
        while self._at(".", "["):
            if self._here.text == "[":
                at = self._take().at
                name = "_[?_]" if self._skip("?") else "_[_]"
                index = self.expression()
                self._expect("]")
                node = Call(at, name, [node, index])
                continue
            at = self._take().at
            optional = self._skip("?")
            token = self._take()
            if token.kind not in ("name", "quoted"):
                raise Issue(f"Syntax error: mismatched input '{token.text}' expecting IDENTIFIER", token.at)
            if self._at("(") and not optional and token.kind == "name":
                node = self._method(node, token.text)
            else:
                node = Select(at, node, token.text.strip("`"), optional=optional)
        return node

    def _method(self, target: Node, name: str) -> Node:
        at = self._expect("(").at
        args = self._arguments(")")
        bound = self._bindings and name == "bind" and isinstance(target, Ident) and target.name == "cel"
        if bound and len(args) == 3:
            return Macro(at, name, args[1], (_variable(args[0]),), args[2:])
        for variables, others in _LOOPS.get(name, ()):
            if len(args) == variables + others and all(isinstance(each, Ident) for each in args[:variables]):
                if name == "existsOne":
                    name = "exists_one"
                return Macro(at, name, target, tuple(_variable(each) for each in args[:variables]), args[variables:])
        if name in _LOOPS and len(args) in {sum(shape) for shape in _LOOPS[name]}:
            raise Issue("argument must be a simple name", args[0].at)
        return Call(at, name, [target, *args], method=True)

    def _arguments(self, end: str) -> list[Node]:
        found: list[Node] = []
        while not self._at(end):
            found.append(self.expression())
            if not self._skip(","):
                break
        self._expect(end)
        return found

    def _primary(self) -> Node:
        token = self._take()
        if token.kind == "op":
            made = {"(": self._grouped, "[": self._list, "{": self._map}.get(token.text)
            if made is not None:
                return made(token.at)
            if token.text == "." and self._here.kind == "name":
                return self._named(self._take())
        elif token.kind == "name" and token.text != "in":
            return self._named(token)
        elif token.kind in ("int", "uint", "float"):
            return _number(token.at, token.kind, token.text)
        elif token.kind in ("text", "raw", "plain"):
            return _text(token)
        raise Issue(f"Syntax error: {self._unwanted(token)} expecting {_STARTS}", token.at)

    def _unwanted(self, token: _Token) -> str:
        following = self._here
        starts = following.kind not in ("op", "end") or following.text in "[{(.-!"
        return f"{'extraneous' if token.kind != 'end' and starts else 'mismatched'} input '{token.text}'"

    def _named(self, token: _Token) -> Node:
        name = token.text
        if name in _LITERALS:
            value = _LITERALS[name]
            return Const(token.at, value, "null_type" if value is None else "bool")
        if name in RESERVED:
            raise Issue(f"reserved identifier: {name}", token.at)
        if not self._at("("):
            return Ident(token.at, name)
        at = self._take().at
        args = self._arguments(")")
        if name == "has" and len(args) == 1:
            tested = args[0]
            if not isinstance(tested, Select) or tested.optional:
                raise Issue("invalid argument to has() macro", tested.at)
            return Select(tested.at, tested.operand, tested.name, test=True)
        return Call(at, name, args)

    def _grouped(self, at: int) -> Node:
        node = self.expression()
        self._expect(")")
        return node

    def _list(self, at: int) -> Node:
        items: list[Node] = []
        optional: set[int] = set()
        while not self._at("]"):
            if self._skip("?"):
                optional.add(len(items))
            items.append(self.expression())
            if not self._skip(","):
                break
        self._expect("]")
        return ListOf(at, items, frozenset(optional))

    def _map(self, at: int) -> Node:
        entries: list[tuple[Node, Node]] = []
        optional: set[int] = set()
        while not self._at("}"):
            if self._here.kind == "end":
                wanted = _STARTS.replace("'(',", "'}', '(',").replace("'.',", "'.', ',',").replace("'!',", "'!', '?',")
                raise Issue(f"Syntax error: mismatched input '{_END}' expecting {wanted}", self._here.at)
            if self._skip("?"):
                optional.add(len(entries))
            key = self.expression()
            self._expect(":")
            entries.append((key, self.expression()))
            if not self._skip(","):
                break
        self._expect("}")
        return MapOf(at, entries, frozenset(optional))


def _variable(node: Node) -> str:
    if not isinstance(node, Ident):
        raise Issue("argument must be a simple name", node.at)
    return node.name


def _number(at: int, kind: str, text: str) -> Const:
    if kind == "float":
        return Const(at, float(text), "double")
    value = int(text.rstrip("uU"), 16 if "0x" in text else 10)
    low, high = (0, 2**64) if kind == "uint" else (-(2**63), 2**63)
    if not low <= value < high:
        raise Issue(f"invalid {kind} literal", at)
    return Const(at, value, kind)


def _text(token: _Token) -> Const:
    try:
        value = text_of(token.text)
    except ValueError as error:
        raise Issue(f"Syntax error: {error}", token.at) from None
    return Const(token.at, value, "bytes" if isinstance(value, bytes) else "string")
