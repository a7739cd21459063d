"""A small world on a real engine in which anything may be killed at any time, and the question whether all is well again.

`test_random_kills` drives it. Everything it looks at is this machine's own: processes, mounts, namespaces, network links,
control groups, files; beside what the API says. A complaint is a sentence; no complaint means that the world is exactly
what its spec asks for and nothing else.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import time
import zlib
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from engine_home import EngineHome

from argosy import kinds
from argosy.client.client import Client
from argosy.engine.node.records import memory_directory
from argosy.engine.node.runtime.holder import processes
from argosy.engine.node.runtime.runs import StateFile, read_state
from argosy.engine.node.runtime.spec import Level
from argosy.errors import ApiError, NotFound
from argosy.meta.json import Obj, dig
from argosy.meta.objects import Key, key_of, labels_of, name_of, uid_of

CALM_SECONDS = 45.0
_LOOK_SECONDS = 0.02
_LAYER_SECONDS = 10.0
"""The layer of a run that has ended goes a little later, unless its pod goes first."""
_PLACE = "default"


class Upheaval:
    """The world of one home. `client` is replaced by the driver when the engine has come up again."""

    def __init__(self, home: EngineHome, client: Client, seed: int) -> None:
        self.home = home
        self.client = client
        self.engine = 0
        self.lots = random.Random(seed)
        self.wanted = {"web": 3, "db": 2}
        self.story: list[str] = []
        self.acknowledged = 0
        self._jobs = 0
        self._unfinished: set[str] = set()

    # -- the world

    async def begin(self) -> None:
        """Make the workloads."""
        await self.client.create(kinds.CONFIG_MAP, _config_map(0))
        await self.client.create(kinds.DEPLOYMENT, _workload("Deployment", "web", self.wanted["web"]))
        await self.client.create(
            kinds.STATEFUL_SET, _workload("StatefulSet", "db", self.wanted["db"], serviceName="db")
        )

    async def write(self) -> None:
        """A write whose answer is remembered: what was acknowledged must be there for ever after."""
        with suppress(ApiError, ConnectionError):
            await self.client.patch(kinds.CONFIG_MAP, Key(_PLACE, "written"), _config_map(self.acknowledged + 1))
            self.acknowledged += 1

    # -- what happens to it

    async def shake(self) -> bool:
        """One to three things at nearly the same time; whether the engine is still there."""
        alive = True
        for _ in range(self.lots.choice((1, 1, 2, 3))):
            blow = self.lots.choices(list(_BLOWS), weights=list(_BLOWS.values()))[0]
            self.story.append(blow)
            if blow == "engine":
                os.kill(self.engine, signal.SIGKILL)
                alive = False
                continue
            if blow in {"scale", "delete", "job"} and not alive:
                continue
            with suppress(ApiError, ConnectionError, ProcessLookupError):
                await getattr(self, f"_{blow}")()
            if self.lots.random() < 0.5:
                await asyncio.sleep(self.lots.random() * 0.05)
        return alive

    async def _command(self) -> None:
        run = self._victim()
        if run is not None:
            os.kill(run.command_pid, signal.SIGKILL)

    async def _shim(self) -> None:
        run = self._victim()
        if run is not None:
            os.kill(run.pid, signal.SIGKILL)

    async def _holder(self) -> None:
        for pid in self._holders():
            os.kill(pid, signal.SIGKILL)

    async def _scale(self) -> None:
        self.wanted["web"] = replicas = self.lots.randint(2, 5)
        await self.client.patch(kinds.DEPLOYMENT, Key(_PLACE, "web"), {"spec": {"replicas": replicas}})

    async def _delete(self) -> None:
        pods = sorted(await self._pods(), key=name_of)
        pod = self.lots.choice(pods)
        await self.client.delete(kinds.POD, key_of(pod), grace_seconds=self.lots.choice((0, 1)))

    async def _job(self) -> None:
        self._jobs += 1
        name = f"job-{self._jobs}"
        await self.client.create(kinds.JOB, _task(name))
        self._unfinished.add(name)

    def _victim(self) -> StateFile | None:
        """A run that was not killed before: one that was sits out a back-off, as it should."""
        runs = [run for run in self._runs() if run.attempt == 0]
        return self.lots.choice(sorted(runs, key=lambda run: run.id)) if runs else None

    async def renew(self) -> None:
        """Delete pods that were killed: their next end would be answered by a back-off, which takes its time."""
        for pod in await self._pods():
            if any(int(c.get("restartCount") or 0) for c in dig(pod, "status", "containerStatuses", default=())):
                with suppress(NotFound):
                    await self.client.delete(kinds.POD, key_of(pod), grace_seconds=0)

    # -- is it well

    async def calm(self) -> list[str]:
        """Wait until there is nothing to complain of; the complaints that remain when that takes too long."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + CALM_SECONDS
        found = ["it was never looked at"]
        while found and loop.time() < deadline:
            try:
                found = [*await self._spec(), *await self._machine()]
            except (ConnectionError, OSError) as error:
                found = [f"the engine does not answer: {error}"]
            if found:
                await asyncio.sleep(_LOOK_SECONDS)
        return found

    async def _spec(self) -> list[str]:
        """What differs from the spec."""
        found = []
        counts: Counter[str] = Counter()
        for pod in await self._pods():
            if dig(pod, "status", "phase") in {"Succeeded", "Failed"} and "job" in labels_of(pod):
                continue
            ready = [c for c in dig(pod, "status", "conditions", default=()) if c.get("type") == "Ready"]
            if pod["metadata"].get("deletionTimestamp") or not ready or ready[0].get("status") != "True":
                found.append(f"pod {name_of(pod)} is {dig(pod, 'status', 'phase')}: {_states(pod)}")
            counts[labels_of(pod).get("app", "job")] += 1
        found += [
            f"{n} pods of {app} instead of {self.wanted[app]}"
            for app, n in counts.items()
            if app in self.wanted and n != self.wanted[app]
        ]
        found += [f"no pod of {app}" for app in self.wanted if not counts[app]]
        for name in sorted(self._unfinished):
            job = await self.client.get(kinds.JOB, name, _PLACE)
            if not any(c.get("type") == "Complete" for c in dig(job, "status", "conditions", default=())):
                found.append(f"job {name} is not complete: {job.get('status')}")
            else:
                self._unfinished.discard(name)
                await self.client.delete(kinds.JOB, key_of(job))
        held = await self.client.get(kinds.CONFIG_MAP, "written", _PLACE)
        if int(held["data"]["count"]) < self.acknowledged:
            found.append(f"an acknowledged write is lost: {held['data']['count']} < {self.acknowledged}")
        return found

    async def _machine(self) -> list[str]:
        """What is on this machine and should not be, or the other way round."""
        pods = {uid_of(pod): pod for pod in await self._pods()}
        runs = list(self._runs())
        found = [*self._files(set(pods)), *self._processes(pods, runs)]
        addresses = Counter(str(a) for pod in pods.values() if (a := dig(pod, "status", "podIP")))
        found += self._namespaces(addresses, runs)
        found += [f"{n} pods have the address {a}" for a, n in addresses.items() if n > 1]
        found += [
            f"mount {line}"
            for line in Path("/proc/self/mounts").read_text().splitlines()
            if str(self.home.path) in line
        ]
        groups = [p for base in self._groups() for p in base.iterdir() if p.is_dir()]
        known = {run.id.replace("/", "_") for run in runs}
        return found + [f"control group {path}" for path in groups if path.name not in known]

    def _files(self, uids: set[str]) -> Iterator[str]:
        places = {
            "directory": {p.name for p in (self.home.path / "pods").iterdir()},
            "memory": {p.name for p in memory_directory(self.home.path).iterdir() if p.name != ".home"},
            "record": {p.stem for p in (self.home.path / "run" / "pods").glob("*.json")},
        }
        for what, there in places.items():
            yield from (f"a {what} of the pod {uid}, which is gone" for uid in there - uids)
            yield from (f"no {what} of the pod {uid}" for uid in uids - there)
        for uid in uids:
            runtime = self.home.path / "pods" / uid / "runtime"
            for root in runtime.glob("*.root") if runtime.exists() else ():
                with suppress(FileNotFoundError):
                    told = root.with_suffix(".json")
                    run = read_state(told)
                    ended = run is None or run.finished_at or not processes.is_alive(run.pid, run.start_time)
                    if ended and time.time() - told.stat().st_mtime > _LAYER_SECONDS:
                        yield f"the layer {root} of a run that has ended"

    def _processes(self, pods: dict[str, Obj], runs: list[StateFile]) -> Iterator[str]:
        statuses = [c for pod in pods.values() for c in dig(pod, "status", "containerStatuses", default=())]
        told = {str(c.get("containerID")).removeprefix("argosy://") for c in statuses if dig(c, "state", "running")}
        there = {run.id for run in runs}
        yield from (f"the API tells of the run {run}, which is not there" for run in told - there)
        yield from (f"the run {run} is there, and the API does not tell" for run in there - told)
        shims = {run.pid for run in runs}
        holders = self._holders()
        for pid in self._named("argosy-shim"):
            if pid not in shims:
                yield f"the shim {pid} supervises nothing that is known"
        if len(holders) != 1:
            yield f"{len(holders)} holders"
        for run in runs:
            if processes.children(run.pid) != [run.command_pid]:
                yield f"the shim of {run.id} has the children {processes.children(run.pid)}"

    def _namespaces(self, addresses: Collection[str], runs: Collection[StateFile]) -> Iterator[str]:
        if self.home.level is not Level.L2:
            return
        for holder in self._holders():
            held = set(_links(Path(f"/proc/{holder}/fd")))
            lived_in = {run.id: str(Path(f"/proc/{run.pid}/ns/net").readlink()) for run in runs}
            yield from (
                f"the holder does not keep the network of {run}" for run, ns in lived_in.items() if ns not in held
            )
            kept = sum(link.startswith("net:") for link in held) - 1  # its own
            if kept > len(addresses):
                yield f"the holder keeps {kept} network namespaces for {len(addresses)} pods"
            lines = Path(f"/proc/{holder}/net/dev").read_text().splitlines()[2:]
            there = {line.partition(":")[0].strip() for line in lines} - {"lo"}
            wanted = {f"ap{socket.inet_aton(a).hex()}" for a in addresses}
            yield from (f"no link {link} in the cluster's network" for link in wanted - there)
            yield from (f"the link {link} of no pod" for link in there - wanted)

    # -- looking

    async def _pods(self) -> list[Obj]:
        return list((await self.client.list(kinds.POD, _PLACE)).items)

    def _runs(self) -> Iterator[StateFile]:
        """Runs whose shims are alive."""
        found: list[Path] = []
        for place in (self.home.path / "pods").iterdir():
            with suppress(FileNotFoundError):  # the pod is going just now
                found += (place / "runtime").glob("*.json")
        for path in found:
            run = read_state(path)
            if run is not None and not run.finished_at and processes.is_alive(run.pid, run.start_time):
                yield run

    def _holders(self) -> list[int]:
        return list(self._named("argosy-holder"))

    def _named(self, name: str) -> Iterator[int]:
        mark = os.fsencode(self.home.path)
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                if (
                    entry.name.isdigit()
                    and (entry / "comm").read_text().strip() == name
                    and mark in (entry / "cmdline").read_bytes()
                ):
                    yield int(entry.name)

    def _groups(self) -> list[Path]:
        name = f"argosy-{zlib.crc32(os.fsencode(self.home.path.resolve())):08x}"
        return list(Path("/sys/fs/cgroup").glob(f"*/{name}"))


_BLOWS = {"command": 5, "shim": 4, "holder": 3, "engine": 1, "delete": 2, "scale": 2, "job": 1}


def _links(directory: Path) -> Iterator[str]:
    for entry in directory.iterdir():
        with suppress(OSError):
            yield str(entry.readlink())


def _states(pod: Obj) -> str:
    return str([c.get("state") for c in dig(pod, "status", "containerStatuses", default=())])


def _config_map(count: int) -> Obj:
    return {"metadata": {"name": "written", "namespace": _PLACE}, "data": {"count": str(count)}}


def _workload(kind: str, name: str, replicas: int, **more: object) -> Obj:
    container = {
        "name": "main", "image": "busybox", "command": ["sleep", "86400"],
        "resources": {"limits": {"memory": "64Mi"}} if kind == "StatefulSet" else {},
    }  # fmt: skip
    spec = {"containers": [container], "terminationGracePeriodSeconds": 1}
    template = {"metadata": {"labels": {"app": name}}, "spec": spec}
    selector = {"matchLabels": {"app": name}}
    return {
        "metadata": {"name": name, "namespace": _PLACE},
        "spec": {"replicas": replicas, "selector": selector, "template": template, **more},
    }


def _task(name: str) -> Obj:
    spec = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox", "command": ["true"]}]}
    template = {"metadata": {"labels": {"job": name}}, "spec": spec}
    return {"metadata": {"name": name, "namespace": _PLACE}, "spec": {"template": template, "backoffLimit": 20}}
