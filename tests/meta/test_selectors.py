from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.errors import BadRequest
from argosy.meta.selectors import from_object, matches, parse_fields, parse_labels

LABELS = {"app": "web", "tier": "front", "n": "5"}


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("", True), ("app=web", True), ("app==web", True), ("app=api", False), ("app!=api", True), ("x!=y", True),
        ("app in (web,api)", True), ("app notin (web)", False), ("x notin (y)", True), ("app", True), ("!app", False),
        ("!x", True), ("app=web,tier=front", True), ("app=web,tier=back", False), ("n>4", True), ("n<5", False),
        ("app>1", False), (" app = web , tier in ( front , back ) ", True), ("app in (,web)", True), ("x=", False),
    ],
)  # fmt: skip
def test_text_selects(text: str, selected: bool) -> None:
    assert parse_labels(text).matches(LABELS) is selected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("==", "found '==', expected: !, identifier, or 'end of string'"),
        ("a,", "found '', expected: identifier after ','"),
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
        (
            "a>x",
            "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be",
        ),
        ("-a=b", 'unable to parse requirement: <nil>: Invalid value: "-a": name part must consist of'),
        ("a=-b", 'unable to parse requirement: values[0][a]: Invalid value: "-b": a valid label must be'),
    ],
)
def test_bad_text_is_refused_in_kubernetes_words(text: str, message: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_labels(text)
    assert caught.value.message.startswith(message)


def test_object_form() -> None:
    selector = {
        "matchLabels": {"app": "web"},
        "matchExpressions": [
            {"key": "tier", "operator": "In", "values": ["front", "back"]},
            {"key": "x", "operator": "DoesNotExist"},
            {"key": "n", "operator": "Exists"},
            {"key": "tier", "operator": "NotIn", "values": ["middle"]},
        ],
    }
    assert matches(selector, LABELS)
    assert str(from_object(selector)) == "app=web,tier in (back,front),!x,n,tier!=middle"
    assert not matches(selector, {**LABELS, "x": ""})


def test_none_selects_nothing_and_empty_everything() -> None:
    assert not matches(None, LABELS)
    assert matches({}, None)
    assert matches({}, LABELS)
    assert not from_object(None).requirements


@given(st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz")))
def test_text_and_object_agree(labels: dict[str, str]) -> None:
    text = ",".join(f"{key}={value}" for key, value in labels.items())
    for candidate in ({"a": "x"}, {"a": "x", "b": "y"}, {}, {"c": "z", "a": "y"}):
        assert parse_labels(text).matches(candidate) == matches({"matchLabels": labels}, candidate)


def test_fields() -> None:
    values = {"metadata.name": "p1", "status.phase": "Running"}
    for text, expected in (
        ("metadata.name=p1,", True),
        ("metadata.name==p1,status.phase!=Failed", True),
        ("metadata.name!=p1", False),
        ("spec.nodeName=", True),
        ("", True),
    ):
        assert all((values.get(t.field, "") == t.value) is t.equal for t in parse_fields(text)) is expected


def test_fields_unescape() -> None:
    assert parse_fields(r"a=b\,c\=d\\")[0].value == "b,c=d\\"


def test_bad_fields() -> None:
    with pytest.raises(BadRequest, match=r"invalid selector: 'metadata.name'; can't understand 'metadata.name'"):
        parse_fields("metadata.name")
