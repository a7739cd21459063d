import asyncio

import pytest
from api_world import config_map, deployment, pod, with_world

from argosy.errors import ApiError, Forbidden, Invalid
from argosy.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    INGRESS,
    INGRESS_CLASS,
    LIMIT_RANGE,
    NAMESPACE,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    PRIORITY_CLASS,
    RESOURCE_QUOTA,
    SERVICE,
    SERVICE_ACCOUNT,
    STORAGE_CLASS,
)
from argosy.meta.objects import Key

TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount"


def service(name="s", namespace="default", **spec):
    spec = {"ports": [{"port": 80}], "selector": {"a": "b"}, **spec}
    return {"metadata": {"name": name, "namespace": namespace}, "spec": spec}


def test_a_pod_gets_its_account_and_its_token():
    async def check(world):
        made = await world.client.create(POD, pod())
        spec = made["spec"]
        assert spec["serviceAccountName"] == spec["serviceAccount"] == "default"
        (volume,) = spec["volumes"]
        assert volume["name"].startswith("kube-api-access-")
        assert [next(iter(source)) for source in volume["projected"]["sources"]] == [
            "serviceAccountToken", "configMap", "downwardAPI", "configMap",
        ]  # fmt: skip
        assert spec["containers"][0]["volumeMounts"] == [{"name": volume["name"], "readOnly": True, "mountPath": TOKEN}]
        assert [toleration["key"] for toleration in spec["tolerations"]] == [
            "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable",
        ]  # fmt: skip
        assert (spec["priority"], made["status"]["qosClass"]) == (0, "BestEffort")

    with_world(check)


def test_a_pod_may_do_without_a_token():
    async def check(world):
        made = await world.client.create(POD, pod(automountServiceAccountToken=False))
        assert "volumes" not in made["spec"]
        account = {"metadata": {"name": "quiet", "namespace": "default"}, "automountServiceAccountToken": False}
        await world.client.create(SERVICE_ACCOUNT, account)
        made = await world.client.create(POD, pod("b", serviceAccountName="quiet"))
        assert "volumes" not in made["spec"]

    with_world(check)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"serviceAccountName": "nobody"}, 'serviceaccount "nobody" not found'),
        ({"priorityClassName": "nothing"}, "no PriorityClass with name nothing was found"),
        ({"priority": 5}, "the integer value of priority (5) must not be provided"),
        ({"runtimeClassName": "nothing"}, 'RuntimeClass "nothing" not found'),
    ],
)
def test_pods_that_name_what_is_not_there(spec, words):
    async def check(world):
        with pytest.raises(Forbidden) as caught:
            await world.client.create(POD, pod(**spec))
        assert words in caught.value.message

    with_world(check)


def test_priorities():
    async def check(world):
        high = {"metadata": {"name": "high"}, "value": 100, "globalDefault": True, "preemptionPolicy": "Never"}
        await world.client.create(PRIORITY_CLASS, high)
        made = await world.client.create(POD, pod())
        assert (made["spec"]["priority"], made["spec"]["preemptionPolicy"]) == (100, "Never")
        made = await world.client.create(POD, pod("b", priorityClassName="system-node-critical"))
        assert made["spec"]["priority"] == 2_000_001_000

    with_world(check)


@pytest.mark.parametrize(
    ("resources", "quality"),
    [
        ({}, "BestEffort"), ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"), ({"limits": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}, "Burstable"),
    ],
)  # fmt: skip
def test_quality_of_service(resources, quality):
    async def check(world):
        container = {"name": "c", "image": "i", "resources": resources}
        made = await world.client.create(POD, pod(containers=[container]))
        assert made["status"]["qosClass"] == quality

    with_world(check)


def test_services_get_addresses_that_nobody_else_has():
    async def check(world):
        made = await asyncio.gather(*(world.client.create(SERVICE, service(f"s{n}")) for n in range(50)))
        addresses = {each["spec"]["clusterIP"] for each in made}
        assert len(addresses) == 50
        assert "10.96.0.1" not in addresses
        taken = made[0]["spec"]["clusterIP"]
        with pytest.raises(Invalid) as caught:
            await world.client.create(SERVICE, service("t", clusterIP=taken))
        assert "provided IP is already allocated" in caught.value.message
        await world.client.delete(SERVICE, Key("default", "s0"))
        again = await world.client.create(SERVICE, service("t", clusterIP=taken))
        assert again["spec"]["clusterIPs"] == [taken]
        with pytest.raises(Invalid):
            await world.client.create(SERVICE, service("u", clusterIP="192.168.1.1"))

    with_world(check)


def test_a_service_that_was_refused_keeps_nothing():
    async def check(world):
        await world.client.create(SERVICE, service())
        before = set(world.app.api.addresses.ips.taken)
        for bad in (service(), service("A b"), service("x", ports=[{"port": 0}])):
            with pytest.raises(ApiError):
                await world.client.create(SERVICE, bad)
        await world.client.create(SERVICE, service("dry"), dry_run=True)
        assert world.app.api.addresses.ips.taken == before

    with_world(check)


def test_node_ports_and_changes_of_type():
    async def check(world):
        first = await world.client.create(SERVICE, service(type="NodePort"))
        port = first["spec"]["ports"][0]["nodePort"]
        assert 30000 <= port <= 32767
        with pytest.raises(Invalid) as caught:
            await world.client.create(SERVICE, service("t", type="NodePort", ports=[{"port": 1, "nodePort": port}]))
        assert "provided port is already allocated" in caught.value.message
        key = Key("default", "s")
        kept = await world.client.patch(SERVICE, key, {"spec": {"selector": {"x": "y"}}})
        assert kept["spec"]["ports"][0]["nodePort"] == port
        plain = await world.client.patch(SERVICE, key, {"spec": {"type": "ClusterIP"}})
        assert "nodePort" not in plain["spec"]["ports"][0]
        assert plain["spec"]["clusterIP"] == first["spec"]["clusterIP"]
        assert port not in world.app.api.addresses.ports.taken

    with_world(check)


def test_headless_services_have_no_address():
    async def check(world):
        made = await world.client.create(SERVICE, service(clusterIP="None"))
        assert (made["spec"]["clusterIPs"], made["spec"]["ipFamilies"]) == (["None"], ["IPv4"])

    with_world(check)


def test_claims_take_the_default_class():
    async def check(world):
        annotations = {"storageclass.kubernetes.io/is-default-class": "true"}
        await world.client.create(
            STORAGE_CLASS, {"metadata": {"name": "local", "annotations": annotations}, "provisioner": "p"}
        )
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        claim = {"metadata": {"name": "c", "namespace": "default"}, "spec": spec}
        made = await world.client.create(PERSISTENT_VOLUME_CLAIM, claim)
        assert made["spec"]["storageClassName"] == "local"
        assert made["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]

    with_world(check)


def test_limit_ranges_fill_in_and_bound():
    async def check(world):
        item = {"type": "Container", "default": {"cpu": "500m"}, "defaultRequest": {"cpu": "100m"}, "max": {"cpu": "1"}}
        meta = {"name": "l", "namespace": "default"}
        await world.client.create(LIMIT_RANGE, {"metadata": meta, "spec": {"limits": [item]}})
        made = await world.client.create(POD, pod())
        assert made["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "500m"}, "requests": {"cpu": "100m"}}
        container = {"name": "c", "image": "i", "resources": {"limits": {"cpu": "2"}}}
        with pytest.raises(Forbidden) as caught:
            await world.client.create(POD, pod("b", containers=[container]))
        assert "maximum cpu usage per Container is 1, but limit is 2" in caught.value.message

    with_world(check)


def test_of_many_creates_no_more_succeed_than_the_quota_allows():
    async def check(world):
        meta = {"name": "q", "namespace": "default"}
        await world.client.create(RESOURCE_QUOTA, {"metadata": meta, "spec": {"hard": {"count/configmaps": "5"}}})
        tasks = [world.client.create(CONFIG_MAP, config_map(f"c{n}")) for n in range(20)]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert sum(isinstance(result, dict) for result in results) == 5
        refused = next(result for result in results if isinstance(result, Forbidden))
        assert (
            "exceeded quota: q, requested: count/configmaps=1, used: count/configmaps=5, limited: count/configmaps=5"
            in str(refused)
        )
        quota = await world.client.get(RESOURCE_QUOTA, "q", "default")
        assert quota["status"]["used"] == {"count/configmaps": "5"}

    with_world(check)


def test_quotas_make_pods_say_what_they_need():
    async def check(world):
        meta = {"name": "q", "namespace": "default"}
        await world.client.create(RESOURCE_QUOTA, {"metadata": meta, "spec": {"hard": {"requests.cpu": "1"}}})
        with pytest.raises(Forbidden) as caught:
            await world.client.create(POD, pod())
        assert "failed quota: q: must specify requests.cpu for: c" in caught.value.message
        container = {"name": "c", "image": "i", "resources": {"requests": {"cpu": "600m"}}}
        await world.client.create(POD, pod("a", containers=[container]))
        with pytest.raises(Forbidden):
            await world.client.create(POD, pod("b", containers=[container]))

    with_world(check)


RESTRICTED = {
    "allowPrivilegeEscalation": False, "runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"},
    "capabilities": {"drop": ["ALL"]},
}  # fmt: skip


@pytest.mark.parametrize(
    ("level", "spec", "words"),
    [
        ("baseline", {"hostNetwork": True}, "host namespaces (hostNetwork=true)"),
        ("baseline", {"volumes": [{"name": "v", "hostPath": {"path": "/x"}}]}, 'hostPath volumes (volume "v")'),
        ("baseline", {"containers": [{"name": "c", "image": "i", "securityContext": {"privileged": True}}]},
         'privileged (container "c" must not set securityContext.privileged=true)'),
        ("restricted", {}, "allowPrivilegeEscalation != false"),
        ("restricted", {"containers": [{"name": "c", "image": "i", "securityContext": RESTRICTED}]}, ""),
        ("privileged", {"hostNetwork": True}, ""),
    ],
)  # fmt: skip
def test_pod_security_levels(level, spec, words):
    async def check(world):
        await world.namespace("x")
        labels = {"pod-security.kubernetes.io/enforce": level}
        await world.client.patch(NAMESPACE, Key("", "x"), {"metadata": {"labels": labels}})
        if not words:
            assert await world.client.create(POD, pod("a", "x", **spec))
            return
        with pytest.raises(Forbidden) as caught:
            await world.client.create(POD, pod("a", "x", **spec))
        assert f'violates PodSecurity "{level}:latest": ' in caught.value.message
        assert words in caught.value.message

    with_world(check)


def test_workloads_are_warned_of_not_refused():
    async def check(world):
        await world.namespace("x")
        labels = {"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted"}
        await world.client.patch(NAMESPACE, Key("", "x"), {"metadata": {"labels": labels}})
        code, _, headers = await world.send("POST", DEPLOYMENT.path("x"), deployment("d", "x"))
        assert code == 201
        assert headers["warning"].startswith('299 - "would violate PodSecurity \\"restricted:latest\\"')

    with_world(check)


def test_a_claim_grows_only_where_it_may():
    async def check(world):
        claim = {"metadata": {"name": "data", "namespace": "default"}}
        claim["spec"] = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        claim["spec"]["storageClassName"] = "fixed"
        await world.client.create(PERSISTENT_VOLUME_CLAIM, claim)
        key, larger = Key("default", "data"), {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}
        await world.client.patch(PERSISTENT_VOLUME_CLAIM, key, {"status": {"phase": "Bound"}}, subresource="status")
        with pytest.raises(Forbidden, match="only dynamically provisioned pvc can be resized"):
            await world.client.patch(PERSISTENT_VOLUME_CLAIM, key, larger)
        storage = {"metadata": {"name": "fixed"}, "provisioner": "x/y", "allowVolumeExpansion": True}
        await world.client.create(STORAGE_CLASS, storage)
        made = await world.client.patch(PERSISTENT_VOLUME_CLAIM, key, larger)
        assert made["spec"]["resources"]["requests"]["storage"] == "2Gi"

    with_world(check)


def test_an_ingress_gets_the_default_class():
    async def check(world):
        backend = {"service": {"name": "web", "port": {"number": 80}}}
        made = await world.client.create(
            INGRESS, {"metadata": {"name": "a", "namespace": "default"}, "spec": {"defaultBackend": backend}}
        )
        assert "ingressClassName" not in made["spec"]
        marked = {"ingressclass.kubernetes.io/is-default-class": "true"}
        for name, annotations in (("usual", marked), ("other", {})):
            meta = {"name": name, "annotations": annotations}
            await world.client.create(INGRESS_CLASS, {"metadata": meta, "spec": {"controller": "example.org/x"}})
        for name, cls, wanted in (("b", None, "usual"), ("c", "other", "other")):
            spec = {"defaultBackend": backend, **({"ingressClassName": cls} if cls else {})}
            made = await world.client.create(
                INGRESS, {"metadata": {"name": name, "namespace": "default"}, "spec": spec}
            )
            assert made["spec"]["ingressClassName"] == wanted

    with_world(check)
