"""`python -m argosy.programs.gateway`: the command that the gateway's pod runs."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from argosy.client.client import Client
from argosy.client.http import HttpTransport
from argosy.client.kubeconfig import in_cluster, load
from argosy.errors import UserError
from argosy.programs import pod
from argosy.programs.gateway.discovery import Discovery
from argosy.programs.gateway.server import serving
from argosy.programs.gateway.settings import GatewaySettings

_LEAVE_SECONDS = 0.5
"""Between saying `not ready` and closing the door: for those who send requests here to notice."""


def main() -> None:
    """Read the command line and serve until SIGTERM or ctrl-c."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    options = parse(sys.argv[1:])
    settings = GatewaySettings(
        host=options.host,
        port=options.port,
        queue_seconds=options.queue_seconds,
        queue_length=options.queue_length,
        api_keys=tuple(key for key in os.environ.get("ARGOSY_API_KEYS", "").split(",") if key),
        api_keys_path=options.api_keys,
    )
    try:
        asyncio.run(_serve(settings, options.kubeconfig, options.namespace))
    except UserError as error:
        pod.give_up(str(error))
    except OSError as error:
        pod.give_up(f"cannot listen on {settings.host}:{settings.port}: {error.strerror}; choose another --port")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    usual = GatewaySettings()
    parser = argparse.ArgumentParser(prog="gateway", description="One OpenAI-compatible endpoint for all models.")
    parser.add_argument("--host", default=pod.address(), help="address to listen on (default: the pod's own)")
    parser.add_argument("--port", type=int, default=usual.port)
    parser.add_argument("--namespace", default="", help="serve the models of one namespace only")
    parser.add_argument("--queue-seconds", type=float, default=usual.queue_seconds, help="hold a request this long")
    parser.add_argument("--queue-length", type=int, default=usual.queue_length, help="requests held per model")
    parser.add_argument("--api-keys", type=Path, help="file or directory (a mounted Secret) of accepted keys")
    parser.add_argument("--kubeconfig", type=Path, help="reach the cluster with this instead of the service account")
    return parser.parse_args(arguments)


async def _serve(settings: GatewaySettings, kubeconfig: Path | None, namespace: str) -> None:
    access = load([kubeconfig]) if kubeconfig else in_cluster()
    if access is None:
        raise UserError("there is no service account to reach the cluster with", "run in a pod, or give --kubeconfig")
    client = Client(HttpTransport(access), field_manager="gateway")
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    try:
        async with serving(settings) as (gateway, port):
            logging.getLogger(__name__).info("listening on %s:%d", settings.host, port)
            following = asyncio.create_task(Discovery(client, gateway.update, namespace=namespace).run())
            ended = asyncio.create_task(told.wait())
            await asyncio.wait({following, ended}, return_when=asyncio.FIRST_COMPLETED)
            gateway.draining = True
            if following.done():
                following.result()
            await asyncio.sleep(_LEAVE_SECONDS)
            following.cancel()
    finally:
        await client.close()


if __name__ == "__main__":
    main()
