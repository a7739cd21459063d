"""Runs manifests on a cluster, each in a namespace of its own, and tells what happened to each and why.

    python tests/manifests/manifest_runner.py FOLDER [PART OF A NAME…]     against the cluster of the kubeconfig

`tests/manifests/test_real_manifests.py` runs it against an engine of its own. Nothing is polled: the verdict on a manifest
is asked for again whenever one of its objects changes.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from manifest_verdicts import (
    Outcome,
    Stand,
    Verdict,
    absent_directory,
    ends_by_itself,
    foreign_image,
    has_begun,
    lack,
    moved,
    pod_stand,
    stand,
)

from argosy import kinds
from argosy.client.client import Client
from argosy.client.discovery import discover, find
from argosy.client.http import HttpTransport
from argosy.client.kubeconfig import load
from argosy.control.pool import Informers
from argosy.errors import AlreadyExists, ApiError, ArgosyError, NotFound, UserError
from argosy.meta.json import Obj, dig, thaw
from argosy.meta.kind import Kind
from argosy.meta.objects import Key, key_of, namespace_of
from argosy.sdk.apply import in_order
from argosy.sdk.manifests import read

AT_ONCE = 4
_SHARED = ("more cpu", "more memory", "more pods")
"""What another manifest may just have taken."""
END_SECONDS = 60.0
SURE_SECONDS = 2.0
"""How long something must be lacking, and nothing else happen, before that is the verdict."""


@dataclass
class Trial:
    """One manifest under way."""

    path: str
    namespace: str
    made: list[tuple[Kind, Key]] = field(default_factory=list)
    namespaces: set[str] = field(default_factory=set)
    needs: list[str] = field(default_factory=list)
    objects: Sequence[Obj] = ()


class ManifestRunner:
    """Runs manifests against one cluster. `client` may do everything."""

    def __init__(
        self,
        client: Client,
        informers: Informers,
        *,
        end_seconds: float = END_SECONDS,
        tell: Callable[[str, Outcome], None] = lambda name, outcome: None,
    ) -> None:
        self._client = client
        self._informers = informers
        self._end_seconds = end_seconds
        self._tell = tell
        self._served: list[Kind] = []
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._run = secrets.token_hex(2)
        """Sets this run's namespaces apart from what one that was killed has left."""

    async def run(self, root: Path, paths: Sequence[Path]) -> dict[str, Outcome]:
        """Run them; the outcome of each by its path below `root`."""
        self._served = await discover(self._client)
        names = [str(path.relative_to(root)) for path in paths]
        outcomes = await asyncio.gather(
            *(self._one(n, p, i) for i, (n, p) in enumerate(zip(names, paths, strict=True)))
        )
        found = dict(zip(names, outcomes, strict=True))
        for number, (name, path) in enumerate(zip(names, paths, strict=True), len(names)):
            if found[name].text in _SHARED:  # perhaps only because others were running
                found[name] = await self._one(name, path, number)
        return found

    async def _one(self, name: str, path: Path, number: int) -> Outcome:
        outcome = await self._outcome(name, path, number)
        self._tell(name, outcome)
        return outcome

    async def _outcome(self, name: str, path: Path, number: int) -> Outcome:
        try:
            objects = read([str(path)])
        except UserError as error:
            return Outcome(Verdict.REFUSED, str(error))
        if missing := absent_directory(objects):
            return Outcome(Verdict.NEEDS, f"the host's {missing}")
        async with self._turns:
            trial = Trial(name, f"manifest-{self._run}-{number}")
            try:
                return await self._play(trial, objects)
            finally:
                await self._clear(trial)

    async def _play(self, trial: Trial, objects: Sequence[Obj]) -> Outcome:
        await self._namespace(trial, trial.namespace)
        homes = {obj["metadata"].get("namespace") for obj in objects}
        homes |= {obj["metadata"]["name"] for obj in objects if obj["kind"] == "Namespace"}
        objects = [moved(obj, {home: f"{trial.namespace}-{home}" for home in homes if home}) for obj in objects]
        trial.objects = objects
        for obj in in_order(objects):
            try:
                await self._create(trial, obj)
            except (ApiError, UserError) as error:
                return Outcome(Verdict.REFUSED, f"{obj['kind']} {obj['metadata'].get('name')}: {error}")
        if not trial.made:
            return Outcome(Verdict.NEEDS, ", ".join(trial.needs) or "nothing in it")
        outcome = await self._settle(trial)
        if trial.needs and outcome.verdict is Verdict.RAN:
            return Outcome(Verdict.NEEDS, f"{', '.join(trial.needs)} (the rest: {outcome.text})")
        return outcome

    async def _namespace(self, trial: Trial, name: str) -> None:
        trial.namespaces.add(name)
        with suppress(AlreadyExists):
            made = await self._client.create(kinds.NAMESPACE, {"metadata": {"name": name}})
            trial.made.append((kinds.NAMESPACE, key_of(made)))

    async def _create(self, trial: Trial, obj: Obj) -> None:
        kind = find(self._served, obj["apiVersion"], obj["kind"])
        if kind is None:
            self._served = await discover(self._client)
            kind = find(self._served, obj["apiVersion"], obj["kind"])
        if kind is None:
            trial.needs.append(f"the kind {obj['kind']} of {obj['apiVersion']}")
            return
        wanted = thaw(obj)
        if kind.namespaced:
            home = wanted["metadata"].setdefault("namespace", trial.namespace)
            await self._namespace(trial, home)
        wanted.pop("status", None)
        try:
            made = await self._client.create(kind, wanted)
        except AlreadyExists:
            return
        trial.made.append((kind, key_of(made)))

    # -- waiting

    async def _settle(self, trial: Trial) -> Outcome:
        watched = {kind for kind, _ in trial.made if kind != kinds.NAMESPACE} | {
            kinds.POD, kinds.PERSISTENT_VOLUME_CLAIM, kinds.EVENT,
        }  # fmt: skip
        informers = [self._informers.of(kind) for kind in watched]
        for informer in informers:
            await informer.synced()
        news = asyncio.Event()
        stops = [informer.listen(lambda _: news.set()) for informer in informers]
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._end_seconds
        lacking, since = "", loop.time()
        try:
            while True:
                news.clear()
                outcome, lacks = self._look(trial, late=loop.time() >= deadline)
                if outcome is not None:
                    return outcome
                if lacks != lacking:
                    lacking, since = lacks, loop.time()
                if lacking and loop.time() - since >= SURE_SECONDS:
                    return Outcome(Verdict.NEEDS, lacking)
                until = min(deadline, since + SURE_SECONDS) if lacking else deadline
                with suppress(TimeoutError):
                    await asyncio.wait_for(news.wait(), max(until - loop.time(), 0.05))
        finally:
            for stop in stops:
                stop()

    def _look(self, trial: Trial, *, late: bool) -> tuple[Outcome | None, str]:
        stands = [self._stand(kind, key) for kind, key in trial.made if kind != kinds.NAMESPACE]
        pods = self._pods(trial)
        text = "; ".join(s.text for s in stands)
        if all(s.ended for s in stands):
            return Outcome(Verdict.RAN, text or "namespaces made"), ""
        claims = [
            c for c in self._informers.of(kinds.PERSISTENT_VOLUME_CLAIM).items() if namespace_of(c) in trial.namespaces
        ]
        lacks = lack(pods, claims) or ("" if any(map(has_begun, pods)) else self._refusal(trial))
        if lacks and not late:
            return None, lacks
        itself = next(filter(None, map(ends_by_itself, pods)), "")
        if itself:
            return Outcome(Verdict.RAN, itself), ""
        broken = [s for s in stands if s.final and not s.ended]
        if lacks:
            return Outcome(Verdict.NEEDS, lacks), ""
        if late and (image := self._pulling(trial)):
            return Outcome(Verdict.NEEDS, f"{image}, which is still being built"), ""
        if (broken or late) and (image := foreign_image(trial.objects)):
            return Outcome(Verdict.NEEDS, f"what the image {image} holds: {text}"), ""
        if broken:
            return Outcome(Verdict.BROKEN, f"{text}; {self._events(trial)}"), ""
        if not late:
            return None, ""
        if pods and all(pod_stand(pod).ended for pod in pods):
            return Outcome(Verdict.RAN, f"its pods run and had not ended after {self._end_seconds:g} s: {text}"), ""
        return Outcome(
            Verdict.BROKEN, f"{text}; {'; '.join(pod_stand(p).text for p in pods)}; {self._events(trial)}"
        ), ""

    def _stand(self, kind: Kind, key: Key) -> Stand:
        obj = self._informers.of(kind).get(key)
        return stand({"kind": kind.kind, "apiVersion": kind.api_version, **obj}) if obj else Stand(False, f"no {key}")

    def _pods(self, trial: Trial) -> list[Obj]:
        return [p for p in self._informers.of(kinds.POD).items() if namespace_of(p) in trial.namespaces]

    def _refusal(self, trial: Trial) -> str:
        """What an operator says of an object that it makes no pods for, or a controller of a missing ServiceAccount."""
        kinds_made = {kind.kind for kind, _ in trial.made if "." in kind.group}
        told = [
            f"{dig(e, 'involvedObject', 'kind')}: {e.get('message')}"
            for e in self._informers.of(kinds.EVENT).items()
            if namespace_of(e) in trial.namespaces
            and e.get("type") == "Warning"
            and (
                dig(e, "involvedObject", "kind") in kinds_made
                or any(text in str(e.get("message")) for text in ("serviceaccount", "are not served here"))
            )
        ]
        return told[-1] if told else ""

    def _pulling(self, trial: Trial) -> str:
        """An image that is being pulled."""
        of_trial = [e for e in self._informers.of(kinds.EVENT).items() if namespace_of(e) in trial.namespaces]
        pulled = {str(e.get("message")).split('"')[1] for e in of_trial if e.get("reason") == "Pulled"}
        pulling = [str(e.get("message")).split('"')[1] for e in of_trial if e.get("reason") == "Pulling"]
        return next((image for image in pulling if image not in pulled), "")

    def _events(self, trial: Trial) -> str:
        told = [
            f"{dig(e, 'involvedObject', 'name')} {e.get('reason')}: {e.get('message')}"
            for e in self._informers.of(kinds.EVENT).items()
            if namespace_of(e) in trial.namespaces and e.get("type") == "Warning"
        ]
        return " | ".join(told[-4:])

    # -- the end

    async def _clear(self, trial: Trial) -> None:
        for kind, key in reversed(trial.made):
            with suppress(NotFound, ApiError, ConnectionError):
                await self._client.delete(kind, key)
        pods = self._informers.of(kinds.POD)
        for pod in self._pods(trial):
            with suppress(NotFound, ApiError, ConnectionError):
                await self._client.delete(kinds.POD, key_of(pod), grace_seconds=1)
        await pods.until(lambda: not self._pods(trial), 30)


def show(name: str, outcome: Outcome) -> None:
    """Print what happened to one."""
    print(f"{outcome.verdict:8} {name}\n           {outcome.text[:400]}", flush=True)


def sums(outcomes: dict[str, Outcome]) -> str:
    """How many had which verdict."""
    return ", ".join(f"{sum(o.verdict is v for o in outcomes.values())} {v}" for v in Verdict)


async def play(
    kubeconfig: Path, root: Path, parts: Sequence[str] = (), *, end_seconds: float = END_SECONDS
) -> dict[str, Outcome]:
    """Run what lies below a folder (and has one of the parts in its path) on the cluster of the kubeconfig."""
    paths = sorted(p for p in root.rglob("*") if p.suffix in {".yaml", ".yml"})
    chosen = [p for p in paths if not parts or any(part in str(p.relative_to(root)) for part in parts)]
    transport = HttpTransport(load([kubeconfig]))
    client = Client(transport, field_manager="manifests")
    try:
        async with Informers(client) as informers:
            return await ManifestRunner(client, informers, end_seconds=end_seconds, tell=show).run(root, chosen)
    finally:
        await client.close()


if __name__ == "__main__":
    try:
        print(sums(asyncio.run(play(Path(os.environ["KUBECONFIG"]), Path(sys.argv[1]), sys.argv[2:]))))
    except ArgosyError as error:
        sys.exit(str(error))
