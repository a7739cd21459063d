import asyncio

import pytest
from memory_api import KINDS, TOY, pod, settle, toy, world

from argosy.control.cache import OWNER
from argosy.control.pool import Informers
from argosy.errors import Forbidden, ServiceUnavailable, TooManyRequests
from argosy.kinds import POD
from argosy.meta.objects import Key
from argosy.testing.simloop import run


def names(informer):
    return sorted(obj["metadata"]["name"] for obj in informer.items())


@pytest.mark.parametrize(
    "server",
    [{}, {"watch_list": False}, {"ignores_initial_events": True}],
    ids=["watch-list", "refuses watch-list", "ignores watch-list"],
)
def test_follows_the_server(server):
    async def main():
        api, _, client = world(**server)
        api.create(POD, pod("before"))
        async with Informers(client) as informers:
            informer = informers.of(POD)
            assert informers.of(POD) is informer
            assert informers.of(POD, namespace="x") is not informer
            await informer.synced()
            assert names(informer) == ["before"]
            subscription = informer.subscribe()
            await client.create(POD, pod("a"))
            await client.patch(POD, Key("default", "a"), {"spec": {"x": 1}})
            await client.delete(POD, Key("default", "before"))
            made = await client.create(POD, pod("b"))
            assert await informer.caught_up(int(made["metadata"]["resourceVersion"]), 5)
            assert names(informer) == ["a", "b"]
            assert informer.get(Key("default", "a"))["spec"] == {"x": 1}
            changes = [(c.type, c.obj["metadata"]["name"]) for c in await anext(subscription)]
            assert changes == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "before"), ("ADDED", "b")]
            assert not await informer.caught_up(10_000, 0.5)
            subscription.close()
            assert [batch async for batch in subscription] == []

    run(main())


def test_a_cut_watch_resumes_without_listing_again():
    async def main():
        api, faults, client = world()
        async with Informers(client) as informers:
            informer = informers.of(POD)
            await informer.synced()
            api.create(POD, pod("a"))
            await settle(lambda: names(informer) == ["a"])
            faults.cut_watches()
            api.create(POD, pod("b"))
            await settle(lambda: names(informer) == ["a", "b"])
            watches = [r for r in faults.sent if r.query.get("watch")]
            assert "sendInitialEvents" in watches[0].query
            assert "sendInitialEvents" not in watches[1].query
            assert watches[1].query["resourceVersion"] == "101"

    run(main())


@pytest.mark.parametrize("watch_list", [True, False])
def test_an_expired_watch_starts_over(watch_list):
    async def main():
        api, faults, client = world(watch_list=watch_list)
        async with Informers(client) as informers:
            informer = informers.of(POD)
            api.create(POD, pod("a"))
            api.create(POD, pod("b"))
            await settle(lambda: names(informer) == ["a", "b"])
            events = []
            informer.listen(lambda changes: events.extend((c.type, c.obj["metadata"]["name"]) for c in changes))
            faults.cut_watches()
            # While it is away: one goes, one comes, and the history is forgotten.
            api.remove(("pods", "default", "a"))
            api.create(POD, pod("c"))
            api.compact()
            await settle(lambda: names(informer) == ["b", "c"])
            assert sorted(events) == [("ADDED", "c"), ("DELETED", "a")]
            faults.expire_watches()
            api.create(POD, pod("d"))
            await settle(lambda: names(informer) == ["b", "c", "d"])
            assert len(events) == 3

    run(main())


def test_repeated_events_are_told_once():
    async def main():
        api, faults, client = world()
        faults.repeat_events = True
        async with Informers(client) as informers:
            informer = informers.of(POD)
            events = []
            informer.listen(lambda changes: events.extend(c.type for c in changes))
            await informer.synced()
            api.create(POD, pod("a"))
            api.patch(("pods", "default", "a"), {"spec": {"x": 1}}, "")
            api.remove(("pods", "default", "a"))
            api.create(POD, pod("b"))
            await settle(lambda: names(informer) == ["b"])
            assert events == ["ADDED", "MODIFIED", "DELETED", "ADDED"]

    run(main())


def test_a_server_that_is_away_is_asked_again_and_complained_about_once(caplog):
    async def main():
        api, faults, client = world()
        api.create(POD, pod("a"))
        faults.fail(ServiceUnavailable("starting"), path="pods", times=4)
        faults.fail(ConnectionError("refused"), path="pods", times=4)
        faults.fail(Forbidden("pods is forbidden"), path="pods", times=4)
        async with Informers(client) as informers:
            informer = informers.of(POD)
            await informer.synced()
            assert names(informer) == ["a"]
            assert asyncio.get_running_loop().time() < 60

    run(main())
    assert len(caplog.messages) == 3


def test_a_server_that_has_no_time_yet_is_asked_again_without_a_word(caplog):
    async def main():
        _, faults, client = world()
        faults.fail(TooManyRequests("storage is (re)initializing"), path="pods", times=4)
        async with Informers(client) as informers:
            await informers.of(POD).synced()
        assert not caplog.messages
        faults.fail(TooManyRequests("go away"), path="pods", times=20)
        async with Informers(client) as informers:
            await informers.of(POD).synced()

    run(main())
    assert len(caplog.messages) == 1


def test_a_kind_that_is_not_served_yet_counts_as_empty_and_is_noticed_when_it_is():
    async def main():
        api, _, client = world(kinds=[k for k in KINDS if k is not TOY])
        async with Informers(client) as informers:
            informer = informers.of(TOY)
            await informer.synced()
            assert not informer.served
            assert names(informer) == []
            await asyncio.sleep(3600)
            api.kinds.append(TOY)
            api.create(TOY, toy("t"))
            before = asyncio.get_running_loop().time()
            informers.nudge()
            await settle(lambda: names(informer) == ["t"])
            assert asyncio.get_running_loop().time() - before < 0.1
            assert informer.served

    run(main())


def test_children_are_found_by_owner():
    async def main():
        api, _, client = world()
        owner = api.create(TOY, toy("t"))
        api.create(POD, pod("a", owner=owner))
        api.create(POD, pod("b"))
        async with Informers(client) as informers:
            informer = informers.of(POD)
            await informer.synced()
            assert [o["metadata"]["name"] for o in informer.indexed(OWNER, owner["metadata"]["uid"])] == ["a"]

    run(main())
