import asyncio
from contextlib import asynccontextmanager

import pytest
from memory_api import KINDS, TOY, pod, settle, toy, world

from argosy.client.requests import Response
from argosy.control.pool import Informers
from argosy.control.runner import Runner, run_operators
from argosy.errors import Conflict, Forbidden, Invalid, Retry, ServiceUnavailable, Terminal, TooManyRequests
from argosy.intent import Call, Create, Delete, Operator, Patch, Plan, Reason, Related
from argosy.kinds import EVENT, NODE, POD, SERVICE
from argosy.meta.objects import Key, is_deleting, key_of, name_of, uid_of
from argosy.testing.simloop import SimClock, run


@asynccontextmanager
async def running(client, operator, **options):
    async with Informers(client) as informers:
        runner = Runner(client, operator, informers, clock=SimClock(), **options)
        task = asyncio.create_task(runner.run())
        try:
            yield runner
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def scaled(seen):
    """As many pods as the subject asks for, in its status how many there are."""
    wanted, pods = seen.subject["spec"].get("replicas", 0), seen.of(POD)
    actions = [Create(POD, pod(f"{name_of(seen.subject)}-{i}", owner=seen.subject)) for i in range(len(pods), wanted)]
    actions += [Delete(POD, key_of(extra), uid=uid_of(extra)) for extra in pods[wanted:]]
    reasons = [Reason("Scaled", f"to {wanted}")] if actions else []
    return Plan(tuple(actions), {"pods": len(pods)}, tuple(reasons))


SCALED = Operator(TOY, scaled, owns=(POD,))


def events_of(api):
    return sorted((e["reason"], e["message"], e["type"], e["count"]) for e in api.of(EVENT).values())


def requests(faults, method, path):
    return [r for r in faults.sent if r.method == method and path in r.path]


@pytest.mark.parametrize("repeat", [False, True])
def test_brings_about_what_the_plan_says_and_then_is_quiet(repeat):
    async def main():
        api, faults, client = world()
        faults.repeat_events = repeat
        async with running(client, SCALED):
            await client.create(TOY, toy("t", replicas=3))
            await settle(lambda: api.of(TOY)["t"].get("status") == {"pods": 3})
            assert sorted(api.of(POD)) == ["t-0", "t-1", "t-2"]
            await client.patch(TOY, Key("default", "t"), {"spec": {"replicas": 1}})
            await settle(lambda: api.of(TOY)["t"].get("status") == {"pods": 1})
            api.remove(("pods", "default", "t-0"))
            await settle(lambda: sorted(api.of(POD)) == ["t-0"])
            await asyncio.sleep(5)
            before = api.revision
            await asyncio.sleep(3600)
            assert api.revision == before, "quiet means quiet"
            # Each pod was made once although every event of it asked for a plan.
            assert len(requests(faults, "POST", "pods")) == 4
            assert ("Scaled", "to 3", "Normal", 1) in events_of(api)

    run(main())


def test_many_subjects():
    async def main():
        api, _, client = world()
        async with running(client, SCALED):
            for i in range(200):
                api.create(TOY, toy(f"t{i}", replicas=2))
            await settle(lambda: len(api.of(POD)) == 400)
            await settle(lambda: all(t.get("status") == {"pods": 2} for t in api.of(TOY).values()))

    run(main())


def test_never_plans_on_facts_that_lack_its_own_writes():
    async def main():
        api, faults, client = world()
        plans = []

        def plan(seen):
            plans.append(len(seen.of(POD)))
            return scaled(seen)

        async with running(client, Operator(TOY, plan, owns=(POD,))):
            api.create(TOY, toy("t", replicas=2))
            await settle(lambda: len(api.of(POD)) == 2)
            await asyncio.sleep(1)
            # Blind to pods from here on, the operator must not make the missing one a second time.
            faults.cut_watches()
            faults.fail(ServiceUnavailable("away"), method="GET", path="pods", times=8)
            await client.patch(TOY, Key("default", "t"), {"spec": {"replicas": 3}})
            await settle(lambda: len(api.of(POD)) == 3)
            await client.patch(TOY, Key("default", "t"), {"spec": {"other": 1}})
            count = len(plans)
            await asyncio.sleep(0.5)
            assert len(plans) == count, "it waits"
            await settle(lambda: plans[-1] == 3)
            assert len(requests(faults, "POST", "pods")) == 3

    run(main())


def test_a_child_that_is_there_already_counts_as_made_if_it_is_ours():
    async def main():
        api, _, client = world()

        def plan(seen):
            # Blind on purpose: asks for the same two at every look.
            made = seen.subject.get("status")
            names = ("mine", "other")
            return (
                Plan() if made else Plan(tuple(Create(POD, pod(n, owner=seen.subject)) for n in names), {"done": True})
            )

        async with running(client, Operator(TOY, plan, owns=(POD,))):
            api.create(POD, pod("other"))
            subject = toy("t")
            api.create(TOY, subject)
            api.create(POD, pod("mine", owner=api.of(TOY)["t"]))
            await settle(lambda: events_of(api))
            ((code, message, type, _),) = events_of(api)
            assert (code, type) == ("FailedCreate", "Warning")
            assert "default/other" in message
            assert "delete or rename it" in message
            assert api.of(TOY)["t"]["status"] == {"done": True}, "a failed Create does not make the status untrue"

    run(main())


def test_a_status_that_counts_a_deletion_waits_for_it():
    async def main():
        api, faults, client = world()

        def restart(seen):
            restarts = (seen.subject.get("status") or {}).get("restarts", 0)
            broken = [p for p in seen.of(POD) if p["spec"].get("broken")]
            if not broken:
                return Plan()
            actions = tuple(Delete(POD, key_of(p), uid=uid_of(p)) for p in broken)
            return Plan(actions, {"restarts": restarts + 1}, (Reason("Restarted", "all of it"),))

        async with running(client, Operator(TOY, restart, owns=(POD,))):
            api.create(TOY, toy("t"))
            await asyncio.sleep(1)
            faults.fail(Forbidden("no"), method="DELETE", times=3)
            api.create(POD, pod("p", owner=api.of(TOY)["t"], broken=True))
            await settle(lambda: not api.of(POD))
            await asyncio.sleep(10)
            assert api.of(TOY)["t"]["status"] == {"restarts": 1}
            told = events_of(api)
            assert [(code, count) for code, _, _, count in told] == [("FailedDelete", 1), ("Restarted", 1)]

    run(main())


def test_a_server_that_normalises_a_status_is_not_written_to_for_ever():
    async def main():
        api, faults, client = world()

        def drop_nulls(obj):
            status = obj.get("status")
            return {**obj, "status": {k: v for k, v in status.items() if v is not None}} if status else obj

        api.normalise = drop_nulls

        def plan(seen):
            return Plan(status={"a": 1, "b": None})

        async with running(client, Operator(TOY, plan)):
            api.create(TOY, toy("t"))
            await settle(lambda: api.of(TOY)["t"].get("status") == {"a": 1})
            for i in range(5):
                await client.patch(TOY, Key("default", "t"), {"spec": {"i": i}})
                await asyncio.sleep(1)
            assert len(requests(faults, "PUT", "toys")) == 1
            # But somebody else's change of it is put right.
            api.patch(("toys.toys.example", "default", "t"), {"status": {"a": 2}}, "status")
            await settle(lambda: api.of(TOY)["t"].get("status") == {"a": 1})

    run(main())


def test_conflicts_and_vanished_objects_ask_for_another_look():
    async def main():
        api, faults, client = world()

        def plan(seen):
            marked = seen.subject["metadata"].get("labels")
            pods = [Patch(POD, key_of(p), {"spec": {"seen": True}}, uid=uid_of(p)) for p in seen.of(POD)]
            pods = [p for p, o in zip(pods, seen.of(POD), strict=True) if not o["spec"].get("seen")]
            if not marked:
                pods.append(Patch(TOY, key_of(seen.subject), {"metadata": {"labels": {"marked": "yes"}}}))
            return Plan(tuple(pods), {"seen": len(seen.of(POD))})

        faults.fail(Conflict("changed"), method="PATCH", path="pods", times=2)
        faults.fail(Conflict("changed"), method="PUT", path="toys", times=2)
        async with running(client, Operator(TOY, plan, owns=(POD,))):
            api.create(TOY, toy("t"))
            api.create(POD, pod("p", owner=api.of(TOY)["t"]))
            await settle(lambda: api.of(POD)["p"]["spec"].get("seen"))
            await settle(lambda: api.of(TOY)["t"].get("status") == {"seen": 1})
            assert api.of(TOY)["t"]["metadata"]["labels"] == {"marked": "yes"}
            await asyncio.sleep(1)
            assert events_of(api) == []

    run(main())


def test_finalizers_are_patches():
    async def main():
        api, _, client = world()

        def plan(seen):
            finalizers = seen.subject["metadata"].get("finalizers") or []
            if is_deleting(seen.subject):
                if seen.of(POD):
                    return Plan(tuple(Delete(POD, key_of(p)) for p in seen.of(POD)))
                return Plan((Patch(TOY, key_of(seen.subject), {"metadata": {"finalizers": None}}),), {"gone": True})
            if "toys" not in finalizers:
                return Plan((Patch(TOY, key_of(seen.subject), {"metadata": {"finalizers": ["toys"]}}),))
            return scaled(seen)

        async with running(client, Operator(TOY, plan, owns=(POD,))):
            await client.create(TOY, toy("t", replicas=2))
            await settle(lambda: len(api.of(POD)) == 2)
            await client.delete(TOY, Key("default", "t"))
            await settle(lambda: not api.of(TOY) and not api.of(POD))

    run(main())


def test_retry_terminal_and_mistakes(caplog):
    async def main():
        api, _, client = world()
        calls = []

        def plan(seen):
            spec = seen.subject["spec"]
            calls.append((name_of(seen.subject), asyncio.get_running_loop().time()))
            match spec.get("do"):
                case "retry":
                    raise Retry("not yet", after_seconds=30)
                case "terminal":
                    raise Terminal("the port is not a number; give spec.port as a number")
                case "mistake":
                    raise KeyError("oops")
                case "again":
                    return Plan(again_in_seconds=10)
            return Plan()

        async with running(client, Operator(TOY, plan)):
            for word in ("retry", "terminal", "mistake", "again"):
                api.create(TOY, toy(word, do=word))
            await asyncio.sleep(65)
            at = {word: [t for name, t in calls if name == word] for word in ("retry", "terminal", "mistake", "again")}
            assert at["retry"] == pytest.approx([0, 30, 60], abs=0.1)
            assert len(at["terminal"]) == 1
            assert 8 < len(at["mistake"]) < 16
            assert at["again"] == pytest.approx([0, 10, 20, 30, 40, 50, 60], abs=0.1)
            told = events_of(api)
            assert [(code, type, count) for code, _, type, count in told] == [
                ("ReconcileError", "Warning", 1),
                ("ReconcileFailed", "Warning", 1),
            ]
            await client.patch(TOY, Key("default", "terminal"), {"spec": {"do": ""}})
            await settle(lambda: len([n for n, _ in calls if n == "terminal"]) == 2)

    run(main())


def test_refusals_are_told_once_and_tried_again_later_each_time():
    async def main():
        api, faults, client = world()
        faults.fail(Forbidden("exceeded quota: pods=1"), method="POST", path="pods", times=6)
        async with running(client, SCALED):
            api.create(TOY, toy("t", replicas=1))
            await settle(lambda: api.of(POD))
            await asyncio.sleep(1)
            assert [(code, count) for code, _, _, count in events_of(api)] == [("FailedCreate", 1), ("Scaled", 1)]
            assert "exceeded quota" in events_of(api)[0][1]
            before = asyncio.get_running_loop().time()
            faults.fail(TooManyRequests("slowly", retry_after_seconds=7), method="POST", path="pods")
            await client.patch(TOY, Key("default", "t"), {"spec": {"replicas": 2}})
            await settle(lambda: len(api.of(POD)) == 2)
            assert asyncio.get_running_loop().time() - before == pytest.approx(7, abs=0.2)

    run(main())


def test_a_status_that_is_refused_is_told():
    async def main():
        api, faults, client = world()
        faults.fail(Invalid("status.pods: must be a string"), method="PUT", path="toys", times=3)
        async with running(client, SCALED):
            api.create(TOY, toy("t", replicas=1))
            await settle(lambda: api.of(TOY)["t"].get("status") == {"pods": 1})
            assert (
                "ReconcileError",
                "status.pods: must be a string; it will be tried again",
                "Warning",
                1,
            ) in events_of(api)

    run(main())


RELATED = {
    "asked of all": {},
    "found by keys": {
        "subject_keys": lambda subject: [subject["spec"]["node"]],
        "object_keys": lambda node: [name_of(node)],
    },
}


@pytest.mark.parametrize("keys", RELATED.values(), ids=RELATED.keys())
def test_related_objects(keys):
    async def main():
        api, _, client = world()
        wants = Related(NODE, lambda subject, node: subject["spec"]["node"] == name_of(node), **keys)

        def plan(seen):
            return Plan(status={"nodes": [name_of(n) for n in seen.related[NODE]]})

        async with running(client, Operator(TOY, plan, related=(wants,))):
            api.create(TOY, toy("t", node="n1"))
            api.create(TOY, toy("u", node="n2"))
            await settle(lambda: api.of(TOY)["t"].get("status") == {"nodes": []})
            for name in ("n1", "n2", "n3"):
                api.create(NODE, {"metadata": {"name": name}})
            await settle(lambda: api.of(TOY)["t"].get("status") == {"nodes": ["n1"]})
            await settle(lambda: api.of(TOY)["u"].get("status") == {"nodes": ["n2"]})
            await client.patch(TOY, Key("default", "t"), {"spec": {"node": "n3"}})
            await settle(lambda: api.of(TOY)["t"].get("status") == {"nodes": ["n3"]})
            api.remove(("nodes", "", "n3"))
            await settle(lambda: api.of(TOY)["t"].get("status") == {"nodes": []})

    run(main())


class Outside:
    """A program behind a Service's proxy: it has been told something, or not yet, and may be away for a while."""

    def __init__(self, inner):
        self.inner, self.told, self.away = inner, [], 0

    async def send(self, request):
        if "/proxy/" not in request.path:
            return await self.inner.send(request)
        if request.method == "GET":
            return Response(body=b"true" if self.told else b"false")
        if self.away:
            self.away -= 1
            return Response(503, obj=ServiceUnavailable("no endpoints").status())
        self.told.append((request.path, request.body))
        return Response(body=b"{}")

    async def close(self):
        await self.inner.close()


@pytest.mark.parametrize("away", [0, 2])
def test_a_program_outside_is_told_once_and_asked_again_before_the_next_plan(away):
    async def main():
        api, _, client = world()
        outside = None

        def through(transport):
            nonlocal outside
            outside = Outside(transport)
            outside.away = away
            return outside

        client = client.through(through)
        seen_by_plan = []

        async def probe(fetch, subject):
            return {"told": await fetch("/api/v1/namespaces/default/services/s:80/proxy/state") == b"true"}

        def plan(seen):
            seen_by_plan.append(seen.probed)
            if seen.probed is None:
                return Plan()
            if not seen.probed["told"]:
                return Plan((Call(SERVICE, Key("default", "s:80"), "PUT", "state", {"a": 1}),), {"told": False})
            return Plan(status={"told": True})

        operator = Operator(TOY, plan, probe=probe, probe_every_seconds=1.0)
        async with running(client, operator):
            await client.create(TOY, toy("t"))
            await settle(lambda: (api.of(TOY)["t"].get("status") or {}).get("told"))
        assert [path for path, _ in outside.told] == ["/api/v1/namespaces/default/services/s%3A80/proxy/state"]
        assert outside.told[0][1] == b'{"a":1}'
        after = seen_by_plan[seen_by_plan.index({"told": False}) + 1 :]
        assert {"told": False} not in (after if not away else [])
        assert seen_by_plan[-1] == {"told": True}

    run(main())


def test_probes_feed_plans():
    async def main():
        api, _, client = world()
        load = {"value": 1}
        asked = []

        async def probe(fetch, subject):
            asked.append(name_of(subject))
            raw = await fetch("/api")
            assert raw == b"" or raw
            if load["value"] is None:
                raise ConnectionError("no answer")
            return dict(load)

        def plan(seen):
            return Plan(status={"load": seen.probed["value"] if seen.probed else None})

        operator = Operator(TOY, plan, probe=probe, probe_every_seconds=2.0)
        async with running(client, operator):
            api.create(TOY, toy("t"))
            await settle(lambda: api.of(TOY)["t"].get("status") == {"load": 1})
            before = api.revision
            await asyncio.sleep(20)
            assert api.revision == before
            assert 8 < len(asked) < 14
            load["value"] = 5
            await settle(lambda: api.of(TOY)["t"].get("status") == {"load": 5})
            load["value"] = None
            await asyncio.sleep(10)
            assert api.of(TOY)["t"]["status"] == {"load": 5}, "the last answer stands"
            api.remove(("toys.toys.example", "default", "t"))
            await asyncio.sleep(3)
            count = len(asked)
            await asyncio.sleep(60)
            assert len(asked) == count

    run(main())


def test_a_plan_is_answered_what_it_asks_and_forgets_what_it_asks_no_more():
    async def main():
        api, _, client = world()
        seen_by_plan = []

        def plan(seen):
            seen_by_plan.append(dict(seen.answers))
            if seen.subject["spec"].get("replicas"):
                return Plan(status={"known": False})
            if "/api/v1/namespaces/default/pods/a" not in seen.answers:
                return Plan(asks=("/api/v1/namespaces/default/pods/a", "/api/v1/namespaces/default/pods/gone"))
            return Plan(status={"known": True}, asks=("/api/v1/namespaces/default/pods/a",))

        async with running(client, Operator(TOY, plan)):
            api.create(POD, pod("a"))
            await client.create(TOY, toy("t"))
            await settle(lambda: (api.of(TOY)["t"].get("status") or {}).get("known"))
            both = next(answers for answers in seen_by_plan if answers)
            assert '"name":"a"' in both["/api/v1/namespaces/default/pods/a"].replace(" ", "")
            assert both["/api/v1/namespaces/default/pods/gone"] == "", "what cannot be had is answered, too"
            before = api.revision
            await asyncio.sleep(60)
            assert api.revision == before
            await client.patch(TOY, Key("default", "t"), {"spec": {"replicas": 1}})
            await settle(lambda: api.of(TOY)["t"]["status"] == {"known": False})
            await client.patch(TOY, Key("default", "t"), {"metadata": {"labels": {"a": "b"}}})
            await asyncio.sleep(1)
            assert seen_by_plan[-1] == {}

    run(main())


def test_a_patch_that_is_forbidden_holds_up_nothing_where_it_is_optional():
    async def main():
        api, faults, client = world()
        api.create(NODE, {"metadata": {"name": "n"}})

        def plan(seen):
            change = Patch(NODE, Key("", "n"), {"spec": {"unschedulable": True}}, optional=True)
            return Plan(() if seen.subject.get("status") else (change,), {"done": True})

        faults.fail(Forbidden("nodes are not yours"), method="PATCH", path="/nodes/", times=9)
        async with running(client, Operator(TOY, plan)):
            await client.create(TOY, toy("t"))
            await settle(lambda: api.of(TOY)["t"].get("status") == {"done": True})
            await asyncio.sleep(1)
        (told,) = [event for event in events_of(api) if event[0] == "FailedPatch"]
        assert "nodes are not yours; nothing else waits for it" in told[1]

    run(main())


def test_only_subjects_that_want_it_are_probed():
    async def main():
        api, _, client = world()
        asked = []

        async def probe(fetch, subject):
            asked.append(name_of(subject))
            return {"asked": True}

        def wants(subject):
            return bool(subject["spec"].get("watched"))

        def plan(seen):
            return Plan(status={"probed": seen.probed})

        operator = Operator(TOY, plan, probe=probe, probe_every_seconds=2.0, probed=wants)
        async with running(client, operator):
            api.create(TOY, toy("quiet"))
            api.create(TOY, toy("t", watched=True))
            await settle(lambda: api.of(TOY)["t"].get("status") == {"probed": {"asked": True}})
            assert set(asked) == {"t"}
            await client.patch(TOY, Key("default", "t"), {"spec": {"watched": False}})
            await asyncio.sleep(3)
            count = len(asked)
            await asyncio.sleep(60)
            assert len(asked) == count

    run(main())


def test_operators_share_informers_and_start_when_their_kind_is_served():
    async def main():
        api, faults, client = world(kinds=[k for k in KINDS if k is not TOY])
        seen_capabilities = []

        def on_nodes(seen):
            seen_capabilities.append(seen.capabilities.serves(TOY))
            return Plan()

        operators = (SCALED, Operator(NODE, on_nodes, owns=(POD,)))
        task = asyncio.create_task(run_operators(client, operators, clock=SimClock()))
        api.create(NODE, {"metadata": {"name": "n"}})
        await settle(lambda: seen_capabilities == [False])
        api.kinds.append(TOY)
        definition = next(k for k in KINDS if k.plural == "customresourcedefinitions")
        api.create(definition, {"metadata": {"name": "toys.toys.example"}})
        api.create(TOY, toy("t", replicas=1))
        await settle(lambda: api.of(POD), seconds=2)
        assert seen_capabilities[-1] is True, "capabilities changed, so everybody planned again"
        pods = [r for r in faults.sent if r.query.get("watch") and r.path.endswith("/pods")]
        assert len(pods) == 1
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(main())
