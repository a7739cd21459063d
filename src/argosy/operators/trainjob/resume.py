"""Training that comes back: the same contract as the `kubeflow.org/v1` kinds have, carried by the JobSet's failure policy.

A TrainJob says where its checkpoints lie with the annotation `argosy.dev/checkpoint-dir`. Its program is told so, and which
attempt it is; when a rank fails the whole JobSet begins anew. What the runtime says about failures goes before. Pure;
called by `compose`.
"""

from __future__ import annotations

from argosy.meta.json import Obj, thaw
from argosy.operators.gang.restart import EPOCH_ENV, NOTICE_ENV
from argosy.operators.jobset.schema import RESTART_ATTEMPT
from argosy.operators.trainjob import template
from argosy.operators.trainjob.job import TrainJob

_SENT_AWAY = {"action": "FailJob", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
_NOT_COUNTED = {
    "name": "disrupted",
    "action": "RestartJobSetAndIgnoreMaxRestarts",
    "onJobFailureReasons": ["PodFailurePolicy"],
}
"""Upstream's own way of not counting what the cluster does: a pod that was sent away fails its Job by policy."""
_RESTARTS_MAX = 10
"""Enough for a machine that fails now and then, few enough for a program that always does."""


def equip(job: TrainJob, spec: Obj, trainers: list[Obj]) -> None:
    """Change a JobSet's spec in place, if the TrainJob keeps checkpoints or is watched."""
    if not (job.checkpoint_dir or job.watched):
        return
    attempt = {"fieldRef": {"fieldPath": f"metadata.labels['{RESTART_ATTEMPT}']"}}
    for each in trainers:
        container = template.container_of(each)
        if container is None:
            continue
        given = {entry["name"] for entry in container.get("env") or ()}
        contract = [
            *(template.env(CHECKPOINT_DIR=job.checkpoint_dir, RESUME_FROM="latest") if job.checkpoint_dir else ()),
            {"name": EPOCH_ENV, "valueFrom": attempt},
        ]
        if job.checkpoint_dir:
            contract += template.env(**{NOTICE_ENV: f"{job.checkpoint_dir.rstrip('/')}/.notice-$({EPOCH_ENV})"})
        template.set_env(container, [entry for entry in contract if entry["name"] not in given])
        if "failurePolicy" not in spec:
            each["template"]["spec"].setdefault("backoffLimit", 0)
            if template.pod_spec_of(each).setdefault("restartPolicy", "Never") == "Never":
                each["template"]["spec"].setdefault("podFailurePolicy", {"rules": [thaw(_SENT_AWAY)]})
    spec.setdefault("failurePolicy", {"maxRestarts": _RESTARTS_MAX, "rules": [thaw(_NOT_COUNTED)]})
