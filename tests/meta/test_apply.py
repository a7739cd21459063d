from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from argosy.errors import BadRequest, Conflict
from argosy.meta import fieldset, pack
from argosy.meta.apply import LAST_APPLIED, ApplyFailed, Request, apply, track_update
from argosy.meta.decode import decode
from argosy.meta.defaults import set_defaults
from argosy.meta.json import thaw
from argosy.meta.schema import Schema, structural

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CONFIG, DEPLOY = pack.definition_for("v1", "ConfigMap"), pack.definition_for("apps/v1", "Deployment")
WIDGET = structural(
    {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "properties": {
                    "m": {
                        "type": "array",
                        "x-kubernetes-list-type": "map",
                        "x-kubernetes-list-map-keys": ["k", "p"],
                        "items": {
                            "type": "object",
                            "required": ["k"],
                            "properties": {
                                "k": {"type": "string"},
                                "p": {"type": "string", "default": "TCP"},
                                "v": {"type": "string"},
                                "w": {"type": "integer"},
                            },
                        },
                    },
                    "s": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                    "a": {"type": "array", "items": {"type": "integer"}},
                    "ma": {
                        "type": "object",
                        "x-kubernetes-map-type": "atomic",
                        "additionalProperties": {"type": "string"},
                    },
                    "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                },
            }
        },
    }
)


class Live:
    """An object on a server that does nothing but keep it."""

    def __init__(self, schema: Schema | None, api_version: str, kind: str) -> None:
        self.schema, self.api_version, self.kind = schema, api_version, kind
        self.obj: dict[str, Any] | None = None

    def request(self, manager: str, **more: Any) -> Request:
        return Request(manager, self.api_version, NOW, ignored=fieldset.of_paths(("status",)), **more)

    def apply(self, manager: str, *, force: bool = False, **fields: Any) -> None:
        config = {"apiVersion": self.api_version, "kind": self.kind, "metadata": {"name": "a"}, **fields}
        result, managed = apply(self.obj, config, self.schema, self.request(manager, force=force))
        self._keep(result, managed)

    def update(self, manager: str, **fields: Any) -> None:
        new = {"apiVersion": self.api_version, "kind": self.kind, "metadata": {"name": "a"}, **fields}
        new = self._settled(new)
        self._keep(new, track_update(self.obj, new, self.schema, self.request(manager)))

    def _settled(self, obj: dict[str, Any]) -> dict[str, Any]:
        if self.schema is not None and not self.schema.structural:
            obj = decode(obj, self.schema).obj
            set_defaults(self.api_version, self.kind, obj)
        return thaw(obj)

    def _keep(self, obj: dict[str, Any], managed: list[Any]) -> None:
        self.obj = self._settled(obj)
        self.obj["metadata"] = {**self.obj["metadata"], "managedFields": managed}

    @property
    def owned(self) -> dict[str, Any]:
        assert self.obj is not None
        entries = self.obj["metadata"]["managedFields"]
        return {f"{e['manager']}/{e['operation']}": e["fieldsV1"] for e in entries}

    def __getitem__(self, name: str) -> Any:
        assert self.obj is not None
        return self.obj.get(name)


@pytest.fixture
def config() -> Live:
    return Live(CONFIG, "v1", "ConfigMap")


@pytest.fixture
def widget() -> Live:
    return Live(WIDGET, "example.com/v1", "Widget")


def test_two_managers_own_different_keys(config: Live) -> None:
    config.apply("m1", data={"k": "v"})
    config.apply("m2", data={"l": "w"})
    assert config["data"] == {"k": "v", "l": "w"}
    assert config.owned == {"m1/Apply": {"f:data": {"f:k": {}}}, "m2/Apply": {"f:data": {"f:l": {}}}}


def test_what_a_manager_stops_applying_goes_unless_another_owns_it(config: Live) -> None:
    config.apply("m1", data={"k": "v", "l": "w"})
    config.apply("m2", data={"l": "w"})
    config.apply("m1", data={})
    assert config["data"] == {"l": "w"}
    assert config.owned["m2/Apply"] == {"f:data": {"f:l": {}}}


def test_a_conflict_names_its_owner_and_force_takes_over(config: Live) -> None:
    config.apply("m1", data={"k": "v", "l": "w"})
    with pytest.raises(Conflict) as caught:
        config.apply("m2", data={"k": "x"})
    assert caught.value.message == 'Apply failed with 1 conflict: conflict with "m1": .data.k'
    assert [(c.reason, c.field) for c in caught.value.causes] == [("FieldManagerConflict", ".data.k")]
    with pytest.raises(Conflict) as caught:
        config.apply("m2", data={"k": "x", "l": "y"})
    assert caught.value.message == 'Apply failed with 2 conflicts: conflicts with "m1":\n- .data.k\n- .data.l'
    config.apply("m2", force=True, data={"k": "x"})
    assert config["data"] == {"k": "x", "l": "w"}
    assert config.owned == {"m1/Apply": {"f:data": {"f:l": {}}}, "m2/Apply": {"f:data": {"f:k": {}}}}


def test_agreeing_is_no_conflict(config: Live) -> None:
    config.apply("m1", data={"k": "v"})
    config.apply("m2", data={"k": "v"})
    assert set(config.owned) == {"m1/Apply", "m2/Apply"}


def test_an_apply_that_changes_nothing_is_equal_to_what_was_there(config: Live) -> None:
    config.apply("m1", data={"k": "v"})
    assert config.obj is not None
    before = thaw(config.obj)
    later = replace(config.request("m1"), now=datetime(2027, 1, 1, tzinfo=UTC))
    again = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "v"}}
    result, managed = apply(config.obj, again, CONFIG, later)
    assert managed == before["metadata"]["managedFields"]
    assert result["data"] == before["data"]


def test_updates_are_tracked_from_the_blank_object_on(config: Live) -> None:
    config.update("u", data={"k": "v"})
    assert config.owned == {"u/Update": {"f:data": {".": {}, "f:k": {}}}}
    config.update("w", data={"k": "x", "l": "y"})
    assert config.owned == {"u/Update": {"f:data": {}}, "w/Update": {"f:data": {"f:k": {}, "f:l": {}}}}
    config.update("w", data={"k": "x"})
    assert config.owned["w/Update"] == {"f:data": {"f:k": {}}}


def test_a_deployment_as_kube_apiserver_tracks_it() -> None:
    deployment = Live(DEPLOY, "apps/v1", "Deployment")
    containers = [{"name": "c", "image": "i:1", "ports": [{"containerPort": 80}]}]
    template = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": containers}}
    deployment.update("t", spec={"selector": {"matchLabels": {"app": "a"}}, "template": template})
    spec = deployment.owned["t/Update"]["f:spec"]
    assert spec["f:selector"] == {}
    assert spec["f:strategy"] == {
        "f:rollingUpdate": {".": {}, "f:maxSurge": {}, "f:maxUnavailable": {}},
        "f:type": {},
    }
    assert spec["f:template"]["f:metadata"] == {"f:labels": {".": {}, "f:app": {}}}
    port = 'k:{"containerPort":80,"protocol":"TCP"}'
    assert spec["f:template"]["f:spec"]["f:containers"]['k:{"name":"c"}']["f:ports"] == {
        ".": {},
        port: {".": {}, "f:containerPort": {}, "f:protocol": {}},
    }


def test_what_was_there_before_the_first_apply(config: Live) -> None:
    config.update("u", data={"k": "v"})
    assert config.obj is not None
    config.obj["metadata"]["managedFields"] = []
    with pytest.raises(Conflict) as caught:
        config.apply("m", data={"k": "w"})
    assert caught.value.message == 'Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .data.k'
    config.apply("m", data={"l": "w"})
    assert set(config.owned) == {"before-first-apply/Update", "m/Apply"}


def test_untracked_objects_stay_untracked_and_tracking_can_be_reset(config: Live) -> None:
    config.apply("m", data={"k": "v"})
    assert config.obj is not None
    reset = thaw(config.obj)
    reset["metadata"]["managedFields"] = [{}]
    assert track_update(config.obj, reset, CONFIG, config.request("u")) == []
    config.obj["metadata"]["managedFields"] = []
    config.update("u", data={"k": "x"})
    assert config.owned == {}


def test_list_maps_go_by_key_with_defaults_and_keep_the_order_of_the_config(widget: Live) -> None:
    widget.apply("m", spec={"m": [{"k": "a", "v": "1"}, {"k": "b"}]})
    widget.apply("n", spec={"m": [{"k": "c"}, {"k": "a", "w": 1}]})
    assert [item["k"] for item in widget["spec"]["m"]] == ["c", "a", "b"]
    assert widget["spec"]["m"][1] == {"k": "a", "v": "1", "w": 1}
    key = 'k:{"k":"a","p":"TCP"}'
    assert widget.owned["n/Apply"]["f:spec"]["f:m"][key] == {".": {}, "f:k": {}, "f:w": {}}
    widget.apply("n", spec={"m": [{"k": "a"}]})
    assert widget["spec"]["m"] == [{"k": "a", "v": "1"}, {"k": "b"}]


def test_sets_atomic_values_and_free_fields(widget: Live) -> None:
    widget.apply("m", spec={"s": ["a", "b"], "a": [1], "ma": {"x": "1"}, "free": {"x": {"y": 1}, "l": [1]}})
    widget.apply("n", spec={"s": ["c"], "free": {"x": {"z": 2}}})
    assert widget["spec"]["s"] == ["a", "b", "c"]
    assert widget["spec"]["free"] == {"x": {"y": 1, "z": 2}, "l": [1]}
    assert widget.owned["m/Apply"]["f:spec"]["f:free"] == {"f:l": {}, "f:x": {".": {}, "f:y": {}}}
    for spec, field in (
        ({"a": [2]}, ".spec.a"),
        ({"ma": {"y": "2"}}, ".spec.ma"),
        ({"free": {"l": [2]}}, ".spec.free.l"),
    ):
        with pytest.raises(Conflict) as caught:
            widget.apply("n", spec=spec)
        assert [cause.field for cause in caught.value.causes] == [field]
    widget.apply("m", spec={"s": ["b"]})
    assert widget["spec"]["s"] == ["b", "c"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"s": ["d", "d"]}, '.spec.s: duplicate entries for key [="d"]'),
        ({"m": [{"k": "a"}, {"k": "a"}]}, '.spec.m: duplicate entries for key [k="a",p="TCP"]'),
        ({"nope": 1}, ".spec.nope: field not declared in schema"),
        ({"s": {}}, ".spec.s: expected list, got &{map[]}"),
        ({"a": ["x"]}, ".spec.a[0]: expected numeric (int or float), got string"),
    ],
)
def test_configs_that_cannot_be_applied(widget: Live, spec: Any, message: str) -> None:
    with pytest.raises(ApplyFailed) as caught:
        widget.apply("m", spec=spec)
    start = "failed to create typed patch object (/a; example.com/v1, Kind=Widget): "
    assert caught.value.message.startswith(start + message)


def test_a_config_may_not_speak_of_managed_fields(config: Live) -> None:
    with pytest.raises(BadRequest, match=r"metadata.managedFields must be nil"):
        config.apply("m", metadata={"name": "a", "managedFields": []})


def test_kubectl_takes_over_what_its_client_side_apply_set(config: Live) -> None:
    last = '{"apiVersion":"v1","data":{"k":"v","l":"w"},"kind":"ConfigMap","metadata":{"name":"a"}}\n'
    config.update(
        "kubectl-client-side-apply",
        metadata={"name": "a", "annotations": {LAST_APPLIED: last}},
        data={"k": "v", "l": "w"},
    )
    config.apply("kubectl", data={"k": "w"})
    assert config["data"] == {"k": "w", "l": "w"}
    annotation = config["metadata"]["annotations"][LAST_APPLIED]
    assert annotation == '{"apiVersion":"v1","data":{"k":"w"},"kind":"ConfigMap","metadata":{"name":"a"}}\n'
    with pytest.raises(Conflict):
        config.apply("other", data={"l": "x"})


def test_at_most_ten_updaters_are_remembered(config: Live) -> None:
    for number in range(15):
        keys = {f"k{each:02}": "v" for each in range(number + 1)}
        config.update(f"u{number:02}", data=keys)
    assert len(config.owned) == 10
    ancient = config.owned["ancient-changes/Update"]["f:data"]
    assert {"f:k00", "f:k01"} <= set(ancient)


def test_ignored_fields_are_nobodys(config: Live) -> None:
    deployment = Live(DEPLOY, "apps/v1", "Deployment")
    deployment.apply("m", spec={"replicas": 2}, status={"replicas": 5})
    assert deployment.owned["m/Apply"] == {"f:spec": {"f:replicas": {}}}


def test_a_null_for_what_has_parts_says_nothing_of_them() -> None:
    live = Live(DEPLOY, "apps/v1", "Deployment")
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 3, "maxUnavailable": 1}}
    live.apply("m1", spec={"strategy": strategy})
    live.apply("m2", force=True, spec={"strategy": None})
    assert live["spec"]["strategy"] == strategy
    assert live.owned["m2/Apply"] == {"f:spec": {"f:strategy": {}}}


def test_what_loses_its_last_part_stays_empty_where_it_is_still_named(widget: Live) -> None:
    widget.apply("m1", spec={"free": {"a": {"b": 1}}, "ma": {"x": "1"}})
    widget.apply("m1", spec={"free": {"a": {}}})
    assert widget["spec"] == {"free": {"a": {}}}


def test_of_an_object_without_other_managers_only_what_was_applied_goes() -> None:
    live = Live(CONFIG, "v1", "ConfigMap")
    live.obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "uid": "u"}}
    live.apply("m1", data={"a": "b"})
    result, managed = apply(
        live.obj,
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "labels": {"x": "y"}}},
        CONFIG,
        live.request("m1"),
    )
    live._keep(result, managed)
    live.apply("m1")
    assert {key: live["metadata"].get(key) for key in ("name", "uid", "labels")} == {
        "name": "a",
        "uid": "u",
        "labels": None,
    }


def test_conflicts_show_whole_fields_before_what_is_below_others() -> None:
    live = Live(DEPLOY, "apps/v1", "Deployment")
    spec = {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "strategy": {"rollingUpdate": {"maxSurge": 2}}}
    live.update("u", spec=spec)
    live.apply("m1", spec={"paused": True})
    other = {"replicas": 2, "selector": {"matchLabels": {"a": "c"}}, "strategy": {"rollingUpdate": {"maxSurge": 3}}}
    live.obj = {**(live.obj or {}), "spec": {**live["spec"], **spec}}
    live.obj["metadata"]["managedFields"] = track_update(
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a", "managedFields": [
            {"manager": "m1", "operation": "Apply", "apiVersion": "apps/v1", "fieldsV1": {"f:spec": {"f:paused": {}}}}]}},
        {**live.obj, "metadata": {"name": "a"}}, DEPLOY, live.request("u"),
    )  # fmt: skip
    with pytest.raises(Conflict) as caught:
        live.apply("m2", spec=other)
    assert caught.value.message == (
        'Apply failed with 3 conflicts: conflicts with "u" using apps/v1:\n'
        "- .spec.replicas\n- .spec.selector\n- .spec.strategy.rollingUpdate.maxSurge"
    )


def test_metadata_within_a_custom_object_is_that_of_any_object() -> None:
    inner = {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True}
    live = Live(
        structural({"type": "object", "properties": {"spec": {"type": "object", "properties": {"pod": inner}}}}),
        "example.com/v1",
        "Holder",
    )
    live.apply("m", spec={"pod": {"kind": "Pod", "metadata": {"labels": {"a": "b"}}, "spec": {"x": 1}}})
    pod = live.owned["m/Apply"]["f:spec"]["f:pod"]
    assert pod == {"f:kind": {}, "f:metadata": {"f:labels": {"f:a": {}}}, "f:spec": {".": {}, "f:x": {}}}


def test_new_duplicates_are_one_field_and_old_ones_many(widget: Live) -> None:
    widget.apply("m1", spec={"free": {}})
    widget.update("u", spec={"m": [{"k": "a", "v": "1"}]}, metadata=widget["metadata"])
    assert widget.owned["u/Update"]["f:spec"]["f:m"]['k:{"k":"a","p":"TCP"}'] == {".": {}, "f:k": {}, "f:v": {}}
    widget.update("u", spec={"m": [{"k": "a", "v": "1"}, {"k": "a", "v": "2"}]}, metadata=widget["metadata"])
    assert widget.owned["u/Update"]["f:spec"]["f:m"]['k:{"k":"a","p":"TCP"}'] == {}


def test_an_update_that_its_schema_cannot_take_forgets_who_owned_what() -> None:
    account = pack.definition_for("v1", "ServiceAccount")
    live = Live(account, "v1", "ServiceAccount")
    live.apply("m1", secrets=[{"name": "s"}])
    live.update("u", secrets=[{}])
    assert live["metadata"]["managedFields"] == []
    with pytest.raises(ApplyFailed) as caught:
        live.apply("m1", secrets=[{"name": "s"}])
    assert caught.value.message.startswith("failed to create manager for existing fields: failed to convert new object")


def test_a_secret_for_images_without_a_name_is_the_one_of_the_empty_name() -> None:
    live = Live(pack.definition_for("v1", "Pod"), "v1", "Pod")
    live.apply("m1", spec={"imagePullSecrets": [{}]})
    assert live.owned["m1/Apply"]["f:spec"]["f:imagePullSecrets"] == {'k:{"name":""}': {}}
