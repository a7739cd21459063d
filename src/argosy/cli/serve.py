"""`argosy serve`"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from argosy.cli.connection import ContextOption, KubeconfigOption, NamespaceOption, connect
from argosy.cli.terminal import Format, Output, Progress, print_json, progress, say
from argosy.errors import UserError
from argosy.meta.conditions import is_true
from argosy.meta.json import Obj, dig
from argosy.meta.objects import Key
from argosy.operators.inferenceservice.schema import INFERENCE_SERVICE
from argosy.programs.gateway.manifests import gateway_manifests
from argosy.sdk import waiting
from argosy.sdk.apply import apply
from argosy.sdk.serving import ServedModel, serving_objects
from argosy.sdk.training import parse_pairs


def command(
    model: Annotated[str, typer.Argument(help="Where the model lies, e.g. pvc://models/base.")],
    name: Annotated[str, typer.Option(help="Its name, as clients will write it.")],
    adapter: Annotated[list[str] | None, typer.Option(help="NAME=PATH of a LoRA adapter, repeatable.")] = None,
    min_: Annotated[int, typer.Option("--min", min=0, help="Fewest replicas.")] = 1,
    max_: Annotated[int, typer.Option("--max", min=1, help="Most replicas.")] = 1,
    target: Annotated[int, typer.Option(min=1, help="Requests in flight a replica should have.")] = 4,
    timeout: Annotated[float, typer.Option(help="Seconds to wait until it is ready; 0: do not wait.")] = 600,
    namespace: NamespaceOption = "",
    context: ContextOption = "",
    kubeconfig: KubeconfigOption = None,
    output: Output = Format.text,
) -> None:
    """Serve a model, with adapters, behind the one endpoint, and wait until it answers.

    Example: argosy serve pvc://models/base --name demo --adapter poet=adapters/poet --max 3
    """
    served = ServedModel(
        name=name,
        storage_uri=model,
        adapters=parse_pairs(adapter or [], "--adapter", example="poet=adapters/poet"),
        min_replicas=min_,
        max_replicas=max_,
        scale_target=target,
    )
    service = asyncio.run(_serve(served, timeout, (namespace, context, kubeconfig)))
    if output is Format.json:
        print_json(service)
    else:
        say(f"inferenceservice/{name} {'is ready' if timeout else 'applied'}; talk to it: argosy chat --model {name}")


async def _serve(served: ServedModel, timeout: float, where: tuple[str, str, Path | None]) -> Obj:
    namespace, context, kubeconfig = where
    async with connect(context, kubeconfig, namespace) as connection:
        objects = [*gateway_manifests(), *serving_objects(served, connection.namespace)]
        applied = await apply(connection.client, objects)
        if not timeout:
            return applied[-1].obj
        with progress(f"inferenceservice/{served.name}: starting") as shown:
            return await waiting.until(
                connection.client, INFERENCE_SERVICE, Key(connection.namespace, served.name),
                _ready_or_raise, timeout_seconds=timeout,
                seen=lambda obj: _tell(shown, obj),
                held_up=lambda because: shown.update(f"inferenceservice/{served.name}: {because}"),
            )  # fmt: skip


def _ready_or_raise(service: Obj) -> bool:
    """Whether it is ready. Raises UserError when the model cannot be loaded: waiting longer does not help."""
    if dig(service, "status", "modelStatus", "transitionStatus") == "BlockedByFailedLoad":
        why = dig(service, "status", "modelStatus", "lastFailureInfo", "message", default="it did not say why")
        name = service["metadata"]["name"]
        raise UserError(f"the model {name} does not load: {why}", f"see: argosy why isvc/{name}")
    return is_true(service, "Ready")


def _tell(shown: Progress, obj: Obj) -> None:
    waiting_for = [c for c in dig(obj, "status", "conditions", default=()) if _hinders(c)]
    text = "; ".join(f"{c['type']}: {c.get('message') or c.get('reason') or 'not yet'}" for c in waiting_for[:2])
    shown.update(f"inferenceservice/{obj['metadata']['name']}: {text or 'starting'}")


def _hinders(condition: Obj) -> bool:
    """Whether a condition says what is still missing; those of severity Info, such as Stopped, do not."""
    return condition.get("status") != "True" and condition.get("severity") != "Info"
