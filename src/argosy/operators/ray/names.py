"""The names that Ray's pods, Services and labels carry: KubeRay's own, so that tools written for it find everything.

Used by the operators of RayCluster, RayJob and RayService. Pure.
"""

from __future__ import annotations

import hashlib

GROUP, VERSION = "ray.io", "v1"
MANAGED_BY = "ray.io/kuberay-operator"
KUBERAY_VERSION = "v1.6.0"
"""The release of KubeRay whose behaviour these operators follow; Ray's usage statistics name it."""

_LABEL = "ray.io/"
LABEL_CLUSTER = f"{_LABEL}cluster"
LABEL_NODE_TYPE = f"{_LABEL}node-type"
LABEL_GROUP = f"{_LABEL}group"
LABEL_IS_NODE = f"{_LABEL}is-ray-node"
LABEL_IDENTIFIER = f"{_LABEL}identifier"
LABEL_SERVE = f"{_LABEL}serve"
LABEL_HEADLESS = f"{_LABEL}headless-worker-svc"
LABEL_ORIGIN_NAME = f"{_LABEL}originated-from-cr-name"
LABEL_ORIGIN_KIND = f"{_LABEL}originated-from-crd"
LABEL_SUBMISSION_MODE = f"{_LABEL}job-submission-mode"
LABEL_REPLICA_NAME = f"{_LABEL}worker-group-replica-name"
LABEL_REPLICA_INDEX = f"{_LABEL}worker-group-replica-index"
LABEL_HOST_INDEX = f"{_LABEL}replica-host-index"
LABEL_APP, LABEL_CREATED_BY = "app.kubernetes.io/name", "app.kubernetes.io/created-by"
APP, COMPONENT = "kuberay", "kuberay-operator"

FT_ENABLED = f"{_LABEL}ft-enabled"
STORAGE_NAMESPACE = f"{_LABEL}external-storage-namespace"
FT_DELETION_TIMEOUT = f"{_LABEL}gcs-ft-deletion-timeout"
OVERWRITE_COMMAND = f"{_LABEL}overwrite-container-cmd"
ENABLE_SERVE_SERVICE = f"{_LABEL}enable-serve-service"
KEEP_HEAD_DOWN = f"{_LABEL}disable-provisioned-head-restart"
INITIALIZING_TIMEOUT = f"{_LABEL}initializing-timeout"
SPEC_HASH = f"{_LABEL}hash-without-replicas-and-workers-to-delete"
RECREATE_HASH = f"{_LABEL}upgrade-strategy-recreate-hash"
WORKER_GROUPS = f"{_LABEL}num-worker-groups"
OPERATOR_VERSION = f"{_LABEL}kuberay-version"
HEAD_SERVES = "argosy.dev/head-serves"
"""On a RayService's cluster: whether the Serve proxy on its head answers, and so may get requests."""
REDIS_FINALIZER = f"{_LABEL}gcs-ft-redis-cleanup-finalizer"

HEAD, WORKER, HEAD_GROUP = "head", "worker", "headgroup"
SHELL = ("/bin/bash", "-c", "--")
"""How KubeRay runs what it generates."""
SUBMITTER = "ray-job-submitter"

GCS_PORT, DASHBOARD_PORT, CLIENT_PORT, METRICS_PORT, SERVE_PORT, AGENT_PORT = 6379, 8265, 10001, 8080, 8000, 52365

MAX_CLUSTER_NAME = 53
"""63 less the longest suffix of a Service, `-serve-svc`."""
MAX_OWNER_NAME = MAX_CLUSTER_NAME - 6
"""RayJobs and RayServices add a dash and five letters to name their clusters."""
_MAX_PREFIX = 50
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
"""What Kubernetes makes its own suffixes of: no vowels, so that no words come about."""


def suffix(*parts: object) -> str:
    """Five letters that follow from the parts: names that are new each time something is made, without chance."""
    number = int.from_bytes(hashlib.sha256("\0".join(map(str, parts)).encode()).digest()[:8], "big")
    letters = ""
    for _ in range(5):
        number, place = divmod(number, len(_LETTERS))
        letters += _LETTERS[place]
    return letters


def clipped(name: str) -> str:
    """A name as KubeRay shortens it where letters will be added: its last 50 characters, a letter first."""
    name = name[-_MAX_PREFIX:]
    return name if name[0].isalpha() else f"r{name[1:]}"


def label_value(text: str) -> str:
    """A label's value: the last 63 characters, no punctuation first."""
    text = text[-63:]
    return text if text[0].isalnum() else f"r{text[1:]}"


def head_service(cluster: str) -> str:
    """The Service of a cluster's head, where the spec names none; RayJobs and RayServices name theirs alike."""
    return f"{cluster}-head-svc"


def serve_service(owner: str) -> str:
    """The Service that Ray Serve is reached by."""
    return f"{owner}-serve-svc"


def pod_prefix(cluster: str, group: str = "") -> str:
    """What a pod's name begins with: the head's without a group, else a worker's."""
    whole = f"{cluster}-{group}" if group else cluster
    return f"{whole[:_MAX_PREFIX]}-{WORKER if group else HEAD}-".lower()


def head_labels(cluster: str) -> dict[str, str]:
    """What selects the head of a cluster, and what its Service carries."""
    return {
        LABEL_CLUSTER: cluster,
        LABEL_NODE_TYPE: HEAD,
        LABEL_IDENTIFIER: label_value(f"{cluster}-{HEAD}"),
        LABEL_APP: APP,
        LABEL_CREATED_BY: COMPONENT,
    }


def origin_labels(kind: str, name: str) -> dict[str, str]:
    """The labels that lead from what a RayJob or RayService made back to it."""
    return {LABEL_ORIGIN_NAME: name, LABEL_ORIGIN_KIND: kind}
