from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.meta.json import thaw
from argosy.meta.patches import BadPatch, PatchFailed, apply_json, check_json, diff, merge, same

SCALARS = st.one_of(st.booleans(), st.integers(-5, 5), st.text("ab/~", max_size=3))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abc"), inner)),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from("abc"), VALUES)
PATCHES = st.dictionaries(st.sampled_from("abc"), st.one_of(st.none(), VALUES))


@pytest.mark.parametrize(
    ("target", "patch", "expected"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_as_rfc_7386_shows_it(target: Any, patch: Any, expected: Any) -> None:
    before = thaw(target)
    assert merge(target, patch) == expected
    assert target == before


@given(OBJECTS, PATCHES)
def test_merging_twice_is_merging_once(target: Any, patch: Any) -> None:
    once = merge(target, patch)
    assert merge(once, patch) == once


@given(OBJECTS, OBJECTS)
def test_the_difference_leads_from_one_to_the_other(old: Any, new: Any) -> None:
    assert same(merge(old, diff(old, new)), new)
    assert diff(old, old) == {}


@pytest.mark.parametrize(
    ("document", "operations", "expected"),
    [
        ({"a": 1}, [{"op": "add", "path": "/b", "value": 2}], {"a": 1, "b": 2}),
        ({"a": [1]}, [{"op": "add", "path": "/a/-", "value": 2}], {"a": [1, 2]}),
        ({"a": [1]}, [{"op": "add", "path": "/a/0", "value": 0}], {"a": [0, 1]}),
        ({"a": [1, 2]}, [{"op": "remove", "path": "/a/-1"}], {"a": [1]}),
        ({"a": 1}, [{"op": "replace", "path": "/a", "value": None}], {"a": None}),
        ({"a": 1}, [{"op": "replace", "path": "/b", "value": 2}], {"a": 1, "b": 2}),
        ({"a": 1}, [{"op": "move", "from": "/a", "path": "/b"}], {"b": 1}),
        ({"a": {"x": [1]}}, [{"op": "copy", "from": "/a/x", "path": "/b"}], {"a": {"x": [1]}, "b": [1]}),
        ({"a": 1}, [{"op": "copy", "from": "/z", "path": "/b"}], {"a": 1, "b": None}),
        ({"a/b": 1, "m~n": 2}, [{"op": "remove", "path": "/a~1b"}, {"op": "remove", "path": "/m~0n"}], {}),
        ({"a": 1}, [{"op": "test", "path": "/a", "value": 1.0}], {"a": 1}),
        ({"a": 1}, [{"op": "replace", "path": "", "value": {}}], {}),
        ({"a": 1}, [], {"a": 1}),
    ],
)
def test_json_patch(document: Any, operations: Any, expected: Any) -> None:
    before = thaw(document)
    assert apply_json(document, check_json(operations)) == expected
    assert document == before


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        ({"op": "add", "path": "/x/y", "value": 1}, 'add operation does not apply: doc is missing path: "/x/y"'),
        ({"op": "remove", "path": "/x"}, "unable to remove nonexistent key: x"),
        ({"op": "add", "path": "/a/9", "value": 1}, "invalid index referenced"),
        ({"op": "replace", "path": "/a/x", "value": 1}, "invalid syntax"),
        ({"op": "test", "path": "/a", "value": [2]}, "testing value /a failed: test failed"),
        ({"op": "test", "path": "/x", "value": 1}, "testing value /x failed: test failed"),
        ({"op": "frob", "path": "/a"}, "Unexpected kind: frob"),
        ({"path": "/a"}, "Unexpected kind: unknown"),
        ({"op": "add", "value": 1}, "missing path field"),
        ({"op": "add", "path": "a", "value": 1}, "must start with '/'"),
        ({"op": "move", "from": "/a", "path": "/a/b"}, "cannot move into itself"),
        ({"op": "move", "from": "/z", "path": "/b"}, "nonexistent key: z"),
    ],
)
def test_what_does_not_apply(operation: Any, message: str) -> None:
    document = {"a": [1]}
    with pytest.raises(PatchFailed) as caught:
        apply_json(document, [{"op": "add", "path": "/b", "value": 1}, operation])
    assert message in str(caught.value)
    assert document == {"a": [1]}


@pytest.mark.parametrize(
    ("body", "kind"), [({"op": "add"}, "object"), ([1], "number"), ("x", "string"), ([True], "bool")]
)
def test_what_is_no_json_patch(body: Any, kind: str) -> None:
    with pytest.raises(BadPatch, match=f"cannot unmarshal {kind} into Go value"):
        check_json(body)


def test_equality_is_that_of_json() -> None:
    assert same({"a": [1, {"b": None}]}, {"a": [1.0, {"b": None}]})
    assert not same(1, True)
    assert not same([1], [1, 2])


def test_objects_that_a_patch_went_through_are_sorted_as_kubernetes_quotes_them() -> None:
    before = {"z": 1, "m": {"y": {"d": 1, "c": 2}, "x": {"f": 1, "e": 2}}, "a": 0}
    merged = merge(before, {"m": {"y": {"b": 3}}})
    assert (list(merged), list(merged["m"]), list(merged["m"]["y"])) == (["a", "m", "z"], ["x", "y"], ["b", "c", "d"])
    assert list(merged["m"]["x"]) == ["f", "e"]
    made = apply_json(before, [{"op": "add", "path": "/m/y/b", "value": 3}])
    assert (list(made), list(made["m"]["y"]), list(made["m"]["x"])) == (["a", "m", "z"], ["b", "c", "d"], ["f", "e"])
