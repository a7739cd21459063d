from __future__ import annotations

from typing import Any

import pytest

from argosy.meta import pack
from argosy.meta.decode import Decoded, decode


def read(obj: dict[str, Any]) -> Decoded:
    schema = pack.definition_for(obj["apiVersion"], obj["kind"])
    assert schema is not None
    return decode(obj, schema)


def pod(**container: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "a"},
        "spec": {"containers": [{"name": "c", "image": "i", **container}]},
    }


def config(**fields: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, **fields}


def test_what_says_nothing_vanishes() -> None:
    decoded = read(
        pod(args=[], command=None, env=None, stdin=False, workingDir="", securityContext={"privileged": False})
    )
    assert decoded.obj["spec"]["containers"] == [
        {"name": "c", "image": "i", "resources": {}, "securityContext": {"privileged": False}}
    ]
    assert decoded.unknown == ()
    assert decoded.error == ""


def test_what_is_always_written_is_filled_in() -> None:
    deployment = read({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}}).obj
    assert deployment["spec"] == {
        "strategy": {},
        "template": {"metadata": {}, "spec": {"containers": None}},
    }
    assert deployment["status"] == {}
    role = read({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "r"}, "rules": []})
    assert role.obj["rules"] is None


def test_a_null_in_a_map_is_empty_text() -> None:
    assert read(config(data={"a": None, "b": "x"})).obj["data"] == {"a": "", "b": "x"}


def test_quantities_and_times_become_canonical() -> None:
    spec = read(pod(resources={"requests": {"cpu": 1.5, "memory": "1024Mi"}})).obj["spec"]
    assert spec["containers"][0]["resources"]["requests"] == {"cpu": "1500m", "memory": "1Gi"}
    made = read(config(metadata={"name": "a", "creationTimestamp": "2026-01-01T01:00:00+01:00"}))
    assert made.obj["metadata"]["creationTimestamp"] == "2026-01-01T00:00:00Z"
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"}}
    renewed = read({**lease, "spec": {"renewTime": "2026-01-01T01:00:00.000000+01:00"}}).obj
    assert renewed["spec"]["renewTime"] == "2026-01-01T00:00:00.000000Z"


def test_unknown_fields_are_dropped_and_named_in_order() -> None:
    decoded = read(config(metadata={"bar": "x", "name": "a"}, dat={"k": "v"}, foo=1))
    assert decoded.unknown == ("metadata.bar", "dat", "foo")
    assert decoded.obj == config()
    nested = read(pod(imgae="i", env=[{"name": "A", "vale": "x"}]))
    assert nested.unknown == ("spec.containers[0].imgae", "spec.containers[0].env[0].vale")
    assert nested.obj["spec"]["containers"][0]["env"] == [{"name": "A"}]


@pytest.mark.parametrize(
    ("obj", "error"),
    [
        (config(data={"k": 1}), "json: cannot unmarshal number into Go struct field ConfigMap.data of type string"),
        (config(data=5), "json: cannot unmarshal number into Go struct field ConfigMap.data of type map[string]string"),
        (pod(image=1), "json: cannot unmarshal number into Go struct field Container.spec.containers.image of type string"),
        (pod(ports={}), "json: cannot unmarshal object into Go struct field Container.spec.containers.ports of type []v1.ContainerPort"),
        (pod(ports=[{"containerPort": "x"}]), "json: cannot unmarshal string into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32"),
        (pod(ports=[{"containerPort": 1.5}]), "json: cannot unmarshal number 1.5 into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32"),
        (pod(tty="yes"), "json: cannot unmarshal string into Go struct field Container.spec.containers.tty of type bool"),
        (config(binaryData={"a": "!!"}), "illegal base64 data at input byte 0"),
        (pod(resources={"limits": {"cpu": "1x"}}), "quantities must match the regular expression"),
        (pod(ports=[{"containerPort": 2**40}]), "json: cannot unmarshal number"),
    ],
)  # fmt: skip
def test_a_wrong_type_is_an_error(obj: dict[str, Any], error: str) -> None:
    assert read(obj).error.startswith(error)


def test_the_first_error_wins() -> None:
    assert "image" in read(pod(image=1, tty="x")).error


def test_decoding_shares_no_container_and_is_stable() -> None:
    given = pod(env=[{"name": "A", "value": "1"}], ports=[{"containerPort": 80}])
    once = read(given).obj
    once["spec"]["containers"][0]["env"].append("x")
    assert given["spec"]["containers"][0]["env"] == [{"name": "A", "value": "1"}]
    again = read(given).obj
    assert read(again).obj == again


def test_schemas_inside_of_definitions_are_decoded_too() -> None:
    items = {"type": "string", "nope": 1}
    inner = {"type": "object", "properties": {"a": {"type": "array", "items": items, "nope": 1}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": inner}}
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "x"},
        "spec": {"group": "g.io", "scope": "Cluster", "names": {"plural": "x", "kind": "X"}, "versions": [version]},
    }
    made = read(crd)
    # As on a real server, what is unknown inside of `items` goes without a word.
    assert made.unknown == ("spec.versions[0].schema.openAPIV3Schema.properties.a.nope",)
    stored = made.obj["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["a"]
    assert stored == {"type": "array", "items": {"type": "string"}}
