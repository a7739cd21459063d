"""Where the GCS keeps its state when it is to survive its head: Redis, or RocksDB on a volume.

Gives the head's pod what it needs, and makes what clears Redis when the cluster is deleted. Pure.
"""

from __future__ import annotations

from argosy import kinds
from argosy.meta.json import Obj, thaw
from argosy.meta.objects import owner_reference
from argosy.operators.ray import names
from argosy.operators.ray.cluster import Cluster, env_value
from argosy.operators.raycluster.environment import append, default
from argosy.operators.raycluster.schema import RAY_CLUSTER

DELETION_SECONDS = 300
"""How long a deleted cluster waits for Redis to be cleared."""
_VOLUME, _PATH = "gcs-storage", "/data/gcs"
_CLEAN = """\
import os, sys
from urllib.parse import urlparse
from ray._private.gcs_utils import cleanup_redis_storage
first = os.environ.get("RAY_REDIS_ADDRESS", "").split(",")[0]
place = urlparse(first if "://" in first else "redis://" + first)
more = {"username": os.environ["REDIS_USERNAME"]} if "REDIS_USERNAME" in os.environ else {}
sys.exit(not cleanup_redis_storage(
    host=place.hostname, port=place.port, password=os.environ.get("REDIS_PASSWORD", place.password or ""),
    use_ssl=place.scheme == "rediss", storage_namespace=os.environ["RAY_external_storage_namespace"], **more))
"""


def uses_redis(cluster: Cluster) -> bool:
    """Whether there is something in Redis to clear."""
    return cluster.fault_tolerant and _options(cluster).get("backend") != "rocksdb"


def equip(pod: Obj, cluster: Cluster, node_type: str) -> None:
    """Annotate a thawed pod and give its Ray container the settings."""
    annotations = pod["metadata"].setdefault("annotations", {})
    if node_type == names.HEAD:
        annotations[names.FT_ENABLED] = str(cluster.fault_tolerant).lower()
    if not cluster.fault_tolerant:
        return
    container = pod["spec"]["containers"][0]
    if node_type == names.WORKER:
        default(container, "RAY_gcs_rpc_server_reconnect_timeout_s", "600")
    elif uses_redis(cluster):
        _redis(annotations, container, cluster)
    else:
        _rocksdb(pod["spec"], container, cluster)


def _redis(annotations: Obj, container: Obj, cluster: Cluster) -> None:
    options = _options(cluster)
    namespace = options.get("externalStorageNamespace") or cluster.annotations.get(names.STORAGE_NAMESPACE)
    annotations[names.STORAGE_NAMESPACE] = namespace or cluster.uid
    default(container, "RAY_external_storage_namespace", annotations[names.STORAGE_NAMESPACE])
    if cluster.spec.get("gcsFaultToleranceOptions") is not None:
        append(container, {"name": "RAY_REDIS_ADDRESS", "value": options.get("redisAddress") or ""})
        for option in ("Username", "Password"):
            if options.get(f"redis{option}") is not None:
                append(container, {"name": f"REDIS_{option.upper()}", **thaw(options[f"redis{option}"])})
        return
    password = (cluster.head.get("rayStartParams") or {}).get("redis-password")
    if password is not None:
        default(container, "REDIS_PASSWORD", str(password))


def _rocksdb(spec: Obj, container: Obj, cluster: Cluster) -> None:
    default(container, "RAY_gcs_storage", "rocksdb")
    default(container, "RAY_gcs_storage_path", _PATH)
    storage: Obj = _options(cluster).get("storage") or {}
    mount: Obj = {"name": _VOLUME, "mountPath": _PATH}
    if storage.get("subPath"):
        mount["subPath"] = storage["subPath"]
    container["volumeMounts"] = [*(container.get("volumeMounts") or ()), mount]
    volume = {"name": _VOLUME, "persistentVolumeClaim": {"claimName": _claim_name(cluster)}}
    spec["volumes"] = [*(spec.get("volumes") or ()), volume]


def claim(cluster: Cluster, subject: Obj) -> Obj | None:
    """The volume claim of RocksDB, unless the user names one."""
    storage: Obj = _options(cluster).get("storage") or {}
    if not cluster.fault_tolerant or uses_redis(cluster) or storage.get("claimName"):
        return None
    spec: Obj = {
        "accessModes": storage.get("accessModes") or ["ReadWriteOnce"],
        "resources": {"requests": {"storage": storage.get("size") or "1Gi"}},
    }
    if storage.get("storageClassName"):
        spec["storageClassName"] = storage["storageClassName"]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": _claim_name(cluster),
            "namespace": cluster.namespace,
            "labels": {names.LABEL_CLUSTER: cluster.name},
            "ownerReferences": [owner_reference(subject, RAY_CLUSTER)],
        },
        "spec": spec,
    }


def cleaner(head: Obj, cluster: Cluster, subject: Obj) -> Obj:
    """The Job that clears Redis: the head's own container, with its address and password, running something else."""
    template: Obj = thaw({"metadata": head["metadata"], "spec": head["spec"]})
    for field in ("name", "namespace", "ownerReferences"):
        template["metadata"].pop(field, None)
    template["metadata"]["labels"][names.LABEL_NODE_TYPE] = "redis-cleanup"
    spec = template["spec"]
    spec["containers"] = [spec["containers"][0]]
    spec["restartPolicy"] = "Never"
    container = spec["containers"][0]
    for probe in ("livenessProbe", "readinessProbe"):
        container.pop(probe, None)
    amount = {"cpu": "200m", "memory": "256Mi"}
    container |= {
        "command": list(names.SHELL),
        "args": [f"python -c '{_CLEAN}'"],
        "resources": {"limits": amount, "requests": dict(amount)},
    }
    for name, value in (("retries", "120"), ("wait_milliseconds", "500")):
        if env_value(container, f"RAY_redis_db_connect_{name}") is None:
            append(container, {"name": f"RAY_redis_db_connect_{name}", "value": value})
    return {
        "apiVersion": kinds.JOB.api_version,
        "kind": kinds.JOB.kind,
        "metadata": {
            "name": names.label_value(f"{cluster.name}-redis-cleanup"),
            "namespace": cluster.namespace,
            "labels": dict(template["metadata"]["labels"]),
            "ownerReferences": [owner_reference(subject, RAY_CLUSTER)],
        },
        "spec": {"backoffLimit": 0, "activeDeadlineSeconds": DELETION_SECONDS, "template": template},
    }


def _options(cluster: Cluster) -> Obj:
    return dict(cluster.spec.get("gcsFaultToleranceOptions") or {})


def _claim_name(cluster: Cluster) -> str:
    storage: Obj = _options(cluster).get("storage") or {}
    return str(storage.get("claimName") or f"{cluster.name}-gcs-pvc")
