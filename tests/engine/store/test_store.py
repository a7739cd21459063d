import asyncio

import pytest

from argosy.engine.store import Mismatch, Put, Remove, Store
from argosy.errors import Expired
from argosy.meta.objects import Key


def pod(name, namespace="default", **spec):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def put(name, expect=None, namespace="default", **spec):
    return Put("pods", Key(namespace, name), pod(name, namespace, **spec), expect)


def with_store(check, path=None, **options):
    async def run():
        store = await Store.open(path, **options)
        try:
            return await check(store)
        finally:
            await store.close()

    return asyncio.run(run())


@pytest.fixture(params=["memory", "file"])
def place(request, tmp_path):
    return None if request.param == "memory" else tmp_path / "state" / "store.db"


def test_a_commit_is_read_back_with_its_revision(place):
    async def check(store):
        (record,) = await store.commit([put("a", 0, x=1)])
        assert record.revision == store.revision == 1
        assert record.obj["metadata"]["resourceVersion"] == "1"
        assert b'"resourceVersion":"1"' in record.raw
        assert store.get("pods", Key("default", "a")) is record
        assert store.get("pods", Key("default", "b")) is None
        assert store.count("pods") == 1
        assert store.resources() == ["pods"]

    with_store(check, place)


def test_the_callers_object_is_not_changed():
    async def check(store):
        obj = pod("a")
        await store.commit([Put("pods", Key("default", "a"), obj)])
        assert "resourceVersion" not in obj["metadata"]

    with_store(check)


def test_lists_are_in_order_and_by_namespace(place):
    async def check(store):
        await store.commit([put("b"), put("a"), put("a", namespace="aaa"), put("z", namespace="default-not")])
        assert [str(r.key) for r in store.list("pods")] == ["aaa/a", "default/a", "default/b", "default-not/z"]
        assert [r.key.name for r in store.list("pods", "default")] == ["a", "b"]
        assert store.list("pods", "none") == []
        await store.commit([Remove("pods", Key("default", "a"), None)])
        assert [r.key.name for r in store.list("pods", "default")] == ["b"]

    with_store(check, place)


def test_a_list_as_of_an_earlier_revision(place):
    def names(records):
        return [(r.key.name, r.obj["spec"]["x"]) for r in records]

    async def check(store):
        await store.commit([put("a", x=1), put("b", x=1), put("c", namespace="other", x=1)])
        then = store.revision
        await store.commit([put("a", x=2)])
        await store.commit([Remove("pods", Key("default", "b"), None)])
        await store.commit([put("d", x=3)])
        assert names(store.list_at("pods", "default", then)) == [("a", 1), ("b", 1)]
        assert names(store.list_at("pods", None, then)) == [("a", 1), ("b", 1), ("c", 1)]
        assert names(store.list_at("pods", "default", store.revision)) == [("a", 2), ("d", 3)]
        store.compact(then + 1)
        with pytest.raises(Expired):
            store.list_at("pods", "default", then)

    with_store(check, place)


def test_expectations(place):
    async def check(store):
        (first,) = await store.commit([put("a", 0)])
        with pytest.raises(Mismatch) as caught:
            await store.commit([put("a", 0)])
        assert caught.value.current is first
        (second,) = await store.commit([put("a", first.revision)])
        with pytest.raises(Mismatch):
            await store.commit([put("a", first.revision)])
        with pytest.raises(Mismatch):
            await store.commit([Remove("pods", Key("default", "a"), first.revision)])
        await store.commit([Remove("pods", Key("default", "a"), second.revision)])
        with pytest.raises(Mismatch) as caught:
            await store.commit([Remove("pods", Key("default", "a"), None)])
        assert caught.value.current is None

    with_store(check, place)


def test_a_commit_is_atomic_and_its_ops_see_each_other(place):
    async def check(store):
        with pytest.raises(Mismatch):
            await store.commit([put("a", 0), put("b", 7)])
        assert store.count("pods") == 0
        records = await store.commit([put("a", 0), put("b", 0), Remove("pods", Key("default", "a"), None), put("a", 0)])
        revisions = [r.revision for r in records]
        assert revisions == list(range(revisions[0], revisions[0] + 4))
        assert store.count("pods") == 2

    with_store(check, place)


def test_of_rivals_exactly_one_wins_without_waiting_for_the_disk(place):
    async def check(store):
        await store.commit([put("a", 0)])
        results = await asyncio.gather(*[store.commit([put("a", 1, by=i)]) for i in range(8)], return_exceptions=True)
        assert sum(not isinstance(r, Exception) for r in results) == 1
        lost = [r for r in results if isinstance(r, Mismatch)]
        assert len(lost) == 7
        # The losers learn what they lost to before it is durable, and can build on it at once.
        assert {r.current.revision for r in lost} == {2}
        task = asyncio.create_task(store.commit([put("a", 2)]))
        await asyncio.sleep(0)
        assert store.newest("pods", Key("default", "a")).revision == 3
        assert store.get("pods", Key("default", "a")).revision == 2
        await task

    with_store(check, place)


def test_a_removal_carries_its_final_state_and_its_own_revision(place):
    async def check(store):
        watch = store.watch("pods", store.revision)
        await store.commit([put("a", x=1)])
        (gone,) = await store.commit([Remove("pods", Key("default", "a"), 1, pod("a", final=True))])
        assert gone.obj["spec"] == {"final": True}
        assert gone.obj["metadata"]["resourceVersion"] == "2"
        changes = watch.take()
        assert [c.type for c in changes] == ["ADDED", "DELETED"]
        assert changes[1].previous is changes[0].record
        assert changes[1].line == b'{"type":"DELETED","object":%b}\n' % gone.raw

    with_store(check, place)


def test_a_watch_sees_everything_once_in_order(place):
    async def check(store):
        await store.commit([put("before")])
        watch = store.watch("pods", store.revision)
        other = store.watch("pods", 0, "other")

        async def read(watch, count):
            seen = []
            async for batch in watch:
                seen += batch
                if len(seen) >= count:
                    return seen
            return seen

        reader = asyncio.create_task(read(watch, 41))
        await asyncio.gather(*[store.commit([put(f"p{i}")]) for i in range(40)])
        await store.commit([put("x", namespace="other"), Put("nodes", Key("", "n"), {"metadata": {"name": "n"}})])
        seen = await reader
        assert [c.record.revision for c in seen] == list(range(2, 43))
        assert [c.record.key.name for c in await read(other, 1)] == ["x"]
        assert not watch.behind
        ended = asyncio.create_task(read(other, 1))
        await asyncio.sleep(0)
        other.close()
        assert await ended == []

    with_store(check, place)


def test_many_watches_are_woken_some_at_a_time_and_all_see_everything():
    async def check(store):
        begun = []

        async def read(watch):
            seen = []
            while "last" not in seen:
                seen += [change.record.key.name for change in await anext(watch)]
                begun.append(watch)
            return seen

        readers = [asyncio.create_task(read(store.watch("pods", store.revision))) for _ in range(100)]
        await asyncio.sleep(0)
        await store.commit([put("first")])
        await asyncio.sleep(0)
        assert 0 < len(begun) < len(readers)
        await store.commit([put("last")])
        assert await asyncio.wait_for(asyncio.gather(*readers), 5) == [["first", "last"]] * 100

    with_store(check)


def test_a_watch_of_one_name_sees_that_name_alone():
    async def check(store):
        watch = store.watch("pods", 0, "default", "a")
        await store.commit([put("a"), put("b"), put("a", namespace="other")])
        assert [str(change.record.key) for change in watch.take()] == ["default/a"]

    with_store(check)


def test_closing_the_store_ends_watches(place):
    async def run():
        store = await Store.open(place)
        watch = store.watch("pods", 0)

        async def drain():
            return [batch async for batch in watch]

        reader = asyncio.create_task(drain())
        await asyncio.sleep(0)
        await store.close()
        assert await reader == []

    asyncio.run(run())


def test_a_watch_from_the_forgotten_past_expires():
    async def check(store):
        for i in range(10):
            await store.commit([put(f"p{i}")])
        store.compact(5)
        with pytest.raises(Expired):
            store.watch("pods", 4)
        assert [c.record.revision for c in store.watch("pods", 5).take()] == [6, 7, 8, 9, 10]
        assert store.count("pods") == 10
        with pytest.raises(Expired):
            store.watch("never-seen", 4)

    with_store(check)


def test_a_slow_reader_is_cut_and_a_quiet_resource_is_not():
    async def check(store):
        await store.commit([Put("nodes", Key("", "n"), {"metadata": {"name": "n"}})])
        quiet = store.watch("nodes", store.revision)
        slow = store.watch("pods", store.revision)
        for i in range(12):
            await store.commit([put("same", i=i)])
        with pytest.raises(Expired):
            slow.take()
        assert quiet.take() == []
        assert store.watch("nodes", 1).take() == []

    with_store(check, history_changes=10)


def test_one_commit_larger_than_the_history_still_reaches_who_follows():
    async def check(store):
        watch = store.watch("pods", store.revision)
        reader = asyncio.ensure_future(anext(watch))
        await asyncio.sleep(0)
        await store.commit([put(f"p{i}") for i in range(50)])
        assert len(await reader) == 50

    with_store(check, history_changes=10)
