"""What a change may not do, and what is said of values that were sent empty."""

from __future__ import annotations

from typing import Any

from argosy import kinds
from argosy.errors import Cause
from argosy.meta import causes
from argosy.meta.rules import check


def said(kind: Any, new: dict[str, Any], old: dict[str, Any] | None = None) -> list[str]:
    return [f"{cause.field}: {cause.message}" for cause in check(kind, new, old)]


def test_a_role_reference_is_shown_as_kubernetes_keeps_it() -> None:
    group = "rbac.authorization.k8s.io"
    old, new = (
        {"metadata": {"name": "b"}, "roleRef": {"apiGroup": group, "kind": "Role", "name": name}} for name in ("a", "c")
    )
    shown = '{"APIGroup":"rbac.authorization.k8s.io","Kind":"Role","Name":"c"}'
    assert said(kinds.ROLE_BINDING, new, old) == [f"roleRef: Invalid value: {shown}: cannot change roleRef"]


def test_the_value_of_a_priority_class_stays_and_nothing_else_is_looked_at() -> None:
    old = {"metadata": {"name": "system-x"}, "value": 1, "preemptionPolicy": "Never"}
    assert said(kinds.PRIORITY_CLASS, {**old, "description": "d"}, old) == []
    assert said(kinds.PRIORITY_CLASS, {**old, "value": 2}, old) == [
        "value: Forbidden: may not be changed in an update."
    ]


def test_a_volume_keeps_its_place_but_for_the_general_name_of_a_label() -> None:
    def volume(key: str) -> dict[str, Any]:
        term = {"matchExpressions": [{"key": key, "operator": "In", "values": ["z"]}]}
        spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/a"}}
        affinity = {"required": {"nodeSelectorTerms": [term]}}
        return {"metadata": {"name": "v"}, "spec": {**spec, "nodeAffinity": affinity}}

    beta = volume("failure-domain.beta.kubernetes.io/zone")
    assert said(kinds.PERSISTENT_VOLUME, volume("topology.kubernetes.io/zone"), beta) == []
    (refused,) = said(kinds.PERSISTENT_VOLUME, volume("other"), beta)
    assert refused.startswith("nodeAffinity: Invalid value: ")


def test_places_of_a_storage_class_name_labels() -> None:
    def places(*terms: dict[str, Any]) -> list[str]:
        bare = {
            "metadata": {"name": "s"},
            "provisioner": "p",
            "reclaimPolicy": "Delete",
            "volumeBindingMode": "Immediate",
        }
        return said(kinds.STORAGE_CLASS, {**bare, "allowedTopologies": list(terms)})

    assert places({}) == ['allowedTopologies[0].matchLabelExpressions: Duplicate value: ""']
    assert places({"matchLabelExpressions": [{"key": "k", "values": ["v"]}]}) == []


def test_limits_are_of_resources_and_shown_at_their_bound() -> None:
    def limits(**item: Any) -> set[str]:
        new = {"metadata": {"name": "l"}, "spec": {"limits": [{"type": "Container", **item}]}}
        return set(said(kinds.LIMIT_RANGE, new))

    assert limits(max={"n0": "1"}) == {
        'spec.limits[0].max[n0]: Invalid value: "n0": must be a standard resource type or fully qualified',
        'spec.limits[0].max[n0]: Invalid value: "n0": must be a standard resource for containers',
    }
    assert limits(max={"cpu": "1"}, default={"cpu": "2"}) == {
        'spec.limits[0].default[cpu]: Invalid value: "1": default value 2 is greater than max value 1'
    }
    (only,) = limits(default={"a.b/gpu": "2"}, defaultRequest={"a.b/gpu": "1"})
    assert only.endswith('Invalid value: "1": default value 2 must equal to defaultRequest value 1 in a.b/gpu')


def test_what_was_sent_empty_is_shown_empty() -> None:
    found = [
        Cause("FieldValueInvalid", "Invalid value: null: field is immutable", "spec.items[1].labels"),
        Cause("FieldValueNotSupported", "Unsupported value: null: supported values: x", "spec.names"),
        Cause("FieldValueInvalid", "Invalid value: null: absent", "spec.other"),
    ]
    sent = {"spec": {"items": [{}, {"labels": {}}], "names": []}}
    assert [cause.message for cause in causes.as_said(found, sent)] == [
        "Invalid value: {}: field is immutable",
        "Unsupported value: []: supported values: x",
        "Invalid value: null: absent",
    ]
