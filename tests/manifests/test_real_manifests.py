"""Manifests that others wrote run to their documented end; what cannot says what it lacks.

The quick test takes the ones that need nothing but this machine's tools, the slow one all there are. Both skip where the
folder of real cases is absent.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from engine_home import EngineHome
from manifest_runner import play
from manifest_verdicts import Outcome, Verdict, foreign_image

from argosy.errors import UserError
from argosy.meta.json import Obj
from argosy.sdk.manifests import read
from cases import FOLDER, needs_cases

MANIFESTS = FOLDER / "manifests"
PLAIN_KINDS = frozenset(
    ["Pod", "Deployment", "ReplicaSet", "ReplicationController", "StatefulSet", "DaemonSet", "Job", "Service",
     "ConfigMap", "Secret", "Namespace"]
)  # fmt: skip
QUICK = ("job-sidecar", "job-backoff-limit-per-index", "recursive/pod-modify", "null-propagation", "multi-resource-1",
         "testdata/apply/testdir/rc.yaml")  # fmt: skip

PRETENDED = 'nodes: [{resources: {cpu: "128", memory: 512Gi, nvidia.com/gpu: 16}}]'


def is_plain(path: Path) -> bool:
    """Whether a manifest asks for nothing but built-in kinds and images that this machine's own tools stand for."""
    try:
        objects = read([str(path)])
    except UserError:
        return False
    return {obj["kind"] for obj in objects} <= PLAIN_KINDS and not foreign_image(objects)


def run(home: EngineHome, *parts: str) -> dict[str, Outcome]:
    state: Obj = home.up()
    return asyncio.run(play(Path(state["kubeconfig"]), MANIFESTS, parts))


@needs_cases
def test_ordinary_manifests_run(home: EngineHome) -> None:
    outcomes = run(home, *QUICK)
    assert len(outcomes) == len(QUICK)
    assert {name: o for name, o in outcomes.items() if o.verdict is not Verdict.RAN} == {}


@pytest.mark.slow
@needs_cases
def test_every_manifest_runs_or_says_what_it_lacks(home: EngineHome) -> None:
    (home.path / "nodes.yaml").write_text(PRETENDED)  # what they ask for is theirs; most of it they never use
    outcomes = run(home)
    assert {name: o for name, o in outcomes.items() if o.verdict is Verdict.BROKEN} == {}
    plain = {name: o for name, o in outcomes.items() if is_plain(MANIFESTS / name)}
    held_up = {
        n: o
        for n, o in plain.items()
        if o.verdict is Verdict.NEEDS
        and not o.text.startswith(("more ", "a volume", "the host's ", "the kind ", "a program "))
    }
    assert held_up == {}
    assert sum(o.verdict is Verdict.RAN for o in plain.values()) > 20
