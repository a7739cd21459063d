"""Several clients write at random, and a model in a few lines says what must be there: nothing lost, nothing told twice.

The model holds the objects by name with what every write must have come to. After each step the server's own list is held
against it; at the end the watches that were open since the start are replayed and must show the same history.
"""

import asyncio
import os

import pytest
from api_world import ADMIN, HandClock, World, definition
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from argosy.client.requests import Request
from argosy.engine.apiserver.settings import ApiSettings
from argosy.meta.json import decode
from argosy.testing.cluster import cluster

JSON, YAML = "application/json", "application/apply-patch+yaml"
MERGE, STRATEGIC = "application/merge-patch+json", "application/strategic-merge-patch+json"
PATCH = "application/json-patch+json"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
SCHEMA = {
    "type": "object",
    "properties": {
        "spec": {"type": "object", "additionalProperties": {"type": "string"}},
        "status": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}
KINDS = {
    "configmaps": ("v1", "ConfigMap", "/api/v1/namespaces/default/configmaps", "data"),
    "widgets": ("example.com/v1", "Widget", "/apis/example.com/v1/namespaces/default/widgets", "spec"),
}
names, keys, values = st.sampled_from("abc"), st.sampled_from("xyz"), st.sampled_from("123")
kinds = st.sampled_from(sorted(KINDS))
fields = st.dictionaries(keys, values, max_size=3)
clients = st.sampled_from(["one", "two", "three"])
FINALIZER = "example.com/hold"


def has_generation(kind):
    return kind == "widgets"


class Modelled:
    """One object as it has to be."""

    def __init__(self, uid, version, fields):
        self.uid, self.version, self.fields = uid, version, dict(fields)
        self.generation, self.finalizers, self.labels, self.deleting, self.status = 1, set(), {}, False, {}


class Api(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.runner = asyncio.Runner()
        self.made = cluster(ApiSettings(clock=HandClock()))
        self.world = self.do(self.enter())
        self.objects, self.history, self.stale = {}, [], []
        self.newest = self.start
        self.watches = [self.do(self.open_watch(kind)) for kind in sorted(KINDS)]

    async def enter(self):
        world = World(await self.made.__aenter__(), None)
        status = (await world.send("POST", CRDS, definition(schema=SCHEMA, subresources={"status": {}})))[0]
        assert status == 201
        self.start = world.store.revision
        return world

    async def open_watch(self, kind):
        query = {"watch": "true", "resourceVersion": str(self.start)}
        request = Request("GET", KINDS[kind][2], query, {"accept": JSON, "user-agent": "t"}, b"", user=ADMIN)
        return (await self.world.app.handle(request, wire=True)).chunks

    def do(self, work):
        return self.runner.run(work)

    def send(self, method, kind, name="", body=None, *, type=JSON, query="", sub=""):
        path = (
            KINDS[kind][2] + (f"/{name}" if name else "") + (f"/{sub}" if sub else "") + (f"?{query}" if query else "")
        )
        status, answer, _ = self.do(self.world.send(method, path, body, type=type))
        assert status < 500, (method, path, body, answer)
        return status, answer

    def body(self, kind, name, fields, **meta):
        api_version, of, _, place = KINDS[kind]
        metadata = {"name": name, "namespace": "default", **meta}
        return {"apiVersion": api_version, "kind": of, "metadata": metadata, place: dict(fields)}

    def written(self, kind, name, answer):
        """A write that was answered: its version is new unless nothing changed."""
        model, version = self.objects[kind, name], int(answer["metadata"]["resourceVersion"])
        assert version >= model.version
        if version > model.version:
            assert version > self.newest, "versions only grow"
            self.newest = version
            self.history.append((kind, "MODIFIED", name, version))
            self.stale.append((kind, name, model.version))
        model.version = version

    def gone(self, kind, name):
        """The object went: the revision of its going is in the watch alone."""
        del self.objects[kind, name]
        self.history.append((kind, "DELETED", name, None))

    def change(self, kind, name, fields):
        """What a change of the fields means."""
        model = self.objects[kind, name]
        if fields != model.fields:
            model.fields = dict(fields)
            if has_generation(kind):
                model.generation += 1

    def adopt(self, kind, name, answer, fields):
        meta = answer["metadata"]
        version = int(meta["resourceVersion"])
        assert version > self.newest
        self.newest = version
        self.objects[kind, name] = Modelled(meta["uid"], version, fields)
        self.history.append((kind, "ADDED", name, version))

    @rule(kind=kinds, name=names, fields=fields, held=st.booleans())
    def create(self, kind, name, fields, held):
        meta = {"finalizers": [FINALIZER]} if held else {}
        status, answer = self.send("POST", kind, body=self.body(kind, name, fields, **meta))
        if (kind, name) in self.objects:
            assert (status, answer["reason"]) == (409, "AlreadyExists")
            return
        assert status == 201, answer
        self.adopt(kind, name, answer, fields)
        self.objects[kind, name].finalizers = {FINALIZER} if held else set()

    @rule(kind=kinds, name=names, fields=fields)
    def create_in_pretence(self, kind, name, fields):
        status, _ = self.send("POST", kind, body=self.body(kind, name, fields), query="dryRun=All")
        assert status == (409 if (kind, name) in self.objects else 201)

    @rule(kind=kinds, name=names, fields=fields, with_version=st.booleans())
    def update(self, kind, name, fields, with_version):
        model = self.objects.get((kind, name))
        if model is None:
            assert self.send("PUT", kind, name, self.body(kind, name, fields, resourceVersion="1"))[0] in (404, 409)
            return
        meta = {"resourceVersion": str(model.version)} if with_version else {}
        meta |= {"labels": model.labels, "finalizers": sorted(model.finalizers)}
        status, answer = self.send("PUT", kind, name, self.body(kind, name, fields, **meta))
        if kind == "widgets" and not with_version:
            assert status == 422, "custom objects must name the version that they replace"
            return
        assert status == 200, answer
        self.change(kind, name, fields)
        self.written(kind, name, answer)

    @precondition(lambda self: self.stale)
    @rule(data=st.data(), fields=fields)
    def update_what_is_old(self, data, fields):
        kind, name, version = data.draw(st.sampled_from(self.stale))
        status, answer = self.send("PUT", kind, name, self.body(kind, name, fields, resourceVersion=str(version)))
        assert (status, answer["reason"]) in ((409, "Conflict"), (404, "NotFound")), "a lost update"
        status, _ = self.send("DELETE", kind, name, {"preconditions": {"resourceVersion": str(version)}})
        assert status in (404, 409)

    @rule(kind=kinds, name=names, key=keys, value=st.none() | values, type=st.sampled_from([MERGE, STRATEGIC, PATCH]))
    def patch(self, kind, name, key, value, type):
        model, place = self.objects.get((kind, name)), KINDS[kind][3]
        body = {place: {key: value}}
        if type == PATCH:
            body = [{"op": "remove", "path": f"/{place}/{key}"}]
            if value is not None:
                body = [{"op": "add", "path": f"/{place}", "value": {key: value}}]
        status, answer = self.send("PATCH", kind, name, body, type=type)
        if model is None:
            assert status == (415 if type == STRATEGIC and kind == "widgets" else 404), answer
        elif type == STRATEGIC and kind == "widgets":
            assert status == 415, "custom objects have no strategic merge"
        elif type == PATCH and value is None and key not in model.fields:
            assert status == 422
        else:
            assert status == 200, answer
            replaces = type == PATCH and value is not None
            fields = {key: value} if replaces else {**model.fields, key: value}
            self.change(kind, name, {k: v for k, v in fields.items() if v is not None})
            self.written(kind, name, answer)

    @rule(kind=kinds, name=names, value=values)
    def label(self, kind, name, value):
        """Metadata moves no generation."""
        if (kind, name) not in self.objects:
            return
        status, answer = self.send("PATCH", kind, name, {"metadata": {"labels": {"l": value}}}, type=MERGE)
        assert status == 200
        self.objects[kind, name].labels = {"l": value}
        self.written(kind, name, answer)

    @rule(name=names, fields=fields)
    def report(self, name, fields):
        """A status moves no generation, and takes nothing else along."""
        body = self.body("widgets", name, {"x": "ignored"}, labels={"ignored": "too"}) | {"status": fields}
        model = self.objects.get(("widgets", name))
        body["metadata"]["resourceVersion"] = str(model.version) if model else "1"
        if model is None:
            assert self.send("PUT", "widgets", name, body, sub="status")[0] in (404, 409)
            return
        body["metadata"]["labels"] = model.labels
        status, answer = self.send("PUT", "widgets", name, body, sub="status")
        assert status == 200, answer
        model.status = dict(fields)
        self.written("widgets", name, answer)

    @rule(kind=kinds, name=names, fields=fields, manager=clients)
    def apply(self, kind, name, fields, manager):
        """By force: what a manager applied and applies no more goes, unless another owns it too."""
        query = f"fieldManager={manager}&force=true"
        status, answer = self.send("PATCH", kind, name, self.body(kind, name, fields), type=YAML, query=query)
        model = self.objects.get((kind, name))
        if model is None:
            assert status == 201, answer
            self.adopt(kind, name, answer, fields)
            return
        assert status == 200, answer
        shown = answer.get(KINDS[kind][3]) or {}
        assert fields.items() <= shown.items(), "what was applied is there"
        assert all(model.fields.get(k) == v for k, v in shown.items() if k not in fields), "and nothing came along"
        self.change(kind, name, shown)
        self.written(kind, name, answer)

    @rule(kind=kinds, name=names)
    def hold(self, kind, name):
        model = self.objects.get((kind, name))
        if model is None:
            return
        status, answer = self.send("PATCH", kind, name, {"metadata": {"finalizers": [FINALIZER]}}, type=MERGE)
        if model.deleting and not model.finalizers:
            assert status == 422
            return
        assert status == 200, answer
        model.finalizers = {FINALIZER}
        self.written(kind, name, answer)

    @rule(kind=kinds, name=names)
    def let_go(self, kind, name):
        model = self.objects.get((kind, name))
        if model is None:
            return
        status, answer = self.send("PATCH", kind, name, {"metadata": {"finalizers": None}}, type=MERGE)
        assert status == 200, answer
        model.finalizers = set()
        if model.deleting:
            self.gone(kind, name)
        else:
            self.written(kind, name, answer)

    @rule(kind=kinds, name=names, right_uid=st.booleans())
    def delete(self, kind, name, right_uid):
        model = self.objects.get((kind, name))
        uid = model.uid if model and right_uid else "0000"
        status, answer = self.send("DELETE", kind, name, {"preconditions": {"uid": uid}})
        if model is None:
            assert status == 404
        elif not right_uid:
            assert status == 409
        else:
            assert status == 200, answer
            self.deleted(kind, name)

    def deleted(self, kind, name):
        model = self.objects[kind, name]
        if not model.finalizers:
            self.gone(kind, name)
        elif not model.deleting:
            model.deleting = True
            if has_generation(kind):
                model.generation += 1
            self.written(kind, name, self.send("GET", kind, name)[1])

    @rule(kind=kinds)
    def delete_all(self, kind):
        status, _ = self.send("DELETE", kind)
        assert status == 200
        for of, name in sorted(key for key in self.objects if key[0] == kind):
            self.deleted(of, name)

    @rule(kind=kinds, name=names, fields=fields, count=st.integers(2, 4))
    def race(self, kind, name, fields, count):
        """Of several who replace the same version at once, one wins."""
        model = self.objects.get((kind, name))
        if model is None:
            return
        meta = {"resourceVersion": str(model.version), "labels": model.labels, "finalizers": sorted(model.finalizers)}
        bodies = [self.body(kind, name, {**fields, "racer": str(number)}, **meta) for number in range(count)]
        path = f"{KINDS[kind][2]}/{name}"

        async def together():
            return await asyncio.gather(*(self.world.send("PUT", path, body) for body in bodies))

        answers = self.do(together())
        # Whoever writes what is there already has changed nothing, and the version still holds for the next one.
        unchanged = [{**fields, "racer": str(n)} == model.fields for n in range(count)]
        won = [n for n, (status, _, _) in enumerate(answers) if status == 200 and not unchanged[n]]
        assert {status for status, _, _ in answers} <= {200, 409}
        assert len(won) == 1, "one winner, no lost update"
        self.change(kind, name, {**fields, "racer": str(won[0])})
        self.written(kind, name, answers[won[0]][1])

    @invariant()
    def everything_is_there(self):
        for kind in KINDS:
            _, found = self.send("GET", kind)
            assert int(found["metadata"]["resourceVersion"]) >= self.newest
            shown = {item["metadata"]["name"]: item for item in found["items"]}
            assert shown.keys() == {name for of, name in self.objects if of == kind}
            for name, item in shown.items():
                self.check(kind, name, item)

    def check(self, kind, name, item):
        model, meta = self.objects[kind, name], item["metadata"]
        assert (meta["uid"], int(meta["resourceVersion"])) == (model.uid, model.version)
        assert (item.get(KINDS[kind][3]) or {}) == model.fields
        assert (item.get("status") or {}) == model.status
        assert (meta.get("labels") or {}) == model.labels
        assert set(meta.get("finalizers") or ()) == model.finalizers
        assert ("deletionTimestamp" in meta) == model.deleting
        assert meta.get("generation") == (model.generation if has_generation(kind) else meta.get("generation"))

    def teardown(self):
        try:
            for kind, chunks in zip(sorted(KINDS), self.watches, strict=True):
                self.replayed(kind, self.do(self.drain(kind, chunks)))
        finally:
            self.do(self.made.__aexit__(None, None, None))
            self.runner.close()

    async def drain(self, kind, chunks):
        wanted, text = sum(of == kind for of, *_ in self.history), b""
        async with asyncio.timeout(5):
            while text.count(b"\n") < wanted:
                text += await anext(chunks)
        await chunks.aclose()
        return [decode(line) for line in text.splitlines()]

    def replayed(self, kind, events):
        events = [event for event in events if event["type"] != "BOOKMARK"]
        story = [(type, name, version) for of, type, name, version in self.history if of == kind]
        assert [(e["type"], e["object"]["metadata"]["name"]) for e in events] == [(t, n) for t, n, _ in story]
        versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
        assert versions == sorted(set(versions)), "each once, in order"
        assert all(version in (None, seen) for (_, _, version), seen in zip(story, versions, strict=True))


def explore(examples, steps, *, fixed):
    profile = settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, derandomize=fixed, database=None,
        suppress_health_check=list(HealthCheck), phases=[Phase.generate, Phase.shrink],
    )  # fmt: skip
    run_state_machine_as_test(Api, settings=profile)


def test_the_server_does_what_the_model_says():
    explore(12, 30, fixed=True)


@pytest.mark.slow
def test_the_server_does_what_the_model_says_for_long():
    explore(int(os.environ.get("ARGOSY_MODEL_EXAMPLES", "300")), 120, fixed=False)
