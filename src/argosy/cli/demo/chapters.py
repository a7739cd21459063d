"""The chapters of the demo, each a function of the stage, in the order in which `story` tells them."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import aclosing
from pathlib import Path

import aiohttp

from argosy import kinds
from argosy.cli.demo.stage import Stage, is_available
from argosy.cli.demo.story import burst_line, most_ready, read_result, read_resumed, read_sample, read_step
from argosy.errors import UserError
from argosy.meta.conditions import is_true
from argosy.meta.json import Obj, decode, dig
from argosy.meta.objects import Key, uid_of
from argosy.operators.inferenceservice.schema import INFERENCE_SERVICE
from argosy.operators.pytorchjob.schema import PYTORCH_JOB
from argosy.programs.demo import manifests
from argosy.programs.demo.variants import VARIANTS
from argosy.programs.gateway.manifests import gateway_manifests
from argosy.sdk import waiting

PRETRAIN, SERVED = "pretrain", "demo"
_KILL_SHARE = 0.45
"""The worker dies when this share of the steps is done."""
_BURST_SECONDS, _BURST_CONCURRENCY, _BURSTS_MAX = 14, 16, 5
"""A slow machine needs more than one burst until the second replica has loaded the model."""


async def prepare(stage: Stage) -> None:
    """Clear what an earlier, perhaps interrupted run left; start MLflow and the gateway."""
    async with stage.chapter("Tracking and the endpoint: MLflow and the gateway start as pods") as shown:
        await asyncio.gather(
            *(stage.remove(PYTORCH_JOB, name) for name in (PRETRAIN, *(f"finetune-{v}" for v in VARIANTS))),
            *(stage.remove(kinds.JOB, name) for name in ("register", *_burst_names())),
            stage.remove(INFERENCE_SERVICE, SERVED),
        )
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": stage.plan.namespace}}
        await stage.apply(namespace, *manifests.claims(stage.plan), *manifests.mlflow(stage.plan))
        await stage.apply(*gateway_manifests(), *manifests.ingresses(stage.plan))
        await stage.until(kinds.DEPLOYMENT, "gateway", is_available, shown, stage.plan.gateway_namespace)
        await stage.until(kinds.DEPLOYMENT, "mlflow", is_available, shown)


async def bring_text(stage: Stage, text: Path) -> None:
    """Put a text of the person's own on the volume that the training pods mount.

    Raises UserError where the volume is not a directory of this machine.
    """
    bound = await waiting.until(
        stage.client, kinds.PERSISTENT_VOLUME_CLAIM, Key(stage.plan.namespace, "models"),
        lambda claim: dig(claim, "status", "phase") == "Bound", timeout_seconds=30,
    )  # fmt: skip
    volume = await stage.client.get(kinds.PERSISTENT_VOLUME, bound["spec"]["volumeName"])
    directory = Path(dig(volume, "spec", "hostPath", "path", default=""))
    if not directory.is_absolute():
        raise UserError("the claim models is not on this machine", "copy the text there with: kubectl cp")
    directory.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(text, directory / stage.plan.data)


async def pretrain(stage: Stage) -> None:
    """Pre-train on two pods, kill one in mid-run, see the gang come back."""
    async with stage.chapter("Pre-training a Llama-shaped model on two pods (PyTorch DDP)") as shown:
        await stage.apply(manifests.pretrain(stage.plan))
        curve = stage.story.curves.setdefault("pretrain", [])
        first = await _first_life(stage)
        killed_at = stage.seconds()
        master = await stage.client.get(kinds.POD, f"{PRETRAIN}-master-0", stage.plan.namespace)
        worker = Key(stage.plan.namespace, f"{PRETRAIN}-worker-0")
        stage.tell(f"          killing {worker.name} at step {first} (SIGKILL)")
        stage.moment(f"{worker.name} killed")
        await stage.client.delete(kinds.POD, worker, grace_seconds=0)
        await _second_life(stage, uid_of(master), killed_at)
        await stage.until(PYTORCH_JOB, PRETRAIN, waiting.succeeded_or_raise, shown)
    loss, baseline = stage.story.facts["held-out loss"], stage.story.facts["unigram entropy"]
    stage.tell(f"          {len(curve)} reports; held-out loss {loss} against a unigram entropy of {baseline}")
    for sample in stage.story.samples:
        stage.tell(f"          it writes: {sample}")


async def fine_tune(stage: Stage) -> None:
    """Three LoRA variants at once, and the best of them registered."""
    async with stage.chapter("Fine-tuning three LoRA variants at the same time") as shown:
        await stage.apply(*manifests.finetunes(stage.plan))
        await asyncio.gather(
            *(stage.until(PYTORCH_JOB, f"finetune-{v}", waiting.succeeded_or_raise, shown) for v in VARIANTS)
        )
        for variant in VARIANTS:
            text = await _log(stage, f"finetune-{variant}-master-0")
            steps = [step for line in text.splitlines() if (step := read_step(line))]
            stage.story.curves[f"finetune-{variant}"] = steps
            results = [line for line in text.splitlines() if "held_out_loss" in line]
            stage.tell(f"          {variant}: {results[-1] if results else 'done'}")
    async with stage.chapter("Registering the best of them in MLflow") as shown:
        await stage.apply(manifests.register(stage.plan))
        await stage.until(kinds.JOB, "register", _complete_or_raise, shown)
        said = _last_json(await _job_log(stage, "register"))
        stage.story.facts["registered"] = f"{said['model']} version {said['version']}, alias {said['alias']}"
        stage.tell(f"          {stage.story.facts['registered']}: {said.get('run_name') or said.get('run')}")


async def serve(stage: Stage) -> None:
    """Base model and adapters behind the one endpoint, and the chat app on top."""
    async with stage.chapter("Serving base model and adapters behind one endpoint; a chat app on top") as shown:
        began = stage.seconds()
        await stage.apply(manifests.inference_service(stage.plan), *manifests.chat(stage.plan))
        await stage.until(INFERENCE_SERVICE, SERVED, lambda obj: is_true(obj, "Ready"), shown)
        stage.story.facts["model ready after"] = f"{stage.seconds() - began:.1f} s"
        answer = await _completion(stage)
        stage.tell(f"          models: {stage.story.facts['models']}")
        stage.tell(f"          first answer, streamed in {stage.story.facts['chunks']} chunks: {answer!r}")
        await stage.until(kinds.DEPLOYMENT, "chat", is_available, shown)
        await _page(stage, "/chat/", "chat app")


async def scale(stage: Stage) -> None:
    """A burst of requests scales the model out, quiet scales it in."""
    async with stage.chapter(f"A burst of requests scales the model 1 → {stage.plan.max_replicas} → 1") as shown:
        watcher = asyncio.create_task(_watch_replicas(stage))
        try:
            for number, name in enumerate(_burst_names(), 1):
                await stage.apply(manifests.burst(stage.plan, _BURST_SECONDS, _BURST_CONCURRENCY, number))
                await stage.until(kinds.JOB, name, _complete_or_raise, shown)
                stage.story.facts["burst"] = burst_line(_last_json(await _job_log(stage, name)))
                stage.tell(f"          {stage.story.facts['burst']}")
                if most_ready(stage.story) > 1:
                    break
            await stage.until(
                kinds.DEPLOYMENT, f"{SERVED}-predictor",
                lambda obj: dig(obj, "spec", "replicas") == 1 and dig(obj, "status", "replicas") == 1, shown,
            )  # fmt: skip
            stage.story.replicas.append((stage.seconds(), 1))
        finally:
            watcher.cancel()
        counts = [ready for _, ready in stage.story.replicas]
        path = " → ".join(str(ready) for at, ready in enumerate(counts) if at == 0 or counts[at - 1] != ready)
        stage.story.facts["replicas"] = path
        stage.tell(f"          ready replicas: {path}")
        if most_ready(stage.story) < 2:
            raise UserError("the burst did not scale the model", "see: argosy why isvc/demo -n demo")


def _burst_names() -> list[str]:
    return [f"burst-{number}" for number in range(1, _BURSTS_MAX + 1)]


async def _first_life(stage: Stage) -> int:
    """Follow the first master until it is time to kill; its last reported step."""
    target = int(stage.plan.steps * _KILL_SHARE)
    async with aclosing(stage.lines(f"{PRETRAIN}-master-0")) as lines:
        async for line in lines:
            step = read_step(line)
            if step is None:
                continue
            _report(stage, step.step, line)
            stage.story.curves["pretrain"].append(step)
            if step.step >= target:
                return step.step
    raise UserError(
        "pre-training ended before its worker could be killed", "see: argosy why pytorchjob/pretrain -n demo"
    )


async def _second_life(stage: Stage, first_uid: str, killed_at: float) -> None:
    """Follow the restarted master to its end."""
    resumed = False
    async with aclosing(stage.lines(f"{PRETRAIN}-master-0", other_than=first_uid)) as lines:
        async for line in lines:
            at = read_resumed(line)
            if at is not None:
                stage.story.facts["resumed from step"] = str(at)
                stage.tell(f"          the gang restarted and resumed from step {at}")
            step = read_step(line)
            if step is not None:
                _report(stage, step.step, line)
                stage.story.curves["pretrain"].append(step)
            if step is not None and not resumed:
                resumed = True
                stage.story.facts["killed → first new step"] = f"{stage.seconds() - killed_at:.1f} s"
                stage.moment("training again")
            result = read_result(line)
            if result:
                stage.story.facts["held-out loss"] = f"{result[0]:.2f} nats/token"
                stage.story.facts["unigram entropy"] = f"{result[1]:.2f} nats/token"
            sample = read_sample(line)
            if sample:
                stage.story.samples.append(sample)
    if "held-out loss" not in stage.story.facts:
        raise UserError("pre-training did not report its result", "see: argosy logs pytorchjob/pretrain -n demo")


def _report(stage: Stage, step: int, line: str) -> None:
    if step % 25 == 0:
        stage.tell(f"          {line}")


async def _completion(stage: Stage) -> str:
    """One chat completion through the printed endpoint, streamed; also lists the models."""
    question = {"role": "user", "content": "What does asyncio.gather do?"}
    body = {"model": SERVED, "messages": [question], "max_tokens": 40, "stream": True, "temperature": 0.7, "seed": 1}
    parts: list[str] = []
    async with aiohttp.ClientSession(stage.ingress) as session:
        async with session.get("/v1/models") as answer:
            listed = await answer.json(content_type=None)
            stage.story.facts["models"] = ", ".join(model["id"] for model in listed["data"])
        async with session.post("/v1/chat/completions", json=body) as answer:
            if answer.status != 200:
                raise UserError(
                    f"the endpoint answered {answer.status}: {await answer.text()}", "see: argosy why isvc/demo -n demo"
                )
            async for line in answer.content:
                if line.startswith(b"data: {"):
                    parts += [dig(decode(line[6:]), "choices", 0, "delta", "content", default="")]
    stage.story.facts["an answer streamed"] = f"{len(parts)} chunks"
    return "".join(parts)


async def _page(stage: Stage, path: str, what: str) -> None:
    async with aiohttp.ClientSession(stage.ingress) as session, session.get(path) as answer:
        if answer.status != 200:
            raise UserError(f"the {what} at {stage.ingress}{path} answered {answer.status}", "see: argosy ps pods")


async def _watch_replicas(stage: Stage) -> None:
    kind, key = kinds.DEPLOYMENT, Key(stage.plan.namespace, f"{SERVED}-predictor")

    def seen(obj: Obj) -> None:
        ready = int(dig(obj, "status", "readyReplicas", default=0))
        if not stage.story.replicas or stage.story.replicas[-1][1] != ready:
            stage.story.replicas.append((stage.seconds(), ready))

    await waiting.until(stage.client, kind, key, lambda _: False, timeout_seconds=3600, seen=seen)


async def _job_log(stage: Stage, job: str) -> str:
    pods = await stage.client.list(kinds.POD, stage.plan.namespace, labels=f"job-name={job}")
    return "\n".join([await _log(stage, pod["metadata"]["name"]) for pod in pods.items])


async def _log(stage: Stage, pod: str) -> str:
    chunks = stage.client.logs(kinds.POD, Key(stage.plan.namespace, pod))
    return b"".join([chunk async for chunk in chunks]).decode(errors="replace")


def _complete_or_raise(job: Obj) -> bool:
    if is_true(job, "Failed"):
        name = job["metadata"]["name"]
        raise UserError(f"the job {name} failed", f"see: argosy logs job/{name} -n {job['metadata']['namespace']}")
    return is_true(job, "Complete")


def _last_json(text: str) -> Obj:
    """The JSON object that a program printed last, on one line or many."""
    start = text.rfind("\n{") + 1
    try:
        found = decode(text[start:])
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {}
