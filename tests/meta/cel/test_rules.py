from argosy.meta.cel.definitions import complaints
from argosy.meta.cel.rules import broken
from argosy.meta.rules import crd_schema
from argosy.meta.schema import structural

NUMBER = {"type": "integer"}


def root(rules, **properties):
    return {"type": "object", "properties": properties, "x-kubernetes-validations": rules}


def told(schema, obj, old=None):
    return [(cause.reason, cause.field, cause.message) for cause in broken(obj, structural(schema), old)]


def test_what_a_broken_rule_says():
    schema = root(
        [
            {"rule": "self.a > 10"},
            {"rule": "self.a > 10", "message": " too small "},
            {"rule": "self.a > 10", "messageExpression": "'a is ' + string(self.a)"},
            {"rule": "self.a > 10", "messageExpression": "''", "message": "fallback"},
            {"rule": "self.a > 10", "message": "no", "reason": "FieldValueForbidden", "fieldPath": ".a"},
            {"rule": "self.a > 10", "reason": "FieldValueRequired"},
            {"rule": "self.a > 10", "reason": "FieldValueDuplicate"},
            {"rule": "self.a / 0 == 1"},
        ],
        a=NUMBER,
    )
    assert told(schema, {"a": 5}) == [
        ("FieldValueInvalid", "<nil>", "Invalid value: failed rule: self.a > 10"),
        ("FieldValueInvalid", "<nil>", "Invalid value: too small"),
        ("FieldValueInvalid", "<nil>", "Invalid value: a is 5"),
        ("FieldValueInvalid", "<nil>", "Invalid value: fallback"),
        ("FieldValueForbidden", "a", "Forbidden: no"),
        ("FieldValueRequired", "<nil>", "Required value: failed rule: self.a > 10"),
        ("FieldValueDuplicate", "<nil>", "Duplicate value"),
        ("FieldValueInvalid", "<nil>", 'Invalid value: "object": division by zero evaluating rule: self.a / 0 == 1'),
    ]


def test_places_of_values():
    text = {"type": "string", "maxLength": 9, "x-kubernetes-validations": [{"rule": "self != 'bad'"}]}
    schema = root(
        [],
        m={"type": "object", "additionalProperties": text},
        l={"type": "array", "items": {**NUMBER, "x-kubernetes-validations": [{"rule": "self > 0"}]}},
    )
    assert told(schema, {"m": {"y.z": "bad"}, "l": [1, 0]}) == [
        ("FieldValueInvalid", "m[y.z]", "Invalid value: \"bad\": failed rule: self != 'bad'"),
        ("FieldValueInvalid", "l[1]", "Invalid value: 0: failed rule: self > 0"),
    ]


def test_transitions():
    fixed = [{"rule": "self == oldSelf", "message": "fixed"}]
    schema = root(
        [{"rule": "!oldSelf.hasValue() || self.a >= oldSelf.value().a", "optionalOldSelf": True, "message": "grows"}],
        a={**NUMBER, "x-kubernetes-validations": [{"rule": "self < 100", "message": "small"}]},
        k={
            "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["n"],
            "items": {
                "type": "object",
                "properties": {"n": {"type": "string"}, "v": {**NUMBER, "x-kubernetes-validations": fixed}},
            },
        },
    )  # fmt: skip
    old = {"a": 5, "k": [{"n": "p", "v": 1}]}
    assert told(schema, old) == []
    assert [m for _, _, m in told(schema, {"a": 4}, old)] == ["Invalid value: grows"]
    found = told(schema, {"a": 5, "k": [{"n": "q", "v": 9}, {"n": "p", "v": 2}]}, old)
    assert found == [("FieldValueInvalid", "k[1].v", "Invalid value: 2: fixed")]
    # What was wrong before and has not changed may stay.
    assert told(schema, {"a": 500, "k": []}, {"a": 500}) == []


def test_definitions_that_make_no_sense():
    def said(rule, **properties):
        found = []
        crd_schema.check(found, "s", root([rule], **properties), status=False)
        return [(c.field, c.message) for c in found]

    place = "s.x-kubernetes-validations[0]"
    ((field, message),) = said({"rule": "self >"})
    assert field == f"{place}.rule"
    assert message.startswith('Invalid value: {"Rule":"self \\u003e","Message":""')
    assert ": compilation failed: ERROR: <input>:1:7: Syntax error:" in message
    assert said({"rule": " "}) == [(f"{place}.rule", "Required value: rule is not specified")]
    assert said({"rule": "self.a"}, a=NUMBER)[0][1].endswith("cel expression must evaluate to a bool")
    assert said({"rule": "true", "fieldPath": ".b"}, a=NUMBER)[0][0] == f"{place}.fieldPath"
    assert said({"rule": "true", "reason": "Nope"})[0][1].startswith('Unsupported value: "Nope"')
    assert said({"rule": "true", "messageExpression": "1"})[0][0] == f"{place}.messageExpression"
    assert said({"rule": "self.a > 1"}, a=NUMBER) == []


def test_a_rule_that_may_cost_too_much():
    items = {"type": "string", "x-kubernetes-validations": [{"rule": "self.matches('a*')"}]}
    found = complaints(root([], a={"type": "array", "items": items}), "s")
    place = "s.properties[a].items.x-kubernetes-validations[0].rule"
    assert [cause.field for cause in found] == [place, place, "s"]
    assert "estimated rule cost exceeds budget by factor of more than 100x" in found[0].message
    bounded = {**items, "maxLength": 10}
    assert complaints(root([], a={"type": "array", "maxItems": 10, "items": bounded}), "s") == []
