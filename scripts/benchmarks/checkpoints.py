"""How long a checkpoint holds training up: half a gigabyte of model and optimizer, in the background and the plain way.

Both in one pod on PyTorch, one after the other, several times. Held up is the time within `save`, and that by which the next
optimizer step takes longer than usual, since it waits for the copy; the plain way is `torch.save` flushed to the disk.
"""

from __future__ import annotations

import json
from pathlib import Path

from argosy import kinds
from argosy.client.requests import Request
from argosy.meta.objects import Key
from benchmarks.engines import NAMESPACE, following, home, phase, pod, warm
from benchmarks.figures import Figure, quantile

_SECONDS_MAX = 600.0
_TRAIN = """
import json, os, time, torch
from statistics import median
from argosy.programs.saving import Checkpointer
model = torch.nn.Sequential(*(torch.nn.Linear(2048, 2048) for _ in range(10)))
optimizer = torch.optim.AdamW(model.parameters())
now, inputs = time.perf_counter, torch.randn(8, 2048)
def backward():
    model(inputs).square().mean().backward()
def step():
    began = now(); optimizer.step(); took = now() - began
    optimizer.zero_grad()
    return took
backward(); step()
saver = Checkpointer(model, optimizer, directory="/tmp/c", every=10**9, keep=1)
usual, held, plain = [], [], []
for number in range(8):
    for _ in range(3):
        backward(); usual.append(step())
    saver.step = number + 1
    began = now(); saver.save(); within = now() - began
    backward(); held.append(within + max(step() - median(usual), 0.0))
    saver.wait()
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    began = now()
    with open("/tmp/plain.pt", "wb") as file:
        torch.save(state, file); file.flush(); os.fsync(file.fileno())
    plain.append(now() - began)
size = os.stat("/tmp/plain.pt").st_size
print("figures=" + json.dumps({"held": held[1:], "plain": plain[1:], "size": size}))
"""


async def checkpoints() -> list[Figure]:
    """The median of seven each; the first, which has to find its memory, is left out."""
    async with home() as place:
        built = Path.home() / ".argosy" / "images"
        if built.is_dir():
            (place.path / "images").symlink_to(built)
        place.up()
        async with place.client() as client, following(client, kinds.POD) as pods:
            await warm(client)
            key = Key(NAMESPACE, "saves")
            await client.create(kinds.POD, pod(key.name, ["python", "-c", _TRAIN], image="argosy/torch"))
            if not await pods.until(lambda: phase(pods.get(key)) in ("Succeeded", "Failed"), _SECONDS_MAX):
                raise TimeoutError(f"{key.name} did not end within {_SECONDS_MAX:.0f} s")
            response = await client.raw(Request("GET", kinds.POD.path(NAMESPACE, key.name, "log")))
            body = b"".join([c async for c in response.chunks]) if response.chunks is not None else response.body
    said = body.decode()
    if "figures=" not in said:
        raise RuntimeError(f"the pod measured nothing: {said[-300:]}")
    found = json.loads(said.rsplit("figures=", 1)[1])
    held, plain = quantile(found["held"], 0.5), quantile(found["plain"], 0.5)
    return [
        Figure(
            f"a checkpoint of {found['size'] / 1e6:.0f} MB holds training up",
            f"{held * 1000:.0f} ms, {held / plain:.1%} of a plain one",
            "5% of it",
            f"torch.save and fsync in the same pod: {plain * 1000:.0f} ms",
        )
    ]
