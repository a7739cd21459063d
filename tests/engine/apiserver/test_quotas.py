from api_world import config_map, pod, with_world

from argosy.kinds import CONFIG_MAP, POD, RESOURCE_QUOTA, SERVICE
from argosy.meta.objects import Key


def quota(name="q", **hard):
    return {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"hard": {k.replace("_", "/"): v for k, v in hard.items()}},
    }


async def used(world, wanted, name="q"):
    """Wait until the quota says so."""
    await world.client.get(RESOURCE_QUOTA, name, "default")
    counter = world.app.api.counter
    while counter._task is not None and not counter._task.done():
        await counter._task
    found = await world.client.get(RESOURCE_QUOTA, name, "default")
    assert found["status"] == {"hard": found["spec"]["hard"], "used": wanted}


def test_a_new_quota_counts_what_is_there():
    async def check(world):
        await world.client.create(CONFIG_MAP, config_map("a"))
        await world.client.create(POD, pod("p", containers=[
            {"name": "c", "image": "i", "resources": {"requests": {"cpu": "100m"}, "limits": {"memory": "1Gi"}}}
        ]))  # fmt: skip
        hard = {"count_configmaps": "5", "pods": "3", "requests.cpu": "1", "limits.memory": "4Gi", "services": "2"}
        await world.client.create(RESOURCE_QUOTA, quota(**hard))
        counted = {
            "count/configmaps": "1",
            "pods": "1",
            "requests.cpu": "100m",
            "limits.memory": "1Gi",
            "services": "1",
        }
        await used(world, counted)

    with_world(check)


def test_what_goes_or_ends_is_free_again():
    async def check(world):
        await world.client.create(RESOURCE_QUOTA, quota(configmaps="2", pods="2"))
        for name in ("a", "b"):
            await world.client.create(CONFIG_MAP, config_map(name))
            await world.client.create(POD, pod(name))
        await used(world, {"configmaps": "2", "pods": "2"})
        await world.client.delete(CONFIG_MAP, Key("default", "a"))
        await world.client.patch(POD, Key("default", "a"), {"status": {"phase": "Succeeded"}}, subresource="status")
        await used(world, {"configmaps": "1", "pods": "1"})
        await world.client.create(CONFIG_MAP, config_map("c"))
        await world.client.create(POD, pod("c"))
        await used(world, {"configmaps": "2", "pods": "2"})

    with_world(check)


def test_a_service_that_becomes_more_is_counted():
    async def check(world):
        hard = {"services": "2", "services.nodeports": "0"}
        await world.client.create(RESOURCE_QUOTA, quota(**hard))
        service = {"metadata": {"name": "s", "namespace": "default"}, "spec": {"ports": [{"port": 80}]}}
        await world.client.create(SERVICE, service)
        path = "/api/v1/namespaces/default/services/s"
        code, body, _ = await world.send(
            "PATCH", path, {"spec": {"type": "NodePort"}}, type="application/merge-patch+json"
        )
        why = "exceeded quota: q, requested: services.nodeports=1, used: services.nodeports=0, limited: services.nodeports=0"
        assert (code, body["message"]) == (403, f'services "s" is forbidden: {why}')
        await used(world, {"services": "2", "services.nodeports": "0"})

    with_world(check)


def test_a_wider_limit_is_counted_anew():
    async def check(world):
        await world.client.create(RESOURCE_QUOTA, quota(configmaps="1"))
        await world.client.patch(RESOURCE_QUOTA, Key("default", "q"), {"spec": {"hard": {"secrets": "3"}}})
        await used(world, {"configmaps": "0", "secrets": "0"})

    with_world(check)
