import asyncio
import time

import pytest

from argosy.testing.simloop import START, Deadlock, SimClock, run


def test_minutes_pass_at_once():
    async def main():
        order = []

        async def sleeper(seconds):
            await asyncio.sleep(seconds)
            order.append((seconds, asyncio.get_running_loop().time()))

        await asyncio.gather(sleeper(300), sleeper(1), sleeper(86_400 * 3))
        return order, SimClock().now()

    before = time.monotonic()
    order, now = run(main())
    assert time.monotonic() - before < 5
    assert [seconds for seconds, _ in order] == [1, 300, 86_400 * 3]
    assert all(abs(at - seconds) < 1e-3 for seconds, at in order)
    assert abs((now - START).total_seconds() - 86_400 * 3) < 1e-3


def test_a_deadlock_is_an_error_that_names_who_waits():
    async def stuck():
        await asyncio.get_running_loop().create_future()

    async def main():
        await asyncio.create_task(stuck(), name="the-stuck-one")

    with pytest.raises(Deadlock, match="the-stuck-one"):
        run(main())


def test_timeouts_work():
    async def main():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await asyncio.Event().wait()
        return asyncio.get_running_loop().time()

    assert run(main()) == pytest.approx(30)
