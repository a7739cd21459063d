from __future__ import annotations

import asyncio

import pytest

from argosy.client.client import Client
from argosy.client.discovery import discover, find, resolve
from argosy.client.requests import Request, Response
from argosy.errors import UserError

AGGREGATED = {
    "/api": {"kind": "APIGroupDiscoveryList", "items": [{"metadata": {}, "versions": [{"version": "v1", "resources": [
        {"resource": "pods", "responseKind": {"kind": "Pod"}, "scope": "Namespaced", "shortNames": ["po"],
         "verbs": ["get"], "subresources": [{"subresource": "log"}]}]}]}]},
    "/apis": {"kind": "APIGroupDiscoveryList", "items": [{"metadata": {"name": "apps"}, "versions": [
        {"version": "v1", "resources": [
            {"resource": "deployments", "responseKind": {"kind": "Deployment"}, "scope": "Namespaced",
             "shortNames": ["deploy"], "verbs": ["get"]}]}]}]},
}  # fmt: skip
OLD = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/api/v1": {"resources": [{"name": "pods", "kind": "Pod", "namespaced": True, "shortNames": ["po"]},
                              {"name": "pods/log", "kind": "Pod", "namespaced": True}]},
    "/apis": {"kind": "APIGroupList", "groups": [{"name": "apps", "versions": [{"version": "v1"}]},
                                                 {"name": "broken.io", "versions": [{"version": "v1"}]}]},
    "/apis/apps/v1": {"resources": [{"name": "deployments", "kind": "Deployment", "namespaced": True,
                                     "shortNames": ["deploy"]}]},
}  # fmt: skip


class Canned:
    """Answers from a table; anything else is a 503, as an aggregated API whose server is away."""

    def __init__(self, answers: dict) -> None:
        self.answers = answers

    async def send(self, request: Request) -> Response:
        if request.path in self.answers:
            return Response(obj=self.answers[request.path])
        return Response(503, obj={"reason": "ServiceUnavailable", "message": "away", "code": 503})

    async def close(self) -> None: ...


@pytest.mark.parametrize("answers", [AGGREGATED, OLD], ids=["aggregated", "old"])
def test_both_forms_of_discovery_give_the_same_kinds(answers: dict) -> None:
    served = asyncio.run(discover(Client(Canned(answers))))
    assert [(k.resource, k.kind, k.namespaced) for k in served] == [
        ("pods", "Pod", True),
        ("deployments.apps", "Deployment", True),
    ]
    assert served[0].subresources == {"log"}
    assert find(served, "apps/v1", "Deployment") is served[1]
    assert find(served, "apps/v2", "Deployment") is None
    for word in ("deployments", "Deployment", "deploy", "deployment.apps", "deployments.apps"):
        assert resolve(served, word) is served[1]
    with pytest.raises(UserError, match=r"no kind 'deplyments'.*did you mean deployment\?"):
        resolve(served, "deplyments")
