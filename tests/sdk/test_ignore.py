"""Git's own rules, each case checked against git where it is installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from argosy.sdk import ignore

CASES = [
    ("*.log", "a.log", True),
    ("*.log", "deep/a.log", True),
    ("/a.log", "deep/a.log", False),
    ("/a.log", "a.log", True),
    ("data/", "data", False),
    ("data/x", "data/x", True),
    ("data/x", "other/data/x", False),
    ("**/cache", "a/b/cache", True),
    ("a/**/z", "a/z", True),
    ("a/**/z", "a/b/c/z", True),
    ("a/**", "a/b", True),
    ("a/**", "a", False),
    ("?.py", "a.py", True),
    ("?.py", "ab.py", False),
    ("[a-c].txt", "b.txt", True),
    ("[!a-c].txt", "b.txt", False),
    ("[!a-c].txt", "d.txt", True),
    (r"\#x", "#x", True),
    (r"\!x", "!x", True),
    ("# x", "# x", False),
    ("x   ", "x", True),
    ("*.log\n!keep.log", "keep.log", False),
    ("!keep.log\n*.log", "keep.log", True),
    ("a*b", "a/b", False),
    ("foo/*", "foo/x", True),
    ("*", "anything", True),
]


@pytest.mark.parametrize(("text", "path", "left_out"), CASES)
def test_rules(text: str, path: str, left_out: bool) -> None:
    assert ignore.ignored(ignore.read(text), path, directory=False) is left_out


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_git_says_the_same(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True, timeout=20)
    for text, path, left_out in CASES:
        (tmp_path / ".gitignore").write_text(text + "\n")
        done = subprocess.run(
            ["git", "-C", str(tmp_path), "check-ignore", "-q", "--no-index", path], check=False, timeout=20
        )
        assert (done.returncode == 0) is left_out, (text, path)


def test_directories_only_and_deeper_files() -> None:
    rules = ignore.read("build/") + ignore.read("!build\n/x", base="sub/")
    assert ignore.ignored(rules, "build", directory=True)
    assert not ignore.ignored(rules, "build", directory=False)
    assert not ignore.ignored(rules, "sub/build", directory=True)
    assert ignore.ignored(rules, "sub/x", directory=False)
    assert not ignore.ignored(rules, "x", directory=False)


def test_a_file_above_the_workspace_sees_the_whole_path() -> None:
    rules = ignore.read("/sub/data\n*.tmp\n/other", above="sub/")
    assert ignore.ignored(rules, "data", directory=True)
    assert ignore.ignored(rules, "a/b.tmp", directory=False)
    assert not ignore.ignored(rules, "other", directory=False)
