"""The algebra of rolling updates: its two laws, and that it ends."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from argosy.engine.controllers.deployment.rolling import Size, Target, rescale, roll

sizes = st.integers(0, 12)


@given(
    sizes, st.integers(0, 5), st.integers(0, 5), st.lists(st.tuples(sizes, sizes), max_size=3), st.tuples(sizes, sizes)
)
def test_never_too_many_and_never_too_few(
    replicas: int, surge: int, down: int, old: list[tuple[int, int]], new: tuple[int, int]
) -> None:
    target = Target(replicas, surge, min(down, replicas))
    olds = [Size(f"old{i}", asked, min(asked, available)) for i, (asked, available) in enumerate(old)]
    current = Size("new", new[0], min(new))
    step = roll(target, current, olds)
    before = current.asked + sum(o.asked for o in olds)
    after = step.get("new", current.asked) + sum(step.get(o.name, o.asked) for o in olds)
    assert after <= max(before, replicas + surge)
    floor = replicas - target.unavailable
    left = sum(min(o.available, step.get(o.name, o.asked)) for o in olds) + min(current.available, step.get("new", 99))
    had = sum(o.available for o in olds) + current.available
    if current.asked <= replicas:
        assert left >= min(had, floor), "what is available is given up only beyond the floor"


@given(st.integers(0, 12), st.integers(0, 5), st.integers(0, 5), sizes)
def test_a_rollout_ends(replicas: int, surge: int, down: int, old: int) -> None:
    if not surge and not down:
        surge = 1
    target = Target(replicas, surge, min(down, replicas))
    if not surge and not target.unavailable:
        return
    asked = {"new": 0, "old": old}
    for _ in range(100):
        step = roll(target, Size("new", asked["new"], asked["new"]), [Size("old", asked["old"], asked["old"])])
        if not step:
            break
        asked |= step
    assert asked == {"new": replicas, "old": 0}


def test_one_step_of_the_default_strategy() -> None:
    target = Target(4, 1, 1)
    assert roll(target, Size("new", 0, 0), [Size("old", 4, 4)]) == {"new": 1, "old": 3}
    assert roll(target, Size("new", 1, 0), [Size("old", 3, 3)]) == {"new": 2}
    assert roll(target, Size("new", 2, 2), [Size("old", 3, 3)]) == {"old": 1}


def test_broken_pods_of_old_sets_go_first() -> None:
    assert roll(Target(4, 1, 1), Size("new", 1, 0), [Size("a", 2, 0), Size("b", 2, 2)]) == {"a": 1}


def test_rescale_in_proportion() -> None:
    target = Target(20, 4, 2)
    step = rescale(target, Size("new", 4, 4, 13), [Size("old", 8, 8, 13)])
    assert step["new"] + step["old"] == 24
    assert step["old"] > step["new"]
    assert rescale(target, Size("new", 5, 5), []) == {"new": 20}
    assert rescale(Target(0, 0, 0), Size("new", 5, 5), [Size("old", 3, 3)]) == {"new": 0, "old": 0}


@given(st.integers(0, 30), st.integers(0, 10), st.integers(1, 12), st.integers(1, 12))
def test_rescale_adds_up(replicas: int, surge: int, new: int, old: int) -> None:
    target = Target(replicas, surge, 0)
    step = rescale(target, Size("new", new, 0, new + old), [Size("old", old, old, new + old)])
    total = step.get("new", new) + step.get("old", old)
    assert total == (replicas + surge if replicas else 0)
    assert min(step.values(), default=0) >= 0
