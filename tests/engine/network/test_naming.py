import asyncio

from network_world import cluster, endpoint, service, slice_of

from argosy.engine.network import HostNames
from argosy.kinds import ENDPOINT_SLICE, SERVICE
from argosy.meta.objects import Key


def test_names_are_announced_when_they_change():
    async def main():
        async with cluster() as (client, informers):
            news = asyncio.Event()
            names = HostNames(informers, "cluster.local", news.set)
            await informers.synced()
            made = await client.create(SERVICE, service("web"))
            await client.create(SERVICE, service("db", clusterIP="None"))
            await client.create(ENDPOINT_SLICE, slice_of("db", [endpoint("10.64.0.7")], {}))
            async with asyncio.timeout(5):
                while names("default").get("db") != "10.64.0.7":
                    news.clear()
                    await news.wait()
            assert names("default")["web"] == made["spec"]["clusterIP"]
            assert names("elsewhere").get("web") is None
            assert names("default") is names("default"), "computed once until something changes"
            news.clear()
            await client.patch(ENDPOINT_SLICE, Key("default", "db-1"), {"endpoints": [endpoint("10.64.0.8")]})
            async with asyncio.timeout(5):
                await news.wait()
                assert names("default")["db"] == "10.64.0.8"
            names.close()

    asyncio.run(main())
