"""Claims and volumes: binding, provisioning, release."""

from __future__ import annotations

from pathlib import Path

from controller_world import World, merged

from argosy.engine.controllers import claim, volume
from argosy.engine.controllers.claim.use import SELECTED_NODE
from argosy.engine.controllers.volume.plan import must_be_wiped
from argosy.kinds import NODE, PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, POD, STORAGE_CLASS
from argosy.meta.json import Obj, dig
from argosy.meta.objects import Key, name_of

C = claim.operator(Path("/volumes"))
V = volume.OPERATOR


def make_claim(name: str = "data", size: str = "1Gi", storage_class: str | None = "standard", **spec: object) -> Obj:
    made: Obj = {
        "metadata": {"name": name, "namespace": "default", "finalizers": ["kubernetes.io/pvc-protection"]},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, **spec},
    }
    if storage_class is not None:
        made["spec"]["storageClassName"] = storage_class
    return made


def make_volume(name: str, size: str, storage_class: str = "", **spec: object) -> Obj:
    return {
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": size},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": storage_class,
            **spec,
        },
        "status": {"phase": "Available"},
    }


def world() -> World:
    made = World()
    made.put(
        STORAGE_CLASS,
        {
            "metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
            "provisioner": "argosy.dev/local",
            "reclaimPolicy": "Delete",
        },
    )
    return made


def phase(made: World, name: str = "data") -> str:
    return str(dig(made.get(PERSISTENT_VOLUME_CLAIM, name), "status", "phase"))


def settle(made: World) -> None:
    for _ in range(4):
        made.step(C, "data")
        for each in made.all(PERSISTENT_VOLUME):
            made.step(V, name_of(each))


def test_a_claim_of_class_standard_gets_a_directory() -> None:
    made = world()
    subject = made.put(PERSISTENT_VOLUME_CLAIM, make_claim())
    plan = made.step(C, "data")
    assert [r.code for r in plan.reasons] == ["ProvisioningSucceeded"]
    settle(made)
    (found,) = made.all(PERSISTENT_VOLUME)
    uid = subject["metadata"]["uid"]
    assert name_of(found) == f"pvc-{uid}"
    assert found["spec"]["hostPath"]["path"] == f"/volumes/default/data-{uid[:8]}"
    assert found["status"]["phase"] == "Bound"
    assert made.get(PERSISTENT_VOLUME_CLAIM, "data")["status"] == {
        "phase": "Bound",
        "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": "1Gi"},
    }
    assert made.step(C, "data").actions == ()


def test_the_default_class_is_filled_in() -> None:
    made = world()
    made.put(PERSISTENT_VOLUME_CLAIM, make_claim(storage_class=None))
    settle(made)
    assert phase(made) == "Bound"


def test_the_smallest_volume_that_fits() -> None:
    made = world()
    for name, size in (("small", "1Gi"), ("right", "5Gi"), ("large", "9Gi")):
        made.put(PERSISTENT_VOLUME, make_volume(name, size))
    made.put(PERSISTENT_VOLUME, make_volume("other-class", "5Gi", "fast"))
    made.put(PERSISTENT_VOLUME_CLAIM, make_claim(size="4Gi", storage_class=""))
    settle(made)
    assert made.get(PERSISTENT_VOLUME_CLAIM, "data")["spec"]["volumeName"] == "right"
    assert made.get(PERSISTENT_VOLUME, "right")["status"]["phase"] == "Bound"
    assert made.get(PERSISTENT_VOLUME, "large")["status"]["phase"] == "Available"


def test_what_cannot_be_had_says_so() -> None:
    made = world()
    made.put(PERSISTENT_VOLUME_CLAIM, make_claim(storage_class=""))
    assert [r.code for r in made.step(C, "data").reasons] == ["FailedBinding"]
    made.put(PERSISTENT_VOLUME_CLAIM, make_claim(storage_class="nowhere"))
    (reason,) = made.step(C, "data").reasons
    assert (reason.code, reason.warning) == ("ProvisioningFailed", True)
    assert phase(made) == "Pending"
    made.put(STORAGE_CLASS, {"metadata": {"name": "cloud"}, "provisioner": "ebs.csi.aws.com"})
    made.put(PERSISTENT_VOLUME_CLAIM, make_claim(storage_class="cloud"))
    assert [r.code for r in made.step(C, "data").reasons] == ["ExternalProvisioning"]


def test_a_claim_waits_for_its_pods_and_its_volume_is_then_released() -> None:
    made = world()
    made.put(PERSISTENT_VOLUME_CLAIM, make_claim())
    settle(made)
    volumes = [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]
    user = made.put(POD, {"metadata": {"name": "p", "namespace": "default"}, "spec": {"volumes": volumes}})
    made.delete(PERSISTENT_VOLUME_CLAIM, Key("default", "data"))
    settle(made)
    assert Key("default", "data") in made.objects[PERSISTENT_VOLUME_CLAIM]
    made.end_pod(user)
    settle(made)
    assert made.all(PERSISTENT_VOLUME_CLAIM) == []
    settle(made)
    (found,) = made.all(PERSISTENT_VOLUME)
    assert found["status"]["phase"] == "Released"
    assert must_be_wiped(found)
    made.put(PERSISTENT_VOLUME_CLAIM, make_claim())
    settle(made)
    assert len(made.all(PERSISTENT_VOLUME)) == 2, "a claim of the same name does not inherit the data"


def test_a_volume_whose_claim_is_not_seen_yet_is_not_released() -> None:
    made = world()
    reference = {"namespace": "default", "name": "data", "uid": "unseen"}
    made.put(PERSISTENT_VOLUME, make_volume("v", "1Gi", claimRef=reference))
    made.change(PERSISTENT_VOLUME, made.get(PERSISTENT_VOLUME, "v"), {"status": {"phase": "Pending"}})
    assert made.step(V, "v").again_in_seconds == 10
    assert made.get(PERSISTENT_VOLUME, "v")["status"]["phase"] == "Pending"
    made.later(10)
    made.step(V, "v")
    assert made.get(PERSISTENT_VOLUME, "v")["status"]["phase"] == "Released"


def test_protection_of_volumes() -> None:
    made = world()
    made.put(PERSISTENT_VOLUME, make_volume("v", "1Gi"))
    meta = {"metadata": {"finalizers": ["kubernetes.io/pv-protection"], "deletionTimestamp": "2026-01-01T00:00:00Z"}}
    key = Key("", "v")
    made.objects[PERSISTENT_VOLUME][key] = merged(made.objects[PERSISTENT_VOLUME][key], meta)
    made.step(V, "v")
    assert made.all(PERSISTENT_VOLUME) == []


def lazy_class(name: str, provisioner: str) -> Obj:
    return {"metadata": {"name": name}, "provisioner": provisioner, "volumeBindingMode": "WaitForFirstConsumer"}


def test_a_class_that_waits_for_its_first_consumer() -> None:
    made = world()
    made.put(STORAGE_CLASS, lazy_class("lazy", "argosy.dev/local"))
    subject = made.put(PERSISTENT_VOLUME_CLAIM, make_claim(storage_class="lazy"))
    assert [r.code for r in made.step(C, "data").reasons] == ["WaitForFirstConsumer"]
    assert made.all(PERSISTENT_VOLUME) == []
    made.put(NODE, {"metadata": {"name": "n1"}})
    made.change(PERSISTENT_VOLUME_CLAIM, subject, {"metadata": {"annotations": {SELECTED_NODE: "n1"}}})
    settle(made)
    assert phase(made) == "Bound"


def test_a_local_volume_is_bound_where_its_node_was_chosen() -> None:
    made = world()
    made.put(STORAGE_CLASS, lazy_class("disks", "kubernetes.io/no-provisioner"))
    for name in ("n1", "n2"):
        made.put(NODE, {"metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}}})
        here = [{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [name]}]}]
        affinity = {"required": {"nodeSelectorTerms": here}}
        made.put(PERSISTENT_VOLUME, make_volume(f"on-{name}", "1Gi", "disks", nodeAffinity=affinity))
    subject = made.put(PERSISTENT_VOLUME_CLAIM, make_claim(storage_class="disks"))
    settle(made)
    assert phase(made) == "Pending"
    made.change(PERSISTENT_VOLUME_CLAIM, subject, {"metadata": {"annotations": {SELECTED_NODE: "n2"}}})
    settle(made)
    assert made.get(PERSISTENT_VOLUME_CLAIM, "data")["spec"]["volumeName"] == "on-n2"


def grown(made: World, size: str) -> Obj:
    claim = merged(made.get(PERSISTENT_VOLUME_CLAIM, "data"), {"spec": {"resources": {"requests": {"storage": size}}}})
    made.put(PERSISTENT_VOLUME_CLAIM, claim)
    settle(made)
    return made.get(PERSISTENT_VOLUME_CLAIM, "data")


def test_a_claim_grows_where_its_class_allows_it() -> None:
    made = world()
    standard = made.get(STORAGE_CLASS, "standard")
    made.put(PERSISTENT_VOLUME_CLAIM, make_claim())
    settle(made)
    assert grown(made, "2Gi")["status"]["capacity"] == {"storage": "1Gi"}
    made.put(STORAGE_CLASS, {**standard, "allowVolumeExpansion": True})
    assert grown(made, "3Gi")["status"]["capacity"] == {"storage": "3Gi"}
    (found,) = made.all(PERSISTENT_VOLUME)
    assert found["spec"]["capacity"] == {"storage": "3Gi"}


def test_a_volume_of_somebody_elses_making_does_not_grow() -> None:
    made = world()
    made.put(STORAGE_CLASS, {**made.get(STORAGE_CLASS, "standard"), "allowVolumeExpansion": True})
    made.put(PERSISTENT_VOLUME, make_volume("own", "5Gi", "standard"))
    made.put(PERSISTENT_VOLUME_CLAIM, make_claim())
    settle(made)
    assert grown(made, "8Gi")["status"]["capacity"] == {"storage": "5Gi"}


def test_a_claim_that_names_its_volume_is_bound_to_it() -> None:
    made = world()
    made.put(PERSISTENT_VOLUME, make_volume("small", "1Gi"))
    made.put(PERSISTENT_VOLUME, make_volume("large", "9Gi"))
    made.put(PERSISTENT_VOLUME_CLAIM, make_claim(storage_class="", volumeName="large"))
    settle(made)
    assert made.get(PERSISTENT_VOLUME_CLAIM, "data")["status"]["capacity"] == {"storage": "9Gi"}
