import asyncio

import pytest

from argosy.control.queue import QueueClosed, WorkQueue
from argosy.testing.simloop import run


def test_an_item_is_there_once_and_comes_again_when_added_while_worked_on():
    async def main():
        queue = WorkQueue()
        queue.add("a")
        queue.add("a")
        queue.add("b")
        assert len(queue) == 2
        assert await queue.get() == "a"
        queue.add("a")
        queue.add("a")
        assert len(queue) == 1, "not while it is being worked on"
        assert await queue.get() == "b"
        queue.done("b")
        queue.done("a")
        assert await queue.get() == "a"
        assert not queue.idle
        queue.done("a")
        assert queue.idle

    run(main())


def test_delays():
    async def main():
        loop = asyncio.get_running_loop()
        queue = WorkQueue()
        queue.add_after("late", 100)
        queue.add_after("a", 30)
        queue.add_after("a", 10)
        queue.add_after("a", 20)
        assert await queue.get() == "a"
        assert loop.time() == pytest.approx(10)
        queue.done("a")
        assert await queue.get() == "late"
        assert loop.time() == pytest.approx(100)

    run(main())


def test_failures_come_back_later_each_time():
    async def main():
        loop = asyncio.get_running_loop()
        queue = WorkQueue(first_seconds=1, last_seconds=10)
        delays = []
        for _ in range(6):
            before = loop.time()
            queue.add_rate_limited("a")
            assert await queue.get() == "a"
            delays.append(loop.time() - before)
            queue.done("a")
        assert delays == pytest.approx([1, 2, 4, 8, 10, 10])
        assert queue.failures("a") == 6
        queue.forget("a")
        before = loop.time()
        queue.add_rate_limited("a")
        await queue.get()
        assert loop.time() - before == pytest.approx(1)

    run(main())


def test_every_item_meets_one_worker_and_none_is_missed():
    async def main():
        queue = WorkQueue()
        busy, seen, overlaps = set(), [], []

        async def work():
            while True:
                try:
                    item = await queue.get()
                except QueueClosed:
                    return
                if item in busy:
                    overlaps.append(item)
                busy.add(item)
                await asyncio.sleep(0.1)
                busy.discard(item)
                seen.append(item)
                queue.done(item)

        workers = [asyncio.create_task(work()) for _ in range(5)]
        for round in range(4):
            for item in range(20):
                queue.add(item)
            await asyncio.sleep(0.05 * round)
        await asyncio.sleep(5)
        assert set(seen) == set(range(20))
        assert not overlaps
        queue.shut_down()
        await asyncio.gather(*workers)

    run(main())


def test_a_cancelled_worker_passes_its_wake_up_on():
    async def main():
        queue = WorkQueue()
        first = asyncio.create_task(queue.get())
        second = asyncio.create_task(queue.get())
        await asyncio.sleep(0)
        queue.add("a")
        first.cancel()
        assert await second == "a"

    run(main())
