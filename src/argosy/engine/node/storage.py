"""Limits on what a pod writes: `ephemeral-storage` of its containers, `sizeLimit` of its emptyDirs.

No file system here has quotas for them, so what a pod with such a limit has written is added up now and then, and a pod
that has written more is evicted in the kubelet's words. Pods without limits cost nothing. `worker` runs `watch`; the rules
(`limits_of`, `excess`) are pure.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from argosy.meta.json import Obj, dig
from argosy.meta.quantity import parse

PAUSE_SECONDS = 2.0
_COSTLY = 20
"""Adding up takes at most this fraction of the time: whoever writes a million files is looked at less often."""
_BLOCK_BYTES = 512


@dataclass(frozen=True, slots=True)
class StorageLimits:
    """Bytes, by name, and the quantities as they were written."""

    containers: Mapping[str, int] = field(default_factory=dict)
    volumes: Mapping[str, int] = field(default_factory=dict)
    total: int | None = None
    told: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Written:
    """What a pod has written, in bytes."""

    containers: Mapping[str, int]
    """Writable layers and logs."""
    volumes: Mapping[str, int]
    """emptyDirs on disk and in memory."""
    on_disk: int
    """All that counts as the pod's ephemeral storage."""


def limits_of(pod: Obj) -> StorageLimits | None:
    """A pod's limits; None when there are none."""
    containers, volumes, told = {}, {}, {}
    every = pod["spec"].get("containers") or ()
    for container in (*every, *(pod["spec"].get("initContainers") or ())):
        text = dig(container, "resources", "limits", "ephemeral-storage")
        if text is not None:
            containers[str(container["name"])], told[str(container["name"])] = parse(str(text)).value, str(text)
    for volume in pod["spec"].get("volumes") or ():
        text = dig(volume, "emptyDir", "sizeLimit")
        if text is not None and parse(str(text)).value:
            volumes[str(volume["name"])], told[f"volume {volume['name']}"] = parse(str(text)).value, str(text)
    if not containers and not volumes:
        return None
    main = [str(c["name"]) for c in every]
    total = sum(containers[name] for name in main) if all(name in containers for name in main) else None
    return StorageLimits(containers, volumes, total, told)


def excess(limits: StorageLimits, written: Written) -> str:
    """What has been exceeded, as the kubelet says it; empty when nothing has."""
    for name, bytes in limits.volumes.items():
        if written.volumes.get(name, 0) > bytes:
            return f'Usage of EmptyDir volume "{name}" exceeds the limit "{limits.told[f"volume {name}"]}". '
    if limits.total is not None and written.on_disk > limits.total:
        text = ", ".join(limits.told[name] for name in limits.containers)
        return f"Pod ephemeral local storage usage exceeds the total limit of containers {text}. "
    for name, bytes in limits.containers.items():
        if written.containers.get(name, 0) > bytes:
            return f'Container {name} exceeded its local ephemeral storage limit "{limits.told[name]}". '
    return ""


def measure(pod: Obj, directory: Path, volumes: Mapping[str, Path]) -> Written:
    """Add up what a pod has written. `directory` is its own on disk, `volumes` says where each lies."""
    containers: dict[str, int] = {}
    for entry in _entries(directory):
        if ".log" in entry.name:
            name = entry.name.rpartition(".log")[0].rpartition("-")[0]
            containers[name] = containers.get(name, 0) + _own(entry)
    for entry in _entries(directory / "runtime"):
        if entry.name.endswith(".root"):
            name = entry.name.removesuffix(".root").rpartition("-")[0]
            containers[name] = containers.get(name, 0) + _below(entry.path)
    empty = {str(v["name"]): v["emptyDir"] for v in pod["spec"].get("volumes") or () if v.get("emptyDir") is not None}
    held = {name: _below(str(volumes[name])) for name in empty if name in volumes}
    on_disk = sum(bytes for name, bytes in held.items() if empty[name].get("medium") != "Memory")
    return Written(containers, held, sum(containers.values()) + on_disk)


async def watch(pod: Obj, limits: StorageLimits, directory: Path, volumes: Mapping[str, Path]) -> str:
    """Wait until a pod has written more than it may; what it has exceeded."""
    pause = PAUSE_SECONDS
    while True:
        await asyncio.sleep(pause)
        began = time.monotonic()
        found = excess(limits, await asyncio.to_thread(measure, pod, directory, volumes))
        if found:
            return found
        pause = max(PAUSE_SECONDS, _COSTLY * (time.monotonic() - began))


def _entries(directory: Path) -> list[os.DirEntry[str]]:
    try:
        return list(os.scandir(directory))
    except OSError:
        return []


def _own(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_blocks * _BLOCK_BYTES
    except OSError:
        return 0


def _below(directory: str) -> int:
    total = 0
    waiting = [directory]
    while waiting:
        try:
            entries = list(os.scandir(waiting.pop()))
        except OSError:
            continue
        for entry in entries:
            total += _own(entry)
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
    return total
