"""A job read once, with every default in its place, so that nothing else digs in the raw object.

Called by `plan`; what is wrong with it comes out of `problems`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from argosy.meta.json import Obj, dig
from argosy.meta.objects import annotations_of, name_of, namespace_of
from argosy.operators.gang import datasets
from argosy.operators.gang.datasets import Wanted
from argosy.operators.gang.framework import WORKER, Framework
from argosy.operators.gang.labels import LABEL_JOB, LABEL_OPERATOR, LABEL_TYPE
from argosy.operators.settings import PREFIX
from argosy.operators.tracking import job as tracking
from argosy.operators.watching import progress

RESTART_SCOPE = f"{PREFIX}restart-scope"
USER_ERRORS = f"{PREFIX}user-errors"
CORDON = f"{PREFIX}cordon"
CHECKPOINT_DIR = f"{PREFIX}checkpoint-dir"


@dataclass(frozen=True, slots=True)
class Replica:
    """One entry of the replica specs."""

    type: str
    count: int
    restart_policy: str
    template: Obj

    def container(self, name: str) -> Obj:
        """The template's container of a name; empty where there is none."""
        containers: list[Obj] = dig(self.template, "spec", "containers", default=[])
        return next((one for one in containers if one.get("name") == name), {})


@dataclass(frozen=True, slots=True)
class Job:
    """What the plan needs to know of the spec. Times are seconds."""

    framework: Framework
    name: str
    namespace: str
    replicas: tuple[Replica, ...]
    """In the framework's order."""
    spec: Obj
    """The whole spec, for the framework's own fields."""
    clean_pods: str
    """`cleanPodPolicy` as given, empty where it is not."""
    ttl: int | None
    deadline: int | None
    backoff_limit: int | None
    suspend: bool
    managed_by: str
    scheduling: Obj
    whole_gang: bool
    """Whether a failure restarts every pod; the annotation `argosy.dev/restart-scope: pod` chooses otherwise."""
    checkpoint_dir: str
    stops_on_mistakes: bool
    """Whether an error of the program ends the job before its limit; `argosy.dev/user-errors: retry` chooses otherwise."""
    may_cordon: bool
    """Whether a node that keeps ending its pods may be cordoned; `argosy.dev/cordon: never` chooses otherwise."""
    datasets: Wanted
    run_context: str
    """What MLflow's client tags a run with that a pod starts."""
    run: str
    """The MLflow run of the gang before; empty where none is known."""
    awaits_model: bool
    """Whether a model is still to be registered when the job succeeds; until then it is not removed."""
    unreadable: str
    """What in the annotations cannot be read; empty where all can."""

    @property
    def total(self) -> int:
        """How many pods the job has."""
        return sum(replica.count for replica in self.replicas)

    @property
    def lead(self) -> str:
        """The replica type whose pods say whether the job runs: a master where there is one, else the workers."""
        return next((replica.type for replica in self.replicas if replica.type in self.framework.masters), WORKER)

    @property
    def has_master(self) -> bool:
        """Whether a master type leads."""
        return self.lead in self.framework.masters

    def replica(self, type: str) -> Replica | None:
        """The replica spec of a type, None where the job has none."""
        return next((replica for replica in self.replicas if replica.type == type), None)

    def count(self, type: str) -> int:
        """How many pods of a type the job has."""
        found = self.replica(type)
        return found.count if found is not None else 0

    def slots(self) -> Iterator[tuple[Replica, int]]:
        """Every (replica, index) that should have a pod."""
        for replica in self.replicas:
            for index in range(replica.count):
                yield replica, index

    def pod_name(self, type: str, index: int) -> str:
        """The name that a pod and its Service share."""
        return self.framework.pod_name(self.name, type, index)

    def selector(self, type: str) -> dict[str, str]:
        """The labels that all pods of a replica type share, and `status.replicaStatuses[].selector` names."""
        return {LABEL_JOB: self.name, LABEL_OPERATOR: self.framework.component, LABEL_TYPE: type.lower()}

    def ports(self, replica: Replica) -> list[tuple[str, int]]:
        """The ports of the training container that have a name; the framework's own is there even when not given."""
        given = replica.container(self.framework.container).get("ports") or ()
        named = [(str(port["name"]), int(port["containerPort"])) for port in given if port.get("name")]
        own = self.framework.port_name
        return named if any(name == own for name, _ in named) else [*named, (own, self.framework.port)]

    def port(self, type: str) -> int:
        """The framework's port of a replica type: the one that its container names, else the usual one."""
        replica = self.replica(type)
        if replica is None:
            return self.framework.port
        return next(port for name, port in self.ports(replica) if name == self.framework.port_name)


def read(framework: Framework, subject: Obj) -> Job:
    """Read the object. Never fails: what is wrong comes out of `problems`."""
    spec = subject.get("spec") or {}
    policy: Obj = spec.get("runPolicy") or {}
    annotations = annotations_of(subject)
    replicas = _typed(framework, spec.get(framework.specs) or {})
    return Job(
        framework=framework,
        name=name_of(subject),
        namespace=namespace_of(subject),
        replicas=tuple(_replica(framework, type, replicas[type]) for type in replicas),
        spec=spec,
        clean_pods=str(policy.get("cleanPodPolicy") or ""),
        ttl=policy.get("ttlSecondsAfterFinished"),
        deadline=policy.get("activeDeadlineSeconds"),
        backoff_limit=policy.get("backoffLimit"),
        suspend=bool(policy.get("suspend")),
        managed_by=str(policy.get("managedBy") or ""),
        scheduling=policy.get("schedulingPolicy") or {},
        whole_gang=annotations.get(RESTART_SCOPE) != "pod",
        checkpoint_dir=annotations.get(CHECKPOINT_DIR, ""),
        stops_on_mistakes=annotations.get(USER_ERRORS) != "retry",
        may_cordon=annotations.get(CORDON) != "never",
        datasets=datasets.read(subject),
        run_context=tracking.run_context(subject, framework.kind),
        run=annotations.get(tracking.RUN, ""),
        awaits_model=bool(tracking.model(subject)) and tracking.REGISTERED not in annotations,
        unreadable=_unreadable(subject, [replica.get("template") or {} for replica in replicas.values() if replica]),
    )


def _unreadable(subject: Obj, templates: list[Obj]) -> str:
    try:
        progress.policy(subject)
    except ValueError as error:
        return str(error)
    return "; ".join(datasets.problems(subject, templates))


def _typed(framework: Framework, given: Mapping[str, Obj]) -> dict[str, Obj]:
    """The replica specs by their proper type, which upstream finds whatever its case, in the framework's order."""
    proper = {type.lower(): type for type in framework.types}
    named = {proper.get(type.lower(), type): spec for type, spec in given.items()}
    known = [type for type in framework.types if type in named]
    return {type: named[type] for type in [*known, *sorted(named.keys() - set(known))]}


def _replica(framework: Framework, type: str, spec: Mapping[str, object] | None) -> Replica:
    spec = spec or {}
    count = spec.get("replicas")
    template = spec.get("template")
    return Replica(
        type=type,
        count=count if isinstance(count, int) else 1,
        restart_policy=str(spec.get("restartPolicy") or framework.restart_policy),
        template=template if isinstance(template, dict) else {},
    )
