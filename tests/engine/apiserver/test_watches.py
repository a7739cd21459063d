import asyncio
from contextlib import aclosing

import pytest
from api_world import config_map, pod, with_world

from argosy.errors import Expired
from argosy.kinds import CONFIG_MAP, POD, SECRET
from argosy.meta.objects import Key

A = Key("default", "a")


async def take(events, count):
    found = []
    async with asyncio.timeout(5), aclosing(events):
        async for event in events:
            if event.type != "BOOKMARK":
                found.append(event)
            if len(found) == count:
                return found
    return found


def told(events):
    return [(event.type, event.obj["metadata"]["name"]) for event in events]


def test_without_a_version_the_present_comes_first():
    async def check(world):
        await world.client.create(SECRET, {"metadata": {"name": "a", "namespace": "default"}})
        watch = world.client.watch(SECRET)
        first = await anext(watch)
        await world.client.create(SECRET, {"metadata": {"name": "b", "namespace": "default"}})
        assert told([first, *await take(watch, 1)]) == [("ADDED", "a"), ("ADDED", "b")]

    with_world(check)


def test_from_a_version_every_change_comes_once_and_in_order():
    async def check(world):
        made = await world.client.create(CONFIG_MAP, config_map())
        await world.client.patch(CONFIG_MAP, A, {"data": {"k": "1"}})
        await world.client.patch(CONFIG_MAP, A, {"data": {"k": "1"}})
        await world.client.create(CONFIG_MAP, config_map("b"))
        await world.client.delete(CONFIG_MAP, A)
        watch = world.client.watch(CONFIG_MAP, since=made["metadata"]["resourceVersion"])
        events = await take(watch, 3)
        assert told(events) == [("MODIFIED", "a"), ("ADDED", "b"), ("DELETED", "a")]
        versions = [int(event.obj["metadata"]["resourceVersion"]) for event in events]
        assert versions == sorted(versions)
        assert events[2].obj["data"] == {"k": "1"}

    with_world(check)


def test_watchers_share_the_same_objects():
    async def check(world):
        since = str(world.store.revision)
        watches = [world.client.watch(CONFIG_MAP, since=since) for _ in range(2)]
        waiting = [asyncio.ensure_future(anext(watch)) for watch in watches]
        await asyncio.sleep(0)
        await world.client.create(CONFIG_MAP, config_map())
        one, two = await asyncio.gather(*waiting)
        assert one.obj is two.obj
        for watch in watches:
            await watch.aclose()

    with_world(check)


def test_a_selector_turns_changes_into_comings_and_goings():
    async def check(world):
        made = await world.client.create(CONFIG_MAP, config_map())
        for labels in ({"x": "1"}, {"x": "1", "y": "1"}, {"x": "2"}, {"x": "1"}):
            await world.client.patch(CONFIG_MAP, A, {"metadata": {"labels": labels}})
        await world.client.delete(CONFIG_MAP, A)
        watch = world.client.watch(CONFIG_MAP, since=made["metadata"]["resourceVersion"], labels="x=1")
        events = await take(watch, 5)
        assert [event.type for event in events] == ["ADDED", "MODIFIED", "DELETED", "ADDED", "DELETED"]
        left = events[2].obj
        assert left["metadata"]["labels"]["x"] == "1"
        assert int(left["metadata"]["resourceVersion"]) > int(events[1].obj["metadata"]["resourceVersion"])

    with_world(check)


def test_a_namespace_and_a_name_narrow_it_down():
    async def check(world):
        await world.namespace("other")
        await world.client.create(CONFIG_MAP, config_map("a", "other"))
        await world.client.create(CONFIG_MAP, config_map("a"))
        assert len(await take(world.client.watch(CONFIG_MAP, "other"), 1)) == 1
        code, events, _ = await world.send("GET", "/api/v1/watch/namespaces/default/configmaps/a?timeoutSeconds=1")
        assert (code, [event["type"] for event in events]) == (200, ["ADDED"])

    with_world(check)


def test_watch_lists_end_their_beginning_with_a_bookmark():
    async def check(world):
        await world.client.create(CONFIG_MAP, config_map())
        watch = world.client.watch(CONFIG_MAP, "default", initial_events=True)
        first, mark = await anext(watch), await anext(watch)
        assert (first.type, mark.type) == ("ADDED", "BOOKMARK")
        assert mark.obj["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        assert mark.obj["metadata"]["resourceVersion"] == str(world.store.revision)
        await watch.aclose()

    with_world(check)


def test_idle_watches_get_bookmarks_of_the_newest_revision():
    async def check(world):
        watch = world.client.watch(CONFIG_MAP, since=str(world.store.revision))
        waiting = asyncio.ensure_future(anext(watch))
        await asyncio.sleep(0)
        await world.client.create(POD, pod())
        mark = await waiting
        assert (mark.type, mark.obj["metadata"]["resourceVersion"]) == ("BOOKMARK", str(world.store.revision))
        await watch.aclose()

    with_world(check, bookmark_seconds=0.01)


def test_a_compacted_version_is_gone():
    async def check(world):
        made = await world.client.create(CONFIG_MAP, config_map())
        await world.client.create(CONFIG_MAP, config_map("b"))
        world.store.compact(world.store.revision)
        with pytest.raises(Expired):
            await anext(world.client.watch(CONFIG_MAP, since=made["metadata"]["resourceVersion"]))

    with_world(check)


@pytest.mark.parametrize(
    ("query", "expected"),
    [("resourceVersion=999999", 504), ("resourceVersion=x", 500), ("sendInitialEvents=true", 422),
     ("resourceVersionMatch=NotOlderThan", 422), ("fieldSelector=foo=bar", 400)],
)  # fmt: skip
def test_watches_that_cannot_begin(query, expected):
    async def check(world):
        code, _, _ = await world.send("GET", f"/api/v1/configmaps?watch=true&{query}")
        assert code == expected

    with_world(check)


def test_tables_name_their_columns_once():
    async def check(world):
        for name in ("a", "b"):
            await world.client.create(CONFIG_MAP, config_map(name))
        accept = "application/json;as=Table;g=meta.k8s.io;v=v1"
        path = "/api/v1/namespaces/default/configmaps?watch=true&timeoutSeconds=1"
        _, events, _ = await world.send("GET", path, accept=accept)
        assert [bool(event["object"]["columnDefinitions"]) for event in events] == [True, False]
        assert [event["object"]["rows"][0]["cells"][0] for event in events] == ["a", "b"]

    with_world(check)


def test_who_takes_bookmarks_is_told_where_the_beginning_ends():
    async def check(world):
        await world.client.create(CONFIG_MAP, config_map("a"))
        path = "/api/v1/namespaces/default/configmaps?watch=1&timeoutSeconds=1"
        asked = "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
        for query, marked in (("", False), ("&allowWatchBookmarks=1", True), (asked, False)):
            _, events, _ = await world.send("GET", f"{path}{query}")
            assert [event["type"] for event in events] == (["ADDED", "BOOKMARK"] if marked else ["ADDED"])
            if marked:
                annotations = {"k8s.io/initial-events-end": "true"}
                version = str(world.store.revision)
                assert events[-1]["object"]["metadata"] == {"resourceVersion": version, "annotations": annotations}
        query = "timeoutSeconds=1&fieldSelector=metadata.name=b"
        code, body, _ = await world.send("GET", f"/api/v1/watch/namespaces/default/configmaps/a?{query}")
        assert (code, body["message"]) == (400, "fieldSelector metadata.name doesn't match requested name")

    with_world(check)
