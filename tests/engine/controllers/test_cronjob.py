"""CronJob: schedules, and what follows from them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from controller_world import World
from hypothesis import given
from hypothesis import strategies as st

from argosy.clock import rfc3339
from argosy.engine.controllers import cronjob
from argosy.engine.controllers.cronjob.schedule import parse
from argosy.kinds import CRON_JOB, JOB
from argosy.meta.json import Obj
from argosy.meta.objects import name_of

C = cronjob.OPERATOR


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "after", "expected"),
    [
        ("* * * * *", "2026-01-01T00:00:30", "2026-01-01T00:01:00"),
        ("*/15 * * * *", "2026-01-01T00:15:00", "2026-01-01T00:30:00"),
        ("0 9-17/4 * * MON-FRI", "2026-01-02T17:00:00", "2026-01-05T09:00:00"),
        ("30 4 1,15 * 5", "2026-01-01T05:00:00", "2026-01-02T04:30:00"),
        ("0 0 29 2 *", "2026-01-01T00:00:00", "2028-02-29T00:00:00"),
        ("@daily", "2026-12-31T10:00:00", "2027-01-01T00:00:00"),
        ("5 4 * * 7", "2026-01-01T00:00:00", "2026-01-04T04:05:00"),
        ("0 0 * jan,JUL ?", "2026-02-01T00:00:00", "2026-07-01T00:00:00"),
    ],
)
def test_next(schedule: str, after: str, expected: str) -> None:
    assert parse(schedule).next_after(at(after)) == at(expected)


def test_time_zones_and_summer_time() -> None:
    paris = parse("30 2 * * *", "Europe/Paris")
    assert paris.next_after(at("2026-03-28T12:00:00")) == at("2026-03-30T00:30:00"), "2:30 does not exist on the 29th"
    assert parse("0 12 * * *", "Asia/Kolkata").next_after(at("2026-01-01T00:00:00")) == at("2026-01-01T06:30:00")


@pytest.mark.parametrize("text", ["* * * *", "60 * * * *", "a * * * *", "*/0 * * * *", "5-1 * * * *", "@every x"])
def test_nonsense(text: str) -> None:
    with pytest.raises(ValueError, match=r"schedule|duration"):
        parse(text)
    with pytest.raises(ValueError, match="time zone"):
        parse("* * * * *", "Mars/Olympus")


@given(
    st.sampled_from(["* * * * *", "*/7 * * * *", "3 */5 * * *", "0 0 * * 1", "15 10 13 * *", "@every 90s"]),
    st.integers(0, 10**6),
    st.integers(1, 10**6),
)
def test_the_last_time_is_a_time_and_none_lies_between(text: str, start: int, span: int) -> None:
    schedule = parse(text)
    after = at("2026-01-01T00:00:00") + timedelta(seconds=start)
    until = after + timedelta(seconds=span)
    last = schedule.last_until(until, after)
    if last is None:
        following = schedule.next_after(after)
        assert following is None or following > until
        return
    assert after < last <= until
    following = schedule.next_after(last)
    assert following is None or following > until


def make(**spec: object) -> Obj:
    template = {"spec": {"template": {"spec": {"containers": []}}}}
    return {
        "metadata": {"name": "c", "namespace": "default"},
        "spec": {"schedule": "*/10 * * * *", "jobTemplate": template, **spec},
    }


def finish(world: World, job: Obj, type: str = "Complete") -> None:
    status = {
        "conditions": [{"type": type, "status": "True"}],
        "startTime": rfc3339(world.now),
        "completionTime": rfc3339(world.now),
    }
    world.change(JOB, job, {"status": status})


def test_makes_jobs_at_their_times_and_forgets_old_ones() -> None:
    world = World()
    world.put(CRON_JOB, make())
    plan = world.step(C, "c")
    assert (world.all(JOB), plan.again_in_seconds) == ([], 600)
    for _ in range(6):
        world.later(600)
        world.step(C, "c")
        world.step(C, "c")
        finish(world, world.all(JOB)[-1])
    world.step(C, "c")
    assert len(world.all(JOB)) == 3
    newest = world.all(JOB)[-1]
    assert name_of(newest) == f"c-{int(world.now.timestamp()) // 60}"
    status = world.get(CRON_JOB, "c")["status"]
    assert status["lastScheduleTime"] == status["lastSuccessfulTime"] == rfc3339(world.now)
    assert "active" not in status


@pytest.mark.parametrize(("zone", "ending"), [("Asia/Kolkata", "+05:30"), ("Etc/UTC", "Z"), (None, "Z")])
def test_a_job_tells_its_time_in_the_zone_of_the_schedule(zone: str | None, ending: str) -> None:
    world = World()
    world.put(CRON_JOB, make(schedule="* * * * *", **({"timeZone": zone} if zone else {})))
    world.step(C, "c")
    world.later(60)
    world.step(C, "c")
    (job,) = world.all(JOB)
    told = job["metadata"]["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"]
    assert told.endswith(ending)
    assert datetime.fromisoformat(told) == world.now.replace(second=0, microsecond=0)


def test_missed_times_make_one_job() -> None:
    world = World()
    world.put(CRON_JOB, make())
    world.later(3 * 86400 + 5)
    world.step(C, "c")
    assert len(world.all(JOB)) == 1
    late = World()
    late.put(CRON_JOB, make(startingDeadlineSeconds=30))
    late.later(660)
    assert [r.code for r in late.step(C, "c").reasons] == ["MissSchedule"]


@pytest.mark.parametrize(("policy", "running"), [("Allow", 2), ("Forbid", 1), ("Replace", 1)])
def test_concurrency(policy: str, running: int) -> None:
    world = World()
    world.put(CRON_JOB, make(concurrencyPolicy=policy))
    for _ in range(2):
        world.later(600)
        world.step(C, "c")
        world.step(C, "c")
    assert len(world.all(JOB)) == running
    newest = f"c-{int(world.now.timestamp()) // 60}"
    assert (name_of(world.all(JOB)[-1]) == newest) is (policy != "Forbid")


def test_suspended_and_wrong() -> None:
    world = World()
    world.put(CRON_JOB, make(suspend=True))
    world.later(6000)
    assert world.step(C, "c").actions == ()
    wrong = World()
    wrong.put(CRON_JOB, make(schedule="every day"))
    assert [r.code for r in wrong.step(C, "c").reasons] == ["InvalidSchedule"]
