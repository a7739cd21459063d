"""Which form of metadata is asked for: a server refuses a list's form for an object, and an object's for a list."""

from __future__ import annotations

import asyncio

import pytest

from argosy.client.metadata import MetadataOnly
from argosy.client.requests import Request, Response

LIST, ONE = "PartialObjectMetadataList", "PartialObjectMetadata"


class Heard:
    """A transport that remembers what was asked."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    async def send(self, request: Request) -> Response:
        self.requests.append(request)
        return Response()

    async def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("path", "query", "form"),
    [
        ("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {}, LIST),
        ("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {"watch": "true"}, ONE),
        ("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/jobs.x.io", {}, ONE),
        ("/api/v1/namespaces", {}, LIST),
        ("/api/v1/namespaces/default", {}, ONE),
        ("/api/v1/namespaces/default/pods", {"limit": "500"}, LIST),
        ("/api/v1/namespaces/default/pods/a", {}, ONE),
        ("/apis/apps/v1/namespaces/default/deployments", {"watch": "1"}, ONE),
    ],
)
def test_the_form_that_fits_the_answer_is_asked_for(path: str, query: dict[str, str], form: str):
    heard = Heard()
    asyncio.run(MetadataOnly(heard).send(Request("GET", path, query)))
    assert [request.headers["accept"].split(";")[1] for request in heard.requests] == [f"as={form}"]


def test_writes_and_other_forms_stay_as_they_are():
    heard = Heard()
    sent = [
        Request("DELETE", "/api/v1/namespaces/default/pods/a"),
        Request("GET", "/x", headers={"accept": "text/plain"}),
    ]
    for request in sent:
        asyncio.run(MetadataOnly(heard).send(request))
    assert heard.requests == sent
