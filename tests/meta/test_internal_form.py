"""Objects in Kubernetes' internal form, as its messages show them."""

from __future__ import annotations

import pytest
from tests.meta.ruled import faults, pod

from argosy.meta import internal_form


def test_a_form_shows_every_field_and_sorts_maps() -> None:
    toleration = {"key": "a", "operator": "Exists"}
    assert list((internal_form.form("core.Toleration", toleration) or {}).items()) == [
        ("Key", "a"), ("Operator", "Exists"), ("Value", ""), ("Effect", ""), ("TolerationSeconds", None),
    ]  # fmt: skip
    assert internal_form.form("core.PodSpec", None) is None
    shown = internal_form.form("core.PodTemplateSpec", {"metadata": {"labels": {"b": "1", "A": "2"}}, "spec": {}}) or {}
    assert list(shown) == ["labels", "Spec"]
    assert list(shown["labels"]) == ["A", "b"]


def test_the_security_of_a_pod_shows_what_stands_beside_it() -> None:
    shown = internal_form.form("core.PodSpec", {"hostNetwork": True, "securityContext": {"runAsUser": 5}}) or {}
    assert (shown["SecurityContext"]["HostNetwork"], shown["SecurityContext"]["RunAsUser"]) == (True, 5)


def test_a_changed_pod_is_refused_with_what_differs() -> None:
    found = faults("v1", "Pod", pod(hostname="b"), pod(hostname="a"))
    assert found[0][1].endswith(
        '\n- "Hostname": "a",\n+ "Hostname": "b",\n  "Subdomain": "",\n  "SetHostnameAsFQDN": null,\n  "Affinity": null,\n'
    )


@pytest.mark.parametrize(("selector", "count"), [({"a": "b", "c": "d"}, 0), ({}, 1), ({"a": "x"}, 1)])
def test_a_gated_pod_may_only_be_narrowed(selector: dict[str, str], count: int) -> None:
    gates = [{"name": "g.io/a"}]
    before = pod(schedulingGates=gates, nodeSelector={"a": "b"})
    assert len(faults("v1", "Pod", pod(schedulingGates=gates, nodeSelector=selector), before)) == count


def test_gates_are_not_added() -> None:
    before = pod(schedulingGates=[{"name": "g.io/a"}])
    found = faults("v1", "Pod", pod(schedulingGates=[{"name": "g.io/b"}]), before)
    assert [field for field, _ in found] == ["spec.schedulingGates[0].name"]


def test_the_affinity_of_a_gated_pod_only_grows() -> None:
    def gated(*keys: str) -> dict[str, object]:
        rules = [{"key": key, "operator": "Exists"} for key in keys]
        term = {"nodeSelectorTerms": [{"matchExpressions": rules}]}
        affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": term}}
        return pod(schedulingGates=[{"name": "g.io/a"}], affinity=affinity)

    assert faults("v1", "Pod", gated("a", "b"), gated("a")) == []
    found = faults("v1", "Pod", gated("b"), gated("a"))
    assert found[0][1] == (
        'Invalid value: {"MatchExpressions":[{"Key":"b","Operator":"Exists","Values":null}],"MatchFields":null}:'
        " only additions are allowed (no mutations or deletions)"
    )
