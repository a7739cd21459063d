from __future__ import annotations

from typing import Any

import pytest

from argosy.meta import structural, validation
from argosy.meta.json import thaw
from argosy.meta.schema import structural as compiled


def spec_schema(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}}


def widget(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "a"}, "spec": spec}


def prepared(obj: dict[str, Any], **properties: Any) -> tuple[Any, list[str]]:
    copy = thaw(obj)
    unknown = structural.prepare(copy, compiled(spec_schema(**properties)))
    return copy.get("spec"), unknown


def faults(obj: dict[str, Any], **properties: Any) -> list[tuple[str, str]]:
    copy = thaw(obj)
    schema = compiled(spec_schema(**properties))
    structural.prepare(copy, schema)
    return [(cause.field, cause.message) for cause in validation.validate_object(copy, schema)]


def test_unknown_fields_are_pruned_and_named() -> None:
    obj = {**widget(a=1, b=2), "zz": 1}
    obj["metadata"]["foo"] = "x"
    copy = thaw(obj)
    unknown = structural.prepare(copy, compiled(spec_schema(a={"type": "integer"})))
    assert unknown == ["metadata.foo", "spec.b", "zz"]
    assert copy == widget(a=1)


def test_metadata_of_a_wrong_type() -> None:
    obj = {**widget(), "metadata": {"name": "a", "labels": {"a": 1}}}
    message = "json: cannot unmarshal number into Go struct field ObjectMeta.labels of type string"
    assert structural.metadata_error(obj) == message
    assert structural.metadata_error(widget()) == ""


def test_what_is_preserved_stays_with_what_is_known_in_it_pruned() -> None:
    free = {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {"p": {"type": "object"}}}
    spec, unknown = prepared(widget(free={"x": {"y": 1}, "p": {"z": 1}}), free=free)
    assert spec == {"free": {"x": {"y": 1}, "p": {}}}
    assert unknown == ["spec.free.p.z"]


def test_maps_lists_and_embedded_objects() -> None:
    item = {"type": "object", "properties": {"q": {"type": "string"}}}
    spec, unknown = prepared(
        widget(m={"k": {"q": "1", "r": "2"}}, l=[{"q": "1", "r": "2"}], e={"apiVersion": "v1", "kind": "Pod", "x": 1}),
        m={"type": "object", "additionalProperties": item},
        l={"type": "array", "items": item},
        e={"type": "object", "x-kubernetes-embedded-resource": True},
    )
    assert spec == {"m": {"k": {"q": "1"}}, "l": [{"q": "1"}], "e": {"apiVersion": "v1", "kind": "Pod"}}
    assert unknown == ["spec.e.x", "spec.l[0].r", "spec.m.k.r"]


DEFAULTED = {
    "a": {"type": "string", "default": "x"},
    "o": {"type": "object", "default": {}, "properties": {"p": {"type": "integer", "default": 5}}},
    "l": {"type": "array", "items": {"type": "object", "properties": {"q": {"type": "boolean", "default": True}}}},
    "n": {"type": "string", "nullable": True, "default": "d"},
    "m": {
        "type": "object",
        "additionalProperties": {"type": "object", "properties": {"z": {"type": "integer", "default": 1}}},
    },
}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"a": "x", "o": {"p": 5}, "n": "d"}),
        (
            {"a": None, "l": [{}, {"q": False}], "n": None, "m": {"k": {}}},
            {"a": "x", "o": {"p": 5}, "l": [{"q": True}, {"q": False}], "n": None, "m": {"k": {"z": 1}}},
        ),
        ({"o": None}, {"a": "x", "o": {"p": 5}, "n": "d"}),
        ({"o": {"p": None}}, {"a": "x", "o": {"p": 5}, "n": "d"}),
    ],
)
def test_defaults(given: dict[str, Any], expected: dict[str, Any]) -> None:
    assert prepared(widget(**given), **DEFAULTED)[0] == expected


def test_a_default_is_not_shared() -> None:
    schema = compiled(spec_schema(**DEFAULTED))
    one, two = widget(), widget()
    structural.prepare(one, schema)
    structural.prepare(two, schema)
    one["spec"]["o"]["p"] = 9
    assert two["spec"]["o"]["p"] == 5


def test_nulls_that_are_not_allowed_vanish_and_whole_floats_are_integers() -> None:
    integer = {"type": "integer"}
    assert prepared(widget(i=None), i=integer)[0] == {}
    spec = prepared(widget(i=1.0, l=[2.0]), i=integer, l={"type": "array", "items": integer})[0]
    assert spec == {"i": 1, "l": [2]}
    assert type(spec["i"]) is int
    either = {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}
    spec = prepared(widget(i=2.0, l=[1.0, "1"]), i=either, l={"type": "array", "items": either})[0]
    assert spec == {"i": 2, "l": [1, "1"]}
    assert type(spec["i"]) is int
    copy = {**widget(), "spec": None}
    structural.prepare(copy, compiled(spec_schema()))
    assert "spec" not in copy


NIL = "<nil>"


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        ({"type": "integer"}, "1", [("spec.x", 'Invalid value: "string": spec.x in body must be of type integer: "string"')]),
        ({"type": "integer"}, 1.5, [
            ("spec.x", 'Invalid value: "number": spec.x in body must be of type integer: "number"'),
            (NIL, 'Invalid value: "": Checked value must be of type integer (default format) in spec.x'),
        ]),
        ({"type": "boolean"}, "true", [("spec.x", 'Invalid value: "string": spec.x in body must be of type boolean: "string"')]),
        ({"type": "integer"}, True, [("spec.x", 'Invalid value: "boolean": spec.x in body must be of type integer: "boolean"')]),
        ({"type": "string", "enum": ["a", "b"]}, "c", [("spec.x", 'Unsupported value: "c": supported values: "a", "b"')]),
        ({"type": "string", "pattern": "^a+$"}, "b", [("spec.x", "Invalid value: \"b\": spec.x in body should match '^a+$'")]),
        ({"type": "string", "minLength": 1}, "", [("spec.x", 'Invalid value: "": spec.x in body should be at least 1 chars long')]),
        ({"type": "string", "maxLength": 2}, "abc", [("spec.x", "Too long: may not be more than 2 bytes")]),
        ({"type": "integer", "minimum": 1}, 0, [("spec.x", "Invalid value: 0: spec.x in body should be greater than or equal to 1")]),
        ({"type": "integer", "maximum": 1, "exclusiveMaximum": True}, 1, [("spec.x", "Invalid value: 1: spec.x in body should be less than 1")]),
        ({"type": "integer", "multipleOf": 2}, 3, [("spec.x", "Invalid value: 3: spec.x in body should be a multiple of 2")]),
        ({"type": "array", "items": {"type": "string"}, "maxItems": 1}, ["a", "b"], [("spec.x", "Too many: 2: must have at most 1 items")]),
        ({"type": "array", "items": {"type": "string"}, "minItems": 1}, [], [("spec.x", "Invalid value: 0: spec.x in body should have at least 1 items")]),
        ({"type": "object", "required": ["d"], "properties": {"d": {"type": "string"}}}, {}, [("spec.x.d", "Required value")]),
        ({"type": "string", "format": "date-time"}, "x", [("spec.x", 'Invalid value: "x": spec.x in body must be of type date-time: "x"')]),
        ({"type": "string", "format": "made-up"}, "x", []),
        ({"x-kubernetes-int-or-string": True}, "5%", []),
        ({"x-kubernetes-int-or-string": True}, 5, []),
        ({"x-kubernetes-int-or-string": True}, True, [("spec.x", 'Invalid value: "boolean": spec.x in body must be of type integer,string: "boolean"')]),
        ({"type": "string", "oneOf": [{"pattern": "a"}, {"pattern": "b"}]}, "ab", [
            (NIL, 'Invalid value: "": "spec.x" must validate one and only one schema (oneOf). Found 2 valid alternatives'),
        ]),
        ({"type": "string", "not": {"pattern": "a"}}, "a", [(NIL, 'Invalid value: "": "spec.x" must not validate the schema (not)')]),
        ({"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}}, ["a", "a"], [("spec.x[1]", 'Duplicate value: "a"')]),
        (
            {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
             "items": {"type": "object", "properties": {"k": {"type": "string"}, "v": {"type": "string"}}}},
            [{"k": "a", "v": "1"}, {"k": "a"}],
            [("spec.x[1]", 'Duplicate value: {"k":"a"}')],
        ),
    ],
)  # fmt: skip
def test_validation_speaks_as_kube_apiserver_does(schema: Any, value: Any, expected: list[tuple[str, str]]) -> None:
    assert faults(widget(x=value), x=schema) == expected


def test_any_of_says_what_the_first_alternative_lacks() -> None:
    schema = {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}
    found = faults(widget(x=1.5), x=schema)
    assert [field for field, _ in found] == ["spec.x", NIL, "spec.x", NIL]
    assert '"spec.x" must validate at least one schema (anyOf)' in found[1][1]


def test_rules_that_were_not_evaluated_are_mentioned() -> None:
    rules = [{"rule": "self > 1"}]
    found = faults(widget(x="a"), x={"type": "integer", "x-kubernetes-validations": rules})
    assert found[-1] == (
        NIL,
        (
            "Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing"
            " errors to complete validation"
        ),
    )
    assert not faults(widget(x=2), x={"type": "integer", "x-kubernetes-validations": rules})


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("date-time", "2026-01-01T00:00:00Z", "2026-01-01"), ("date", "2026-01-31", "2026-02-31"),
        ("ipv4", "10.0.0.1", "10.0.0.256"), ("ipv6", "::1", "10.0.0.1"), ("cidr", "10.0.0.0/8", "10.0.0.0"),
        ("uuid", "123e4567-e89b-12d3-a456-426614174000", "123"), ("byte", "YQ==", "!!"), ("duration", "1h30m", "x"),
        ("hostname", "a.example.com", "-a"), ("email", "a@b.c", "a"), ("uri", "https://a/b", "a b"),
        ("k8s-short-name", "a-b", "A"), ("mac", "01:23:45:67:89:ab", "x"),
    ],
)  # fmt: skip
def test_formats(name: str, good: str, bad: str) -> None:
    schema = {"type": "string", "format": name}
    assert not faults(widget(x=good), x=schema)
    assert faults(widget(x=bad), x=schema)
