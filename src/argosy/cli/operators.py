"""`argosy operators`"""

from __future__ import annotations

import asyncio
import logging
import signal
from typing import Annotated

import typer

from argosy.cli.connection import ContextOption, KubeconfigOption, access
from argosy.cli.terminal import Format, Output, note, print_json
from argosy.client.kubeconfig import Access
from argosy.cluster.remote import operate
from argosy.operators.settings import OperatorSettings


def command(
    model_server_image: Annotated[str, typer.Option(help="The image that serves `huggingface` models.")] = "",
    init_image: Annotated[str, typer.Option(help="The image whose sh waits for a job's master.")] = "",
    gateway: Annotated[str, typer.Option(help="NAMESPACE/SERVICE:PORT of the gateway.")] = "",
    context: ContextOption = "",
    kubeconfig: KubeconfigOption = None,
    output: Output = Format.text,
) -> None:
    """Run the operators against whatever cluster the kubeconfig names, from outside it, until interrupted.

    Example: argosy operators --context prod
    """
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname).1s %(name)s: %(message)s")
    chosen: dict[str, object] = {}
    if model_server_image:
        chosen["model_server_image"] = model_server_image
    if init_image:
        chosen["init_image"] = init_image
    if gateway:
        namespace, _, rest = gateway.partition("/")
        service, _, port = rest.partition(":")
        chosen |= {"gateway_namespace": namespace, "gateway_service": service, "gateway_port": int(port or 8000)}
    settings = OperatorSettings(**chosen)  # type: ignore[arg-type]
    asyncio.run(_operate(access(context, kubeconfig), settings, as_json=output is Format.json))


async def _operate(found: Access, settings: OperatorSettings, *, as_json: bool) -> None:
    def tell(text: str) -> None:
        if as_json:
            print_json({"server": found.server, "message": text})
        else:
            note(text)

    task = asyncio.ensure_future(operate(found, settings, tell))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        tell("ended")
