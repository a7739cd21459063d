"""The verbs by which people make, change and look at objects, with the oldest and the newest kubectl of this machine.

The connections (exec, cp, port-forward …) stand in `test_kubectl`, over every version in `tests/e2e/test_kubectl_streams`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from functools import partial
from pathlib import Path

import pytest
import yaml

from conformance.manifests import SHELL_IMAGE, pod_spec, sleeper

sys.path.insert(0, str(Path(__file__).parents[2]))

from kubectls import installed

_FOUND = sorted(installed().items(), key=lambda item: int(item[0].rpartition(".")[2]) if "." in item[0] else 0)
_ENDS = dict([_FOUND[0], _FOUND[-1]]) if _FOUND else {"kubectl": ""}

pytestmark = pytest.mark.needs("kubectl")


@pytest.fixture(params=_ENDS.values(), ids=list(_ENDS))
def kubectl(request, namespace):
    """One of the two, in the test's namespace."""
    return partial(namespace.kubectl, program=request.param)


def config(name="c", **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def deployment(replicas=0, image=SHELL_IMAGE, **annotations):
    template = {"metadata": {"labels": {"app": "d"}}, "spec": pod_spec({**sleeper(), "image": image})}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "d"}}, "template": template}
    return {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "annotations": annotations}, "spec": spec,
    }  # fmt: skip


def sent(*objects):
    return yaml.safe_dump_all(objects).encode()


async def read(kubectl, *what):
    """An object, or a list of them, as kubectl shows it."""
    return json.loads(await kubectl("get", *what, "-o", "json"))


async def test_create_makes_every_kind_that_has_a_generator(kubectl, namespace):
    for arguments in (
        ("deployment", "d", "--image=x", "--replicas=0"),
        ("cronjob", "cj", "--image=x", "--schedule=0 0 1 1 *"),
        ("configmap", "cm", "--from-literal=a=b"),
        ("secret", "generic", "s", "--from-literal=word=sesame"),
        ("serviceaccount", "sa"),
        ("role", "r", "--verb=get,list", "--resource=pods,deployments.apps"),
        ("rolebinding", "rb", "--role=r", f"--serviceaccount={namespace.name}:sa"),
        ("service", "clusterip", "svc", "--tcp=80:8080"),
        ("ingress", "i", "--rule=example.com/*=svc:80"),
        ("quota", "q", "--hard=configmaps=20"),
        ("poddisruptionbudget", "b", "--selector=app=d", "--min-available=1"),
    ):
        assert "created" in await kubectl("create", *arguments)
    assert (await read(kubectl, "secret/s"))["data"] == {"word": "c2VzYW1l"}
    assert (await read(kubectl, "role/r"))["rules"][1]["apiGroups"] == ["apps"]
    assert (await read(kubectl, "service/svc"))["spec"]["ports"][0]["targetPort"] == 8080
    token = await kubectl("create", "token", "sa", "--duration=10m")
    assert token.count(".") == 2
    assert "already exists" in await _complaint(kubectl, "create", "configmap", "cm")


async def _complaint(kubectl, *arguments, **given):
    try:
        await kubectl(*arguments, **given)
    except AssertionError as error:
        return str(error)
    raise AssertionError(f"kubectl {arguments} should have failed")


async def test_apply_on_the_clients_side_changes_what_it_made(kubectl):
    first = sent(config("a", x="1", z="2"), config("b"))
    assert (await kubectl("apply", "-f", "-", input=first)).count("created") == 2
    assert "unchanged" in await kubectl("apply", "-f", "-", input=first)
    assert await kubectl("diff", "-f", "-", input=first) == ""
    second = sent(config("a", x="3"))
    assert '+  x: "3"' in await kubectl("diff", "-f", "-", input=second, code=1)
    assert "configured" in await kubectl("apply", "-f", "-", input=second)
    found = await read(kubectl, "configmap/a")
    assert found["data"] == {"x": "3"}, "what is no longer there is taken away"
    assert "kubectl.kubernetes.io/last-applied-configuration" in found["metadata"]["annotations"]
    assert "(dry run)" in await kubectl("apply", "-f", "-", "--dry-run=client", input=first)
    assert "(server dry run)" in await kubectl("apply", "-f", "-", "--dry-run=server", input=first)
    typo = yaml.safe_dump({**config("t"), "dota": {}}).encode()
    assert 'unknown field "dota"' in await _complaint(kubectl, "apply", "-f", "-", input=typo)


async def test_apply_on_the_servers_side_knows_who_owns_what(kubectl):
    await kubectl("apply", "-f", "-", input=sent(config(x="1")))
    assert "serverside-applied" in await kubectl("apply", "--server-side", "-f", "-", input=sent(config(x="2", z="1")))
    assert (await read(kubectl, "configmap/c"))["data"] == {"x": "2", "z": "1"}, (
        "what kubectl applied before is taken over"
    )
    other = ("apply", "--server-side", "--field-manager=other", "-f", "-")
    assert "conflict" in await _complaint(kubectl, *other, input=sent(config(x="3")))
    await kubectl(*other, "--force-conflicts", input=sent(config(x="3")))
    owners = {
        entry["manager"]
        for entry in (await read(kubectl, "configmap/c", "--show-managed-fields"))["metadata"]["managedFields"]
    }
    assert {"kubectl", "other"} <= owners


async def test_objects_are_changed_by_patch_edit_set_label_and_replace(kubectl, tmp_path):
    await kubectl("create", "-f", "-", input=sent(deployment(), config(x="1")))
    await kubectl(
        "patch",
        "deployment/d",
        "-p",
        '{"spec":{"template":{"spec":{"containers":[{"name":"main","env":[{"name":"A","value":"1"}]}]}}}}',
    )
    await kubectl("patch", "deployment/d", "--type=json", "-p", '[{"op":"replace","path":"/spec/paused","value":true}]')
    await kubectl("patch", "configmap/c", "--type=merge", "-p", '{"data":{"x":null,"word":"old"}}')
    assert (await read(kubectl, "configmap/c"))["data"] == {"word": "old"}
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\nsed -i 's/word: old/word: new/' \"$1\"\n")
    editor.chmod(0o755)
    assert "edited" in await kubectl("edit", "configmap/c", KUBE_EDITOR=str(editor))
    await kubectl("set", "env", "deployment/d", "B=2")
    await kubectl("set", "image", "deployment/d", "main=other:1")
    await kubectl("set", "resources", "deployment/d", "--requests=cpu=10m")
    await kubectl("label", "configmap/c", "tier=gold")
    await kubectl("annotate", "configmap/c", "note=this")
    (main,) = (await read(kubectl, "deployment/d"))["spec"]["template"]["spec"]["containers"]
    assert (main["image"], main["resources"]["requests"], [e["name"] for e in main["env"]]) == (
        "other:1", {"cpu": "10m"}, ["A", "B"],
    )  # fmt: skip
    assert "word: new" in await kubectl("get", "-l", "tier=gold", "configmap", "-o", "yaml")
    await kubectl("replace", "-f", "-", input=sent(config(z="9")))
    assert (await read(kubectl, "configmap/c"))["data"] == {"z": "9"}
    assert "deleted" in await kubectl("delete", "configmap/c", "deployment/d")
    assert "NotFound" in await _complaint(kubectl, "get", "configmap/c")


async def test_everything_is_shown_in_every_form(kubectl, namespace):
    await kubectl("create", "-f", "-", input=sent(config("b", x="1"), config("a", x="2"), deployment()))
    assert (
        await kubectl("get", "configmap", "a", "b", "--sort-by=.data.x", "-o", "name") == "configmap/b\nconfigmap/a\n"
    )
    assert await kubectl("get", "cm/a", "-o", "jsonpath={.data.x}") == "2"
    assert (await kubectl("get", "cm", "a", "-o", "custom-columns=N:.metadata.name,X:.data.x")).split() == [
        "N",
        "X",
        "a",
        "2",
    ]
    wide = await kubectl("get", "deployments", "-o", "wide")
    assert wide.split()[:5] == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert "app=d" in wide
    assert namespace.name in await kubectl("get", "cm", "-A", "--field-selector=metadata.name=a")
    described = await kubectl("describe", "deployment/d")
    assert all(part in described for part in ("RollingUpdateStrategy", "Pod Template:", "Selector:"))
    assert "deployments" in await kubectl("api-resources", "--api-group=apps")
    assert "apps/v1" in (await kubectl("api-versions")).split()
    explained = await kubectl("explain", "deployment.spec.strategy.rollingUpdate")
    assert "maxSurge" in explained
    assert "initContainers" in await kubectl("explain", "pod.spec", "--recursive")


async def test_watching_sees_what_comes(kubectl):
    await kubectl("create", "configmap", "w", "--from-literal=x=1")
    watching = asyncio.ensure_future(
        kubectl("get", "configmap/w", "-w", "-o", "jsonpath={.data.x}{' '}", "--request-timeout=4s")
    )
    await asyncio.sleep(0.5)  # kubectl says nothing when it begins to watch
    await kubectl("patch", "configmap/w", "-p", '{"data":{"x":"2"}}')
    assert (await watching).split() == ["1", "2"]


async def test_who_may_do_what_is_told(kubectl, namespace):
    assert await kubectl("auth", "can-i", "create", "deployments") == "yes\n"
    await kubectl("create", "role", "reads", "--verb=get", "--resource=pods")
    await kubectl("create", "rolebinding", "reads", "--role=reads", "--user=jane")
    assert await kubectl("auth", "can-i", "get", "pods", "--as=jane") == "yes\n"
    assert "no" in await kubectl("auth", "can-i", "delete", "pods", "--as=jane", code=1)
    listed = await kubectl("auth", "can-i", "--list", "--as=jane")
    assert any(line.split()[0] == "pods" and "[get]" in line for line in listed.splitlines() if line.split())
    assert "Forbidden" in await _complaint(kubectl, "get", "secrets", "--as=jane")


@pytest.mark.needs("pods")
async def test_rollouts_are_followed_undone_and_waited_for(kubectl):
    await kubectl("create", "-f", "-", input=sent(deployment(1)))
    assert "successfully rolled out" in await kubectl("rollout", "status", "deployment/d", "--timeout=90s")
    await kubectl("set", "env", "deployment/d", "SECOND=1")
    await kubectl("annotate", "deployment/d", "kubernetes.io/change-cause=second")
    await kubectl("rollout", "status", "deployment/d", "--timeout=90s")
    assert "second" in await kubectl("rollout", "history", "deployment/d")
    assert "rolled back" in await kubectl("rollout", "undo", "deployment/d")
    assert "restarted" in await kubectl("rollout", "restart", "deployment/d")
    await kubectl("rollout", "pause", "deployment/d")
    await kubectl("rollout", "resume", "deployment/d")
    assert "condition met" in await kubectl("wait", "deployment/d", "--for=condition=Available", "--timeout=90s")
    (main,) = (await read(kubectl, "deployment/d"))["spec"]["template"]["spec"]["containers"]
    assert "env" not in main
    await kubectl("expose", "deployment/d", "--port=80", "--name=web")
    await kubectl("autoscale", "deployment/d", "--max=3", "--cpu-percent=50")
    await kubectl("scale", "deployment/d", "--replicas=2", "--current-replicas=1")
    await kubectl("wait", "deployment/d", "--for=jsonpath={.status.readyReplicas}=2", "--timeout=90s")
    told = await kubectl("events", "--for", "deployment/d")
    assert "ScalingReplicaSet" in told
    await kubectl("delete", "deployment/d", "--cascade=orphan")
    assert (await read(kubectl, "replicasets"))["items"], "they stay"
    await kubectl("delete", "replicasets", "--all")


@pytest.mark.needs("pods")
async def test_pods_are_run_waited_for_and_deleted(kubectl):
    await kubectl(
        "run", "p", f"--image={SHELL_IMAGE}", "--restart=Never", "--labels=a=b", "--command", "--", "sleep", "3600"
    )
    await kubectl("wait", "pod/p", "--for=condition=Ready", "--timeout=90s")
    assert "Running" in await kubectl("get", "pods", "-l", "a=b")
    assert "sleep" in await kubectl("describe", "pod/p")
    going = asyncio.ensure_future(kubectl("wait", "pod/p", "--for=delete", "--timeout=90s"))
    await kubectl("delete", "pod/p", "--grace-period=1")
    await going


async def test_a_kustomization_is_applied_and_pruned(kubectl, tmp_path):
    (tmp_path / "c.yaml").write_bytes(sent(config("one", x="1")))
    kustomization = {
        "resources": ["c.yaml"], "namePrefix": "pre-", "configMapGenerator": [{"name": "g", "literals": ["k=v"]}],
        "generatorOptions": {"disableNameSuffixHash": True, "labels": {"part": "kust"}}, "commonLabels": {"part": "kust"},
    }  # fmt: skip
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    await kubectl("apply", "-k", str(tmp_path))
    assert (await read(kubectl, "configmap/pre-one"))["metadata"]["labels"] == {"part": "kust"}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump({**kustomization, "resources": []}))
    pruned = await kubectl(
        "apply", "-k", str(tmp_path), "--prune", "-l", "part=kust", "--prune-allowlist=core/v1/ConfigMap"
    )
    assert "configmap/pre-one pruned" in pruned
