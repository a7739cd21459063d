"""Whatever comes in, the answer is a client's error and soon there: never a failure of the server, never a stuck loop."""

import time
from random import Random

import pytest
from api_world import ADMIN, config_map, definition, deployment, pod, with_world
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from argosy import kinds
from argosy.client.requests import Request
from argosy.engine.apiserver.certificates import private_key
from argosy.meta import pack
from argosy.meta.json import decode, encode
from argosy.meta.schema import BOOLEAN, INTEGER, LIST, MAP, NUMBER, STRUCT

MAPS = "/api/v1/namespaces/default/configmaps"
WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
JSON, YAML, PROTOBUF = "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"
MERGE, STRATEGIC = "application/merge-patch+json", "application/strategic-merge-patch+json"
PATCH, APPLY = "application/json-patch+json", "application/apply-patch+yaml"
SECONDS = 2.0

words = st.sampled_from([
    "metadata", "spec", "name", "kind", "apiVersion", "$patch", "$retainKeys", "items", "labels", "finalizers", "data",
    "ownerReferences", "managedFields", "template", "selector", "resourceVersion", "status", "containers", "", "f:", "a", "\x1f", "\n", "\u2028", '"', "\\",
])  # fmt: skip
scalars = st.one_of(
    st.none(), st.booleans(), st.sampled_from([0, -1, 1.5, 2**63 - 1, -(2**63), 1e300]), st.text(max_size=6), words
)
junk = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=4))
seeds = [
    config_map("a", data={"k": "v"}),
    pod(),
    deployment(),
    {"metadata": {"name": "a"}, "spec": {"a": 1}},
    definition(),
]


@st.composite
def bodies(draw):
    """Something that is nearly an object."""

    def spoil(value):
        if draw(st.integers(0, 11)) == 0:
            return draw(junk)
        if isinstance(value, dict):
            return {key: spoil(item) for key, item in value.items()} | draw(st.dictionaries(words, junk, max_size=1))
        return [spoil(item) for item in value] if isinstance(value, list) else value

    return spoil(draw(st.sampled_from(seeds)))


operations = st.lists(
    st.fixed_dictionaries({
        "op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "x"]),
        "path": st.sampled_from(["", "/", "/spec", "/metadata/labels/a", "/data/k", "/spec/containers/-", "/a/b", "~2"]),
        "from": st.sampled_from(["", "/spec", "/metadata/name"]),
        "value": junk,
    }),
    max_size=3,
)  # fmt: skip
queries = st.dictionaries(
    st.sampled_from([
        "limit", "continue", "fieldSelector", "labelSelector", "resourceVersion", "resourceVersionMatch", "dryRun",
        "fieldManager", "force", "fieldValidation", "propagationPolicy", "gracePeriodSeconds", "includeObject", "watch",
    ]),
    st.sampled_from(["", "1", "-1", "a", "a=b", "a!=b,", "All", "true", "Exact", "NotOlderThan", "9" * 20, "%", "x in (a", "\0"]),
    max_size=2,
)  # fmt: skip
requests = st.tuples(
    st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE"]),
    st.sampled_from([
        MAPS, f"{MAPS}/a", WIDGETS, f"{WIDGETS}/a", "/api/v1/namespaces/default/pods", "/api/v1/namespaces/default/pods/a",
        "/apis/apps/v1/namespaces/default/deployments", "/apis/apps/v1/namespaces/default/deployments/d", CRDS,
        "/apis/apps/v1/namespaces/default/deployments/d/scale", "/api/v1/namespaces/default/pods/a/status",
        "/api/v1/namespaces/default/pods/a/eviction", "/api/v1/namespaces", "/apis/nope/v1/x", "/api/v1/nodes/a/status",
    ]),
    st.sampled_from([JSON, JSON, YAML, PROTOBUF, MERGE, STRATEGIC, PATCH, APPLY, "", "text/plain"]),
    queries,
    st.one_of(bodies().map(encode), bodies().map(encode), operations.map(encode), junk.map(encode), st.binary(max_size=30)),
)  # fmt: skip
FORESEEN = "InternalError"


async def answer(world, method, path, type, query, body):
    began = time.monotonic()
    headers = {"content-type": type, "accept": JSON, "user-agent": "test/1"}
    response = await world.app.handle(Request(method, path, query, headers, body, user=ADMIN), wire=True)
    if response.chunks is not None:
        await response.chunks.aclose()
    assert time.monotonic() - began < SECONDS
    for value in response.headers.values():  # several of one name stand in lines
        assert not any(ord(sign) < 32 or ord(sign) == 127 for sign in value.replace("\n", "")), response.headers
    return response


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.lists(requests, min_size=20, max_size=40))
def test_no_request_fails_the_server(many):
    async def check(world):
        await world.send("POST", CRDS, definition())
        for request in many:
            response = await answer(world, *request)
            if response.status >= 500 and response.status not in (503, 504):
                # The few 500s that Kubernetes itself answers with name no reason.
                assert "reason" not in decode(response.body), (request, response.body)

    with_world(check)


TEXTS = ["", "a", "A_b!", "x" * 300, "a/b/c", "-1", "1Gi", "10%", "2026-01-01T00:00:00Z", "*", "\x00\n", "{", "self.a"]
NUMBERS = [0, 1, -1, 2**31 - 1, 2**40, 1.5]


def made(schema, dice, depth=0):
    """A value of a schema's type as often as not, with whatever its fields may be."""
    if dice.random() < 0.04:
        return dice.choice([None, [], {}, 0, "", True, [None], {"": {}}])
    if schema.code == STRUCT:
        names = [name for name in schema.fields if dice.random() < (0.8 if depth < 2 else 0.35)]
        return {name: made(schema.fields[name], dice, depth + 1) for name in names if depth < 9}
    if schema.code == LIST:
        return [made(schema.items, dice, depth + 1) for _ in range(dice.choice([0, 1, 1, 2]))]
    if schema.code == MAP:
        return {dice.choice(TEXTS): made(schema.values, dice, depth + 1) for _ in range(dice.choice([0, 1, 2]))}
    if schema.code == BOOLEAN:
        return dice.random() < 0.5
    return dice.choice(NUMBERS if schema.code in (INTEGER, NUMBER) else TEXTS)


KEY = private_key()
EVERY = [kind for kind in kinds.ALL if "create" in kind.verbs and pack.definition_for(kind.api_version, kind.kind)]


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: f"{kind.group}/{kind.version}/{kind.kind}")
def test_every_kind_answers_whatever_its_schema_lets_in(kind):
    async def check(world):
        dice = Random(kind.kind)
        schema = pack.definition_for(kind.api_version, kind.kind)
        path = kind.path("default" if kind.namespaced else "")
        for _ in range(25):
            obj = made(schema, dice)
            obj = obj if isinstance(obj, dict) else {}
            obj |= {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": "a"}}
            for method, where in (("POST", path), ("PUT", f"{path}/a"), ("PUT", f"{path}/a/status")):
                response = await answer(world, method, where, JSON, {}, encode(obj))
                assert response.status < 500 or "reason" not in decode(response.body), (obj, response.body)

    with_world(check, signing_key_pem=KEY)


def nested(levels, opening=b'{"a":', closing=b"}"):
    return opening * levels + b"1" + closing * levels


@pytest.mark.parametrize("levels", [140, 160, 900, 5000, 100_000])
@pytest.mark.parametrize(
    ("method", "path", "type", "head", "tail"),
    [
        ("POST", WIDGETS, JSON, b'{"metadata":{"name":"w"},"spec":', b"}"),
        ("POST", MAPS, JSON, b'{"metadata":{"name":"x","labels":', b"}}"),
        ("PATCH", f"{WIDGETS}/a", MERGE, b'{"spec":', b"}"),
        ("PATCH", f"{MAPS}/a", STRATEGIC, b'{"data":', b"}"),
        ("PATCH", f"{MAPS}/a", PATCH, b'[{"op":"add","path":"/data","value":', b"}]"),
        ("PATCH", f"{WIDGETS}/a", APPLY, b'{"apiVersion":"example.com/v1","kind":"Widget","spec":', b"}"),
        ("POST", WIDGETS, YAML, b"spec: ", b""),
    ],
)
def test_deep_nesting(levels, method, path, type, head, tail):
    async def check(world):
        await world.send("POST", CRDS, definition())
        await world.send("POST", MAPS, config_map("a"))
        await world.send("POST", WIDGETS, {"metadata": {"name": "a"}})
        query = {"fieldManager": "t"}
        response = await answer(world, method, path, type, query, head + nested(levels) + tail)
        assert response.status < 500
        if levels > 150:
            assert "exceeded max depth" in decode(response.body)["message"]

    with_world(check)


def test_aliases_do_not_explode():
    lines = [b"a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [b"%c: &%c [%s]" % (letter, letter, b", ".join([b"*%c" % (letter - 1)] * 9)) for letter in b"bcdefghi"]

    async def check(world):
        await world.send("POST", CRDS, definition())
        for body, why in ((b"\n".join(lines), "excessive aliasing"), (b"a: &a [*a]", "contains itself")):
            response = await answer(world, "POST", WIDGETS, YAML, {}, body)
            assert (response.status, why in decode(response.body)["message"]) == (400, True)

    with_world(check)


def test_long_numbers_and_long_patches():
    async def check(world):
        await world.send("POST", CRDS, definition())
        await world.send("POST", MAPS, config_map("a", data={"k": "v"}))
        for number in (b"9" * 5000, b"1e999", b"NaN"):
            response = await answer(
                world, "POST", WIDGETS, JSON, {}, b'{"metadata":{"name":"n"},"spec":{"a":%b}}' % number
            )
            assert response.status < 500
        doubling = [{"op": "copy", "from": "/data", "path": f"/data/{i}"} for i in range(60)]
        response = await answer(world, "PATCH", f"{MAPS}/a", PATCH, {}, encode(doubling))
        assert 400 <= response.status < 500

    with_world(check)
