"""Operators that sleep until the first object of their kind exists."""

from __future__ import annotations

import asyncio

from argosy import kinds
from argosy.control.runner import run_operators
from argosy.intent import Asleep, Observed, Operator, Plan
from argosy.meta.kind import Kind
from argosy.testing.cluster import cluster

UNSERVED = Kind("apps", "v9", "Deployment", "deployments")


def test_the_first_object_wakes_them_in_whichever_version_is_served() -> None:
    async def scenario() -> None:
        woken, planned = [], asyncio.Event()

        def plan(seen: Observed) -> Plan:
            planned.set()
            return Plan()

        def wake() -> tuple[Operator, ...]:
            woken.append(True)
            return (Operator(kind=kinds.DEPLOYMENT, plan=plan),)

        def never() -> tuple[Operator, ...]:
            raise AssertionError("there is no object of its kind")

        async with cluster() as made, asyncio.timeout(20):
            sleepers = (Asleep((UNSERVED, kinds.DEPLOYMENT), wake), Asleep((kinds.STATEFUL_SET,), never))
            running = asyncio.create_task(run_operators(made.client, sleepers))
            for name in ("a", "b"):
                template = {
                    "metadata": {"labels": {"app": name}},
                    "spec": {"containers": [{"name": "c", "image": "i"}]},
                }
                spec = {"selector": {"matchLabels": {"app": name}}, "template": template}
                metadata = {"name": name, "namespace": "default"}
                await made.client.create(kinds.DEPLOYMENT, {"metadata": metadata, "spec": spec})
                await planned.wait()
                planned.clear()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        assert woken == [True]

    asyncio.run(scenario())
