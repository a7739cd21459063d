"""What travels: the files that belong to the code, as the same bytes every time."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from argosy.errors import UserError
from argosy.sdk import workspace


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def names(root: Path) -> list[str]:
    return [file.path for file in workspace.collect(root).files]


def test_ignored_files_stay_here(tmp_path: Path) -> None:
    write(tmp_path, train_DOT_py="1", data__big="2", sub__a_DOT_txt="3", sub__b_DOT_log="4")
    write(
        tmp_path, **{"_DOT_git__config": "", "venv__pyvenv_DOT_cfg": "", "venv__lib": "", "__pycache__".strip("_"): ""}
    )
    (tmp_path / ".gitignore").write_text("data/\n*.log\n")
    (tmp_path / "sub" / ".argosyignore").write_text("a.txt\n!b.log\n")
    assert names(tmp_path) == [".gitignore", "pycache", "sub/.argosyignore", "sub/b.log", "train.py"]


def test_the_repository_around_it_has_its_say(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".gitignore").write_text("/project/out\n*.bin\n")
    write(tmp_path / "project", a_DOT_py="", out__x="", w_DOT_bin="")
    assert names(tmp_path / "project") == ["a.py"]


def test_links(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    write(root, a_DOT_py="inside")
    write(outside, b_DOT_py="outside", d__c="")
    (root / "within").symlink_to("a.py")
    (root / "file").symlink_to(outside / "b.py")
    (root / "directory").symlink_to(outside / "d")
    (root / "broken").symlink_to("nowhere")
    (root / "top").symlink_to(root)
    (root / "circle").symlink_to("circle")
    os.mkfifo(root / "pipe")
    found = workspace.collect(root)
    by_name = {file.path: file for file in found.files}
    assert set(by_name) == {"a.py", "file", "within", "top"}
    assert (by_name["within"].link, by_name["file"].link) == ("a.py", "")
    assert [note.split(" ")[0] for note in found.notes] == ["broken", "circle", "directory", "pipe"]


def test_equal_contents_are_equal_bytes(tmp_path: Path) -> None:
    packed = []
    for name in ("one", "two"):
        write(tmp_path / name, a_DOT_py="x", b__c="y")
        os.utime(tmp_path / name / "a.py", (len(packed), len(packed)))
        packed.append(workspace.pack(workspace.collect(tmp_path / name), {".argosy/x": b"z"}))
    assert packed[0] == packed[1]
    with tarfile.open(fileobj=io.BytesIO(packed[0].data)) as archive:
        assert archive.getnames() == ["a.py", "b/c", ".argosy/x"]
    (tmp_path / "one" / "a.py").write_text("other")
    assert workspace.pack(workspace.collect(tmp_path / "one"), {}).digest != packed[0].digest


def test_a_huge_directory_is_one_sentence_with_the_largest_files(tmp_path: Path) -> None:
    write(tmp_path, train_DOT_py="")
    for number, megabytes in enumerate((300, 20, 1)):
        with (tmp_path / f"data{number}").open("wb") as file:
            file.truncate(megabytes << 20)
    with pytest.raises(UserError) as refused:
        workspace.collect(tmp_path)
    said = str(refused.value)
    assert "the largest are data0 (315 MB), data1 (21 MB), data2 (1 MB)" in said
    assert ".argosyignore" in said
    assert "\n" not in said


def test_what_does_not_compress_is_refused_when_packed(tmp_path: Path) -> None:
    (tmp_path / "noise").write_bytes(os.urandom(workspace.PACKED_MAX + 1))
    with pytest.raises(UserError, match="when compressed"):
        workspace.pack(workspace.collect(tmp_path), {})


def test_a_file_that_went_in_between_is_told(tmp_path: Path) -> None:
    write(tmp_path, a_DOT_py="")
    found = workspace.collect(tmp_path)
    (tmp_path / "a.py").unlink()
    with pytest.raises(UserError, match=r"a\.py cannot be read: No such file"):
        workspace.pack(found, {})
    with pytest.raises(UserError, match="is not a directory"):
        workspace.collect(tmp_path / "absent")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_directory_is_told(tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir(mode=0)
    with pytest.raises(UserError, match="cannot be read: Permission denied; make it readable"):
        workspace.collect(tmp_path)
