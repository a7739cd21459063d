"""Jobs over a ResourceQuota: whole or not at all, told why, in the order in which they came, and on by themselves."""

from __future__ import annotations

import asyncio

import pytest
from operator_world import World
from served import cluster, until
from training_jobs import job, settled

from argosy import kinds
from argosy.client.client import Client
from argosy.meta.conditions import is_true_in
from argosy.meta.json import Obj
from argosy.meta.objects import key_of, labels_of, name_of
from argosy.operators.gang.labels import LABEL_JOB
from argosy.operators.gang.operator import operator
from argosy.operators.gang.room import TOO_SMALL, WAITS, out_of_turn, shortage
from argosy.operators.pytorchjob.operator import PYTORCH
from argosy.operators.settings import OperatorSettings


def quota(used: str = "0", **hard: str) -> Obj:
    name = next(iter(hard)).replace("_", ".")
    limit = next(iter(hard.values()))
    body = {"spec": {"hard": {name: limit}}, "status": {"used": {name: used}}}
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "team", "namespace": "default"}, **body}


def pod(**resources: Obj) -> Obj:
    return {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "resources": resources}]}}


@pytest.mark.parametrize(
    ("pods", "limit", "word"),
    [
        ([pod()] * 2, quota("2", pods="4"), None),
        ([pod()] * 2, quota("3", pods="4"), WAITS),
        ([pod()] * 5, quota("0", pods="4"), TOO_SMALL),
        ([pod(limits={"cpu": "1500m"})] * 2, quota("1", requests_cpu="3"), WAITS),
        ([pod(limits={"cpu": "1500m"})] * 2, quota("0", cpu="3"), None),
        ([pod(requests={"memory": "1Gi"})], quota("0", services="0"), None),
    ],
)
def test_what_fits(pods: list[Obj], limit: Obj, word: str | None) -> None:
    found = shortage(pods, [limit], whole=len(pods))
    assert (found.word if found else None) == word


def test_turns_go_by_age_and_then_by_number() -> None:
    old, two, ten = (
        {"metadata": {"name": name, "creationTimestamp": at}} for name, at in [("z", "1"), ("a-2", "2"), ("a-10", "2")]
    )
    assert out_of_turn(ten, [two]) is not None
    assert out_of_turn(two, [ten]) is None
    assert out_of_turn(two, [old]) is not None


def test_a_gang_that_was_let_in_by_half_gives_back_what_it_holds_and_goes_on_when_there_is_room() -> None:
    world = World(operator(PYTORCH, OperatorSettings()), job(PYTORCH, {"Master": 1, "Worker": 1}))
    limit = quota("1", pods="2")
    limit["status"]["used"]["pods"] = "2"
    half = settled(PYTORCH, job(PYTORCH, {"Master": 1, "Worker": 1})).get(kinds.POD, "job-worker-0")
    half["metadata"]["ownerReferences"][0]["uid"] = world.subject["metadata"]["uid"]
    world.objects |= {(kinds.RESOURCE_QUOTA, key_of(limit)): limit, (kinds.POD, key_of(half)): half}
    world.settle()
    assert world.names(kinds.POD) == []
    assert world.conditions() == [("Created", "True"), ("Waiting", "True")]
    assert world.told("PyTorchJobWaitingForQuota")[-1] == (
        "PyTorchJob job waits, since its 2 pods need pods=2 and ResourceQuota team (pods=2) has less than that left: "
        "it goes on when others end."
    )
    world.change(kinds.RESOURCE_QUOTA, "team", {"status": {"used": {"pods": "0"}}})
    world.settle()
    assert len(world.names(kinds.POD)) == 2
    assert world.conditions() == [("Created", "True")]


async def finish(client: Client, name: str) -> None:
    for each in (await client.list(kinds.POD, "default")).items:
        if labels_of(each)[LABEL_JOB] == name:
            await client.patch(kinds.POD, key_of(each), {"status": {"phase": "Succeeded"}}, subresource="status")


def test_twenty_jobs_under_a_quota_for_four_run_in_order_and_none_is_lost() -> None:
    async def test() -> None:
        async with cluster(operator(PYTORCH, OperatorSettings())) as client:
            limit = quota(pods="8")
            limit.pop("status")
            await client.create(kinds.RESOURCE_QUOTA, limit)
            for number in range(20):
                made = job(PYTORCH, {"Master": 1, "Worker": 1}, runPolicy={"cleanPodPolicy": "None"})
                made["metadata"] = {"name": f"x-{number}", "namespace": "default"}
                await client.create(PYTORCH.kind, made)
            order: list[str] = []
            while len(order) < 20:
                active = await until(client, kinds.POD, whole(min(4, 20 - len(order))))
                names = sorted({labels_of(each)[LABEL_JOB] for each in active if going(each)}, key=number_of)
                if not order:
                    jobs = await until(client, PYTORCH.kind, lambda jobs: sum(map(waits, jobs)) == 16)
                    assert all("ResourceQuota" in jobs[i]["status"]["conditions"][-1]["message"] for i in range(-3, 0))
                order.append(names[0])
                await finish(client, names[0])
            assert order == sorted(order, key=number_of)
            await until(client, PYTORCH.kind, lambda jobs: all(succeeded(one) and not waits(one) for one in jobs))

    asyncio.run(asyncio.wait_for(test(), 60))


def number_of(name: str) -> int:
    return int(name.partition("-")[2])


def going(each: Obj) -> bool:
    return each.get("status", {}).get("phase") not in ("Succeeded", "Failed") and not each["metadata"].get(
        "deletionTimestamp"
    )


def whole(count: int):
    def holds(pods: list[Obj]) -> bool:
        names = [labels_of(each)[LABEL_JOB] for each in pods if going(each)]
        return len(names) == 2 * count and all(names.count(name) == 2 for name in names)

    return holds


def waits(one: Obj) -> bool:
    return is_true_in(one.get("status", {}).get("conditions") or [], "Waiting")


def succeeded(one: Obj) -> bool:
    return is_true_in(one["status"]["conditions"], "Succeeded") and bool(name_of(one))
