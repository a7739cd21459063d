"""What makes a job impossible, so that no retry mends it: said once, in the condition `Failed` and an event.

Upstream refuses most of these in an admission webhook; an operator that sees only a client says them afterwards.
"""

from __future__ import annotations

import re

from argosy.meta.json import dig
from argosy.operators.gang.job import Job, Replica

_POLICIES = ("Always", "OnFailure", "Never", "ExitCode")
_CLEAN = ("All", "Running", "None")
_DNS_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_NAME_MAX = 63


def problems(job: Job) -> list[str]:
    """A sentence fragment each, that names the field and the remedy."""
    where, found = f"spec.{job.framework.specs}", []
    if not _DNS_1035.fullmatch(job.name):
        found.append(f"metadata.name {job.name!r} names Services and must be lower-case letters, digits and dashes")
    longest = max((job.pod_name(r.type, max(r.count - 1, 0)) for r in job.replicas), key=len, default="")
    if len(longest) > _NAME_MAX:
        found.append(f"metadata.name is too long: {longest} would be over {_NAME_MAX} characters")
    if not job.replicas:
        found.append(f"{where} is empty: give it a {_or(job.framework.types)}")
    absent = [type for type in job.framework.required if job.replicas and job.replica(type) is None]
    found += [f"{where} has no {type}, which leads the job: give it one" for type in absent]
    masters = [replica.type for replica in job.replicas if replica.type in job.framework.masters]
    if len(masters) > 1:
        found.append(f"{where} has both {' and '.join(masters)}: leave one out")
    for replica in job.replicas:
        found += _replica_problems(job, replica, f"{where}.{replica.type}")
    if job.clean_pods not in ("", *_CLEAN):
        found.append(f"spec.runPolicy.cleanPodPolicy {job.clean_pods!r} is none of {', '.join(_CLEAN)}")
    found += [job.unreadable] if job.unreadable else []
    return [*found, *job.framework.problems(job)]


def _replica_problems(job: Job, replica: Replica, where: str) -> list[str]:
    framework = job.framework
    if replica.type not in framework.types:
        return [f"{where}: the type must be {_or(framework.types)}"]
    found = []
    if replica.type in framework.single and replica.count != 1:
        found.append(f"{where}.replicas must be 1")
    if replica.count < 0:
        found.append(f"{where}.replicas must not be negative")
    if replica.restart_policy not in _POLICIES:
        found.append(f"{where}.restartPolicy {replica.restart_policy!r} is none of {', '.join(_POLICIES)}")
    containers = dig(replica.template, "spec", "containers", default=[])
    if framework.container and not any(container.get("name") == framework.container for container in containers):
        names = ", ".join(str(container.get("name")) for container in containers) or "none"
        found.append(
            f"{where}.template.spec.containers needs one that is named {framework.container} (there is: {names})"
        )
    missing = [str(container.get("name")) for container in containers if not container.get("image")]
    if missing:
        found.append(f"{where}.template.spec.containers: {', '.join(missing)} has no image")
    return found


def _or(types: tuple[str, ...]) -> str:
    return " or ".join([", ".join(types[:-1]), types[-1]] if len(types) > 1 else types)
