from __future__ import annotations

from pathlib import Path

import pytest

from argosy.errors import UserError
from argosy.sdk import manifests
from argosy.sdk.apply import in_order


def test_documents_lists_and_directories_are_unfolded(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\n---\n"
        "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: b}}\n"
    )
    (tmp_path / "b.json").write_text('{"apiVersion":"v1","kind":"Secret","metadata":{"name":"c"}}')
    (tmp_path / "notes.txt").write_text("not a manifest")
    assert [obj["metadata"]["name"] for obj in manifests.read([str(tmp_path)])] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: }", "file, line 1 is not valid YAML"),
        ("kind: Pod", "file, document 1 has no apiVersion"),
        ("apiVersion: v1\nkind: Pod", "has no metadata.name"),
        ("- 1", "is not an object"),
        ("apiVersion: 1\nkind: Pod", "has no apiVersion"),
    ],
)
def test_mistakes_name_the_place(text: str, says: str) -> None:
    with pytest.raises(UserError) as raised:
        manifests.parse(text, "file")
    assert says in str(raised.value)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(UserError, match=r"there is no file nowhere\.yaml"):
        manifests.read(["nowhere.yaml"])


def test_what_others_need_goes_first() -> None:
    order = in_order(
        [{"kind": kind} for kind in ("Pod", "Service", "Deployment", "CustomResourceDefinition", "Namespace")]
    )
    assert [obj["kind"] for obj in order] == ["Namespace", "CustomResourceDefinition", "Service", "Pod", "Deployment"]
