"""What a real kube-apiserver 1.36.2 says about CustomResourceDefinitions that are wrong in one place."""

from __future__ import annotations

from typing import Any

import pytest
from ruled import faults

from argosy.meta.kind import Kind
from argosy.meta.warnings import warnings

API = "apiextensions.k8s.io/v1"
SCHEMA = "spec.validation.openAPIV3Schema"
RULES = "x-kubernetes-validations"


def version(schema: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    raw = {"type": "object", **(schema or {})}
    return {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": raw}, **more}


def definition(*versions: dict[str, Any], **spec: Any) -> dict[str, Any]:
    names = {"plural": "xs", "singular": "x", "kind": "X", "listKind": "XList"}
    made = {"group": "g.io", "scope": "Cluster", "names": names, "versions": list(versions) or [version()], **spec}
    return {"metadata": {"name": "xs.g.io"}, "spec": made}


def field(**raw: Any) -> dict[str, Any]:
    return definition(version({"properties": {"a": raw}}))


def scale(**paths: str) -> dict[str, Any]:
    return definition(version(subresources={"scale": paths}))


WEBHOOK = {"clientConfig": {"url": "https://h.io/c"}, "conversionReviewVersions": ["v1"]}
KEYED = {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]}
ITEM = {"type": "object", "required": ["k"], "properties": {"k": {"type": "string"}}}


@pytest.mark.parametrize(
    ("fields", "path", "words"),
    [
        (definition(version(name="V1")), "spec.version", "a DNS-1035 label"),
        (definition(version(deprecationWarning="x")), "spec.versions[0].deprecationWarning", "can only be set for deprecated versions"),
        (definition(version(additionalPrinterColumns=[{"name": "n", "type": "string", "jsonPath": "x", "format": "odd"}])), "spec.additionalPrinterColumns[0].JSONPath", "must be a simple json path starting with ."),
        (scale(specReplicasPath=".spec.r", statusReplicasPath=".spec.r"), "spec.subresources.scale.statusReplicasPath", "should be a json path under .status"),
        (definition(version(selectableFields=[{"jsonPath": ".a[0]"}])), "spec.selectableFields[0].jsonPath", "is an invalid path: "),
        (definition(conversion={}), "spec.conversion.strategy", "Required value"),
        (definition(conversion={"strategy": "None", "webhook": WEBHOOK}), "spec.conversion.webhookClientConfig", "should not be set when strategy is not set to Webhook"),
        (definition(conversion={"strategy": "Webhook", "webhook": {**WEBHOOK, "conversionReviewVersions": ["v2"]}}), "spec.conversion.conversionReviewVersions", "must include at least one of v1, v1beta1"),
        (definition(preserveUnknownFields=True), "spec.preserveUnknownFields", "cannot set to true"),
        (definition(version({"x-kubernetes-map-type": "atomic"}, subresources={"status": {}})), SCHEMA, "fields are allowed at the root of the schema if the status subresource is enabled"),
        (field(type="string", **{"x-kubernetes-map-type": "atomic"}), f"{SCHEMA}.properties[a].type", "must be object if x-kubernetes-map-type is specified"),
        (field(type="object", **{"x-kubernetes-embedded-resource": True}), f"{SCHEMA}.properties[a].properties", "must not be empty if x-kubernetes-embedded-resource is true without"),
        (field(type="object", oneOf=[{"required": ["b"], "properties": {"b": {}}}]), f"{SCHEMA}.properties[a].properties[b]", f"because it is defined in {SCHEMA}.properties[a].oneOf[0].properties[b]"),
        (field(type="string", anyOf=[{"nullable": True}]), f"{SCHEMA}.properties[a].anyOf[0].nullable", "must be false to be structural"),
        (field(**KEYED, items={**ITEM, "properties": {}}), f"{SCHEMA}.properties[a].x-kubernetes-list-map-keys", 'Invalid value: ["k"]: entries must all be names of item properties'),
        (field(**KEYED, items={**ITEM, "nullable": True}), f"{SCHEMA}.properties[a].items.nullable", "cannot be nullable when x-kubernetes-list-type is map"),
        (field(type="integer", default="x"), f"{SCHEMA}.properties[a].default", "must be of type integer"),
        (field(type="string", **{RULES: [{"rule": "true", "optionalOldSelf": True}]}), f"{SCHEMA}.properties[a].{RULES}[0].optionalOldSelf", "may not be set if oldSelf is not used in rule"),
        (field(type="array", items={"type": "string", RULES: [{"rule": "self == oldSelf"}]}), f"{SCHEMA}.properties[a].items.{RULES}[0].rule", f"uncorrelatable portion of the schema within {SCHEMA}.properties[a]"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_one_place(fields: dict[str, Any], path: str, words: str) -> None:
    found = faults(API, "CustomResourceDefinition", fields)
    assert any(path == where and words in message for where, message in found)


def test_what_versions_do_not_share_is_told_of_each() -> None:
    other = version({"properties": {"a": {"type": "nope"}}}, name="v2", storage=False)
    found = faults(API, "CustomResourceDefinition", definition(version(), other))
    assert [where for where, _ in found] == ["spec.versions[1].schema.openAPIV3Schema.properties[a].type"]
    shared = [version(selectableFields=[{"jsonPath": ".a"}]), version(name="v2", storage=False)]
    ((where, message),) = faults(API, "CustomResourceDefinition", definition(*shared))
    assert where == "spec.versions[0].selectableFields"
    assert message.endswith("may only be set when `version.schema.openAPIV3Schema` is not included")


def test_formats_that_nobody_checks_are_warned_of_once() -> None:
    kind = Kind("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "")
    made = field(type="object", properties={"b": {"type": "string", "format": "odd"}, "c": {"type": "integer", "format": "int32"}})  # fmt: skip
    assert warnings(kind, made) == ['unrecognized format "odd"']
    assert warnings(kind, made, made) == []
