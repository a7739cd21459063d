from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.meta import pack
from argosy.meta.json import thaw
from argosy.meta.strategic import StrategicError, merge, restore_error

DEPLOYMENT = pack.definition_for("apps/v1", "Deployment")
assert DEPLOYMENT is not None


def deployment(**pod: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", "finalizers": ["x/a", "x/b"]},
        "spec": {"replicas": 1, "template": {"spec": pod}},
    }


def patched(patch: Any, **pod: Any) -> Any:
    assert DEPLOYMENT is not None
    original = deployment(**pod)
    before = thaw(original)
    result = merge(original, {"spec": {"template": {"spec": patch}}}, DEPLOYMENT)
    assert original == before
    return result["spec"]["template"]["spec"]


C, D = {"name": "c", "image": "i:1", "args": ["a"]}, {"name": "d", "image": "j:1"}


def test_lists_merge_by_key() -> None:
    result = patched({"containers": [{"name": "d", "image": "j:2"}]}, containers=[C, D])
    assert result["containers"] == [C, {"name": "d", "image": "j:2"}]


def test_a_new_item_comes_first_unless_an_order_is_given() -> None:
    new = {"name": "x", "image": "x:1"}
    assert [c["name"] for c in patched({"containers": [new]}, containers=[C, D])["containers"]] == ["x", "c", "d"]
    order = {"$setElementOrder/containers": [{"name": "c"}, {"name": "x"}, {"name": "d"}], "containers": [new]}
    assert [c["name"] for c in patched(order, containers=[C, D])["containers"]] == ["c", "x", "d"]


def test_an_order_alone_reorders() -> None:
    order = {"$setElementOrder/containers": [{"name": "d"}, {"name": "c"}]}
    assert [c["name"] for c in patched(order, containers=[C, D])["containers"]] == ["d", "c"]


def test_the_servers_own_items_keep_their_place() -> None:
    e = {"name": "e", "image": "e"}
    order = {
        "$setElementOrder/containers": [{"name": "d"}, {"name": "c"}],
        "containers": [{"name": "c", "image": "i:2"}],
    }
    assert [c["name"] for c in patched(order, containers=[C, e, D])["containers"]] == ["e", "d", "c"]


def test_directives() -> None:
    delete = {"containers": [{"name": "c", "$patch": "delete"}]}
    assert patched(delete, containers=[C, D])["containers"] == [D]
    replace = {"containers": [{"$patch": "replace"}, {"name": "n", "image": "n"}]}
    assert patched(replace, containers=[C, D])["containers"] == [{"name": "n", "image": "n"}]
    assert patched({"$patch": "replace", "hostPID": True}, containers=[C]) == {"hostPID": True}
    assert patched({"securityContext": {"$patch": "delete"}}, securityContext={"runAsUser": 1})["securityContext"] == {}


def test_nulls_remove_and_are_not_added() -> None:
    assert patched({"hostname": None, "subdomain": None}, hostname="a") == {}
    added = patched({"securityContext": {"runAsUser": None, "fsGroup": 1}})
    assert added == {"securityContext": {"fsGroup": 1}}


def test_plain_lists_are_replaced_and_primitive_ones_merged() -> None:
    assert DEPLOYMENT is not None
    assert patched({"containers": [{"name": "c", "args": ["x"]}]}, containers=[C])["containers"][0]["args"] == ["x"]
    assert patched({"tolerations": [{"key": "b"}]}, tolerations=[{"key": "a"}])["tolerations"] == [{"key": "b"}]
    grown = merge(deployment(), {"metadata": {"finalizers": ["x/c"]}}, DEPLOYMENT)
    assert sorted(grown["metadata"]["finalizers"]) == ["x/a", "x/b", "x/c"]
    shrunk = merge(deployment(), {"metadata": {"$deleteFromPrimitiveList/finalizers": ["x/a"]}}, DEPLOYMENT)
    assert shrunk["metadata"]["finalizers"] == ["x/b"]


def test_retain_keys() -> None:
    assert DEPLOYMENT is not None
    original = {**deployment(), "spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert merge(original, patch, DEPLOYMENT)["spec"]["strategy"] == {"type": "Recreate"}


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ({"$patch": "frob"}, "unknown patch type: frob in map: map[$patch:frob]"),
        ({"containers": [{"name": "c", "$patch": "frob"}]}, "unknown patch type: frob in map: map[$patch:frob name:c]"),
        ({"containers": [{"image": "x"}]}, "map: map[image:x] does not contain declared merge key: name"),
        (
            {
                "$setElementOrder/containers": [{"name": "d"}, {"name": "c"}],
                "containers": [{"name": "c"}, {"name": "d"}],
            },
            "doesn't match $setElementOrder list",
        ),
    ],
)
def test_what_cannot_be_merged(patch: Any, message: str) -> None:
    with pytest.raises(StrategicError) as caught:
        patched(patch, containers=[C, D])
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ({"spec": 5}, "cannot restore struct from: int64"),
        ({"spec": {"template": {"spec": {"containers": {"name": "c"}}}}}, "cannot restore slice from map"),
        ({"spec": {"replicas": "x"}}, "unrecognized type: int32"),
        ({"metadata": {"labels": []}}, "cannot restore map from slice"),
        ({"spec": {"replicas": 2}}, ""),
    ],
)
def test_types_that_do_not_fit_afterwards(patch: Any, message: str) -> None:
    assert DEPLOYMENT is not None
    assert restore_error(merge(deployment(containers=[C]), patch, DEPLOYMENT), DEPLOYMENT) == message


NAMES = st.sampled_from("abcd")
CONTAINERS = st.lists(st.fixed_dictionaries({"name": NAMES, "image": NAMES}), unique_by=lambda c: c["name"], max_size=4)
SPECS = st.fixed_dictionaries(
    {"containers": CONTAINERS}, optional={"hostname": NAMES, "nodeSelector": st.dictionaries(NAMES, NAMES)}
)


@given(SPECS, SPECS)
def test_merging_twice_is_merging_once(original: Any, patch: Any) -> None:
    assert DEPLOYMENT is not None
    wrapped = {"spec": {"template": {"spec": patch}}}
    once = merge(deployment(**original), wrapped, DEPLOYMENT)
    assert merge(once, wrapped, DEPLOYMENT) == once


@given(SPECS, SPECS)
def test_nothing_of_patch_or_original_is_lost(original: Any, patch: Any) -> None:
    result = {c["name"]: c for c in patched(patch, **original).get("containers", [])}
    expected = {c["name"]: c for c in [*original["containers"], *patch["containers"]]}
    assert result == expected
