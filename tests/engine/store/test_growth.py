"""What a store holds on disk follows what is alive and remembered, not what was ever written."""

import asyncio

from argosy.engine.store import Store
from argosy.engine.store.records import Put
from argosy.meta.objects import Key


def test_the_file_and_its_log_stop_growing(tmp_path):
    path = tmp_path / "store.db"

    async def churn(store, rounds):
        for number in range(rounds):
            objects = ({"metadata": {}, "n": number, "fill": f"{number:08}{name}" * 200} for name in range(20))
            await store.commit([Put("things", Key("", str(name)), obj) for name, obj in enumerate(objects)])

    def size():
        return sum(file.stat().st_size for file in tmp_path.iterdir())

    async def scenario():
        sizes = []
        for _ in range(3):  # also over restarts
            store = await Store.open(path, history_changes=500)
            await churn(store, 150)
            await store.close()
            sizes.append(size())
        assert sizes[2] < sizes[0] * 1.5, sizes
        assert sizes[2] < 12 << 20, sizes

    asyncio.run(scenario())
