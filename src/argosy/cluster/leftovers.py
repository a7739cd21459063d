"""What an engine that was killed left behind: pods that run on, the holder of their network.

They are left on purpose, for the next engine to adopt; `argosy down` ends them when there is no engine to do it.
"""

from __future__ import annotations

import shutil

from argosy.cluster.settings import Layout
from argosy.engine.node.records import remove_memory
from argosy.engine.node.runtime.probe import open_runtime


async def clear(layout: Layout, *, purge: bool) -> bool:
    """End what runs without an engine; with `purge` delete the cluster's state too. Whether anything ran."""
    runtime = open_runtime(layout.home)  # the level of the pods that run
    runtime.recall()
    left = any(run.exit is None for run in await runtime.adopt())
    await runtime.close(kill=True)
    remove_memory(layout.home)
    if purge:
        for path in (layout.pods, layout.volumes, layout.pki, layout.run):
            shutil.rmtree(path, ignore_errors=True)
        for path in layout.home.glob("store.db*"):
            path.unlink()
        layout.kubeconfig.unlink(missing_ok=True)
    return left
