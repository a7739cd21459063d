"""`argosy operators`"""

from __future__ import annotations

import asyncio
import logging
import re
import signal
from dataclasses import replace
from typing import Annotated

import typer

from argosy.cli.connection import ContextOption, KubeconfigOption, access
from argosy.cli.terminal import Format, Output, note, print_json
from argosy.client.kubeconfig import Access
from argosy.cluster.remote import operate
from argosy.errors import UserError
from argosy.operators.settings import OperatorSettings
from argosy.programs.initializer.bundle import archive

_GATEWAY = re.compile(r"(?P<namespace>[^/:]+)/(?P<service>[^/:]+)(:(?P<port>[0-9]+))?")


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
    settings = OperatorSettings(data_loader=archive())
    if model_server_image:
        settings = replace(settings, model_server_image=model_server_image)
    if init_image:
        settings = replace(settings, init_image=init_image)
    if gateway:
        settings = _with_gateway(settings, gateway)
    asyncio.run(_operate(access(context, kubeconfig), settings, as_json=output is Format.json))


def _with_gateway(settings: OperatorSettings, gateway: str) -> OperatorSettings:
    found = _GATEWAY.fullmatch(gateway)
    if found is None:
        raise UserError(f"{gateway!r} is no gateway", "give --gateway NAMESPACE/SERVICE or NAMESPACE/SERVICE:PORT")
    port = int(found["port"] or settings.gateway_port)
    return replace(settings, gateway_namespace=found["namespace"], gateway_service=found["service"], gateway_port=port)


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
