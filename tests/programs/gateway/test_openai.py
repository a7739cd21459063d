"""The parts of the API that the gateway speaks itself."""

from __future__ import annotations

import json

import pytest

from argosy.programs.gateway.openai import Refusal, not_found, read_head, with_model


def test_only_the_head_is_read():
    head = read_head(b'{"messages": [{"role": "user", "content": "\\u00e9"}], "stream": true, "model": "m", "x": null}')
    assert (head.model, head.stream) == ("m", True)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"model": 3}', b'{"model": ""}', b"\xff"])
def test_a_bad_body_is_the_clients_mistake(body):
    with pytest.raises(Refusal) as caught:
        read_head(body)
    assert caught.value.status == 400
    assert json.loads(caught.value.body)["error"]["type"] == "invalid_request_error"


def test_an_unknown_model_is_told_what_there_is():
    error = json.loads(not_found("x", ["b", "a"]).body)["error"]
    assert error["code"] == "model_not_found"
    assert error["param"] == "model"
    assert "a, b." in error["message"]
    assert "No model is served yet" in not_found("x", []).message


def test_a_model_may_be_renamed():
    assert json.loads(with_model(b'{"model":"a","n":1.5}', "b")) == {"model": "b", "n": 1.5}
