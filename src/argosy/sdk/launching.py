"""From what a person wants to a job that runs: what `argosy train`, `argosy sweep` and `argosy.sdk.train` share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from argosy.client.client import Client
from argosy.errors import AlreadyExists, NotFound, UserError
from argosy.meta.json import Obj
from argosy.meta.objects import annotations_of, key_of, name_of, namespace_of
from argosy.operators.gang import datasets
from argosy.operators.pytorchjob.schema import PYTORCH_JOB
from argosy.operators.tracking import job as tracking
from argosy.sdk import lineage, waiting
from argosy.sdk.following import Follower, follow
from argosy.sdk.shipping import free_name, shipment, submit
from argosy.sdk.training import Shipment, TrainingRun, image_named, training_job
from argosy.sdk.workspace import Workspace

_LOOK_AGAIN_SECONDS = 0.5
_CHECKPOINT_DIR = f"{lineage.PREFIX}checkpoint-dir"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person wants to run; see `TrainingRun`."""

    command: tuple[str, ...]
    name: str = ""
    """The job's name; empty to have a free one made of `named_after`."""
    named_after: str = "train"
    nodes: int = 1
    image: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    resources: Mapping[str, str] = field(default_factory=dict)
    processes: int = 1
    claim: str = ""
    cache: str = ""
    data: Mapping[str, str] = field(default_factory=dict)
    """Data sets: name → URI."""
    data_secret: str = ""
    """A Secret with the credentials for them."""
    backoff_limit: int = 3
    register: str = ""
    """The registered model in the cluster's MLflow that gets a version when the job succeeds."""


@dataclass(frozen=True, slots=True)
class Launch:
    """A wish, and the code that it is about."""

    wish: Wish
    workspace: Workspace
    requirements: str = ""
    """A requirements file of the workspace, `none`, or empty to look for one."""
    added: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A run and its shipment, ready to be made a job of."""

    run: TrainingRun
    sent: Shipment


async def prepare(client: Client, wanted: Launch, namespace: str, name: str) -> Prepared:
    """Pack the code, and write down what the run is made from. Raises UserError."""
    wish = wanted.wish
    wrong = tracking.unfit(wish.register)
    if wrong:
        raise UserError(wrong, "choose another name to register the model by")
    sent = await asyncio.to_thread(shipment, wanted.workspace, chosen=wanted.requirements, added=dict(wanted.added))
    git = await asyncio.to_thread(lineage.of_git, wanted.workspace.root)
    image = image_named(wish.image)
    facts = lineage.recorded(git, wish.command, image, sent.requirements, sent.packed.digest[:20])
    address = await lineage.tracking(client, namespace)
    made = {"metadata": {"name": name, "namespace": namespace}}
    env = lineage.tracking_environment(address, wish.named_after, made, PYTORCH_JOB, facts) | dict(wish.env)
    if wish.register:
        facts[tracking.REGISTER] = wish.register
    if wish.claim and "CHECKPOINT_DIR" not in env:
        facts[_CHECKPOINT_DIR] = f"/data/checkpoints/{name}"
    if wish.data:
        pairs = "\n".join(f"{name}={uri}" for name, uri in wish.data.items())
        given = {datasets.DATASETS: pairs, datasets.SECRET: wish.data_secret, datasets.CACHE: wish.cache}
        facts |= {name: value for name, value in given.items() if value}
    run = TrainingRun(
        name=name, command=wish.command, nodes=wish.nodes, image=wish.image, env=env, resources=wish.resources,
        claim=wish.claim, cache=wish.cache, processes=wish.processes, backoff_limit=wish.backoff_limit,
        annotations=facts,
    )  # fmt: skip
    return Prepared(run, sent)


async def launch(client: Client, wanted: Launch, namespace: str) -> Obj:
    """Make the PyTorchJob; where its name was chosen and such a job is there with the same code and command, that one.

    Raises UserError and ApiError.
    """
    wish = wanted.wish
    name = wish.name or await free_name(client, PYTORCH_JOB, namespace, wish.named_after)
    prepared = await prepare(client, wanted, namespace, name)
    job = training_job(prepared.run, prepared.sent, namespace)
    try:
        return await submit(client, PYTORCH_JOB, job, prepared.sent)
    except AlreadyExists:
        if not wish.name:
            return await launch(client, replace(wanted, wish=replace(wish, name="")), namespace)
        there = await client.get(PYTORCH_JOB, name, namespace)
        if _same(there, job):
            return there
        raise UserError(
            f"pytorchjob/{name} is there already, with other code or another command",
            f"delete it (kubectl delete pytorchjob {name} -n {namespace}), or choose another --name",
        ) from None


def _same(there: Obj, job: Obj) -> bool:
    return all(
        annotations_of(there).get(f"{lineage.PREFIX}{name}") == annotations_of(job).get(f"{lineage.PREFIX}{name}")
        for name in ("command", "workspace-digest", "environment")
    )


async def until_registered(client: Client, job: Obj, seconds: float = 30.0) -> Obj:
    """A job that has succeeded, once its model is registered where that was asked for, or after this time; at once where no
    server was known when it was made.
    """
    if tracking.URI not in tracking.environment(job):
        return job
    try:
        async with asyncio.timeout(seconds):
            while tracking.model(job) and tracking.REGISTERED not in annotations_of(job):
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
                job = await client.get(PYTORCH_JOB, name_of(job), namespace_of(job))
    except (TimeoutError, NotFound):
        pass
    return job


async def follow_to_the_end(
    client: Client,
    job: Obj,
    *,
    write: Callable[[bytes], None] | None = None,
    seen: Callable[[Obj], None] = lambda _: None,
    held_up: Callable[[str], None] | None = None,
    timeout_seconds: float = 86_400,
) -> Obj:
    """Wait for a job's end; its pods' output goes to `write`, as it comes, `seen` and `held_up` hear what `waiting.until`
    tells. Raises UserError when it fails, or when its pods cannot be started at all.
    """
    key = key_of(job)
    follower = Follower(client, key.namespace, f"training.kubeflow.org/job-name={name_of(job)}", write)
    verdict = waiting.succeeded_or_raise
    ending = waiting.until(
        client, PYTORCH_JOB, key, verdict, timeout_seconds=timeout_seconds, seen=seen, held_up=held_up
    )
    return await follow(follower, ending)
