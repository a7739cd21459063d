from __future__ import annotations

import ast
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.meta import causes, conditions, names

THEN = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def test_transition_time_moves_only_with_the_status() -> None:
    first = conditions.with_condition([], {"type": "Ready", "status": "False", "reason": "A"}, THEN)
    again = conditions.with_condition(first, {"type": "Ready", "status": "False", "reason": "B"}, NOW)
    turned = conditions.with_condition(again, {"type": "Ready", "status": "True", "reason": "C"}, NOW)
    assert first[0]["lastTransitionTime"] == again[0]["lastTransitionTime"] == "2026-01-01T00:00:00Z"
    assert again[0]["reason"] == "B"
    assert turned[0]["lastTransitionTime"] == "2026-01-02T00:00:00Z"
    assert first[0]["reason"] == "A", "the list that was given stays as it was"


def test_other_conditions_keep_their_place() -> None:
    listed = [{"type": "A", "status": "True"}, {"type": "B", "status": "True"}]
    assert [c["type"] for c in conditions.with_condition(listed, {"type": "A", "status": "False"}, NOW)] == ["A", "B"]
    assert [c["type"] for c in conditions.without_condition(listed, "A")] == ["B"]


def test_reading() -> None:
    obj = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    assert conditions.is_true(obj, "Ready")
    assert not conditions.is_true(obj, "Other")
    assert not conditions.is_true({}, "Ready")


@pytest.mark.parametrize("name", ["a", "a-b", "a.b-c", "1", "x" * 253])
def test_good_subdomains(name: str) -> None:
    assert not names.subdomain(name)


@pytest.mark.parametrize("name", ["", "A", "a_b", "-a", "a-", "a..b", "a/b", "x" * 254])
def test_bad_subdomains(name: str) -> None:
    assert names.subdomain(name)


def test_labels_say_what_is_wrong() -> None:
    assert names.label("a.b") == ["must not contain dots"]
    assert names.label("x" * 64) == ["must be no more than 63 characters"]
    assert names.label_value("x" * 64) == ["must be no more than 63 bytes"]
    assert not names.label_value("")
    assert names.label_1035("1a")
    assert names.label("A")[0].startswith("a lowercase RFC 1123 label must consist of")


def test_qualified_names() -> None:
    assert not names.qualified("app.kubernetes.io/name")
    assert names.qualified("/x")[0] == "prefix part must be non-empty"
    assert names.qualified("a/")[0] == "name part must be non-empty"
    assert "with an optional DNS subdomain prefix" in names.qualified("a/b/c")[0]


def test_keys_ports_and_the_rest() -> None:
    assert not names.config_key("a.b_C-1")
    assert names.config_key("..") == ["must not be '..'"]
    assert names.config_key("..a") == ["must not start with '..'"]
    assert not names.port_name("http-2")
    assert names.port_name("8080") == ["must contain at least one letter (a-z)"]
    assert names.port_name("a--b") == ["must not contain consecutive hyphens"]
    assert names.port_number(0) == ["must be between 1 and 65535, inclusive"]
    assert not names.env_name("a.b-c d")
    assert names.env_name("a=b")
    assert not names.http_header("X-Foo")
    assert names.path_segment("a/b") == ["may not contain '/'"]


def test_nothing_is_left_of_an_older_reason():
    told = [
        {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": "no room",
            "lastProbeTime": "x",
        }
    ]
    (turned,) = conditions.with_condition(told, {"type": "PodScheduled", "status": "True"}, NOW)
    assert {"reason", "message"}.isdisjoint(turned)
    assert (turned["status"], turned["lastProbeTime"]) == ("True", "x")


@given(st.text())
def test_quoted_texts_can_be_read_back_and_printed(text: str) -> None:
    quoted = causes.go_quoted(text)
    assert quoted.isprintable()
    assert ast.literal_eval(quoted) == text
