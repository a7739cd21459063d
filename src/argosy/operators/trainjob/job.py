"""A TrainJob and its runtime as the operator reads them. Pure; called by `plan` before everything else."""

from __future__ import annotations

from dataclasses import dataclass

from argosy.meta.json import Obj, dig
from argosy.meta.objects import annotations_of, labels_of, name_of, namespace_of
from argosy.operators.jobset import first, pods
from argosy.operators.settings import PREFIX
from argosy.operators.trainjob.schema import CONTROLLER, GROUP
from argosy.operators.watching.progress import HANG_AFTER

_CHECKPOINT_DIR = f"{PREFIX}checkpoint-dir"
POLICIES = ("torch", "mpi", "jax", "xgboost", "flux")


@dataclass(frozen=True, slots=True)
class TrainJob:
    """What a TrainJob asks for."""

    name: str
    namespace: str
    runtime_name: str
    runtime_kind: str
    runtime_group: str
    trainer: Obj
    dataset: Obj | None
    model: Obj | None
    patches: tuple[Obj, ...]
    """Today's `runtimePatches`."""
    overrides: tuple[Obj, ...]
    """`podTemplateOverrides`, the form of earlier releases."""
    labels: dict[str, str]
    annotations: dict[str, str]
    suspend: bool
    deadline: int | None
    """Seconds from its start, or from the last time that it was resumed."""
    managed_by: str
    checkpoint_dir: str
    """Where training keeps its checkpoints, so that it can go on from there; empty when it does not say."""
    stops_on_mistakes: bool
    """Whether an error of the program that no restart mends ends it at once; `argosy.dev/user-errors: retry` says no."""
    watched: bool
    """Whether it is to begin anew when it hangs."""
    unreadable: tuple[str, ...]
    """What in its annotations cannot be read."""

    @property
    def subdomain(self) -> str:
        """The headless Service that its pods are under, unless its runtime names another."""
        return self.name


@dataclass(frozen=True, slots=True)
class Runtime:
    """What a TrainingRuntime or ClusterTrainingRuntime holds."""

    name: str
    framework: str
    policy: Obj
    """`spec.mlPolicy`; empty when there is none, and then the number of nodes is the template's."""
    pod_group: Obj
    template: Obj

    @property
    def source(self) -> str:
        """Which of `POLICIES` it has; empty for none."""
        return next((name for name in POLICIES if self.policy.get(name) is not None), "")

    @property
    def settings(self) -> Obj:
        """What stands under that policy."""
        return self.policy.get(self.source) or {}


def read(subject: Obj) -> TrainJob:
    """Read a TrainJob."""
    spec: Obj = subject.get("spec") or {}
    ref: Obj = spec.get("runtimeRef") or {}
    return TrainJob(
        name=name_of(subject),
        namespace=namespace_of(subject),
        runtime_name=str(ref.get("name") or ""),
        runtime_kind=str(ref.get("kind") or "ClusterTrainingRuntime"),
        runtime_group=str(ref.get("apiGroup") or GROUP),
        trainer=spec.get("trainer") or {},
        dataset=dig(spec, "initializer", "dataset"),
        model=dig(spec, "initializer", "model"),
        patches=tuple(spec.get("runtimePatches") or ()),
        overrides=tuple(spec.get("podTemplateOverrides") or ()),
        labels=spec.get("labels") or {},
        annotations=spec.get("annotations") or {},
        suspend=bool(spec.get("suspend")),
        deadline=spec.get("activeDeadlineSeconds") or None,
        managed_by=str(spec.get("managedBy") or CONTROLLER),
        checkpoint_dir=annotations_of(subject).get(_CHECKPOINT_DIR, ""),
        stops_on_mistakes=annotations_of(subject).get(first.USER_ERRORS) != first.RETRY,
        watched=bool(annotations_of(subject).get(HANG_AFTER)),
        unreadable=tuple(pods.problems(subject)),
    )


def read_runtime(obj: Obj) -> Runtime:
    """Read a runtime of either kind."""
    spec: Obj = obj.get("spec") or {}
    return Runtime(
        name=name_of(obj),
        framework=labels_of(obj).get(f"{GROUP}/framework", ""),
        policy=spec.get("mlPolicy") or {},
        pod_group=spec.get("podGroupPolicy") or {},
        template=spec.get("template") or {},
    )
