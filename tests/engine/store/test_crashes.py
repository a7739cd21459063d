"""Power that goes at any step of the disk, and steps that fail: nothing acknowledged is lost, nothing is there by half."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from random import Random
from tempfile import mkdtemp

import pytest

from argosy.engine.store import Put, Remove, Store, StoreFailed
from argosy.errors import Expired
from argosy.meta.objects import Key

from .faulty_disk import Crash, Disk, Step

NAMES = ("a", "b", "c")


@pytest.fixture
def place():
    memory = Path("/dev/shm")
    directory = Path(mkdtemp(prefix="argosy-crash-", dir=memory if memory.is_dir() else None))
    yield directory
    shutil.rmtree(directory)


def obj(name, i, filler=0):
    return {"metadata": {"name": name, "namespace": "ns"}, "i": i, "filler": "x" * filler}


class Model:
    """What the store must hold after each commit, told before it is asked."""

    def __init__(self):
        self.states = [{}]
        """The objects after each commit that was begun: key to the number that it was written with."""
        self.acknowledged = 0
        self.revisions = [0]

    def begin(self, ops):
        state = dict(self.states[-1])
        for op in ops:
            if isinstance(op, Put):
                state[op.key.name] = op.obj["i"]
            else:
                state.pop(op.key.name)
        self.states.append(state)
        self.revisions.append(self.revisions[-1] + len(ops))


def commits(seed, count):
    """Commits of every shape: pairs that belong together, removals, objects over several pages, hundreds at once."""
    random, there = Random(seed), set()
    for i in range(count):
        ops = [Put("pods", Key("ns", name), obj(name, i, random.choice([0, 300, 9000]))) for name in NAMES[:2]]
        there |= set(NAMES[:2])
        if "c" in there and random.random() < 0.5:
            ops.append(Remove("pods", Key("ns", "c")))
            there.discard("c")
        elif random.random() < 0.6:
            ops += [Put("pods", Key("ns", "c"), obj("c", i)) for _ in range(random.choice([1, 40]))]
            there.add("c")
        yield ops


async def work(disk, path, model, count, *, seed=1):
    """Open the store, commit, compact, fold the log into the file now and then, close."""
    store = await Store.open(path)
    disk.note("open")
    store._writer._log._db.execute("PRAGMA wal_autocheckpoint = 12")
    for number, ops in enumerate(commits(seed, count)):
        model.begin(ops)
        disk.note(("begun", len(model.states) - 1))
        await store.commit(ops)
        disk.note(("acknowledged", len(model.states) - 1))
        if number % 7 == 6:
            store.compact(store.revision - 3)
    await store.close()


def holds(store):
    return {record.key.name: record.obj["i"] for record in store.list("pods")}


async def recover(place, image, model, acknowledged, begun):
    """Start over what the crash left: a state between what was acknowledged and what was begun, and it works."""
    for old in place.iterdir():
        old.unlink()
    for name, data in image.items():
        (place / Path(name).name).write_bytes(data)
    store = await Store.open(place / "store.db")
    found = model.revisions.index(store.revision)
    assert acknowledged <= found <= begun, f"{found} commits are there of {acknowledged} acknowledged, {begun} begun"
    assert holds(store) == model.states[found]
    for since in range(store.revision + 1):
        try:
            changes = store.watch("pods", since).take()
        except Expired:
            continue
        assert [change.record.revision for change in changes] == list(range(since + 1, store.revision + 1))
    before = store.revision
    (record,) = await store.commit([Put("pods", Key("ns", "a"), obj("a", -1))])
    assert record.revision == before + 1
    await store.close()


def every_point(trace, image, check, *, sample, seed):
    """Crash after each step of a trace (or a sample of them), in each way."""
    random, crash = Random(seed), Crash(image)
    acknowledged = begun = 0
    chosen = sorted(random.sample(range(len(trace)), min(sample, len(trace))))
    for number, step in enumerate(trace):
        if step.what == "note":
            kind, value = step.note if isinstance(step.note, tuple) else ("", 0)
            acknowledged, begun = (
                value if kind == "acknowledged" else acknowledged,
                value if kind == "begun" else begun,
            )
        crash.take(step)
        if number in chosen:
            for how, files in crash.images(random).items():
                try:
                    check(files, acknowledged, begun)
                except BaseException as error:
                    error.add_note(f"seed {seed}: the power went after step {number} ({step.what} {step.name}), {how}")
                    raise


def crashes(place, count, sample, seed):
    disk, model, path = Disk(), Model(), place / "store.db"
    with disk.installed():
        asyncio.run(work(disk, path, model, count, seed=seed))
    kinds = {step.what for step in disk.trace}
    assert {"write", "sync", "truncate", "delete"} <= kinds | {"truncate"}, "the trace is of a real store"

    def check(files, acknowledged, begun):
        asyncio.run(recover(place, files, model, acknowledged, begun))

    every_point(disk.trace, {}, check, sample=sample, seed=seed)


def test_the_power_goes_at_any_step(place):
    crashes(place, 14, 60, 1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3, 4])
def test_the_power_goes_at_every_step(place, seed):
    crashes(place, 40, 10_000, seed)


def half_written(path):
    """What a store leaves whose power goes while its log is full of commits: (files, model)."""
    disk, model = Disk(), Model()

    async def run():
        store = await Store.open(path)
        for ops in commits(5, 8):
            model.begin(ops)
            await store.commit(ops)
            left = {name: bytes(data) for name, data in disk.files.items()}
        await store.close()
        return left

    with disk.installed():
        left = asyncio.run(run())
    return left, model


def test_a_start_says_what_it_recovered(place):
    left, model = half_written(place / "store.db")
    log = str(place / "store.db-wal")

    def said(**changed):
        for name, data in {**left, **changed}.items():
            Path(name).write_bytes(data)

        async def run():
            store = await Store.open(place / "store.db")
            await store.close()
            return store.recovered

        return asyncio.run(run())

    everything = f"the last engine did not shut down: 9 transactions recovered from the log, up to revision {model.revisions[-1]}"
    assert said() == everything
    assert said(**{log: left[log][:-1000]}) == (
        f"the last engine did not shut down: 8 transactions recovered from the log, up to revision {model.revisions[-2]};"
        " an unfinished one at its end, acknowledged to nobody, dropped"
    )
    assert said(**{log: left[log] + b"x" * 700}).startswith(everything + "; an unfinished one")
    for end in place.iterdir():
        end.unlink()
    orderly = Disk()
    with orderly.installed():
        asyncio.run(work(orderly, place / "store.db", Model(), 3))
    left = {name: bytes(data) for name, data in orderly.files.items()}
    assert said() == ""


def test_the_power_goes_again_while_a_start_recovers(place):
    left, model = half_written(place / "store.db")
    disk = Disk(left)

    async def start():
        store = await Store.open(place / "store.db")
        assert holds(store) == model.states[-1]
        await store.close()

    with disk.installed():
        asyncio.run(start())
    everything = len(model.states) - 1

    def check(files, *_):
        asyncio.run(recover(place, files, model, everything, everything))

    every_point(disk.trace, left, check, sample=40, seed=6)


async def endure(disk, path, model, count, *, seed):
    """Commit whatever the disk does: what fails is undone, and goes through when it is tried again."""
    store = None
    while store is None:
        try:
            store = await Store.open(path)
        except StoreFailed:
            continue
    store._writer._log._db.execute("PRAGMA wal_autocheckpoint = 12")
    given = 0
    for number, ops in enumerate(commits(seed, count)):
        model.begin(ops)
        while True:
            before, revision = holds(store), store.revision
            try:
                records = await store.commit(ops)
            except StoreFailed:
                assert (holds(store), store.revision) == (before, revision), "a write that failed is seen"
            else:
                break
        assert records[0].revision > given, "a revision was given out twice"
        given = records[-1].revision
        assert holds(store) == model.states[-1]
        if number % 7 == 6:
            store.compact(store.revision - 3)
    return store


def failing(place, count, points, lasting, seed):
    """Let one step after another fail, with `lasting` - 1 more after it; then kill the engine, or shut it down."""
    path = place / "store.db"
    disk, model = Disk(), Model()
    with disk.installed():
        asyncio.run(work(disk, path, model, count, seed=seed))
    total, random = disk.steps, Random(seed)
    for point in sorted(random.sample(range(total), min(points, total))):
        disk, model = Disk(), Model()
        seen = 0

        def fails(step: Step, first: int = point) -> bool:
            nonlocal seen
            seen += 1
            return first < seen <= first + lasting

        disk.fails = fails
        orderly = point % 2 == 0

        async def run(disk: Disk = disk, model: Model = model, orderly: bool = orderly) -> tuple[dict[str, bytes], int]:
            store = await endure(disk, path, model, count, seed=seed)
            left, revision = {name: bytes(data) for name, data in disk.files.items()}, store.revision
            await store.close()
            return (disk.files if orderly else left), revision

        try:
            with disk.installed():
                left, revision = asyncio.run(run())
                again = Disk(left)
            with again.installed():
                asyncio.run(reopened(path, model, revision))
        except BaseException as error:
            error.add_note(f"seed {seed}: step {point} of {total} failed, {lasting} in a row")
            raise


async def reopened(path, model, revision):
    store = await Store.open(path)
    assert (holds(store), store.revision) == (model.states[-1], revision)
    await store.close()


def test_any_step_fails(place):
    failing(place, 10, 40, 1, 1)


def test_several_steps_fail(place):
    failing(place, 10, 30, 5, 2)


@pytest.mark.slow
@pytest.mark.parametrize("lasting", [1, 2, 7, 40])
def test_every_step_fails(place, lasting):
    failing(place, 30, 10_000, lasting, 3)
