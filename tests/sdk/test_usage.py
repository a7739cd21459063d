"""What a job uses, told beside what it asked for."""

from __future__ import annotations

from argosy.meta.json import Obj
from argosy.sdk.usage import Gpu, read_gpus, sentence

GIB = 2**30


def pod(name: str, **requests: str) -> Obj:
    containers = [{"name": "c", "resources": {"requests": requests}}]
    return {"metadata": {"name": name, "namespace": "team"}, "spec": {"containers": containers}}


def metrics(*uses: tuple[str, str]) -> Obj:
    return {"containers": [{"usage": {"cpu": cpu, "memory": memory}} for cpu, memory in uses]}


def test_use_beside_request() -> None:
    pods = [pod("a", cpu="1", memory="1Gi"), pod("b", cpu="500m", memory="512Mi")]
    measured = {"a": metrics(("750m", "600Mi"), ("50m", "24Mi")), "b": metrics(("400000000n", "102400Ki"))}
    assert sentence(pods, measured, []) == "uses 1.2 of 1.5 CPU, 724 MiB of 1.5 GiB memory in 2 pods"


def test_what_nobody_asked_for_or_measured_is_left_out() -> None:
    pods = [pod("a", cpu="1"), pod("b")]
    assert sentence(pods, {}, []) == ""
    said = sentence(pods, {"a": metrics(("1", "1Gi")), "b": metrics(("1", "1Gi"))}, [])
    assert said == "uses 2 CPU, 2.0 GiB memory in 2 pods"
    assert sentence([pod("a")], {"a": metrics(("150", "1Gi"))}, []).startswith("uses 150 CPU,")
    assert sentence(pods, {"a": metrics(("1", "1Gi"))}, []) == (
        "uses 1 of 1 CPU, 1.0 GiB memory in 1 of 2 pods, the others are not measured (yet)"
    )


def test_gpus() -> None:
    assert read_gpus("87, 61000, 81559\n[N/A], 1, 2\nnvidia-smi: command not found\n") == [
        Gpu(87.0, 61000 * 2**20, 81559 * 2**20)
    ]
    gpus = [Gpu(90, 40 * GIB, 80 * GIB), Gpu(0, 0, 80 * GIB)]
    measured = {"a": metrics(("1", "1Gi"))}
    said = sentence([pod("a")], measured, gpus)
    assert said == "uses 1 CPU, 1.0 GiB memory, 2 GPUs at 45% (1 idle) with 40.0 GiB of 160.0 GiB in 1 pod"
    assert "1 GPU at 90% with" in sentence([pod("a")], measured, gpus[:1])
