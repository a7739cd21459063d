"""Real English text that is on every machine already: the documentation inside Python's own standard library.

Docstrings are read from source with `ast` (nothing is imported or run) and the language reference comes from
`pydoc_data.topics`. The result is the same for the same Python. Used by `pretrain` and `finetune`; `--data FILE` takes
any text instead.
"""

from __future__ import annotations

import ast
import math
import sysconfig
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

PACKAGES = (
    "argparse", "ast", "asyncio", "base64", "bdb", "bisect", "calendar", "codecs", "collections", "concurrent",
    "configparser", "contextlib", "copy", "csv", "ctypes", "dataclasses", "datetime", "difflib", "doctest", "email",
    "enum", "fileinput", "fractions", "ftplib", "functools", "gettext", "glob", "gzip", "hashlib", "heapq", "html",
    "http", "imaplib", "importlib", "inspect", "ipaddress", "json", "logging", "mailbox", "multiprocessing",
    "optparse", "os", "pathlib", "pdb", "pickle", "pickletools", "platform", "plistlib", "queue", "random", "re",
    "sched", "secrets", "shelve", "shlex", "shutil", "smtplib", "socket", "socketserver", "ssl", "statistics",
    "string", "subprocess", "tarfile", "tempfile", "textwrap", "threading", "timeit", "tokenize", "traceback",
    "types", "typing", "unittest", "urllib", "uuid", "venv", "warnings", "wave", "weakref", "webbrowser", "wsgiref",
    "xml", "xmlrpc", "zipfile",
)  # fmt: skip
"""Modules rich in prose; one that this Python lacks is left out."""
HELD_OUT_ONE_IN = 12
_PART_CHARACTERS = 4000
_SKIPPED_FOLDERS = frozenset({"test", "tests", "__pycache__", "site-packages"})
_SHORTEST_DOCSTRING = 24


@dataclass(frozen=True, slots=True)
class Document:
    """A text that is trained on, or held out, as a whole."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Docstring:
    """What one module, class or function says about itself."""

    name: str
    """Dotted, as a reader would import it: `json.decoder.JSONDecoder.decode`."""
    kind: str
    """`module`, `class` or `function`."""
    text: str


@dataclass(frozen=True, slots=True)
class Exchange:
    """One question and its answer, for supervised fine-tuning."""

    name: str
    question: str
    answer: str


Named = TypeVar("Named", Document, Exchange)


def documents(found: Iterable[Docstring]) -> list[Document]:
    """The docstrings of each package, end to end; a text that is told twice is kept once."""
    by_package: dict[str, dict[str, None]] = {}
    for doc in found:
        by_package.setdefault(doc.name.partition(".")[0], {})[doc.text] = None
    whole = [Document(package, "\n\n".join(texts)) for package, texts in by_package.items()]
    return [part for document in whole for part in _parts(document)]


def topics() -> list[Document]:
    """The topics that `help("…")` knows: Python's language reference."""
    from pydoc_data.topics import topics as texts  # noqa: PLC0415  (half a megabyte, wanted by few)

    whole = [Document(f"topic {name}", text.strip()) for name, text in sorted(texts.items())]
    return [part for document in whole for part in _parts(document)]


def text_file(path: Path) -> list[Document]:
    """Somebody's own text. Raises OSError, or ValueError when there is too little of it to train on."""
    text = path.read_text(encoding="utf-8", errors="replace").strip()
    if len(text) < 10 * _PART_CHARACTERS:
        raise ValueError(f"{path} has {len(text)} characters; give at least {10 * _PART_CHARACTERS}")
    return list(_parts(Document(path.name, text)))


def _parts(document: Document) -> Iterator[Document]:
    """Cut at paragraphs, so that a long document does not fall to one side of the split as a whole."""
    part: list[str] = []
    size = number = 0
    for paragraph in document.text.split("\n\n"):
        part.append(paragraph)
        size += len(paragraph) + 2
        if size >= _PART_CHARACTERS:
            yield Document(f"{document.name} {number}", "\n\n".join(part))
            part, size, number = [], 0, number + 1
    if part:
        yield Document(f"{document.name} {number}", "\n\n".join(part))


def docstrings(packages: Sequence[str] = PACKAGES) -> Iterator[Docstring]:
    """Every docstring of some packages of the standard library, in the order of the files."""
    root = Path(sysconfig.get_path("stdlib"))
    for package in packages:
        folder = root / package
        files = sorted(folder.rglob("*.py")) if folder.is_dir() else [root / f"{package}.py"]
        for file in files:
            parts = file.relative_to(root).with_suffix("").parts
            if _SKIPPED_FOLDERS.isdisjoint(parts) and file.is_file():
                module = ".".join(part for part in parts if part != "__init__")
                yield from of_source(file.read_text(encoding="utf-8", errors="replace"), module)


def of_source(source: str, module: str) -> Iterator[Docstring]:
    """The docstrings in one file. Source that does not parse has none."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return
    yield from _of_node(tree, module)


def _of_node(
    node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, name: str
) -> Iterator[Docstring]:
    text = ast.get_docstring(node)
    if text and len(text) >= _SHORTEST_DOCSTRING:
        kind = "module" if isinstance(node, ast.Module) else "class" if isinstance(node, ast.ClassDef) else "function"
        yield Docstring(name, kind, text)
    for child in node.body:
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not child.name.startswith("__"):
            yield from _of_node(child, f"{name}.{child.name}")


def split(named: Sequence[Named]) -> tuple[list[Named], list[Named]]:
    """(train, held out): by the name's checksum, so each stays on its side whatever else is in the corpus."""
    return [one for one in named if not is_held_out(one.name)], [one for one in named if is_held_out(one.name)]


def is_held_out(name: str) -> bool:
    """Whether a document or an exchange of this name is kept from training."""
    return zlib.crc32(name.encode()) % HELD_OUT_ONE_IN == 0


def unigram_entropy(tokens: Sequence[int]) -> float:
    """Nats per token that the best model without any context can reach on these very tokens.

    It is the baseline of every held-out loss here, and a hard one: it has seen the held-out text's own frequencies.
    """
    counts = Counter(tokens)
    total = len(tokens)
    return -sum(count / total * math.log(count / total) for count in counts.values()) if total else 0.0


_QUESTIONS: dict[str, tuple[Callable[[str], str], ...]] = {
    "module": (
        lambda name: f"What is the module {name} for?",
        lambda name: f"Describe the module {name}.",
    ),
    "class": (
        lambda name: f"What is {name}?",
        lambda name: f"What does the class {name} do?",
    ),
    "function": (
        lambda name: f"What does {name} do?",
        lambda name: f"Explain {name}.",
    ),
}
_SHORTEST_ANSWER, _LONGEST_ANSWER = 12, 240


def exchanges(found: Iterable[Docstring]) -> list[Exchange]:
    """Ask what each name does; its docstring's first sentence answers. An answer that is told twice is kept once."""
    by_answer: dict[str, Exchange] = {}
    for doc in found:
        answer = first_sentence(doc.text)
        public = not any(part.startswith("_") for part in doc.name.split("."))
        if public and _SHORTEST_ANSWER <= len(answer) <= _LONGEST_ANSWER:
            ways = _QUESTIONS[doc.kind]
            ask = ways[zlib.crc32(doc.name.encode()) % len(ways)]
            by_answer.setdefault(answer, Exchange(doc.name, ask(doc.name), answer))
    return list(by_answer.values())


def exchanges_of_text(texts: Sequence[Document]) -> list[Exchange]:
    """For text without docstrings: give a sentence, and let the next one be the answer."""
    found = []
    for document in texts:
        for number, paragraph in enumerate(document.text.split("\n\n")):
            first = first_sentence(paragraph)
            rest = first_sentence(" ".join(paragraph.split())[len(first) :].strip())
            if len(first) <= _LONGEST_ANSWER and _SHORTEST_ANSWER <= len(rest) <= _LONGEST_ANSWER:
                found.append(Exchange(f"{document.name} {number}", f"Continue: {first}", rest))
    return found


def unseen(held_out: Sequence[Document], asked: Sequence[Exchange]) -> list[Exchange]:
    """The exchanges whose answers do not give a held-out text away."""
    hidden = " ".join(" ".join(document.text.split()) for document in held_out)
    return [exchange for exchange in asked if exchange.answer not in hidden]


def first_sentence(text: str) -> str:
    """The first sentence of the first paragraph, on one line."""
    paragraph = " ".join(text.strip().split("\n\n")[0].split())
    for end, following in zip(range(len(paragraph)), paragraph[1:], strict=False):
        if paragraph[end] in ".!?" and following == " " and paragraph[end - 2 : end] not in (".g", ".e"):
            return paragraph[: end + 1]
    return paragraph
