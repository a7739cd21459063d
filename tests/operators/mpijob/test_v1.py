"""Worlds in, plans out: MPIJob v1."""

from __future__ import annotations

from operator_world import World

from argosy import kinds
from argosy.meta.json import Obj
from argosy.operators.mpijob.operator import operator, operator_v1
from argosy.operators.mpijob.schema import MPI_JOB_V1
from argosy.operators.settings import OperatorSettings

OPERATOR = operator_v1(OperatorSettings())


def job(**spec: object) -> Obj:
    container = {"name": "any", "image": "argosy/mpi"}
    launcher = {"template": {"spec": {"containers": [{**container, "command": ["mpirun", "-n", "2", "true"]}]}}}
    workers = {"replicas": 2, "template": {"spec": {"containers": [container]}}}
    writer = {"apiVersion": "kubeflow.org/v1", "fieldsV1": {"f:spec": {}}, "time": "2026-01-01T00:00:00Z"}
    return {
        "apiVersion": MPI_JOB_V1.api_version,
        "kind": "MPIJob",
        "metadata": {"name": "pi", "managedFields": [writer]},
        "spec": {"mpiReplicaSpecs": {"Launcher": launcher, "Worker": workers}, **spec},
    }


def world(**spec: object) -> World:
    w = World(OPERATOR, job(**spec))
    w.settle()
    return w


def test_objects_are_upstreams() -> None:
    w = world(slotsPerWorker=2, mainContainer="any")
    assert w.names(kinds.POD) == ["pi-launcher", "pi-worker-0", "pi-worker-1"]
    files = w.get(kinds.CONFIG_MAP, "pi-config")["data"]
    assert files["hostfile"] == "pi-worker-0 slots=2\npi-worker-1 slots=2\n"
    assert files["discover_hosts.sh"] == "#!/bin/sh"
    assert files["kubexec.sh"] == (
        '#!/bin/sh\nset -x\nPOD_NAME=$1\nshift\n/opt/kube/kubectl exec ${POD_NAME} --container any -- /bin/sh -c "$*"'
    )
    assert w.names(kinds.SERVICE_ACCOUNT) == w.names(kinds.ROLE) == w.names(kinds.ROLE_BINDING) == ["pi-launcher"]
    execute = w.get(kinds.ROLE, "pi-launcher")["rules"][1]
    assert (execute["resources"], execute["resourceNames"]) == (["pods/exec"], ["pi-worker-0", "pi-worker-1"])
    assert w.get(kinds.ROLE_BINDING, "pi-launcher")["subjects"][0]["name"] == "pi-launcher"


def test_launcher_pod() -> None:
    pod = world().get(kinds.POD, "pi-launcher")
    spec = pod["spec"]
    assert pod["metadata"]["labels"]["training.kubeflow.org/job-role"] == "master"
    assert spec["serviceAccountName"] == "pi-launcher"
    assert [c["name"] for c in spec["initContainers"]] == ["kubectl-delivery"]
    env = {entry["name"]: entry["value"] for entry in spec["containers"][0]["env"]}
    for name in ("OMPI_MCA_plm_rsh_agent", "PRTE_MCA_plm_ssh_agent", "I_MPI_HYDRA_BOOTSTRAP_EXEC"):
        assert env[name] == "/etc/mpi/kubexec.sh"
    assert env["OMPI_MCA_orte_default_hostfile"] == "/etc/mpi/hostfile"
    assert env["NVIDIA_VISIBLE_DEVICES"] == ""
    assert env["I_MPI_HYDRA_BOOTSTRAP"] == "rsh"
    assert [mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]] == ["/opt/kube", "/etc/mpi"]


def test_worker_pod() -> None:
    spec = world().get(kinds.POD, "pi-worker-1")["spec"]
    assert (spec["containers"][0]["command"], spec["containers"][0]["args"]) == (["sleep"], ["365d"])
    assert [item["key"] for item in spec["volumes"][-1]["configMap"]["items"]] == ["kubexec.sh"]
    assert spec["restartPolicy"] == "Never"


def test_files_and_rights_follow() -> None:
    w = world()
    w.pods("Running")
    w.settle()
    assert w.get(kinds.CONFIG_MAP, "pi-config")["data"]["discover_hosts.sh"] == (
        "#!/bin/sh\necho pi-worker-0:1\necho pi-worker-1:1"
    )
    assert w.conditions() == [("Created", "True"), ("Running", "True")]
    w.edit({"spec": {"mpiReplicaSpecs": {"Worker": {"replicas": 3}}}})
    w.settle()
    assert w.get(kinds.ROLE, "pi-launcher")["rules"][1]["resourceNames"][-1] == "pi-worker-2"


def test_the_launcher_decides() -> None:
    w = world(cleanPodPolicy="All")
    w.pods("Running")
    w.settle()
    w.pods("Succeeded", "pi-launcher")
    w.settle()
    assert w.conditions()[-1] == ("Succeeded", "True")
    assert w.names(kinds.POD) == []


def test_a_launcher_with_gpus_is_a_host() -> None:
    subject = job()
    main = subject["spec"]["mpiReplicaSpecs"]["Launcher"]["template"]["spec"]["containers"][0]
    main["resources"] = {"limits": {"nvidia.com/gpu": 1}}
    w = World(OPERATOR, subject)
    w.settle()
    assert w.get(kinds.CONFIG_MAP, "pi-config")["data"]["hostfile"].startswith("pi-launcher slots=1\n")
    env = {entry["name"] for entry in w.get(kinds.POD, "pi-launcher")["spec"]["containers"][0]["env"]}
    assert "NVIDIA_VISIBLE_DEVICES" not in env


def test_bad_input() -> None:
    w = world(slotsPerWorker=0)
    assert "spec.slotsPerWorker is 0" in w.status["conditions"][-1]["message"]
    w = world(mpiReplicaSpecs={"Worker": {"template": {"spec": {"containers": []}}}})
    assert "has no Launcher" in w.status["conditions"][-1]["message"]
    assert w.names(kinds.POD) == []


def test_each_version_has_its_operator() -> None:
    w = World(operator(), job())
    w.settle()
    assert w.objects == {}
    subject = job()
    subject["metadata"]["managedFields"][0]["apiVersion"] = "kubeflow.org/v2beta1"
    w = World(OPERATOR, subject)
    w.settle()
    assert w.objects == {}
