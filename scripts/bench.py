"""`make bench`: measure this machine's Argosy, each figure beside its peer or limit.

It starts engines in temporary homes, ends everything it started, and asserts nothing: a clock is no test. Figures are
medians and 99th percentiles (`p50 / p99`) where there are many; the machine's load is said with each group, for on a busy
machine all of them are too slow.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Callable, Coroutine

from benchmarks import (
    checkpoints,
    creates,
    density,
    finetunes,
    gateway,
    goodput,
    ground,
    jobs,
    nodes,
    outages,
    pods,
    recovery,
    services,
    startup,
    store,
    watchers,
)
from benchmarks.figures import Figure, table

_BENCHES: dict[str, Callable[[], Coroutine[None, None, list[Figure]]]] = {
    "up": startup.up,
    "idle": startup.idle,
    "pods": pods.pods,
    "jobs": jobs.jobs,
    "density": density.density,
    "adopt": pods.adopt,
    "recovery": recovery.recovery,
    "finetunes": finetunes.finetunes,
    "goodput": goodput.goodput,
    "checkpoints": checkpoints.checkpoints,
    "outages": outages.outages,
    "trainjobs": finetunes.trainjobs,
    "gateway": gateway.gateway,
    "services": services.services,
    "store": store.store,
    "creates": creates.creates,
    "nodes": nodes.nodes,
    "watchers": watchers.watchers,
}


def main() -> int:
    """Measure, print the table. 1 when a measurement could not be made."""
    parser = argparse.ArgumentParser(prog="bench", description="Measure, each figure beside its peer or limit.")
    parser.add_argument(
        "--only", action="append", choices=_BENCHES, metavar="NAME", help=f"one of: {', '.join(_BENCHES)}"
    )
    chosen = parser.parse_args().only or list(_BENCHES)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that engines are ended then, too
    print(ground.description(), flush=True)
    figures: list[Figure] = []
    failed = 0
    for name in chosen:
        sys.stderr.write(f"{name}: {ground.wait_until_quiet()}\n")
        began = time.perf_counter()
        try:
            figures += asyncio.run(_BENCHES[name]())
        except Exception as error:  # the other figures are worth having all the same
            failed += 1
            figures.append(Figure(name, "failed", "", f"{type(error).__name__}: {error}"))
        sys.stderr.write(f"{name}: took {time.perf_counter() - began:.0f} s\n")
    print(table(figures))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
