from __future__ import annotations

from typing import Any

from argosy.meta import crd, openapi, pack, rules, structural, validation
from argosy.meta.decode import decode
from argosy.meta.defaults import set_defaults
from argosy.meta.json import thaw
from argosy.meta.kind import Column, Kind
from argosy.meta.schema import structural as compiled

POD = Kind("", "v1", "Pod", "pods")
JOB = Kind(
    "example.com",
    "v1",
    "TrainJob",
    "trainjobs",
    short_names=("tj",),
    subresources=frozenset({"status"}),
    columns=(
        Column("State", ".status.conditions[-1:].type"),
        Column("Age", ".metadata.creationTimestamp", type="date"),
    ),
    schema={
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "required": ["template"],
                "properties": {"template": {"$builtin": "io.k8s.api.core.v1.PodTemplateSpec"}},
            },
            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        },
    },
)


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"].rsplit("/", 1)[1]} if "$ref" in value else set()
        return own.union(*(references(each) for each in value.values()))
    return set().union(*(references(each) for each in value)) if isinstance(value, list) else set()


def test_components_are_complete() -> None:
    schemas = openapi.components([POD])
    assert references(schemas) <= set(schemas)
    pod = schemas["io.k8s.api.core.v1.Pod"]
    assert pod["x-kubernetes-group-version-kind"] == [{"group": "", "kind": "Pod", "version": "v1"}]
    assert pod["properties"]["spec"]["allOf"] == [{"$ref": "#/components/schemas/io.k8s.api.core.v1.PodSpec"}]
    assert pod["properties"]["spec"]["description"]
    assert "io.k8s.api.core.v1.PodList" in schemas
    assert "zero" not in str(schemas["io.k8s.api.core.v1.Container"]["properties"]["tty"])


def test_custom_kinds_stand_beside_them() -> None:
    schemas = openapi.components([JOB])
    assert openapi.schema_name(JOB) == "com.example.v1.TrainJob"
    assert references(schemas) <= set(schemas)
    assert schemas["com.example.v1.TrainJob"]["properties"]["metadata"]["allOf"]
    assert schemas["com.example.v1.TrainJobList"]["required"] == ["items"]


def test_the_digest_follows_the_schema() -> None:
    other = Kind("example.com", "v1", "TrainJob", "trainjobs", schema={"type": "object"})
    assert openapi.digest([JOB]) == openapi.digest([JOB])
    assert openapi.digest([JOB]) != openapi.digest([other])


def accepted(manifest: dict[str, Any]) -> dict[str, Any]:
    schema = pack.definition_for("apiextensions.k8s.io/v1", "CustomResourceDefinition")
    assert schema is not None
    decoded = decode(manifest, schema)
    assert not decoded.unknown
    assert not decoded.error
    set_defaults("apiextensions.k8s.io/v1", "CustomResourceDefinition", decoded.obj)
    kind = Kind("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions")
    assert rules.check(kind, decoded.obj) == []
    return decoded.obj


def test_a_kind_becomes_a_definition_that_a_server_accepts() -> None:
    manifest = accepted(crd.crd_for(JOB))
    assert manifest["metadata"]["name"] == "trainjobs.example.com"
    version = manifest["spec"]["versions"][0]
    assert version["additionalPrinterColumns"][0] == {
        "name": "State",
        "type": "string",
        "jsonPath": ".status.conditions[-1:].type",
    }
    assert version["subresources"] == {"status": {}}


def test_embedded_pod_templates_are_defaulted_and_validated() -> None:
    schema = compiled(crd.crd_for(JOB)["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
    container: dict[str, Any] = {"name": "c", "image": "i", "ports": [{"containerPort": 80}], "nope": 1}
    job = {
        "apiVersion": "example.com/v1",
        "kind": "TrainJob",
        "metadata": {"name": "a"},
        "spec": {"template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [container]}}},
    }
    good = thaw(job)
    assert structural.prepare(good, schema) == ["spec.template.spec.containers[0].nope"]
    assert good["spec"]["template"]["metadata"] == {"labels": {"a": "b"}}
    assert good["spec"]["template"]["spec"]["containers"][0]["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    assert validation.validate_object(good, schema) == []
    container["ports"] = "x"
    bad = thaw(job)
    structural.prepare(bad, schema)
    assert [cause.field for cause in validation.validate_object(bad, schema)] == [
        "spec.template.spec.containers[0].ports"
    ]
