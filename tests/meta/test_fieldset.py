from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.meta import fieldset
from argosy.meta.fieldset import difference, intersection, members, of_paths, union, without

PATHS = st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map(tuple), max_size=6)


def paths(tree: dict[str, Any]) -> set[tuple[str, ...]]:
    return {tuple(element[2:] for element in path) for path in members(tree)}


@given(PATHS, PATHS)
def test_the_algebra_is_that_of_sets_of_paths(left: Any, right: Any) -> None:
    a, b = of_paths(*left), of_paths(*right)
    assert paths(a) == set(left)
    assert paths(union(a, b)) == set(left) | set(right)
    assert paths(intersection(a, b)) == set(left) & set(right)
    assert paths(difference(a, b)) == set(left) - set(right)
    below = {path for path in left if not any(path[: len(cut)] == cut for cut in right)}
    assert paths(without(a, b)) == below


@given(PATHS)
def test_an_empty_set_is_an_empty_tree(given_paths: Any) -> None:
    tree = of_paths(*given_paths)
    assert difference(tree, tree) == {}
    assert union(tree, {}) == tree
    fieldset.check(tree)


def test_the_form_is_that_of_fields_v1() -> None:
    tree = of_paths(("data",), ("data", "k"), ("spec", "x"))
    assert fieldset.ordered(tree) == {"f:data": {".": {}, "f:k": {}}, "f:spec": {"f:x": {}}}
    assert fieldset.has(tree, "f:data")
    assert not fieldset.has(tree, "f:spec")


@pytest.mark.parametrize("bad", [[], {"x": {}}, {"f:a": {"b": {}}}])
def test_what_is_no_field_set(bad: Any) -> None:
    with pytest.raises(ValueError, match=r"fieldsV1|path element"):
        fieldset.check(bad)


def test_paths_as_conflicts_show_them() -> None:
    path = ("f:spec", "f:containers", 'k:{"name":"c"}', "f:ports", 'k:{"containerPort":80,"protocol":"TCP"}')
    assert fieldset.path_text(path) == '.spec.containers[name="c"].ports[containerPort=80,protocol="TCP"]'
    assert fieldset.path_text(("f:s", 'v:"d"')) == '.s[="d"]'
    assert fieldset.path_text(("f:l", "i:3")) == ".l[3]"
