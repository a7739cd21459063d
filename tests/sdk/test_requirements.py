"""Requirements files, lock files and pyproject.toml come out as the same kind of lines."""

from __future__ import annotations

import pytest

from argosy.errors import UserError
from argosy.sdk.requirements import read, wanted_files

UV = """
version = 1
[[package]]
name = "mine"
version = "0.1"
source = { virtual = "." }
dependencies = [{ name = "torch" }, { name = "tqdm", marker = "sys_platform == 'linux'" }]
[package.dev-dependencies]
dev = [{ name = "pytest" }]
[[package]]
name = "torch"
version = "2.8.0"
source = { registry = "https://pypi.org/simple" }
dependencies = [{ name = "sympy" }]
[[package]]
name = "sympy"
version = "1.13"
[[package]]
name = "tqdm"
version = "4.67.1"
[[package]]
name = "pytest"
version = "9.0"
"""
POETRY = """
[[package]]
name = "numpy"
version = "2.1"
groups = ["main"]
markers = "python_version >= '3.11'"
[[package]]
name = "pytest"
version = "9.0"
groups = ["dev"]
"""


def test_requirements_txt() -> None:
    text = """\
# what we need
torch >= 2.4 , < 3   # for training
-r more/extra.txt
numpy==2.1.0 \\
    --hash=sha256:aaaa \\
    --hash=sha256:bbbb
--extra-index-url https://example.com/simple
tqdm ; python_version < '4'
"""
    found = read({"requirements.txt": text, "more/extra.txt": "humanize\nnumpy==2.1.0\n"})
    assert found.source == "requirements.txt"
    assert found.lines == (
        "torch>=2.4,<3",
        "humanize",
        "numpy==2.1.0",
        "--extra-index-url=https://example.com/simple",
        "tqdm ; python_version<'4'",
    )
    assert found.text.endswith("\n")


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        ("uv.lock", UV, ("sympy==1.13", "torch==2.8.0", "tqdm==4.67.1 ; sys_platform == 'linux'")),
        ("poetry.lock", POETRY, ("numpy==2.1 ; python_version >= '3.11'",)),
        ("pylock.toml", '[[packages]]\nname = "a"\nversion = "1"\n', ("a==1",)),
        ("pyproject.toml", '[project]\ndependencies = ["a>1", "b"]\n', ("a>1", "b")),
        ("pyproject.toml", "[tool.ruff]\n", ()),
    ],
)
def test_other_sources(name: str, text: str, lines: tuple[str, ...]) -> None:
    assert read({name: text}).lines == lines


def test_which_one_counts() -> None:
    texts = {"pyproject.toml": '[project]\ndependencies = ["a"]\n', "uv.lock": UV, "dev.txt": "b\n"}
    assert read(texts).source == "uv.lock"
    assert read(texts, "dev.txt").lines == ("b",)
    assert read(texts, "none").lines == ()
    assert read({}).lines == ()
    assert wanted_files(["a.txt", "deep/b.txt", "uv.lock", "x.py"]) == ["a.txt", "uv.lock"]
    assert wanted_files(["a.txt", "deep/b.txt"], "deep/b.txt") == ["a.txt", "deep/b.txt"]


def test_the_directory_itself_brings_what_it_needs() -> None:
    texts = {"requirements.txt": "-e .[dev]\nc\n", "pyproject.toml": '[project]\ndependencies = ["a"]\n'}
    assert read(texts).lines == ("a", "c")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("-r absent.txt", "line 1 includes absent.txt, which is not in the working directory"),
        ("x\n/home/me/thing.whl", "line 2: '/home/me/thing.whl' is a path of this machine"),
        ("--user", "the option --user means nothing to a job"),
        ("-e ../other", "is not the working directory itself"),
    ],
)
def test_what_cannot_travel_is_one_sentence(text: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        read({"requirements.txt": text})


def test_broken_files_are_told() -> None:
    with pytest.raises(UserError, match=r"pyproject\.toml is not valid TOML"):
        read({"pyproject.toml": "[project\n"})
    with pytest.raises(UserError, match=r"there is no other\.txt"):
        read({}, "other.txt")
