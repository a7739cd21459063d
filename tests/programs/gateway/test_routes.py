"""Model names to replicas: the table that requests are routed by."""

from __future__ import annotations

import pytest

from argosy.meta.json import Obj
from argosy.meta.objects import Key
from argosy.programs.gateway.routes import build, served_names


def isvc(
    name: str, *args: str, namespace: str = "default", born: str = "2026-01-01T00:00:00Z", **predictor: object
) -> Obj:
    model = {"modelFormat": {"name": "huggingface"}, "args": list(args)}
    return {
        "metadata": {"name": name, "namespace": namespace, "creationTimestamp": born},
        "spec": {"predictor": {"model": model, **predictor}},
    }


def slice(name: str, *addresses: str, ready: bool | None = True, namespace: str = "default", owner: str = "") -> Obj:
    labels = {"serving.kserve.io/inferenceservice": name, "kubernetes.io/service-name": owner or f"{name}-predictor"}
    endpoints = [{"addresses": [a], "conditions": {} if ready is None else {"ready": ready}} for a in addresses]
    return {
        "metadata": {"name": f"{name}-x", "namespace": namespace, "labels": labels},
        "endpoints": endpoints,
        "ports": [{"port": 8080}],
    }


def test_a_service_its_own_name_and_its_adapters():
    table = build([isvc("llm", "--model_name=llama", "--enable-lora", "--lora-modules", "poet=/p", "law=/l")], [])
    assert {name: (r.upstream, r.parent) for name, r in table.routes.items()} == {
        "llm": ("llama", ""),
        "default/llm": ("llama", ""),
        "llama": ("llama", ""),
        "default/llama": ("llama", ""),
        "poet": ("poet", "llm"),
        "default/poet": ("poet", "llm"),
        "law": ("law", "llm"),
        "default/law": ("law", "llm"),
    }
    assert [r.model for r in table.listed] == ["llm", "poet", "law"]
    assert table.routes["llm"].created == 1767225600


@pytest.mark.parametrize(
    ("args", "name", "adapters"),
    [
        ([], "m", []),
        (["--model_name", "x"], "x", []),
        (["--served-model-name=x", "--dtype", "bf16"], "x", []),
        (["--lora-modules=a=/a", "--seed", "1"], "m", ["a"]),
        (["--lora-modules", '{"name": "j", "path": "/j"}', "k=/k", "--x"], "m", ["j", "k"]),
        (["--lora-modules", "{broken"], "m", []),
    ],
)
def test_names_are_read_as_the_servers_read_them(args, name, adapters):
    assert served_names(isvc("m", *args)) == (name, adapters)


def test_the_older_service_has_a_name_that_two_use():
    table = build([isvc("m", namespace="b", born="2026-01-02T00:00:00Z"), isvc("m", namespace="c")], [])
    assert table.routes["m"].service == Key("c", "m")
    assert table.routes["b/m"].service == Key("b", "m")
    assert [r.model for r in table.listed] == ["m", "b/m"]


def test_ready_and_draining_replicas():
    slices = [
        slice("m", "10.0.0.1", "10.0.0.2"),
        slice("m", "10.0.0.3", ready=False),
        slice("m", "10.0.0.4", ready=None),
    ]
    slices += [slice("m", "10.0.0.9", owner="somebody-else"), slice("other", "10.0.0.8")]
    backend = build([isvc("m", containerConcurrency=2)], slices).backends[Key("default", "m")]
    assert backend.ready == {("10.0.0.1", 8080), ("10.0.0.2", 8080), ("10.0.0.4", 8080)}
    assert backend.draining == {("10.0.0.3", 8080)}
    assert backend.limit == 2


def test_own_containers_name_their_model_too():
    service = {
        "metadata": {"name": "v", "namespace": "d"},
        "spec": {"predictor": {"containers": [{"command": ["vllm"], "args": ["--served-model-name", "qwen"]}]}},
    }
    assert served_names(service) == ("qwen", [])


def test_kserves_own_server_has_a_prefix():
    ours, theirs, told = isvc("a"), isvc("b"), isvc("c")
    theirs["status"] = {"clusterServingRuntimeName": "kserve-huggingfaceserver"}
    told["spec"]["predictor"]["model"]["image"] = "kserve/huggingfaceserver:v0.17"
    silent = isvc("d")
    silent["status"], silent["metadata"]["annotations"] = theirs["status"], {"argosy.dev/openai-prefix": "/"}
    backends = build([ours, theirs, told, silent], []).backends
    assert [backends[Key("default", name)].prefix for name in "abcd"] == ["", "/openai", "/openai", ""]
