import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from memory_api import settle, world

from argosy.control.lease import Candidacy, Standing, lead, lost, step, won
from argosy.errors import ServiceUnavailable
from argosy.kinds import LEASE
from argosy.testing.simloop import SimClock, run

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ME = Candidacy("me", "kube-system", "argosy")


def after(seconds):
    return NOW + timedelta(seconds=seconds)


def test_a_lease_that_is_not_there_is_taken():
    decided = step(ME, Standing(), None, NOW)
    assert decided.spec["holderIdentity"] == "me"
    assert decided.spec["leaseTransitions"] == 0
    assert won(decided.standing, decided.spec, NOW).renewed_at == NOW


def test_anothers_lease_is_respected_for_its_duration_by_our_own_clock():
    # Its renewTime is years ago by our clock: clocks differ, only change counts.
    spec = {
        "holderIdentity": "you",
        "leaseDurationSeconds": 15,
        "renewTime": "2001-01-01T00:00:00Z",
        "leaseTransitions": 4,
    }
    first = step(ME, Standing(), spec, NOW)
    assert first.spec is None
    assert step(ME, first.standing, spec, after(14.9)).spec is None
    renewed = {**spec, "renewTime": "2001-01-01T00:00:10Z"}
    second = step(ME, first.standing, renewed, after(14))
    assert second.spec is None
    assert step(ME, second.standing, renewed, after(28)).spec is None
    taken = step(ME, second.standing, renewed, after(29.1))
    assert taken.spec["holderIdentity"] == "me"
    assert taken.spec["leaseTransitions"] == 5


def test_one_that_was_given_up_is_taken_at_once():
    assert step(ME, Standing(), {"holderIdentity": "", "leaseTransitions": 1}, NOW).spec["leaseTransitions"] == 2


def test_renewing_keeps_when_it_was_acquired():
    first = step(ME, Standing(), None, NOW)
    standing = won(first.standing, first.spec, NOW)
    again = step(ME, standing, first.spec, after(2))
    assert again.spec["acquireTime"] == first.spec["acquireTime"]
    assert again.spec["renewTime"] != first.spec["renewTime"]
    assert again.spec["leaseTransitions"] == 0


def test_a_leader_that_cannot_renew_stops_before_others_may_start():
    first = step(ME, Standing(), None, NOW)
    standing = won(first.standing, first.spec, NOW)
    assert lost(ME, standing, after(9)).renewed_at == NOW
    assert lost(ME, standing, after(10)).renewed_at is None
    assert lost(ME, Standing(), NOW) == Standing()


def test_a_leader_that_was_overtaken_knows():
    first = step(ME, Standing(), None, NOW)
    standing = won(first.standing, first.spec, NOW)
    assert step(ME, standing, {**first.spec, "holderIdentity": "you"}, after(20)).standing.renewed_at is None


def test_one_of_several_leads_and_the_next_takes_over():
    async def main():
        api, faults, client = world()
        leading, most = [], 0

        async def body(name):
            nonlocal most
            leading.append(name)
            most = max(most, len(leading))
            try:
                await asyncio.Event().wait()
            finally:
                leading.remove(name)

        def start(name):
            candidacy = Candidacy(name, "kube-system", "argosy")
            return asyncio.create_task(lead(client, candidacy, lambda: body(name), clock=SimClock()))

        tasks = {name: start(name) for name in ("a", "b", "c")}
        await settle(lambda: leading)
        await asyncio.sleep(60)
        assert len(leading) == 1
        # Whoever ends properly gives it up at once.
        first = leading[0]
        before = asyncio.get_running_loop().time()
        tasks[first].cancel()
        await settle(lambda: leading and leading != [first])
        assert asyncio.get_running_loop().time() - before <= 2.5
        # Whoever is cut off stops by itself; nobody can write meanwhile.
        faults.fail(ServiceUnavailable("away"), path="leases", times=40)
        await settle(lambda: not leading)
        await settle(lambda: leading)
        assert most == 1
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
        assert api.of(LEASE)["argosy"]["spec"]["holderIdentity"] == ""

    run(main())


def test_what_the_body_raises_is_raised():
    async def main():
        _, _, client = world()

        async def body():
            raise ValueError("broken")

        with pytest.raises(ValueError, match="broken"):
            await lead(client, ME, body, clock=SimClock())

        async def ends():
            return None

        await lead(client, ME, ends, clock=SimClock())

    run(main())
