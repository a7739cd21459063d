"""`argosy chat`"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from argosy.cli.connection import Connection, ContextOption, KubeconfigOption, connect
from argosy.cli.terminal import Format, Output, note, print_json, progress
from argosy.errors import ApiError, UserError
from argosy.meta.conditions import is_true
from argosy.meta.objects import name_of, namespace_of
from argosy.operators.inferenceservice.schema import INFERENCE_SERVICE
from argosy.sdk import endpoint


def command(
    message: Annotated[str, typer.Argument(help="One message; without it, a conversation.")] = "",
    model: Annotated[str, typer.Option(help="A model or adapter; default: the first that is ready.")] = "",
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest answer.")] = 128,
    temperature: Annotated[float, typer.Option(min=0.0, help="0: always the likeliest word.")] = 0.7,
    context: ContextOption = "",
    kubeconfig: KubeconfigOption = None,
    output: Output = Format.text,
) -> None:
    """Talk to a served model through the one endpoint; the answer streams.

    Example: argosy chat "What does asyncio.gather do?" --model demo
    """
    options = {"max_tokens": max_tokens, "temperature": temperature}
    asyncio.run(_chat(message, model, options, (context, kubeconfig), output))


async def _chat(
    message: str, model: str, options: dict[str, float], where: tuple[str, Path | None], output: Format
) -> None:
    async with connect(*where) as connection:
        chosen = model or await _first_model(connection)
        if message or output is Format.json:
            text = await _answer(connection, chosen, [{"role": "user", "content": message}], options, output)
            if output is Format.json:
                print_json({"model": chosen, "answer": text})
            return
        note(f"talking to {chosen}; end with ctrl-d")
        messages: list[dict[str, str]] = []
        while True:
            try:
                asked = await asyncio.to_thread(input, "> ")
            except EOFError:
                return
            messages.append({"role": "user", "content": asked})
            messages.append({"role": "assistant", "content": ""})
            messages[-1]["content"] = await _answer(connection, chosen, messages[:-1], options, output)


async def _answer(
    connection: Connection, model: str, messages: list[dict[str, str]], options: dict[str, float], output: Format
) -> str:
    parts: list[str] = []
    try:
        with progress(f"waiting for {model}") as line:
            async for part in endpoint.chat(connection.client, model, messages, options):
                line.close()
                parts.append(part)
                if output is Format.text:
                    sys.stdout.write(part)
                    sys.stdout.flush()
    except ApiError as error:
        raise UserError(f"{model} did not answer: {error.message}", "see: argosy ps inferenceservices") from None
    if output is Format.text:
        sys.stdout.write("\n")
    return "".join(parts)


async def _first_model(connection: Connection) -> str:
    try:
        served = await endpoint.models(connection.client)
    except ApiError as error:
        raise UserError(f"the gateway does not answer: {error.message}", "serve a model with: argosy serve") from None
    if not served:
        raise UserError("no model is served", "serve one with: argosy serve pvc://CLAIM/PATH --name NAME")
    services = (await connection.client.list(INFERENCE_SERVICE)).items
    ready = {name_of(service) for service in services if is_true(service, "Ready")}
    chosen = next((model for model in served if model in ready), "")
    if services and not chosen:
        waiting = name_of(services[0])
        where = f"-n {namespace_of(services[0])}"
        raise UserError(f"{waiting} is served, but not ready yet", f"see: argosy why isvc/{waiting} {where}")
    return chosen or served[0]
