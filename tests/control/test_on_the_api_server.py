"""The control runtime against the engine's own API server, in process, on virtual time."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from memory_api import settle

from argosy.client.client import Client
from argosy.control.capabilities import capabilities_of
from argosy.control.lease import Candidacy, lead
from argosy.control.pool import Informers
from argosy.control.runner import run_operators
from argosy.engine.apiserver.settings import ApiSettings
from argosy.intent import Create, Delete, Operator, Plan, Reason
from argosy.kinds import EVENT, JOB, LEASE, POD
from argosy.meta.objects import Key, is_deleting, key_of, name_of, owner_reference, uid_of
from argosy.testing.cluster import cluster
from argosy.testing.faults import FaultyTransport
from argosy.testing.simloop import SimClock, run

TEMPLATE = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "none"}]}}


@asynccontextmanager
async def api_server():
    """(store, faults, client)"""
    async with cluster(ApiSettings(clock=SimClock())) as made:
        faults = FaultyTransport(made.transport())
        yield made.store, faults, Client(faults)


def job(name, parallelism=1):
    meta = {"name": name, "namespace": "default"}
    spec = {"parallelism": parallelism, "template": TEMPLATE}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": spec}


def pods_of(seen):
    subject, pods = seen.subject, [p for p in seen.of(POD) if not is_deleting(p)]
    wanted = 0 if is_deleting(subject) else subject["spec"]["parallelism"]
    meta = {"namespace": subject["metadata"]["namespace"], "ownerReferences": [owner_reference(subject, JOB)]}
    taken = {name_of(p) for p in pods}
    names = [n for i in range(wanted) if (n := f"{name_of(subject)}-{i}") not in taken]
    actions = [
        Create(POD, {"apiVersion": "v1", "kind": "Pod", "metadata": {**meta, "name": name}, **TEMPLATE})
        for name in names
    ]
    actions += [Delete(POD, key_of(p), uid=uid_of(p), grace_seconds=0) for p in pods[wanted:]]
    reasons = (Reason("Scaled", f"to {wanted}"),) if actions else ()
    return Plan(tuple(actions), {"active": len(pods), "ready": 0}, reasons)


OPERATOR = Operator(JOB, pods_of, owns=(POD,))


@asynccontextmanager
async def operating(client, informers):
    task = asyncio.create_task(run_operators(client, (OPERATOR,), clock=SimClock(), informers=informers))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("fault", ["none", "repeat", "cut", "expire"])
def test_an_operator_brings_about_what_it_plans_whatever_happens_to_its_watches(fault):
    async def main():
        async with api_server() as (store, faults, client), Informers(client) as informers:
            jobs, pods = informers.of(JOB), informers.of(POD)
            faults.repeat_events = fault == "repeat"
            async with operating(client, informers):
                for step in range(20):
                    await client.create(JOB, job(f"j{step}", parallelism=2))
                    if fault == "cut":
                        faults.cut_watches()
                    if fault == "expire":
                        store.compact(store.revision)
                        faults.expire_watches()
                    await asyncio.sleep(0.2)
                await client.patch(JOB, Key("default", "j3"), {"spec": {"parallelism": 1}})
                await client.delete(POD, Key("default", "j5-1"), grace_seconds=0)

                def settled():
                    wanted = {key_of(j): j["spec"]["parallelism"] for j in jobs.items()}
                    return len(pods.items()) == sum(wanted.values()) == 39 and all(
                        (j.get("status") or {}).get("active") == wanted[key_of(j)] for j in jobs.items()
                    )

                await settle(settled)
                await asyncio.sleep(5)
                revision = store.revision
                await asyncio.sleep(600)
                assert store.revision == revision, "quiet means quiet"
                made = [r for r in faults.sent if r.method == "POST" and r.path.endswith("/pods")]
                assert len(made) == 41, "nothing was made twice"
            # What the informers hold is what the server holds.
            assert {key_of(p) for p in pods.items()} == {r.key for r in store.list("pods")}
            assert {e["reason"] for e in (await client.list(EVENT)).items} == {"Scaled"}

    run(main())


def test_read_your_writes():
    async def main():
        async with api_server() as (_, _, client), Informers(client) as informers:
            jobs = informers.of(JOB)
            await jobs.synced()
            for i in range(50):
                made = await client.create(JOB, job(f"j{i}"))
                assert await jobs.caught_up(int(made["metadata"]["resourceVersion"]), 5)
                assert jobs.get(Key("default", f"j{i}")) is not None

    run(main())


def test_capabilities_and_leases():
    async def main():
        async with api_server() as (_, _, client):
            assert (await capabilities_of(client)).serves(JOB)
            led = []

            async def body():
                led.append(asyncio.get_running_loop().time())
                await asyncio.sleep(20)

            candidacy = Candidacy("me", "kube-system", "argosy")
            await lead(client, candidacy, body, clock=SimClock())
            lease = await client.get(LEASE, "argosy", "kube-system")
            assert led
            assert not lease["spec"].get("holderIdentity")

    run(main())
