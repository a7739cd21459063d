"""The `ray start` command as a value."""

from __future__ import annotations

import pytest

from argosy.meta.json import Obj
from argosy.operators.ray.cluster import Cluster
from argosy.operators.raycluster.start import command, head_params, worker_params


def described(head: Obj, **spec: object) -> Cluster:
    return Cluster("c", "ns", "uid", {"headGroupSpec": head, **spec}, {}, {}, "cluster.local")


def flags(text: str) -> set[str]:
    return {flag for flag in text.split() if flag.startswith("--")}


@pytest.mark.parametrize(
    ("params", "resources", "expected"),
    [
        ({}, {"limits": {"cpu": "1500m", "memory": "2Gi"}}, {"--num-cpus=2", "--memory=2147483648"}),
        ({}, {"requests": {"cpu": "3"}}, {"--num-cpus=3"}),
        ({"num-cpus": "0"}, {"limits": {"cpu": "4"}}, {"--num-cpus=0"}),
        ({}, {"limits": {"nvidia.com/gpu": "2"}}, {"--num-gpus=2"}),
        ({}, {"limits": {"google.com/tpu": "4"}}, {"""--resources='{"TPU":4}'"""}),
        ({"include-dashboard": "false"}, {}, {"--include-dashboard=false"}),
        ({"disable-usage-stats": "true", "head": "false"}, {}, {"--disable-usage-stats"}),
    ],
)
def test_what_the_container_may_use_is_what_ray_may_use(params, resources, expected):
    cluster = described({"rayStartParams": params})
    text = command("head", head_params(cluster), {"resources": resources})
    usual = {"--head", "--block", "--dashboard-agent-listen-port=52365", "--dashboard-host=0.0.0.0"}
    assert flags(text) == {*usual, "--metrics-export-port=8080", *expected}


def test_resources_and_labels_of_a_group():
    group = {"resources": {"CPU": "2", "memory": "1Gi", "GPU": "1", "tpu-slice": "0.5"}, "labels": {"b": "2", "a": "1"}}
    text = command("worker", worker_params(described({}), group), {})
    expected = {"--num-cpus=2", "--memory=1073741824", "--num-gpus=1", "--labels=a=1,b=2"}
    assert expected | {"""--resources='{"tpu-slice":0.5}'"""} <= flags(text)


def test_the_port_of_the_gcs_is_the_heads():
    cluster = described({"rayStartParams": {"port": "6380"}})
    assert worker_params(cluster, {})["address"] == "c-head-svc.ns.svc.cluster.local:6380"
