from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from argosy.engine.node.logs import Reader, Selection, last_words, since_of, streams


def line(n, text, tag="F"):
    return f"2026-01-01T00:00:{n:02d}.000000000Z stdout {tag} {text}\n"


def read(path, selection, ended=lambda: True):
    async def all_of_it():
        return b"".join([chunk async for chunk in Reader(path, ended).read(selection)]).decode()

    return asyncio.run(all_of_it())


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "0.log"
    (tmp_path / "0.log.1").write_text("".join(line(n, f"old {n}") for n in range(5)))
    path.write_text("".join(line(n, f"new {n}") for n in range(5, 10)))
    return path


def test_everything_through_rotation(log):
    assert read(log, Selection()).splitlines() == [f"old {n}" for n in range(5)] + [f"new {n}" for n in range(5, 10)]


@pytest.mark.parametrize("tail", range(12))
def test_tail(log, tail):
    everything = read(log, Selection()).splitlines()
    assert read(log, Selection(tail_lines=tail)).splitlines() == everything[len(everything) - min(tail, 10) :]


def test_tail_of_a_log_larger_than_a_block(tmp_path):
    path = tmp_path / "0.log"
    path.write_text("".join(line(n % 60, f"{n} " + "x" * 90) for n in range(20_000)))
    found = read(path, Selection(tail_lines=9_000)).splitlines()
    assert len(found) == 9_000
    assert found[0].startswith("11000 ")


def test_since_timestamps_and_limit(log):
    assert read(log, Selection(since="2026-01-01T00:00:08")).splitlines() == ["new 8", "new 9"]
    assert read(log, Selection(tail_lines=1, timestamps=True)) == "2026-01-01T00:00:09.000000000Z new 9\n"
    assert read(log, Selection(limit_bytes=8)) == "old 0\nol"
    now = datetime(2026, 1, 1, 0, 0, 10, tzinfo=UTC)
    assert since_of(now, 2, "") == "2026-01-01T00:00:08.000000"
    assert since_of(now, None, "2026-01-01T01:00:08+01:00") == "2026-01-01T00:00:08.000000"


def test_partial_lines_are_joined(tmp_path):
    path = tmp_path / "0.log"
    path.write_text(line(0, "one", "P") + line(0, " two", "F") + line(1, "", "F"))
    assert read(path, Selection()) == "one two\n\n"


def test_following_through_rotation_until_the_end(tmp_path):
    path = tmp_path / "0.log"

    async def scenario():
        over = False
        found = []
        news = asyncio.Condition()

        async def follow():
            async for chunk in Reader(path, lambda: over).read(Selection(follow=True)):
                async with news:
                    found.append(chunk.decode())
                    news.notify_all()

        async def has(text):
            async with news:
                await news.wait_for(lambda: text in "".join(found))

        task = asyncio.create_task(follow())
        path.write_text(line(1, "first"))
        await has("first")
        with path.open("a") as log:
            log.write(line(2, "second"))
        path.rename(tmp_path / "0.log.1")
        path.write_text(line(3, "third"))
        await has("third")
        with path.open("a") as log:
            log.write(line(4, "last"))
        over = True
        await asyncio.wait_for(task, 5)
        return "".join(found)

    assert asyncio.run(scenario()) == "first\nsecond\nthird\nlast\n"


def test_no_log_yet(tmp_path):
    assert read(tmp_path / "none", Selection()) == ""
    assert read(tmp_path / "none", Selection(follow=True)) == ""


def test_last_words(log):
    assert last_words(log) == "new 5\nnew 6\nnew 7\nnew 8\nnew 9\n"
    assert last_words(log, lines_max=1) == "new 9\n"


def test_lines_as_what_was_written_to_which_stream():
    lines = [b"t stdout F one", b"t stdout P tw", b"t stdout F o", b"t stderr F oh", b"t stdout P $ "]
    assert streams(iter(lines)) == [("stdout", b"one\ntwo\n"), ("stderr", b"oh\n"), ("stdout", b"$ ")]
    assert streams(iter(())) == []


@pytest.mark.parametrize(("from_start", "count"), [(True, 10), (False, 0)])
def test_following_streams_from_the_start_or_from_now(log, from_start, count):
    async def parts():
        return [part async for part in Reader(log, lambda: True).follow(from_start=from_start)]

    found = asyncio.run(parts())
    assert b"".join(data for _, data in found).count(b"\n") == count


def test_what_is_written_is_seen_without_looking_again(tmp_path):
    """With pauses so long that only being told can be the reason."""
    path = tmp_path / "0.log"
    path.write_text("")

    async def scenario():
        over = False
        parts = Reader(path, lambda: over, pauses=(600.0, 600.0)).follow(from_start=True)
        found = []
        waiting = asyncio.ensure_future(anext(parts))
        await asyncio.sleep(0)
        with path.open("a") as log:
            for number in range(3):
                log.write(line(number, str(number)))
                log.flush()
                found.append(await asyncio.wait_for(waiting, 10))
                waiting = asyncio.ensure_future(anext(parts))
                await asyncio.sleep(0)
            over = True
        await asyncio.wait({waiting}, timeout=10)  # the writer has closed its log
        assert isinstance(waiting.exception(), StopAsyncIteration)
        return found

    assert asyncio.run(scenario()) == [("stdout", b"0\n"), ("stdout", b"1\n"), ("stdout", b"2\n")]
