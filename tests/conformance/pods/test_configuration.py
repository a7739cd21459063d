"""What a container is told: variables, the downward API, ConfigMaps, Secrets and tokens, and what changes of them while it runs."""

from __future__ import annotations

import base64
import json

import pytest

from argosy import kinds
from argosy.meta.json import dig
from conformance.manifests import container_of, pod_spec, shell, sleeper

pytestmark = pytest.mark.needs("pods")


async def _config(namespace, name, **data):
    await namespace.create(kinds.CONFIG_MAP, {"metadata": {"name": name}, "data": data})


async def _secret(namespace, name, **data):
    await namespace.create(kinds.SECRET, {"metadata": {"name": name}, "stringData": data})


def _lines(text):
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


async def test_variables_refer_to_each_other_and_the_command_to_them(namespace):
    env = [
        {"name": "FIRST", "value": "one"},
        {"name": "SECOND", "value": "$(FIRST) and $$(FIRST) and $(NOBODY)"},
        {"name": "EARLY", "value": "$(LATE)"},
        {"name": "LATE", "value": "late"},
    ]
    container = shell("", env=env)
    container["command"], container["args"] = ["sh", "-c", "env; echo ARG=$0"], ["$(SECOND)"]
    await namespace.pod("told", pod_spec(container, restartPolicy="Never"))
    await namespace.ended("told")
    told = _lines(await namespace.log("told"))
    assert told["SECOND"] == "one and $(FIRST) and $(NOBODY)"
    assert told["EARLY"] == "$(LATE)", "only what was defined before is known"
    assert told["ARG"] == told["SECOND"]


async def test_variables_come_from_config_maps_and_secrets(namespace):
    await _config(namespace, "settings", COLOUR="red", SIZE="big")
    await _secret(namespace, "hidden", WORD="sesame")
    env = [
        {"name": "ONE", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "COLOUR"}}},
        {"name": "TWO", "valueFrom": {"secretKeyRef": {"name": "hidden", "key": "WORD"}}},
        {"name": "NONE", "valueFrom": {"configMapKeyRef": {"name": "absent", "key": "x", "optional": True}}},
        {"name": "P_SIZE", "value": "said directly"},
    ]
    sources = [
        {"prefix": "P_", "configMapRef": {"name": "settings"}},
        {"secretRef": {"name": "hidden"}},
        {"configMapRef": {"name": "absent", "optional": True}},
    ]
    await namespace.pod("told", pod_spec(shell("env", env=env, envFrom=sources), restartPolicy="Never"))
    await namespace.ended("told")
    told = _lines(await namespace.log("told"))
    assert (told["ONE"], told["TWO"], told["P_COLOUR"], told["WORD"]) == ("red", "sesame", "red", "sesame")
    assert told["P_SIZE"] == "said directly", "env goes before envFrom"
    assert "NONE" not in told


async def test_a_container_waits_for_a_config_map_that_is_not_there(namespace):
    await namespace.pod("waits", pod_spec(sleeper(envFrom=[{"configMapRef": {"name": "settings"}}])))

    def waits(pod):
        return dig(container_of(pod), "state", "waiting", "reason") == "CreateContainerConfigError"

    pod = await namespace.until(kinds.POD, "waits", waits)
    assert 'configmap "settings" not found' in container_of(pod)["state"]["waiting"]["message"]
    await _config(namespace, "settings", COLOUR="red")
    await namespace.ready("waits")


async def test_a_volume_waits_for_a_secret_that_is_not_there(namespace):
    volumes = [{"name": "v", "secret": {"secretName": "later"}}]
    mounts = [{"name": "v", "mountPath": "/etc/later"}]
    await namespace.pod("waits", pod_spec(sleeper(volumeMounts=mounts), volumes=volumes))
    event = await namespace.event("waits", "FailedMount")
    assert 'secret "later" not found' in event["message"]

    def waits(pod):
        return dig(container_of(pod), "state", "waiting", "reason") == "ContainerCreating"

    await namespace.until(kinds.POD, "waits", waits)
    await _secret(namespace, "later", key="value")
    await namespace.ready("waits")
    assert await namespace.says("waits", "cat", "/etc/later/key") == "value"


async def test_the_downward_api_in_variables(namespace):
    def field(name, path):
        return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}

    def resource(name, what, **more):
        return {"name": name, "valueFrom": {"resourceFieldRef": {"resource": what, **more}}}

    env = [
        field("NAME", "metadata.name"), field("NAMESPACE", "metadata.namespace"), field("UID_", "metadata.uid"),
        field("LABEL", "metadata.labels['app']"), field("NOTE", "metadata.annotations['note']"),
        field("NODE", "spec.nodeName"), field("ACCOUNT", "spec.serviceAccountName"),
        field("IP", "status.podIP"), field("IPS", "status.podIPs"), field("HOST_IP", "status.hostIP"),
        resource("CPU", "limits.cpu"), resource("CPU_MILLI", "requests.cpu", divisor="1m"),
        resource("MEMORY", "limits.memory"), resource("MEMORY_MI", "requests.memory", divisor="1Mi"),
    ]  # fmt: skip
    resources = {"requests": {"cpu": "20m", "memory": "16Mi"}, "limits": {"cpu": "1500m", "memory": "64Mi"}}
    spec = pod_spec(sleeper(env=env, resources=resources))
    await namespace.pod("told", spec, labels={"app": "teller"}, annotations={"note": "a note"})
    pod = await namespace.ready("told")
    told = _lines(await namespace.says("told", "env"))
    assert (told["NAME"], told["NAMESPACE"]) == ("told", namespace.name)
    assert (told["UID_"], told["NODE"]) == (pod["metadata"]["uid"], pod["spec"]["nodeName"])
    assert (told["LABEL"], told["NOTE"], told["ACCOUNT"]) == ("teller", "a note", "default")
    assert told["IP"] == told["IPS"].split(",")[0] == pod["status"]["podIP"]
    assert told["HOST_IP"] == pod["status"]["hostIP"]
    assert (told["CPU"], told["CPU_MILLI"]) == ("2", "20"), "what is no multiple of the divisor is rounded up"
    assert (told["MEMORY"], told["MEMORY_MI"]) == (str(64 * 2**20), "16")


async def test_the_downward_api_in_files_follows_the_pod(namespace):
    """A kubelet takes up to a minute or two for it."""
    items = [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]
    volumes = [{"name": "info", "downwardAPI": {"items": items}}]
    mounts = [{"name": "info", "mountPath": "/etc/info"}]
    await namespace.pod("told", pod_spec(sleeper(volumeMounts=mounts), volumes=volumes), labels={"app": "a"})
    await namespace.ready("told")
    assert await namespace.says("told", "cat", "/etc/info/labels") == 'app="a"'
    await namespace.patch(kinds.POD, "told", {"metadata": {"labels": {"more": "b"}}})
    await namespace.until_says("told", ["cat", "/etc/info/labels"], 'app="a"\nmore="b"')


async def test_files_of_config_maps_and_secrets(namespace):
    await _config(namespace, "settings", **{"a.conf": "A", "b.conf": "B"})
    await _secret(namespace, "hidden", word="sesame")
    volumes = [
        {"name": "all", "configMap": {"name": "settings", "defaultMode": 0o440}},
        {
            "name": "some",
            "configMap": {"name": "settings", "items": [{"key": "b.conf", "path": "deep/b", "mode": 0o400}]},
        },
        {"name": "secret", "secret": {"secretName": "hidden"}},
        {
            "name": "both",
            "projected": {"sources": [{"configMap": {"name": "settings"}}, {"secret": {"name": "hidden"}}]},
        },
    ]
    mounts = [{"name": each["name"], "mountPath": f"/etc/{each['name']}"} for each in volumes]
    await namespace.pod("reads", pod_spec(sleeper(volumeMounts=mounts), volumes=volumes))
    await namespace.ready("reads")
    assert await namespace.says("reads", "sh", "-c", "cd /etc/all; ls; cat *") == "a.conf\nb.conf\nAB"
    assert await namespace.says("reads", "stat", "-L", "-c", "%a", "/etc/all/a.conf") == "440\n"
    assert (
        await namespace.says("reads", "sh", "-c", "cd /etc/some; ls; cat deep/b; stat -L -c %a deep/b")
        == "deep\nB400\n"
    )
    assert await namespace.says("reads", "cat", "/etc/secret/word") == "sesame"
    assert await namespace.says("reads", "ls", "/etc/both") == "a.conf\nb.conf\nword\n"


@pytest.mark.needs("mounts")
async def test_files_of_config_maps_are_read_only(namespace):
    await _config(namespace, "settings", **{"a.conf": "A"})
    volume, mount = {"name": "all", "configMap": {"name": "settings"}}, {"name": "all", "mountPath": "/etc/all"}
    await namespace.pod("reads", pod_spec(sleeper(volumeMounts=[mount]), volumes=[volume]))
    await namespace.ready("reads")
    assert (await namespace.execute("reads", "touch", "/etc/all/new")).code


async def test_files_follow_what_they_come_from_but_not_by_sub_path_nor_variables(namespace):
    """A kubelet takes up to a minute or two for it."""
    await _config(namespace, "settings", colour="red")
    await _secret(namespace, "hidden", word="sesame")
    volumes = [
        {"name": "config", "configMap": {"name": "settings"}},
        {"name": "secret", "secret": {"secretName": "hidden"}},
    ]
    mounts = [
        {"name": "config", "mountPath": "/etc/config"},
        {"name": "config", "mountPath": "/etc/colour", "subPath": "colour"},
        {"name": "secret", "mountPath": "/etc/secret"},
    ]
    env = [{"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "colour"}}}]
    await namespace.pod("reads", pod_spec(sleeper(volumeMounts=mounts, env=env), volumes=volumes))
    await namespace.ready("reads")
    assert (
        await namespace.says("reads", "cat", "/etc/config/colour", "/etc/colour", "/etc/secret/word") == "redredsesame"
    )
    await namespace.patch(kinds.CONFIG_MAP, "settings", {"data": {"colour": "blue", "extra": "new"}})
    word = base64.b64encode(b"open").decode()
    await namespace.patch(kinds.SECRET, "hidden", {"data": {"word": word}})
    await namespace.until_says("reads", ["cat", "/etc/config/colour"], "blue")
    await namespace.until_says("reads", ["cat", "/etc/secret/word"], "open")
    assert await namespace.says("reads", "cat", "/etc/config/extra") == "new"
    assert await namespace.says("reads", "cat", "/etc/colour") == "red"
    assert await namespace.says("reads", "sh", "-c", "echo $COLOUR") == "red\n"


async def test_a_projected_token_is_for_its_audience_and_its_pod(namespace):
    sources = [{"serviceAccountToken": {"path": "token", "audience": "vault", "expirationSeconds": 600}}]
    volumes = [{"name": "t", "projected": {"sources": sources}}]
    await namespace.pod("holds", pod_spec(sleeper(volumeMounts=[{"name": "t", "mountPath": "/t"}]), volumes=volumes))
    pod = await namespace.ready("holds")
    token = (await namespace.says("holds", "cat", "/t/token")).strip()
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert claims["aud"] == ["vault"]
    assert claims["sub"] == f"system:serviceaccount:{namespace.name}:default"
    assert claims["kubernetes.io"]["pod"] == {"name": "holds", "uid": pod["metadata"]["uid"]}
    assert 590 <= claims["exp"] - claims["iat"] <= 610
    review = {"metadata": {}, "spec": {"token": token, "audiences": ["vault"]}}
    answer = await namespace.client.create(
        kinds.TOKEN_REVIEW, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", **review}
    )
    assert answer["status"]["authenticated"] is True
    assert answer["status"]["user"]["username"] == f"system:serviceaccount:{namespace.name}:default"


async def test_a_pod_is_given_its_service_account_unless_it_declines(namespace):
    where = "/var/run/secrets/kubernetes.io/serviceaccount"
    await namespace.pod("given", pod_spec(sleeper()))
    await namespace.pod("declines", pod_spec(sleeper(), automountServiceAccountToken=False))
    await namespace.ready("given")
    await namespace.ready("declines")
    assert await namespace.says("given", "cat", f"{where}/namespace") == namespace.name
    assert "BEGIN CERTIFICATE" in await namespace.says("given", "cat", f"{where}/ca.crt")
    assert (await namespace.execute("declines", "cat", f"{where}/token")).code
