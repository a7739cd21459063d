"""Nothing acknowledged is lost: killed writers, torn files, disks that refuse."""

import asyncio
import resource
import shutil
import signal
import subprocess
import sys
import textwrap

import pytest

from argosy.engine.store import Mismatch, Put, Remove, Store, StoreFailed
from argosy.engine.store.sqlite import SqliteLog
from argosy.errors import Expired
from argosy.meta.objects import Key

KEY = Key("", "n")


def node(i, filler=0):
    return {"metadata": {"name": "n"}, "i": i, "filler": "x" * filler}


def contents(store):
    return {(r.resource, r.key): (r.revision, r.raw) for name in store.resources() for r in store.list(name)}


def test_open_again_gives_the_same(tmp_path):
    async def run():
        path = tmp_path / "store.db"
        store = await Store.open(path)
        for i in range(100):
            key = Key("ns", f"p{i % 7}")
            await store.commit([Put("pods", key, {"metadata": {"name": key.name, "namespace": "ns"}, "i": i})])
        await store.commit([Remove("pods", Key("ns", "p3"), None)])
        before, revision = contents(store), store.revision
        await store.close()
        assert path.stat().st_mode & 0o077 == 0, "secrets are in it"
        again = await Store.open(path)
        assert contents(again) == before
        assert again.revision == revision
        # Watches go on where they were.
        changes = again.watch("pods", revision - 3).take()
        assert [(c.type, c.record.revision) for c in changes] == [("MODIFIED", 99), ("MODIFIED", 100), ("DELETED", 101)]
        assert changes[0].previous.obj["i"] == 91
        await again.close()

    asyncio.run(run())


def test_compaction_shrinks_the_log_and_keeps_the_present_and_the_counter(tmp_path):
    async def run():
        path = tmp_path / "store.db"
        store = await Store.open(path)
        await store.commit([Put("pods", Key("ns", "kept"), {"metadata": {"name": "kept", "namespace": "ns"}})])
        await asyncio.gather(*[store.commit([Put("nodes", KEY, node(i))]) for i in range(1200)])
        await store.commit([Remove("nodes", KEY, None)])
        store.compact(store.revision)
        present, revision = contents(store), store.revision
        await store.close()

        log = SqliteLog.open(path)
        while log.compact(revision):
            pass
        assert [c.record.revision for c in log.changes()] == [1]
        log.close()
        again = await Store.open(path)
        assert contents(again) == present
        assert again.revision == revision, "even though its row is gone"
        with pytest.raises(Expired):
            again.watch("nodes", revision - 1)
        (record,) = await again.commit([Put("nodes", KEY, node(0), 0)])
        assert record.revision == revision + 1
        await again.close()

    asyncio.run(run())


def test_a_second_engine_over_the_same_file_is_refused(tmp_path):
    async def run():
        store = await Store.open(tmp_path / "store.db")
        with pytest.raises(StoreFailed, match="in use by another engine"):
            await Store.open(tmp_path / "store.db")
        await store.close()

    asyncio.run(run())


def test_files_that_are_not_ours_are_refused(tmp_path):
    junk = tmp_path / "junk.db"
    junk.write_bytes(b"not a database at all, but long enough to have a header" * 40)
    with pytest.raises(StoreFailed, match="damaged"):
        asyncio.run(Store.open(junk))
    import sqlite3

    other = sqlite3.connect(tmp_path / "other.db")
    other.execute("CREATE TABLE t (x)")
    other.commit()
    other.close()
    with pytest.raises(StoreFailed, match="another program"):
        asyncio.run(Store.open(tmp_path / "other.db"))
    with pytest.raises(StoreFailed, match="check who owns it"):
        asyncio.run(Store.open(tmp_path / "junk.db" / "below" / "store.db"))


WRITER = textwrap.dedent("""
    import asyncio, sys
    from pathlib import Path
    from argosy.engine.store import Put, Store
    from argosy.meta.objects import Key

    async def main():
        store = await Store.open(Path(sys.argv[1]))
        async def write(task):
            i = 0
            while True:
                key = Key("ns", f"{task}-{i % 5}")
                obj = {"metadata": {"name": key.name, "namespace": "ns"}, "i": i, "filler": "x" * 500}
                (record,) = await store.commit([Put("pods", key, obj)])
                # One write(2) per line: what the parent has read was acknowledged.
                sys.stdout.buffer.write(b"%s %d %d\\n" % (key.name.encode(), i, record.revision))
                sys.stdout.buffer.flush()
                i += 1
        await asyncio.gather(*[write(task) for task in range(8)])

    asyncio.run(main())
""")


@pytest.mark.parametrize("lines", [1, 50, 700])
def test_a_killed_engine_loses_nothing_acknowledged(tmp_path, lines):
    path = tmp_path / "store.db"
    child = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
    try:
        acknowledged = [child.stdout.readline() for _ in range(lines)]
    finally:
        child.send_signal(signal.SIGKILL)
        acknowledged += child.stdout.read().splitlines(keepends=True)
        child.stdout.close()
        child.wait()
    newest = {}
    for line in acknowledged:
        if line.endswith(b"\n"):
            name, i, revision = line.split()
            newest[name.decode()] = (int(i), int(revision))
    assert newest

    async def check():
        store = await Store.open(path)
        for name, (i, revision) in newest.items():
            record = store.get("pods", Key("ns", name))
            assert record.revision >= revision
            assert record.obj["i"] >= i
        assert store.revision >= max(revision for _, revision in newest.values())
        await store.close()

    asyncio.run(check())


def test_power_lost_at_every_point_of_the_log(tmp_path):
    """Cut the write-ahead log at many lengths: what was acknowledged before the cut is there, whole commits only."""
    path, wal = tmp_path / "store.db", tmp_path / "store.db-wal"
    sizes = []

    async def write():
        store = await Store.open(path)
        for i in range(20):
            pair = [Put("nodes", Key("", name), {"metadata": {"name": name}, "i": i}) for name in ("a", "b")]
            await store.commit(pair)
            sizes.append(wal.stat().st_size)
        # Before the file is closed and the log folded in: as the disk is when the power goes.
        shutil.copytree(tmp_path, tmp_path / "crashed", ignore=shutil.ignore_patterns("crashed"))
        await store.close()

    async def check(cut):
        place = tmp_path / f"cut-{cut}"
        shutil.copytree(tmp_path / "crashed", place)
        with (place / "store.db-wal").open("r+b") as file:
            file.truncate(cut)
        store = await Store.open(place / "store.db")
        acknowledged = sum(size <= cut for size in sizes)
        a, b = store.get("nodes", Key("", "a")), store.get("nodes", Key("", "b"))
        if acknowledged or a or b:
            assert a.obj["i"] == b.obj["i"] >= acknowledged - 1
            assert store.revision == b.revision == a.revision + 1
        await store.close()
        shutil.rmtree(place)

    asyncio.run(write())
    # The schema's own first frames are not about commits.
    first = sizes[0] - (sizes[1] - sizes[0])
    cuts = sorted({*range(first, sizes[-1], 1371), *sizes, *(size - 1 for size in sizes)})
    for cut in cuts:
        asyncio.run(check(cut))


def test_each_write_that_fails_is_told_and_undone(tmp_path):
    """Let the file grow by a little more each time: every write(2) of a commit fails once."""
    path = tmp_path / "store.db"
    wal = tmp_path / "store.db-wal"
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    async def run():
        store = await Store.open(path)
        await store.commit([Put("nodes", KEY, node(0))])
        watch = store.watch("nodes", store.revision)
        failed = good = 0
        for allowance in range(0, 30_000, 700):
            before, revision = contents(store), store.revision
            resource.setrlimit(resource.RLIMIT_FSIZE, (wal.stat().st_size + allowance, hard))
            try:
                await store.commit([Put("nodes", KEY, node(allowance, filler=9000)), Put("nodes", KEY, node(-1))])
                good += 1
            except StoreFailed:
                failed += 1
                assert contents(store) == before
                assert store.revision == revision
                assert store.newest("nodes", KEY) is store.get("nodes", KEY)
                assert watch.take() == []
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            # It works again at once, with revisions that were never given out before.
            (record,) = await store.commit([Put("nodes", KEY, node(allowance))])
            assert record.revision > revision
            watch.take()
        assert failed > 3
        assert good > 3
        last = contents(store)
        shutil.copytree(tmp_path, tmp_path / "crashed", ignore=shutil.ignore_patterns("crashed"))
        await store.close()
        for place in (path, tmp_path / "crashed" / "store.db"):
            again = await Store.open(place)
            assert contents(again) == last
            await again.close()

    try:
        asyncio.run(run())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


def test_what_was_decided_on_top_of_a_failed_write_fails_too(tmp_path):
    async def run():
        store = await Store.open(tmp_path / "store.db")
        await store.commit([Put("nodes", KEY, node(0))])
        store._writer._log._db.execute("PRAGMA max_page_count = 1")  # type: ignore[union-attr]
        doomed = [asyncio.create_task(store.commit([Put("nodes", KEY, node(1, filler=20_000), 1)]))]
        await asyncio.sleep(0)
        # Built on a state that will not be; the rival is refused at once although that state will not be.
        doomed.append(asyncio.create_task(store.commit([Put("nodes", KEY, node(2), 2)])))
        with pytest.raises(Mismatch):
            await store.commit([Put("nodes", KEY, node(3), 1)])
        results = await asyncio.gather(*doomed, return_exceptions=True)
        assert [type(r) for r in results] == [StoreFailed, StoreFailed]
        assert "full" in str(results[0])
        assert store.revision == 1
        assert store.get("nodes", KEY).obj["i"] == 0
        store._writer._log._db.execute("PRAGMA max_page_count = 1000000")
        (record,) = await store.commit([Put("nodes", KEY, node(4), 1)])
        assert record.revision > 3
        await store.close()

    asyncio.run(run())


def test_a_cancelled_caller_has_committed_nevertheless(tmp_path):
    async def run():
        store = await Store.open(tmp_path / "store.db")
        task = asyncio.create_task(store.commit([Put("nodes", KEY, node(1))]))
        await asyncio.sleep(0)
        task.cancel()
        await store.commit([Put("pods", KEY, node(2))])
        assert store.get("nodes", KEY).obj["i"] == 1
        await store.close()
        with pytest.raises(StoreFailed):
            await store.commit([Put("nodes", KEY, node(1))])

    asyncio.run(run())
