"""How a program gets to Ray's dashboard: by a container that runs `ray job submit`, or by one request. Pure."""

from __future__ import annotations

import yaml

from argosy import kinds
from argosy.meta.json import Obj, decode, encode, thaw
from argosy.meta.objects import owner_reference
from argosy.operators.ray import names
from argosy.operators.ray.cluster import Cluster, port_named
from argosy.operators.rayjob.job import Job
from argosy.operators.rayjob.schema import K8S_JOB, RAY_JOB

_HEALTHY = (
    'python -c "import urllib.request; '
    "r=urllib.request.urlopen('{address}/api/gcs_healthz', timeout=10); "
    "exit(0 if b'success' in r.read() else 1)\""
)
_RESOURCES: Obj = {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m", "memory": "200Mi"}}
_BACKOFF_LIMIT = 2


def request(job: Job, job_id: str) -> Obj:
    """The body of the request by which HTTPMode submits."""
    spec = job.spec
    made: Obj = {"entrypoint": spec.get("entrypoint") or "", "submission_id": job_id}
    if spec.get("runtimeEnvYAML"):
        made["runtime_env"] = yaml.safe_load(spec["runtimeEnvYAML"])
    if spec.get("metadata"):
        made["metadata"] = dict(spec["metadata"])
    for field, name in (("entrypointNumCpus", "entrypoint_num_cpus"), ("entrypointNumGpus", "entrypoint_num_gpus")):
        if spec.get(field):
            made[name] = spec[field]
    if spec.get("entrypointResources"):
        made["entrypoint_resources"] = decode(spec["entrypointResources"])
    return made


def sidecar(job: Job, job_id: str) -> Obj:
    """The container beside the head that submits and follows the program."""
    container = _container(job.cluster)
    port = port_named(job.cluster.head_container, "dashboard", names.DASHBOARD_PORT)
    _equip(container, job, f"127.0.0.1:{port}", job_id)
    return container


def submitter(job: Job, cluster: Cluster, status: Obj, owner: Obj) -> Obj:
    """The Job whose pod submits the program and follows it; its image is the head's."""
    given = job.spec.get("submitterPodTemplate")
    template: Obj = thaw(given) if given else {"spec": {"containers": [_container(cluster)], "restartPolicy": "Never"}}
    container = template["spec"]["containers"][0]
    _equip(container, job, str(status["dashboardURL"]), str(status["jobId"]))
    labels = {**names.origin_labels("RayJob", job.name), names.LABEL_CREATED_BY: names.COMPONENT}
    meta = template.setdefault("metadata", {})
    meta["labels"] = {**(meta.get("labels") or {}), **labels}
    limit = (job.spec.get("submitterConfig") or {}).get("backoffLimit")
    return {
        "apiVersion": kinds.JOB.api_version,
        "kind": kinds.JOB.kind,
        "metadata": {
            "name": job.name,
            "namespace": job.namespace,
            "labels": labels,
            "ownerReferences": [owner_reference(owner, RAY_JOB)],
        },
        "spec": {"backoffLimit": _BACKOFF_LIMIT if limit is None else limit, "template": template},
    }


def _container(cluster: Cluster) -> Obj:
    return {"name": names.SUBMITTER, "image": cluster.head_container.get("image"), "resources": thaw(_RESOURCES)}


def _equip(container: Obj, job: Job, dashboard: str, job_id: str) -> None:
    """Give a thawed container the command, unless it has one, and the variables that a command of its own may use."""
    if not container.get("command"):
        shell, option, end = names.SHELL
        container["command"] = [shell, f"{option}e", end]
        container["args"] = [command(job, f"http://{dashboard.removeprefix('http://')}", job_id)]
    ours = {"PYTHONUNBUFFERED": "1", "RAY_DASHBOARD_ADDRESS": dashboard, "RAY_JOB_SUBMISSION_ID": job_id}
    kept = [entry for entry in container.get("env") or () if entry.get("name") not in ours]
    container["env"] = [*kept, *({"name": name, "value": value} for name, value in ours.items())]


def command(job: Job, address: str, job_id: str) -> str:
    """Wait for the dashboard, submit, and follow the log; a submitter that starts again does not submit again."""
    spec, again = job.spec, job.mode == K8S_JOB
    submit = ["ray", "job", "submit", "--address", address]
    if again:
        submit.append("--no-wait")
    if spec.get("runtimeEnvYAML"):
        submit += ["--runtime-env-json", _quoted(encode(yaml.safe_load(spec["runtimeEnvYAML"])).decode())]
    if spec.get("metadata"):
        submit += ["--metadata-json", _quoted(encode(dict(sorted(spec["metadata"].items()))).decode())]
    submit += ["--submission-id", job_id]
    for field, option in (("entrypointNumCpus", "cpus"), ("entrypointNumGpus", "gpus")):
        if spec.get(field):
            submit += [f"--entrypoint-num-{option}", f"{spec[field]:f}"]
    if spec.get("entrypointResources"):
        submit += ["--entrypoint-resources", _quoted(spec["entrypointResources"])]
    submit += ["--", str(spec.get("entrypoint") or "").strip(), ";"]
    waiting = f"Waiting for Ray Dashboard GCS to become healthy at {address} ..."
    parts = ["until", _HEALTHY.format(address=address), ">/dev/null", "2>&1", ";"]
    parts += ["do", "echo", _quoted(waiting), ";", "sleep", "2", ";", "done", ";"]
    if not again:
        return " ".join([*parts, *submit])
    known = ["ray", "job", "status", "--address", address, job_id, ">/dev/null", "2>&1", ";"]
    follow = ["ray", "job", "logs", "--address", address, "--follow", job_id]
    return " ".join([*parts, "if", "!", *known, "then", *submit, "fi", ";", *follow])


def _quoted(text: str) -> str:
    """In double quotes, so that the shell fills in variables of the submitter, as people have come to use it."""
    return encode(text).decode()
