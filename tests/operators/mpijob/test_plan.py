"""Worlds in, plans out: MPIJob v2beta1."""

from __future__ import annotations

import base64

from operator_world import World

from argosy import kinds
from argosy.clock import rfc3339
from argosy.meta.json import Obj
from argosy.operators.mpijob.operator import operator
from argosy.operators.mpijob.schema import MPI_JOB

READY = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
OPERATOR = operator()


def job(**spec: object) -> Obj:
    container = {"name": "mpi", "image": "argosy/mpi"}
    launcher = {"template": {"spec": {"containers": [{**container, "command": ["mpirun", "-n", "2", "true"]}]}}}
    workers = {"replicas": 2, "template": {"spec": {"containers": [container]}}}
    return {
        "apiVersion": MPI_JOB.api_version,
        "kind": "MPIJob",
        "metadata": {"name": "pi"},
        "spec": {"mpiReplicaSpecs": {"Launcher": launcher, "Worker": workers}, **spec},
    }


def world(subject: Obj | None = None) -> World:
    w = World(OPERATOR, subject or job())
    w.settle()
    return w


def workers_run(w: World) -> None:
    for name in w.names(kinds.POD):
        if "-worker-" in name:
            w.change(kinds.POD, name, {"status": READY})


def launcher_runs(w: World, phase: str = "Running", name: str = "pi-launcher-x", **status: object) -> None:
    launcher = w.get(kinds.JOB, "pi-launcher")
    meta = {**launcher["spec"]["template"]["metadata"], "name": name, "namespace": "default", "uid": f"of-{name}"}
    meta |= {"creationTimestamp": rfc3339(w.now)}
    meta["ownerReferences"] = [
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "name": "pi-launcher",
            "uid": launcher["metadata"]["uid"],
            "controller": True,
        }
    ]
    spec = launcher["spec"]["template"]["spec"]
    from argosy.meta.objects import Key

    w.objects[kinds.POD, Key("default", name)] = {"metadata": meta, "spec": spec, "status": {"phase": phase, **status}}


def ends(w: World, type: str, **more: object) -> None:
    condition = {"type": type, "status": "True", **more}
    w.change(
        kinds.JOB, "pi-launcher", {"status": {"conditions": [condition], "completionTime": "2026-01-01T00:01:00Z"}}
    )
    w.settle()


def env(container: Obj) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in container["env"]}


def running() -> World:
    w = world()
    workers_run(w)
    launcher_runs(w)
    w.settle()
    return w


def reasons(w: World) -> list[tuple[str, str, str]]:
    return [(c["type"], c["status"], c["reason"]) for c in w.status["conditions"]]


def test_objects_are_upstreams() -> None:
    w = world()
    assert w.names(kinds.POD) == ["pi-worker-0", "pi-worker-1"]
    assert w.get(kinds.SERVICE, "pi")["spec"] == {
        "clusterIP": "None",
        "selector": {"training.kubeflow.org/operator-name": "mpi-operator", "training.kubeflow.org/job-name": "pi"},
    }
    files = w.get(kinds.CONFIG_MAP, "pi-config")["data"]
    assert files["hostfile"] == "pi-worker-0.pi.default.svc slots=1\npi-worker-1.pi.default.svc slots=1\n"
    assert files["discover_hosts.sh"] == "#!/bin/sh\n"
    secret = w.get(kinds.SECRET, "pi-ssh")
    assert secret["type"] == "kubernetes.io/ssh-auth"
    assert base64.b64decode(secret["data"]["ssh-privatekey"]).startswith(b"-----BEGIN EC PRIVATE KEY-----")
    assert base64.b64decode(secret["data"]["ssh-publickey"]).startswith(b"ecdsa-sha2-nistp521 ")


def test_worker_pod() -> None:
    pod = world().get(kinds.POD, "pi-worker-1")
    assert pod["metadata"]["labels"] == {
        "training.kubeflow.org/operator-name": "mpi-operator",
        "training.kubeflow.org/job-name": "pi",
        "training.kubeflow.org/job-role": "worker",
        "training.kubeflow.org/replica-index": "1",
    }
    spec = pod["spec"]
    assert (spec["hostname"], spec["subdomain"], spec["restartPolicy"]) == ("pi-worker-1", "pi", "Never")
    assert spec["dnsConfig"] == {"searches": ["pi.default.svc.cluster.local"]}
    container = spec["containers"][0]
    assert container["command"] == ["/usr/sbin/sshd", "-De"]
    assert env(container) == {"K_MPI_JOB_ROLE": "worker"}
    assert container["volumeMounts"] == [{"name": "ssh-auth", "mountPath": "/root/.ssh"}]
    assert spec["volumes"][0]["secret"]["defaultMode"] == 0o600
    assert [item["path"] for item in spec["volumes"][0]["secret"]["items"]] == [
        "id_rsa",
        "id_rsa.pub",
        "authorized_keys",
    ]


def test_launcher_job() -> None:
    w = world(job(runPolicy={"backoffLimit": 3, "ttlSecondsAfterFinished": 60, "activeDeadlineSeconds": 99}))
    spec = w.get(kinds.JOB, "pi-launcher")["spec"]
    assert (spec["backoffLimit"], spec["ttlSecondsAfterFinished"], spec["activeDeadlineSeconds"]) == (3, 60, 99)
    assert spec["podReplacementPolicy"] == "Failed"
    assert "suspend" not in spec
    pod = spec["template"]["spec"]
    assert (pod["hostname"], pod["subdomain"], pod["restartPolicy"]) == ("pi-launcher", "pi", "OnFailure")
    given = env(pod["containers"][0])
    assert list(given)[:5] == [
        "K_MPI_JOB_ROLE", "OMPI_MCA_orte_keep_fqdn_hostnames", "OMPI_MCA_orte_default_hostfile",
        "OMPI_MCA_plm_rsh_args", "OMPI_MCA_orte_set_default_slots",
    ]  # fmt: skip
    assert given["PRTE_MCA_prte_default_hostfile"] == "/etc/mpi/hostfile"
    assert given["NVIDIA_VISIBLE_DEVICES"] == given["NVIDIA_DRIVER_CAPABILITIES"] == ""
    assert pod["containers"][0]["volumeMounts"][-1] == {"name": "mpi-job-config", "mountPath": "/etc/mpi"}
    modes = {item["path"]: item["mode"] for item in pod["volumes"][-1]["configMap"]["items"]}
    assert modes == {"hostfile": 0o444, "discover_hosts.sh": 0o555}


def test_the_launcher_may_work_too() -> None:
    w = world(job(runLauncherAsWorker=True, slotsPerWorker=4, mpiImplementation="MPICH"))
    assert w.get(kinds.SERVICE, "pi")["spec"]["publishNotReadyAddresses"] is True
    files = w.get(kinds.CONFIG_MAP, "pi-config")["data"]
    assert files["hostfile"].splitlines()[0] == "pi-launcher.pi.default.svc:4"
    assert files["discover_hosts.sh"] == "#!/bin/sh\necho pi-launcher.pi.default.svc\n"
    assert w.get(kinds.POD, "pi-worker-0")["metadata"]["labels"]["training.kubeflow.org/replica-index"] == "1"
    template = w.get(kinds.JOB, "pi-launcher")["spec"]["template"]
    assert template["metadata"]["labels"]["training.kubeflow.org/replica-index"] == "0"
    assert env(template["spec"]["containers"][0]) == {
        "K_MPI_JOB_ROLE": "launcher",
        "HYDRA_HOST_FILE": "/etc/mpi/hostfile",
        "HYDRA_LAUNCH_EXTRA_ARGS": "-o ConnectionAttempts=10",
    }


def test_intel() -> None:
    w = world(job(mpiImplementation="Intel", slotsPerWorker=2))
    given = env(w.get(kinds.JOB, "pi-launcher")["spec"]["template"]["spec"]["containers"][0])
    assert given["I_MPI_PERHOST"] == "2"
    assert given["I_MPI_HYDRA_HOST_FILE"] == "/etc/mpi/hostfile"
    assert given["I_MPI_HYDRA_BOOTSTRAP_EXEC_EXTRA_ARGS"] == "-o ConnectionAttempts=10"


def test_a_life_in_order() -> None:
    w = world()
    assert reasons(w) == [("Created", "True", "MPIJobCreated")]
    workers_run(w)
    w.settle()
    assert w.get(kinds.CONFIG_MAP, "pi-config")["data"]["discover_hosts.sh"] == (
        "#!/bin/sh\necho pi-worker-0.pi.default.svc\necho pi-worker-1.pi.default.svc\n"
    )
    launcher_runs(w)
    w.settle()
    assert reasons(w)[-1] == ("Running", "True", "MPIJobRunning")
    assert w.status["replicaStatuses"] == {"Launcher": {"active": 1}, "Worker": {"active": 2}}
    ends(w, "Complete")
    assert reasons(w) == [
        ("Created", "True", "MPIJobCreated"),
        ("Running", "False", "MPIJobRunning"),
        ("Succeeded", "True", "MPIJobSucceeded"),
    ]
    assert w.status["completionTime"] == "2026-01-01T00:01:00Z"
    assert w.status["replicaStatuses"] == {"Launcher": {"succeeded": 1}, "Worker": {"active": 2}}
    assert len(w.names(kinds.POD)) == 3, "cleanPodPolicy None is the default"


def test_over_before_it_was_seen_running() -> None:
    w = world()
    ends(w, "Complete")
    assert w.conditions() == [("Created", "True"), ("Running", "False"), ("Succeeded", "True")]


def test_clean_pod_policies() -> None:
    for policy, left in (("All", []), ("Running", ["pi-worker-1"])):
        w = world(job(runPolicy={"cleanPodPolicy": policy}))
        workers_run(w)
        w.pods("Succeeded", "pi-worker-1")
        ends(w, "Complete")
        assert w.names(kinds.POD) == left
        assert w.status["replicaStatuses"]["Worker"] == {}


def test_the_launcher_fails_for_good() -> None:
    w = running()
    end = {"exitCode": 3, "message": "ValueError: no"}
    launcher_runs(w, "Failed", containerStatuses=[{"name": "mpi", "state": {"terminated": end}}])
    ends(
        w, "Failed", reason="BackoffLimitExceeded", message="Job has reached the specified backoff limit"
    )  # upstream appends what its pod said
    last = w.status["conditions"][-1]
    assert (last["type"], last["reason"]) == ("Failed", "BackoffLimitExceeded")
    assert last["message"] == (
        "Job has reached the specified backoff limit: pod pi-launcher-x exited with code 3: ValueError: no"
    )
    assert w.told("BackoffLimitExceeded") == [last["message"]]


def test_waiting_for_workers() -> None:
    w = world(job(launcherCreationPolicy="WaitForWorkersReady"))
    assert w.names(kinds.JOB) == []
    w.change(kinds.POD, "pi-worker-0", {"status": READY})
    w.settle()
    assert w.names(kinds.JOB) == []
    workers_run(w)
    w.settle()
    assert w.names(kinds.JOB) == ["pi-launcher"]


def test_suspend_and_resume() -> None:
    w = running()
    w.edit({"spec": {"runPolicy": {"suspend": True}}})
    w.change(kinds.JOB, "pi-launcher", {"status": {"startTime": "2026-01-01T00:00:00Z"}})
    w.settle()
    assert w.names(kinds.POD) == ["pi-launcher-x"], "the launcher's pod is its Job's to delete"
    assert w.get(kinds.JOB, "pi-launcher")["spec"]["suspend"] is True
    assert reasons(w)[-2:] == [("Running", "False", "MPIJobSuspended"), ("Suspended", "True", "MPIJobSuspended")]
    w.wait(60)
    w.remove(kinds.POD, "pi-launcher-x")
    launcher = {"template": {"spec": {"nodeSelector": {"queue": "a"}}}}
    w.edit({"spec": {"runPolicy": {"suspend": False}, "mpiReplicaSpecs": {"Launcher": launcher}}})
    w.settle()
    resumed = w.get(kinds.JOB, "pi-launcher")
    assert resumed["spec"]["suspend"] is False
    assert resumed["spec"]["template"]["spec"]["nodeSelector"] == {"queue": "a"}
    assert "startTime" not in resumed["status"]
    assert ("Suspended", "False", "MPIJobResumed") in reasons(w)
    assert w.status["startTime"] == rfc3339(w.now)
    assert w.names(kinds.POD) == ["pi-worker-0", "pi-worker-1"]


def test_made_suspended() -> None:
    w = world(job(runPolicy={"suspend": True}))
    assert w.names(kinds.POD) == []
    assert w.get(kinds.JOB, "pi-launcher")["spec"]["suspend"] is True
    assert "startTime" not in w.status


def test_scaling() -> None:
    w = running()
    w.edit({"spec": {"mpiReplicaSpecs": {"Worker": {"replicas": 3}}}})
    w.settle()
    assert "pi-worker-2" in w.names(kinds.POD)
    assert len(w.get(kinds.CONFIG_MAP, "pi-config")["data"]["hostfile"].splitlines()) == 3
    w.edit({"spec": {"mpiReplicaSpecs": {"Worker": {"replicas": 1}}}})
    w.settle()
    assert [name for name in w.names(kinds.POD) if "worker" in name] == ["pi-worker-0"]
    assert w.get(kinds.CONFIG_MAP, "pi-config")["data"]["discover_hosts.sh"] == (
        "#!/bin/sh\necho pi-worker-0.pi.default.svc\n"
    )


def test_a_failed_worker_is_replaced_until_the_limit() -> None:
    w = world(job(runPolicy={"backoffLimit": 1}))
    workers_run(w)
    launcher_runs(w)
    w.settle()
    w.exit("pi-worker-1", 137, container="mpi")
    w.settle()
    assert w.get(kinds.POD, "pi-worker-1")["status"]["phase"] == "Pending"
    assert reasons(w)[-1] == ("Restarting", "True", "MPIJobRestarting")
    assert "pi-worker-1 was killed by signal 9" in w.status["conditions"][-1]["message"]
    workers_run(w)
    w.settle()
    assert reasons(w)[-1][0] == "Running"
    w.exit("pi-worker-1", 1, container="mpi")
    w.settle()
    assert reasons(w)[-1] == ("Failed", "True", "BackoffLimitExceeded")
    assert w.get(kinds.JOB, "pi-launcher")["spec"]["suspend"] is True, "nothing runs on"


def test_an_evicted_worker_fails_the_job() -> None:
    w = running()
    w.change(kinds.POD, "pi-worker-0", {"status": {"phase": "Failed", "reason": "Evicted"}})
    w.settle()
    assert reasons(w)[-1] == ("Failed", "True", "MPIJobEvicted")
    assert w.status["conditions"][-1]["message"] == "1/2 workers are evicted"


def test_what_is_not_ours() -> None:
    for spec in ({"runPolicy": {"managedBy": "kueue.x-k8s.io/multikueue"}},):
        assert world(job(**spec)).objects == {}
    subject = job()
    writer = {"apiVersion": "kubeflow.org/v1", "fieldsV1": {"f:spec": {}}, "time": "2026-01-01T00:00:00Z"}
    subject["metadata"]["managedFields"] = [writer]
    assert world(subject).objects == {}, "made as v1"


def test_bad_input_is_told_once() -> None:
    def broken(**spec: object) -> str:
        w = world(job(**spec))
        assert w.objects == {}
        last = w.status["conditions"][-1]
        assert (last["type"], last["reason"]) == ("Failed", "ValidationError")
        assert w.told("ValidationError") == [last["message"]]
        return str(last["message"])

    template = {"spec": {"containers": [{"name": "mpi", "image": "x"}]}}
    assert "has no Launcher" in broken(mpiReplicaSpecs={"Worker": {"template": template}})
    assert "spec.slotsPerWorker is 0" in broken(slotsPerWorker=0)
    assert "Launcher.template.spec.containers is empty" in broken(mpiReplicaSpecs={"Launcher": {"template": {}}})
    assert "Launcher.replicas must be 1" in broken(mpiReplicaSpecs={"Launcher": {"replicas": 2, "template": template}})
    assert "cleanPodPolicy 'Some'" in broken(runPolicy={"cleanPodPolicy": "Some"})
    odd = {"Launcher": {"template": template}, "Master": {"template": template}}
    assert "the type must be Launcher or Worker" in broken(mpiReplicaSpecs=odd)


def test_a_hang_takes_launcher_and_workers_away_together() -> None:
    w = running()
    pods = {p["metadata"]["uid"]: p["metadata"]["name"] for p in w.of(kinds.POD)}
    stacks = dict.fromkeys(pods.values(), "process 1 S (sleeping): python t.py\n")
    stacks["pi-worker-1"] = "process 1 T (stopped): python t.py\n"
    steps = dict.fromkeys(pods.values(), "") | {"pi-launcher-x": "75"}
    w.probed = {"stall": {"seconds": 42.0, "usual": None, "pods": pods, "steps": steps, "stacks": stacks}}
    w.settle()
    assert w.get(kinds.CONFIG_MAP, "pi-stacks-0")["data"] == stacks
    assert w.names(kinds.POD) == ["pi-worker-0", "pi-worker-1"], (
        "workers are made again; the launcher's Job makes its pod"
    )
    assert not set(pods) & {p["metadata"]["uid"] for p in w.of(kinds.POD)}
    said = "pod pi-worker-1 hung: no progress for 42 s; the last step was 75, and its process is stopped (SIGSTOP)"
    assert w.status["conditions"][-1]["type"] == "Restarting"
    assert said in w.status["conditions"][-1]["message"]
    w.edit({"spec": {"runPolicy": {"backoffLimit": 1}}})
    workers_run(w)
    launcher_runs(w, name="pi-launcher-y")
    pods = {p["metadata"]["uid"]: p["metadata"]["name"] for p in w.of(kinds.POD)}
    stacks = dict.fromkeys(pods.values(), "")
    w.probed = {"stall": {"seconds": 42.0, "usual": None, "pods": pods, "steps": {}, "stacks": stacks}}
    w.settle()
    assert reasons(w)[-1] == ("Failed", "True", "BackoffLimitExceeded")
    assert "hung: no progress for 42 s; no rank stands apart" in w.status["conditions"][-1]["message"]
