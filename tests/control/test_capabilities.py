import asyncio

import pytest
from memory_api import KINDS, TOY, world

from argosy.control.capabilities import capabilities_of, until_served
from argosy.errors import ServiceUnavailable
from argosy.kinds import CUSTOM_RESOURCE_DEFINITION, JOB, POD
from argosy.testing.simloop import run


def test_what_a_cluster_serves():
    async def main():
        _, _, client = world()
        found = await capabilities_of(client)
        assert found.serves(POD)
        assert found.serves(TOY)
        assert not found.serves(JOB)
        assert "toys.v1.toys.example" in found.resources

    run(main())


def test_waiting_for_a_kind():
    async def main():
        api, faults, client = world(kinds=[k for k in KINDS if k is not TOY])
        faults.fail(ServiceUnavailable("starting"), path="/api", times=3)
        waiting = asyncio.create_task(until_served(client, TOY, timeout=100))
        await asyncio.sleep(20)
        assert not waiting.done()
        api.kinds.append(TOY)
        api.create(CUSTOM_RESOURCE_DEFINITION, {"metadata": {"name": "toys.toys.example"}})
        before = asyncio.get_running_loop().time()
        await waiting
        assert asyncio.get_running_loop().time() - before < 1
        with pytest.raises(TimeoutError):
            await until_served(client, JOB, timeout=5)

    run(main())


def test_a_kind_that_discovery_shows_after_its_definition_is_seen():
    async def main():
        api, _, client = world(kinds=[k for k in KINDS if k is not TOY])
        waiting = asyncio.create_task(until_served(client, TOY, timeout=100))
        await asyncio.sleep(1)
        api.create(CUSTOM_RESOURCE_DEFINITION, {"metadata": {"name": "toys.toys.example"}})
        await asyncio.sleep(2)
        api.kinds.append(TOY)
        before = asyncio.get_running_loop().time()
        await waiting
        assert asyncio.get_running_loop().time() - before < 5

    run(main())


def test_a_definition_that_is_never_served_is_not_asked_for_without_end():
    async def main():
        api, _, client = world()
        api.create(CUSTOM_RESOURCE_DEFINITION, {"metadata": {"name": "odd.toys.example"}})
        asked = []
        route = api.route

        def counted(request):
            asked.append(request.path)
            return route(request)

        api.route = counted
        waiting = asyncio.create_task(until_served(client, JOB))
        await asyncio.sleep(60)
        asked.clear()
        await asyncio.sleep(200)
        waiting.cancel()
        assert "/apis" not in asked

    run(main())
