"""The TrainJob operator: the JobSet that it makes of a job and a runtime, and what it says of it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from operator_world import World

from argosy.clock import rfc3339
from argosy.intent import Capabilities, Delete, Patch
from argosy.kinds import CONFIG_MAP, POD, SECRET
from argosy.meta.json import Obj, thaw
from argosy.meta.kind import Kind
from argosy.meta.objects import Key, labels_of
from argosy.operators.jobset.schema import JOB_SET
from argosy.operators.trainjob import gang
from argosy.operators.trainjob.operator import operator
from argosy.operators.trainjob.runtimes import ready_made
from argosy.operators.trainjob.schema import CLUSTER_TRAINING_RUNTIME, TRAINING_RUNTIME

NOT_COUNTED = {
    "name": "disrupted",
    "action": "RestartJobSetAndIgnoreMaxRestarts",
    "onJobFailureReasons": ["PodFailurePolicy"],
}
STEP = "trainer.kubeflow.org/trainjob-ancestor-step"
INDEX = {"fieldRef": {"fieldPath": "metadata.annotations['batch.kubernetes.io/job-completion-index']"}}


def replicated(name: str, step: str = "", container: str = "node", **more: object) -> Obj:
    template: Obj = {"spec": {"template": {"spec": {"containers": [{"name": container, "image": "i", **more}]}}}}
    if step:
        template["metadata"] = {"labels": {STEP: step}}
    return {"name": name, "template": template}


def runtime(
    *jobs: Obj, name: str = "rt", policy: Obj | None = None, template: Obj | None = None, **spec: object
) -> Obj:
    made = {"replicatedJobs": list(jobs or (replicated("node", "trainer"),))}
    return {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "ClusterTrainingRuntime",
        "metadata": {"name": name},
        "spec": {
            "mlPolicy": {"numNodes": 1, "torch": {}} if policy is None else policy,
            "template": {**(template or {}), "spec": made},
            **spec,
        },
    }


def world(
    of: Obj | None = None, *, kind: Kind = CLUSTER_TRAINING_RUNTIME, ref: Obj | None = None, **spec: object
) -> World:
    of = of or runtime()
    w = World(
        operator(),
        {
            "apiVersion": "trainer.kubeflow.org/v1alpha1",
            "kind": "TrainJob",
            "metadata": {"name": "tj"},
            "spec": {"runtimeRef": {"name": of["metadata"]["name"], "kind": kind.kind, **(ref or {})}, **spec},
        },
    )
    of = thaw(of)
    if kind.namespaced:
        of["metadata"]["namespace"] = "default"
    w.objects[kind, Key("default" if kind.namespaced else "", of["metadata"]["name"])] = of
    return w


def started(of: Obj | None = None, **more: object) -> World:
    w = world(of, **more)  # type: ignore[arg-type]
    w.settle()
    return w


def named(name: str) -> Obj:
    return next(each for each in ready_made() if each["metadata"]["name"] == name)


def job_of(w: World, name: str = "node") -> Obj:
    jobs = w.get(JOB_SET, "tj")["spec"]["replicatedJobs"]
    return next(job for job in jobs if job["name"] == name)


def pod_of(w: World, name: str = "node") -> Obj:
    return job_of(w, name)["template"]["spec"]["template"]


def container(w: World, name: str = "node") -> Obj:
    return pod_of(w, name)["spec"]["containers"][0]


def env(w: World, name: str = "node") -> dict[str, object]:
    return {e["name"]: e.get("value", e.get("valueFrom")) for e in container(w, name).get("env") or ()}


def conditions(w: World) -> list[tuple[str, str, str]]:
    return [(c["type"], c["status"], c["reason"]) for c in w.status.get("conditions") or ()]


def test_torch_nodes_find_each_other_as_upstream_has_it():
    w = started(trainer={"numNodes": 2, "env": [{"name": "A", "value": "1"}], "command": ["torchrun", "x.py"]})
    assert env(w) == {
        "A": "1",
        "PET_NNODES": "2",
        "PET_NPROC_PER_NODE": "1",
        "PET_NODE_RANK": INDEX,
        "PET_MASTER_ADDR": "tj-node-0-0.tj",
        "PET_MASTER_PORT": "29500",
    }
    assert container(w)["command"] == ["torchrun", "x.py"]
    assert container(w)["ports"] == [{"containerPort": 29500}]
    spec = job_of(w)["template"]["spec"]
    assert (spec["parallelism"], spec["completions"], job_of(w)["replicas"]) == (2, 2, 1)
    made = w.get(JOB_SET, "tj")
    assert made["metadata"]["ownerReferences"][0]["kind"] == "TrainJob"
    assert made["spec"]["suspend"] is False
    assert w.status == {}


@pytest.mark.parametrize(
    ("asked", "resources", "policy", "processes"),
    [
        (None, {}, {}, "1"),
        (3, {}, {}, "3"),
        (None, {"limits": {"cpu": "2500m"}}, {}, "3"),
        (None, {"requests": {"cpu": 2}, "limits": {"cpu": 4}}, {}, "2"),
        (None, {"limits": {"nvidia.com/gpu": 2, "cpu": 8}}, {}, "auto"),
        ("cpu", {"limits": {"cpu": 4}}, {}, "4"),
        ("gpu", {}, {}, "gpu"),
        (None, {}, {"numProcPerNode": 4}, "4"),
    ],
)
def test_processes_per_node_follow_what_is_asked_for(asked: object, resources: Obj, policy: Obj, processes: str):
    trainer = {"resourcesPerNode": resources} | ({"numProcPerNode": asked} if asked is not None else {})
    w = started(runtime(policy={"numNodes": 2, "torch": policy}), trainer=trainer)
    assert env(w)["PET_NPROC_PER_NODE"] == processes
    assert env(w)["PET_NNODES"] == "2"
    assert container(w).get("resources", {}) == resources


def test_other_containers_are_told_too_where_the_runtime_says_so():
    node = replicated("node", "trainer")
    node["template"]["spec"]["template"]["spec"]["initContainers"] = [{"name": "check", "image": "i"}]
    targets = [{"jobName": "node", "containerNames": ["check"]}]
    w = started(runtime(node, policy={"numNodes": 1, "torch": {"envInjection": {"targets": targets}}}))
    names = [e["name"] for e in pod_of(w)["spec"]["initContainers"][0]["env"]]
    assert names == ["PET_NNODES", "PET_NPROC_PER_NODE", "PET_NODE_RANK", "PET_MASTER_ADDR", "PET_MASTER_PORT"]


def test_jax_and_xgboost_have_an_environment_of_their_own():
    jax = started(named("jax-distributed"), trainer={"numNodes": 3})
    assert env(jax) == {
        "JAX_NUM_PROCESSES": "3",
        "JAX_PROCESS_ID": INDEX,
        "JAX_COORDINATOR_ADDRESS": "tj-node-0-0.tj:29500",
    }
    gpu = {"limits": {"nvidia.com/gpu": 2}}
    xgboost = started(named("xgboost-distributed"), trainer={"numNodes": 3, "resourcesPerNode": gpu})
    assert env(xgboost) == {
        "DMLC_TRACKER_URI": "tj-node-0-0.tj",
        "DMLC_TRACKER_PORT": "29500",
        "DMLC_TASK_ID": INDEX,
        "DMLC_NUM_WORKER": "6",
    }


def test_mpi_has_a_launcher_that_is_a_node_a_hostfile_and_keys():
    w = started(
        named("deepspeed-distributed"), trainer={"numNodes": 3, "numProcPerNode": 2, "command": ["mpirun", "x"]}
    )
    assert job_of(w, "node")["template"]["spec"]["parallelism"] == 2
    assert job_of(w, "launcher")["template"]["spec"]["parallelism"] == 1
    assert container(w, "launcher")["command"] == ["mpirun", "x"]
    assert container(w, "node")["command"] == ["/usr/sbin/sshd"]
    hosts = w.get(CONFIG_MAP, "tj-mpi-hostfile")["data"]["hostfile"]
    assert hosts == "tj-node-0-0.tj slots=2\ntj-node-0-1.tj slots=2\ntj-launcher-0-0.tj slots=2\n"
    assert env(w, "launcher") == {
        "OMPI_MCA_orte_default_hostfile": "/etc/mpi/hostfile",
        "OMPI_MCA_orte_keep_fqdn_hostnames": "true",
        "OMPI_MCA_orte_set_default_slots": "2",
        "OMPI_MCA_plm_rsh_args": "-o ConnectionAttempts=10",
    }
    mounts = {m["name"]: m["mountPath"] for m in container(w, "launcher")["volumeMounts"]}
    assert mounts == {"mpi-ssh-auth": "/home/mpiuser/.ssh", "mpi-hostfile": "/etc/mpi"}
    assert [m["name"] for m in container(w, "node")["volumeMounts"]] == ["mpi-ssh-auth"]
    keys = w.get(SECRET, "tj-mpi-ssh-auth")
    assert keys["stringData"]["ssh-publickey"].startswith("ecdsa-sha2-nistp521 ")
    assert "EC PRIVATE KEY" in keys["stringData"]["ssh-privatekey"]


def test_initializers_are_told_what_to_fetch():
    jobs = [
        replicated("dataset-initializer", "dataset-initializer", "dataset-initializer"),
        replicated("model-initializer", "model-initializer", "model-initializer"),
        replicated("node", "trainer"),
    ]
    w = started(
        runtime(*jobs),
        initializer={
            "dataset": {"storageUri": "hf://a/b", "env": [{"name": "X", "value": "y"}]},
            "model": {"storageUri": "s3://m", "secretRef": {"name": "keys"}},
        },
        trainer={"numNodes": 2},
    )
    assert env(w, "dataset-initializer") == {"STORAGE_URI": "hf://a/b", "X": "y"}
    assert env(w, "model-initializer") == {"STORAGE_URI": "s3://m"}
    assert container(w, "model-initializer")["envFrom"] == [{"secretRef": {"name": "keys"}}]
    assert job_of(w, "model-initializer")["template"]["spec"]["completions"] == 1


def test_patches_are_merged_by_name():
    pod = {
        "metadata": {"labels": {"team": "a"}},
        "spec": {
            "nodeSelector": {"pool": "x"},
            "volumes": [{"name": "v", "emptyDir": {}}],
            "containers": [{"name": "node", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}],
        },
    }
    patch = {
        "manager": "m.io/x",
        "trainingRuntimeSpec": {
            "template": {
                "metadata": {"labels": {"queue": "q"}},
                "spec": {"replicatedJobs": [{"name": "node", "template": {"spec": {"template": pod}}}]},
            }
        },
    }
    w = started(runtime(template={"metadata": {"labels": {"own": "1"}}}), runtimePatches=[patch])
    assert labels_of(w.get(JOB_SET, "tj")) == {"own": "1", "queue": "q"}
    assert labels_of(pod_of(w)) == {"team": "a"}
    assert pod_of(w)["spec"]["nodeSelector"] == {"pool": "x"}
    assert container(w)["image"] == "i"
    assert container(w)["volumeMounts"] == [{"name": "v", "mountPath": "/v"}]
    older = started(podTemplateOverrides=[{"targetJobs": [{"name": "node"}], **pod}], labels={"l": "1"})
    assert pod_of(older)["spec"] == pod_of(w)["spec"]
    assert labels_of(older.get(JOB_SET, "tj")) == {"l": "1"}


def test_it_follows_its_jobset_to_the_end():
    w = started()
    counts = {"name": "node", "ready": 1, "succeeded": 0, "failed": 0, "active": 1, "suspended": 0}
    w.change(JOB_SET, "tj", {"status": {"replicatedJobsStatus": [{**counts, "jobRestarts": [1]}]}})
    w.settle()
    assert w.status == {"jobsStatus": [counts]}
    done = {
        "type": "Completed",
        "status": "True",
        "reason": "AllJobsCompleted",
        "message": "jobset completed successfully",
    }
    w.change(JOB_SET, "tj", {"status": {"conditions": [done]}})
    w.settle()
    assert conditions(w) == [("Complete", "True", "AllJobsCompleted")]
    w.remove(JOB_SET, "tj")
    w.settle()
    assert w.names(JOB_SET) == [], "a job that is done is not done again"


def test_a_failed_jobset_is_a_failed_trainjob():
    w = started()
    failed = {"type": "Failed", "status": "True", "reason": "FailedJobs", "message": "one failed"}
    w.change(JOB_SET, "tj", {"status": {"conditions": [failed]}})
    w.settle()
    assert conditions(w) == [("Failed", "True", "FailedJobs")]
    assert w.told("FailedJobs") == ["one failed"]


def test_a_queue_may_hold_it_and_place_it():
    w = started(suspend=True)
    assert w.get(JOB_SET, "tj")["spec"]["suspend"] is True
    assert conditions(w) == [("Suspended", "True", "Suspended")]
    spec = {"nodeSelector": {"pool": "spot"}}
    job = {"name": "node", "template": {"spec": {"template": {"spec": spec}}}}
    patch = {
        "manager": "kueue.x-k8s.io/manager",
        "trainingRuntimeSpec": {"template": {"spec": {"replicatedJobs": [job]}}},
    }
    w.edit({"spec": {"suspend": False, "runtimePatches": [patch]}})
    w.settle()
    assert w.get(JOB_SET, "tj")["spec"]["suspend"] is False
    assert pod_of(w)["spec"]["nodeSelector"] == {"pool": "spot"}
    assert conditions(w) == [("Suspended", "False", "Resumed")]


def test_a_running_job_does_not_follow_its_runtime():
    w = started()
    key = CLUSTER_TRAINING_RUNTIME, Key("", "rt")
    w.objects[key] = runtime(replicated("node", "trainer", image="new"))
    w.settle()
    assert container(w)["image"] == "i"


def test_it_fails_at_its_deadline():
    w = started(activeDeadlineSeconds=60)
    assert w.again == 60
    w.wait(60)
    w.settle()
    assert conditions(w) == [("Failed", "True", "DeadlineExceeded")]
    assert w.names(JOB_SET) == []


def test_a_runtime_of_the_namespace_will_do():
    w = started(kind=TRAINING_RUNTIME)
    assert w.names(JOB_SET) == ["tj"]


def test_it_waits_for_its_runtime_and_says_so():
    w = world()
    rt = w.objects.pop((CLUSTER_TRAINING_RUNTIME, Key("", "rt")))
    w.settle()
    assert conditions(w) == [("Failed", "True", "TrainingRuntimeNotFound")]
    (said,) = w.told("TrainingRuntimeNotFound")
    assert "`kubectl get clustertrainingruntimes` lists" in said
    w.objects[CLUSTER_TRAINING_RUNTIME, Key("", "rt")] = rt
    w.settle()
    assert conditions(w) == []
    assert w.names(JOB_SET) == ["tj"]


@pytest.mark.parametrize(
    ("spec", "reason", "says"),
    [
        ({"ref": {"kind": "Other"}}, "TrainingRuntimeNotSupported", "unsupported runtime: Other.trainer.kubeflow.org"),
        (
            {"trainer": {"env": [{"name": "PET_NNODES", "value": "9"}]}},
            "FailedValidation",
            "sets PET_NNODES, which the torch",
        ),
        ({"trainer": {"numProcPerNode": "many"}}, "FailedValidation", "'many' is neither a number over 0 nor auto"),
        ({"initializer": {"model": {"storageUri": "hf://x"}}}, "FailedValidation", "container named model-initializer"),
        (
            {"podTemplateOverrides": [{"targetJobs": [{"name": "nodes"}]}]},
            "FailedValidation",
            "replicated job nodes, which the runtime does not have; it has node",
        ),
        (
            {"podTemplateOverrides": [{"targetJobs": [{"name": "node"}], "spec": {"containers": [{"name": "x"}]}}]},
            "FailedValidation",
            "container x, which the replicated job node does not have",
        ),
        (
            {"of": runtime(name="torchtune-x-y"), "trainer": {"command": ["tune", "run"]}},
            "FailedValidation",
            "stands for no model",
        ),
    ],
)
def test_mistakes_are_said_once_and_nothing_is_made(spec: Obj, reason: str, says: str):
    w = started(**spec)
    assert conditions(w) == [("Failed", "True", reason)]
    (told,) = w.told(reason)
    assert says in told
    assert w.names(JOB_SET) == []


def test_torchtune_is_told_its_recipe():
    given = ["tune", "run", "--rdzv_endpoint=localhost:29500", "full_finetune_distributed", "--config", "x",
             "output_dir=/o", "dataset.source=parquet"]  # fmt: skip
    of = runtime(replicated("node", "trainer", command=given), name="torchtune-qwen2.5-1.5b")
    args = ["model.lora_attn_modules=[q_proj]", "batch_size=2"]
    w = started(of, trainer={"command": ["tune", "run"], "args": args})
    assert container(w)["command"] == [
        "tune", "run", "lora_finetune_single_device", "--config", "qwen2_5/1.5B_lora_single_device", "output_dir=/o",
    ]  # fmt: skip
    assert container(w)["args"] == args
    assert "PET_MASTER_ADDR" not in env(w)
    two = started(of, trainer={"command": ["tune", "run"], "numProcPerNode": 2})
    assert container(two)["command"][2:6] == [
        "--rdzv_endpoint=tj-node-0-0.tj:29500", "full_finetune_distributed", "--config", "qwen2_5/1.5B_full",
    ]  # fmt: skip


def test_training_that_keeps_checkpoints_comes_back_as_a_whole():
    w = world(trainer={"env": [{"name": "RESUME_FROM", "value": "best"}]})
    w.edit({"metadata": {"annotations": {"argosy.dev/checkpoint-dir": "/ckpt"}}})
    w.settle()
    assert env(w).items() >= {("CHECKPOINT_DIR", "/ckpt"), ("RESUME_FROM", "best")}
    assert env(w)["ARGOSY_RESTART_EPOCH"] == {
        "fieldRef": {"fieldPath": "metadata.labels['jobset.sigs.k8s.io/restart-attempt']"}
    }
    assert w.get(JOB_SET, "tj")["spec"]["failurePolicy"] == {"maxRestarts": 10, "rules": [NOT_COUNTED]}
    assert job_of(w)["template"]["spec"]["backoffLimit"] == 0
    sent_away = {"action": "FailJob", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    assert job_of(w)["template"]["spec"]["podFailurePolicy"] == {"rules": [sent_away]}
    assert pod_of(w)["spec"]["restartPolicy"] == "Never"
    names = [entry["name"] for entry in container(w)["env"]]
    assert names.index("ARGOSY_NOTICE") > names.index("ARGOSY_RESTART_EPOCH"), "it refers to it"
    assert env(w)["ARGOSY_NOTICE"] == "/ckpt/.notice-$(ARGOSY_RESTART_EPOCH)"


def test_pods_of_a_drained_node_take_the_others_along_and_no_job_counts_it():
    w = world(trainer={"numNodes": 2})
    w.edit({"metadata": {"annotations": {"argosy.dev/checkpoint-dir": "/ckpt"}}})
    w.settle()
    owner = {**w.get(JOB_SET, "tj")["metadata"], "apiVersion": "v1", "kind": "JobSet", "controller": True}
    labels = {"jobset.sigs.k8s.io/jobset-name": "tj", "jobset.sigs.k8s.io/restart-attempt": "0"}
    ready = {"type": "Ready", "status": "True"}
    for name in ("tj-node-0-0-x", "tj-node-0-1-x"):
        meta = {"name": name, "namespace": "default", "uid": f"of-{name}", "labels": labels, "ownerReferences": [owner]}
        w.objects[POD, Key("default", name)] = {"metadata": meta, "status": {"phase": "Running", "conditions": [ready]}}
    assert w.plan().actions == ()
    sent = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting",
    }
    until = rfc3339(w.now + timedelta(seconds=30))
    change = {"deletionTimestamp": until, "deletionGracePeriodSeconds": 30}
    w.change(POD, "tj-node-0-1-x", {"metadata": change, "status": {"conditions": [ready, sent]}})
    mark, delete = w.plan().actions
    assert isinstance(mark, Patch)
    assert mark.patch["status"]["conditions"][1]["message"] == "leaves with a pod of its set: Eviction API: evicting"
    assert isinstance(delete, Delete)
    assert (delete.key.name, delete.grace_seconds) == ("tj-node-0-0-x", 30)
    assert w.plan().reasons[0].code == "TrainJobLeaves"


def test_training_that_is_watched_begins_anew_as_a_whole_when_it_hangs():
    w = world(trainer={"numNodes": 2})
    w.edit({"metadata": {"annotations": {"argosy.dev/hang-after": "10m"}}})
    w.settle()
    assert "CHECKPOINT_DIR" not in env(w)
    assert w.get(JOB_SET, "tj")["spec"]["failurePolicy"] == {"maxRestarts": 10, "rules": [NOT_COUNTED]}
    assert job_of(w)["template"]["spec"]["backoffLimit"] == 0
    names = ("tj-node-0-0-x", "tj-node-0-1-x", "tj-model-initializer-0-0-x")
    for name in names:
        phase = "Succeeded" if "initializer" in name else "Running"
        labels = {"jobset.sigs.k8s.io/jobset-name": "tj", "jobset.sigs.k8s.io/restart-attempt": "2"}
        owner = {**w.get(JOB_SET, "tj")["metadata"], "apiVersion": "v1", "kind": "JobSet", "controller": True}
        meta = {"name": name, "namespace": "default", "uid": f"of-{name}", "labels": labels, "ownerReferences": [owner]}
        w.objects[POD, Key("default", name)] = {"metadata": meta, "status": {"phase": phase}}
    stacks = {names[0]: "process 1 S (sleeping): python\n", names[1]: "process 1 T (stopped): python\n"}
    pods = {f"of-{name}": name for name in stacks}
    found = {"seconds": 601.0, "usual": None, "pods": pods, "steps": dict.fromkeys(stacks, ""), "stacks": stacks}
    w.probed = {"stall": found}
    w.settle()
    assert w.names(POD) == [names[2]], "what was fetched stays"
    assert w.get(CONFIG_MAP, "tj-stacks-2")["data"] == stacks
    (said,) = w.told("TrainJobHung")
    assert said == (
        "TrainJob tj begins anew because pod tj-node-0-1-x hung: no progress for 601 s, "
        "and its process is stopped (SIGSTOP)."
    )


def crash(w: World, pod: str, error: str) -> None:
    """A pod whose container failed and waits to be started again in place."""
    owner = {**w.get(JOB_SET, "tj")["metadata"], "apiVersion": "v1", "kind": "JobSet", "controller": True}
    labels = {"jobset.sigs.k8s.io/jobset-name": "tj", "jobset.sigs.k8s.io/restart-attempt": "0"}
    meta = {"name": pod, "namespace": "default", "uid": f"of-{pod}", "labels": labels, "ownerReferences": [owner]}
    ended = {"terminated": {"exitCode": 1, "finishedAt": rfc3339(w.now)}}
    status = {"name": "node", "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": ended}
    spec = {"containers": [{"name": "node"}]}
    w.objects[POD, Key("default", pod)] = {
        "metadata": meta, "spec": spec, "status": {"phase": "Running", "containerStatuses": [status]},
    }  # fmt: skip
    text = f"2026-01-01T00:00:01.0Z Traceback (most recent call last):\n2026-01-01T00:00:01.1Z {error}\n"
    w.readable[f"/api/v1/namespaces/default/pods/{pod}/log"] = text


def test_a_mistake_ends_the_job_although_its_containers_would_restart_in_place():
    w = started()
    crash(w, "tj-node-0-0-x", "ModuleNotFoundError: No module named 'x'")
    w.settle()
    assert conditions(w) == [("Failed", "True", "UserError")]
    assert w.status["conditions"][0]["message"] == (
        "TrainJob failed: pod tj-node-0-0-x exited with code 1: ModuleNotFoundError: No module named 'x' "
        "(no restart mends this; correct the program and create the job again)"
    )
    assert w.of(JOB_SET) == []
    patient = world()
    patient.edit({"metadata": {"annotations": {"argosy.dev/user-errors": "retry"}}})
    patient.settle()
    crash(patient, "tj-node-0-0-x", "ModuleNotFoundError: No module named 'x'")
    patient.settle()
    assert conditions(patient) == []
    assert patient.told("TrainJobPodFailed") != []


def test_a_set_that_failed_is_told_with_its_first_error():
    w = started()
    crash(w, "tj-node-0-0-x", "ValueError: shard 7 is cut")
    failed = {"type": "Failed", "status": "True", "reason": "FailedJobs", "message": "jobset failed"}
    w.change(JOB_SET, "tj", {"status": {"conditions": [failed]}})
    w.settle()
    assert conditions(w) == [("Failed", "True", "FailedJobs")]
    message = "jobset failed; at first pod tj-node-0-0-x exited with code 1: ValueError: shard 7 is cut"
    assert w.status["conditions"][0]["message"] == message


def test_the_peft_runtime_adapts_whatever_its_initializers_fetch():
    w = started(named("peft-lora"), trainer={"command": ["tune", "run"], "args": ["epochs=2"], "numNodes": 2})
    assert container(w)["command"] == [
        "tune", "run", "--rdzv_endpoint=tj-node-0-0.tj:29500", "lora_finetune_distributed", "--config", "_lora_multinode",
        "output_dir=/workspace/output",
    ]  # fmt: skip
    assert [d["name"] for d in job_of(w)["dependsOn"]] == ["dataset-initializer", "model-initializer"]


def test_a_gang_is_announced_in_the_clusters_own_form():
    of = runtime(podGroupPolicy={"coscheduling": {"scheduleTimeoutSeconds": 100}})
    for kind in (gang.NATIVE, gang.COSCHEDULING):
        w = world(of, trainer={"numNodes": 3})
        w.capabilities = Capabilities(frozenset({f"podgroups.{kind.version}.{kind.group}"}))
        w.settle()
        spec = w.get(kind, "tj")["spec"]
        if kind is gang.NATIVE:
            assert spec == {"schedulingPolicy": {"gang": {"minCount": 3}}}
            assert pod_of(w)["spec"]["schedulingGroup"] == {"podGroupName": "tj"}
        else:
            assert spec == {"minMember": 3, "scheduleTimeoutSeconds": 100}
            assert labels_of({"metadata": pod_of(w)["metadata"]}) == {"scheduling.x-k8s.io/pod-group": "tj"}
    plain = started(of)
    assert plain.of(gang.NATIVE) == []


def test_every_ready_made_runtime_runs():
    for of in ready_made():
        w = started(of, trainer={"numNodes": 2})
        assert w.names(JOB_SET) == ["tj"], of["metadata"]["name"]
        assert conditions(w) == []
