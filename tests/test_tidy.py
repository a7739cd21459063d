"""Style as a test: the rules of CONTRIBUTING.md that no linter knows. One pass over the files, no exemptions hidden."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "src").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
PACKAGE = ROOT / "src" / "argosy"

LINES_MAX, TEST_LINES_MAX, FUNCTION_LINES_MAX, PARAMETERS_MAX = 500, 800, 70, 6
BANNED_NAMES = re.compile(r"(^|_)(utils?|helpers?|common|misc|base|managers?)(_|$)")
CLOCK_READERS = {"clock.py"}
BANNED_TEXT = {
    r"datetime\.now\(|datetime\.utcnow\(": "the time is an argument, or comes from argosy.clock",
    r"\bdict\[str, Any\]": "write Obj (argosy.meta.json)",
    r"\b(FIXME|XXX|HACK)\b": "mend it, or write it into docs/roadmap.md",
}
DICT_ALLOWED = {"errors.py", "meta/json.py"}


def relative(path: Path) -> str:
    return str(path.relative_to(PACKAGE)) if PACKAGE in path.parents else str(path.relative_to(ROOT))


def functions(tree: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


@pytest.mark.parametrize("path", SOURCES + TESTS, ids=relative)
def test_sizes(path: Path) -> None:
    text = path.read_text()
    limit = TEST_LINES_MAX if path in TESTS else LINES_MAX
    assert text.count("\n") <= limit, f"{relative(path)} is longer than {limit} lines: split it by question"
    if path in TESTS:
        return
    for function in functions(ast.parse(text)):
        length = (function.end_lineno or 0) - function.lineno + 1
        assert length <= FUNCTION_LINES_MAX, f"{relative(path)}:{function.lineno} {function.name} has {length} lines"


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_parameters(path: Path) -> None:
    if relative(path).startswith("cli/"):
        return  # a verb's parameters are its options
    for function in functions(ast.parse(path.read_text())):
        arguments = function.args
        positional = [a for a in (*arguments.posonlyargs, *arguments.args) if a.arg not in ("self", "cls")]
        assert len(positional) <= PARAMETERS_MAX, (
            f"{relative(path)}:{function.lineno} {function.name} takes {len(positional)}: make a value of them"
        )


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_names_and_openings(path: Path) -> None:
    for part in path.relative_to(PACKAGE).with_suffix("").parts:
        assert not BANNED_NAMES.search(part), f"{relative(path)}: name it for what it is about"
    assert ast.get_docstring(ast.parse(path.read_text())), f"{relative(path)} must open with what it is and why"


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_banned_text(path: Path) -> None:
    name = relative(path)
    for number, line in enumerate(path.read_text().splitlines(), 1):
        for pattern, instead in BANNED_TEXT.items():
            if "dict" in pattern and name in DICT_ALLOWED:
                continue
            if "datetime" in pattern and name in CLOCK_READERS:
                continue
            assert not re.search(pattern, line), f"{name}:{number}: {instead}"


@pytest.mark.parametrize("path", TESTS, ids=relative)
def test_no_mocks_and_no_sleeps(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"unittest[.]mock|monkeypatch[.]setattr", text), f"{relative(path)}: use the real thing"
    assert not re.search(r"\btime[.]sleep\(", text), f"{relative(path)}: wait on an event, not on time"


def test_operators_do_not_ask_where_they_run() -> None:
    for path in (PACKAGE / "operators").rglob("*.py"):
        assert "embedded" not in path.read_text().lower(), (
            f"{relative(path)}: branch on Capabilities, not on the cluster"
        )


def test_each_operator_folder_is_complete_and_registered() -> None:
    registry = (PACKAGE / "operators" / "__init__.py").read_text()
    for folder in (PACKAGE / "operators").iterdir():
        opening = folder / "__init__.py"
        if not opening.exists() or "OFFER" not in opening.read_text():
            continue  # what several kinds share
        for needed in ("schema.py", "operator.py", "README.md", "example.yaml"):
            assert (folder / needed).exists(), f"operators/{folder.name} lacks {needed}"
        assert folder.name in registry, f"operators/__init__.py does not name {folder.name}"


def test_the_map_names_every_package() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    packages = {
        str(path.parent.relative_to(PACKAGE)) for path in PACKAGE.rglob("__init__.py") if path.parent != PACKAGE
    }
    top = {name for name in packages if name.count("/") <= 1 and not name.startswith("engine/controllers/")}
    missing = sorted(name for name in top if f"`{name}/`" not in text)
    assert not missing, f"ARCHITECTURE.md does not name {', '.join(missing)}"


def test_nothing_large_is_committed() -> None:
    for path in (*PACKAGE.rglob("*"), *(ROOT / "docs").rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            assert path.stat().st_size <= 400_000, f"{relative(path)} is too large for the tree"
