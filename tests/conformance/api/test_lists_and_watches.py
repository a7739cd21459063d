"""Lists in pages, by selector and as tables; watches from anywhere, with bookmarks, and what is too old."""

from __future__ import annotations

import asyncio

import pytest

from conformance.wire import TABLE, Wire, config_map


@pytest.fixture
def wire(namespace):
    return Wire(namespace)


async def made(wire, *names, **meta):
    return [(await wire.send("POST", wire.path("configmaps"), config_map(name, **meta))).body for name in names]


async def test_a_list_in_pages_is_one_list(wire):
    await made(wire, *(f"c{number}" for number in range(5)), labels={"mine": "1"})
    path = wire.path("configmaps") + "?labelSelector=mine"
    first = (await wire.send("GET", f"{path}&limit=2")).body
    assert len(first["items"]) == 2
    await made(wire, "c9", labels={"mine": "1"})
    names, token = [each["metadata"]["name"] for each in first["items"]], first["metadata"]["continue"]
    while token:
        page = (await wire.send("GET", f"{path}&limit=2&continue={token}")).body
        assert page["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
        names += [each["metadata"]["name"] for each in page["items"]]
        token = page["metadata"].get("continue", "")
    assert names == [f"c{number}" for number in range(5)]
    assert (await wire.send("GET", f"{path}&continue=nonsense")).code == 400


async def test_selectors(wire):
    await made(wire, "a", labels={"x": "1"})
    await made(wire, "b", labels={"x": "2", "y": "3"})

    async def names(query):
        body = (await wire.send("GET", f"{wire.path('configmaps')}?{query}")).body
        return [each["metadata"]["name"] for each in body["items"] if each["metadata"]["name"] in ("a", "b")]

    assert await names("labelSelector=x in (1,2),!y") == ["a"]
    assert await names("labelSelector=x notin (1)") == ["b"] or "b" in await names("labelSelector=x notin (1)")
    assert await names("fieldSelector=metadata.name=b") == ["b"]
    assert await names("fieldSelector=metadata.name!=b") == ["a"]
    odd = await wire.send("GET", wire.path("configmaps") + "?fieldSelector=data.a=1")
    assert (odd.code, "not a known field selector" in odd.message or "field label" in odd.message) == (400, True)
    assert (await wire.send("GET", wire.path("configmaps") + "?labelSelector=a in b")).code == 400


async def test_tables_have_the_columns_that_kubectl_shows(wire):
    await made(wire, "a")
    table = (await wire.send("GET", wire.path("configmaps", "a"), accept=TABLE)).body
    assert (table["kind"], [each["name"] for each in table["columnDefinitions"]]) == ("Table", ["Name", "Data", "Age"])
    assert table["rows"][0]["cells"][:2] == ["a", 1]
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    whole = await wire.send("GET", wire.path("configmaps", "a") + "?includeObject=Object", accept=TABLE)
    assert whole.body["rows"][0]["object"]["data"] == {"a": "1"}


async def test_a_watch_tells_what_happens_after_a_version(wire):
    (first,) = await made(wire, "a")
    (second,) = await made(wire, "b")
    await wire.send("PUT", wire.path("configmaps", "b"), config_map("b", {"a": "2"}))
    await wire.send("DELETE", wire.path("configmaps", "b"))
    events = await wire.watch(wire.path("configmaps"), resourceVersion=first["metadata"]["resourceVersion"])
    told = [(each["type"], each["object"]["metadata"]["name"]) for each in events if each["type"] != "BOOKMARK"]
    assert [each for each in told if each[1] == "b"] == [("ADDED", "b"), ("MODIFIED", "b"), ("DELETED", "b")]
    assert int(second["metadata"]["resourceVersion"]) > int(first["metadata"]["resourceVersion"])


async def test_a_watch_without_a_version_begins_with_what_is_there(wire):
    await made(wire, "a")
    events = await wire.watch(wire.path("configmaps") + "?fieldSelector=metadata.name=a", seconds=1)
    assert [(each["type"], each["object"]["metadata"]["name"]) for each in events] == [("ADDED", "a")]


async def test_an_object_that_ceases_to_match_is_told_as_deleted(wire):
    (first,) = await made(wire, "a", labels={"x": "1"})
    path = wire.path("configmaps") + "?labelSelector=x=1"
    version = first["metadata"]["resourceVersion"]

    async def change():
        await wire.send("PUT", wire.path("configmaps", "a"), config_map("a", labels={"x": "2"}))
        await wire.send("PUT", wire.path("configmaps", "a"), config_map("a", labels={"x": "1"}))

    events, _ = await asyncio.gather(wire.watch(path, resourceVersion=version), change())
    assert [each["type"] for each in events] == ["DELETED", "ADDED"]


async def test_a_list_by_watching_ends_with_a_bookmark(wire):
    await made(wire, "a", "b", labels={"mine": "1"})
    events = await wire.watch(
        wire.path("configmaps") + "?labelSelector=mine",
        sendInitialEvents="true",
        resourceVersionMatch="NotOlderThan",
        allowWatchBookmarks="true",
    )
    assert [each["type"] for each in events[:3]] == ["ADDED", "ADDED", "BOOKMARK"]
    mark = events[2]["object"]["metadata"]
    assert mark["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert int(mark["resourceVersion"]) > 0
    query = "?watch=true&sendInitialEvents=true&timeoutSeconds=1"
    assert (await wire.send("GET", wire.path("configmaps") + query)).code == 422


async def test_versions_that_are_not_there(wire):
    ahead = await wire.send("GET", wire.path("configmaps") + "?resourceVersion=999999999999")
    assert (ahead.code, "Too large resource version" in ahead.message) == (504, True)
    assert (await wire.send("GET", wire.path("configmaps") + "?resourceVersion=x")).code == 400
    exact = (await wire.send("GET", wire.path("configmaps"))).body["metadata"]["resourceVersion"]
    await made(wire, "a")
    query = f"?resourceVersion={exact}&resourceVersionMatch=Exact&fieldSelector=metadata.name=a"
    assert (await wire.send("GET", wire.path("configmaps") + query)).body["items"] == []


async def test_a_watch_as_table_tells_rows(wire):
    await made(wire, "a")
    path = wire.path("configmaps") + "?fieldSelector=metadata.name=a&watch=true&timeoutSeconds=1"
    events = (await wire.send("GET", path, accept=TABLE)).body
    assert [row["cells"][0] for row in events[0]["object"]["rows"]] == ["a"]
