"""The engine's process: `argosy up` starts it in the background, and this is what it runs.

It says `ready` on the descriptor that it was given, or one sentence and the next step; it ends on SIGTERM (`argosy down`)
together with everything that it started. Killed in any other way it leaves the pods running, and the next engine adopts
them.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import gc
import importlib
import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from argosy.cluster.ground import take
from argosy.cluster.own_log import Bounded
from argosy.cluster.process import HELD_STATUS, HomeHeldError, hold_lock, write_state
from argosy.cluster.services import running
from argosy.cluster.settings import Layout, Settings, prepare
from argosy.engine.node.runtime.spec import Level
from argosy.errors import UserError

if TYPE_CHECKING:
    from argosy.cluster.embedded import Engine

log = logging.getLogger("argosy")

_HEAVY = ("aiohttp.web", "argosy.cluster.embedded")
"""What takes most of the start-up time. aiohttp reads the system's certificates meanwhile, outside the interpreter."""


def main() -> None:
    """Run until told to end. Exit code 1 when the engine could not start, 3 when another has the home."""
    gc.disable()  # importing makes hardly any garbage; the engine turns the collector on when all its parts are there
    options = _arguments()
    own_log = Bounded(Layout(options.home).log)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname).1s %(name)s: %(message)s", handlers=[own_log]
    )
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)  # a line a request would be most of the log
    logging.getLogger("aiohttp.websocket").setLevel(logging.ERROR)  # what clients do wrong, they are told
    settings = Settings(
        home=options.home,
        isolation=Level(options.isolation) if options.isolation else None,
        nodes=options.nodes,
        token_auth_file=options.token_auth_file,
        api_port=options.api_port,
        ingress_port=options.ingress_port,
    )
    said = _Said(options.ready_fd)
    try:
        asyncio.run(_run(settings, said))
    except UserError as error:
        said.say(f"{error.message}\n{error.next_step}")
        log.error("%s", error)
        sys.exit(HELD_STATUS if isinstance(error, HomeHeldError) else 1)
    except Exception as error:
        full = isinstance(error, OSError) and error.errno == errno.ENOSPC
        said.say(
            f"the disk that holds {settings.home} is full\nfree some space and try again"
            if full
            else f"the engine failed to start: {error}"
        )
        log.exception("the engine failed")
        sys.exit(1)


class _Said:
    """The descriptor on which `argosy up` waits; speaks once."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def say(self, text: str) -> None:
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                os.write(self._descriptor, text.encode())
            os.close(self._descriptor)
            self._descriptor = -1


async def _run(settings: Settings, said: _Said) -> None:
    layout = prepare(settings)
    lock = hold_lock(layout)
    stop: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, _resolve, stop, signal.Signals(number).name)
    engine = await _open(settings, layout)
    try:
        async with running(engine.services(), lambda name, error: _resolve(stop, f"{name} failed: {error}")):
            write_state(layout, engine.state())
            said.say("ready")
            log.info("ready")
            log.info("ending: %s", await stop)
    finally:
        await engine.close(kill=True)
        layout.state.unlink(missing_ok=True)
        os.close(lock)


async def _open(settings: Settings, layout: Layout) -> Engine:
    """Take the ground and import the engine's parts at the same time: the one waits, the other computes."""
    importing = asyncio.gather(*(asyncio.to_thread(importlib.import_module, name) for name in _HEAVY))
    ground = None
    try:
        ground = await take(settings, layout)
        await importing
        from argosy.cluster.embedded import Engine  # noqa: PLC0415

        # The store's writer thread and the event loop share the interpreter: hand it over sooner than every 5 ms.
        sys.setswitchinterval(0.0005)
        engine = Engine(settings, layout, ground)
        await engine.open()
    except BaseException:
        if ground is not None:
            await ground.leave()
        raise
    return engine


def _resolve(stop: asyncio.Future[str], why: str) -> None:
    if not stop.done():
        stop.set_result(why)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="argosy-engine")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--isolation", default="")
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument("--token-auth-file", type=Path)
    parser.add_argument("--api-port", type=int, default=0)
    parser.add_argument("--ingress-port", type=int, default=0)
    parser.add_argument("--ready-fd", type=int, default=-1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
