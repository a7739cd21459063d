"""The kind `leaderworkerset.x-k8s.io/v1 LeaderWorkerSet`: its schema, columns and the names that its pods carry.

The schema is our own writing of the upstream API; what upstream fills in by a webhook stands in it as defaults.
"""

from __future__ import annotations

from argosy.meta.json import Obj
from argosy.meta.kind import Column, Kind
from argosy.operators.jobset.schema import CONDITION, INT32, STRING, array_of, object_of

_KEY = "leaderworkerset.sigs.k8s.io/"
NAME = f"{_KEY}name"
GROUP_INDEX = f"{_KEY}group-index"
WORKER_INDEX = f"{_KEY}worker-index"
GROUP_KEY = f"{_KEY}group-key"
REVISION = f"{_KEY}template-revision-hash"
SUBGROUP_INDEX = f"{_KEY}subgroup-index"
SUBGROUP_KEY = f"{_KEY}subgroup-key"
SIZE = f"{_KEY}size"
REPLICAS = f"{_KEY}replicas"
LEADER_NAME = f"{_KEY}leader-name"
EXCLUSIVE = f"{_KEY}exclusive-topology"
SUBGROUP_SIZE = f"{_KEY}subgroup-size"
SUBGROUP_TYPE = f"{_KEY}subgroup-policy-type"
SUBDOMAIN_POLICY = f"{_KEY}subdomainPolicy"
AFTER_START = f"{_KEY}experimental-recreate-group-after-start"

RECREATE, RECREATE_AFTER_START = "RecreateGroupOnPodRestart", "RecreateGroupAfterStart"
LEADER_READY = "LeaderReady"
UNIQUE = "UniquePerReplica"
LEADER_EXCLUDED = "LeaderExcluded"

_POD: Obj = {"$builtin": "io.k8s.api.core.v1.PodTemplateSpec"}
_INT_OR_STRING: Obj = {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}


def _one_of(*words: str, default: str) -> Obj:
    return {"type": "string", "enum": list(words), "default": default}


_TEMPLATE = object_of(
    "workerTemplate",
    leaderTemplate=_POD,
    workerTemplate=_POD,
    size=INT32 | {"default": 1},
    restartPolicy=_one_of("Default", RECREATE, RECREATE_AFTER_START, "None", default=RECREATE),
    subGroupPolicy=object_of(
        subGroupPolicyType=_one_of("LeaderWorker", LEADER_EXCLUDED, default="LeaderWorker"), subGroupSize=INT32
    ),
    volumeClaimTemplates=array_of({"$builtin": "io.k8s.api.core.v1.PersistentVolumeClaim"}),
    persistentVolumeClaimRetentionPolicy=object_of(whenDeleted=STRING, whenScaled=STRING),
)
_ROLLING = object_of(
    partition=INT32 | {"default": 0},
    maxUnavailable=_INT_OR_STRING | {"default": 1},
    maxSurge=_INT_OR_STRING | {"default": 0},
)

LEADER_WORKER_SET = Kind(
    group="leaderworkerset.x-k8s.io",
    version="v1",
    kind="LeaderWorkerSet",
    plural="leaderworkersets",
    short_names=("lws",),
    subresources=frozenset({"status", "scale"}),
    scale=(".spec.replicas", ".status.replicas", ".status.hpaPodSelector"),
    columns=(
        Column("Ready", path=".status.readyReplicas", type="integer", description="Number of ready replicas"),
        Column("Desired", path=".spec.replicas", type="integer", description="Number of desired replicas"),
        Column(
            "Up-to-date", path=".status.updatedReplicas", type="integer", description="Number of up-to-date replicas"
        ),
        Column("Age", path=".metadata.creationTimestamp", type="date"),
    ),
    schema=object_of(
        spec=object_of(
            "leaderWorkerTemplate",
            replicas=INT32 | {"default": 1, "minimum": 0, "maximum": 1000000},
            leaderWorkerTemplate=_TEMPLATE,
            rolloutStrategy=object_of(
                "type",
                type=_one_of("RollingUpdate", default="RollingUpdate"),
                rollingUpdateConfiguration=_ROLLING | {"default": {}},
            )
            | {"default": {"type": "RollingUpdate"}},
            startupPolicy=_one_of("LeaderCreated", LEADER_READY, default="LeaderCreated"),
            networkConfig=object_of("subdomainPolicy", subdomainPolicy=_one_of("Shared", UNIQUE, default="Shared"))
            | {"default": {"subdomainPolicy": "Shared"}},
        ),
        status=object_of(
            conditions=array_of(CONDITION, key="type"),
            readyReplicas=INT32,
            updatedReplicas=INT32,
            replicas=INT32,
            hpaPodSelector=STRING,
            observedGeneration={"type": "integer", "format": "int64"},
        ),
    ),
)
