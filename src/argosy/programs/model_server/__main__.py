"""Start the model server: open the socket, load in the background, serve until told to end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from typing import Any

from aiohttp import web

from argosy.programs import pod
from argosy.programs.model_server.app import Server
from argosy.programs.model_server.engine import Engine
from argosy.programs.model_server.loading import LoadError, check
from argosy.programs.model_server.settings import Settings, from_arguments

log = logging.getLogger("model_server")


async def serve(settings: Settings) -> str:
    """Serve until SIGTERM or SIGINT, then finish what is under way. The sentence that ended it, empty when all is well.

    Raises OSError when the address cannot be had.
    """
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    engine = Engine(settings)
    server = Server(settings, engine)
    # handler_cancellation: a client that goes away frees its place in the batch.
    runner = web.AppRunner(
        server.application(), handler_cancellation=True, access_log=None, shutdown_timeout=settings.drain_seconds
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.host, settings.port, backlog=1024).start()
        log.info("listening on %s:%d, loading %s", settings.host, settings.port, settings.source)
        engine.start()
        began = loop.time()
        waiters: list[asyncio.Future[Any]] = [loop.create_task(told.wait()), loop.create_task(engine.ready.wait())]
        await asyncio.wait([*waiters, engine.failure], return_when=asyncio.FIRST_COMPLETED)
        if engine.ready.is_set():
            log.info("%s is ready after %.1f s", settings.name, loop.time() - began)
            await told.wait()
        for waiter in waiters:
            waiter.cancel()
        server.draining = True
        return engine.failure.result() if engine.failure.done() else ""
    finally:
        await runner.cleanup()
        await engine.close()


def main() -> None:
    """The command."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s", stream=sys.stderr)
    settings = from_arguments(sys.argv[1:], os.environ)
    try:
        check(settings)
        sentence = asyncio.run(serve(settings))
    except LoadError as error:
        sentence = str(error)
    except OSError as error:
        sentence = f"cannot listen on {settings.host}:{settings.port}: {error.strerror}; is the port in use?"
    if sentence:
        pod.give_up(f"model server: {sentence}")


if __name__ == "__main__":
    main()
