"""Events live for an hour after they were last written."""

import asyncio
from datetime import UTC, datetime, timedelta

from small_cluster import in_cluster

from argosy.clock import rfc3339, rfc3339_micro
from argosy.engine.controllers.garbage.events import outlived
from argosy.kinds import EVENT

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def ago(**by):
    return rfc3339(NOW - timedelta(**by))


def event(name, created, **more):
    return {"metadata": {"name": name, "creationTimestamp": created}, **more}


def test_the_hour_counts_from_the_last_time_that_is_told():
    events = [
        event("old", ago(minutes=61)),
        event("young", ago(minutes=59)),
        event("seen again", ago(hours=5), lastTimestamp=ago(minutes=5)),
        event("series", ago(hours=5), series={"lastObservedTime": rfc3339_micro(NOW - timedelta(minutes=5))}),
        event("old series", ago(hours=5), series={"lastObservedTime": rfc3339_micro(NOW - timedelta(hours=2))}),
        event("of old times", ago(minutes=1), lastTimestamp=ago(days=900)),
        event("of times to come", ago(hours=5), lastTimestamp=ago(days=-900)),
        event("nonsense", ago(hours=5), eventTime="?"),
        event("clock went back", ago(hours=-5)),
    ]
    names = [found["metadata"]["name"] for found in outlived(events, NOW)]
    assert names == ["old", "old series", "of times to come", "nonsense"]


def test_more_than_a_page_of_them_goes_after_an_hour_and_a_new_one_stays(tmp_path):
    async def scenario(cluster):
        async def create(name):
            regarding = {"kind": "Pod", "namespace": "default", "name": "p"}
            meta = {"name": name, "namespace": "default"}
            await cluster.client.create(EVENT, {"metadata": meta, "involvedObject": regarding, "reason": "Tried"})

        async def names():
            return [found["metadata"]["name"] for found in (await cluster.client.list(EVENT, "default")).items]

        for number in range(600):
            await create(f"e{number}")
        await asyncio.sleep(3500)
        await create("fresh")
        assert len(await names()) == 601
        await asyncio.sleep(170)
        assert await names() == ["fresh"]

    in_cluster(tmp_path, scenario)
