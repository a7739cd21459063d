"""An InferenceService read once, with every default in its place.

Called by `plan` and by the probe. `problem` says what keeps it from being served, with the next step.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from argosy.meta.json import Obj, dig
from argosy.meta.objects import annotations_of, name_of, namespace_of
from argosy.operators.inferenceservice.autoscale import Rule
from argosy.operators.inferenceservice.schema import (
    AUTOSCALER_ANNOTATION,
    CONTAINER,
    FRAMEWORKS,
    HTTP_PORT,
    MODE_ANNOTATION,
    STOP_ANNOTATION,
)
from argosy.operators.settings import PREFIX, OperatorSettings

SCALE_DOWN_ANNOTATION = f"{PREFIX}scale-down-seconds"
IMAGE_ANNOTATION = f"{PREFIX}model-server-image"
_CPU_UTILIZATION = 80
_STANDARD = ("", "Standard", "RawDeployment")
_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_SERVED_HERE = "huggingface"
_NAME_MAX = 63 - len("-predictor")


@dataclass(frozen=True, slots=True)
class Service:
    """What the plan needs to know."""

    name: str
    namespace: str
    predictor: Obj
    framework: str
    """`huggingface`, …; empty for a predictor that brings its own containers."""
    model: Obj
    """The framework's container, with storageUri; empty for a predictor of its own containers."""
    image: str
    metric: str
    """cpu, memory, concurrency or rps."""
    rule: Rule
    autoscaler: str
    """hpa, none, external or keda, as annotated; empty for the default."""
    mode: str
    stopped: bool

    @property
    def workload(self) -> str:
        """The name of the Deployment, its Service and its autoscaler."""
        return f"{self.name}-predictor"

    @property
    def own_server(self) -> bool:
        """Whether the model runs in our model server rather than in an image that the spec names."""
        return bool(self.framework) and "image" not in self.model

    @property
    def scales_by_requests(self) -> bool:
        """Whether this operator sets the replicas from what the gateway measures."""
        return self.metric in ("concurrency", "rps") and self.autoscaler not in ("none", "external")

    @property
    def port(self) -> Obj:
        """The port that requests go to: the first of the main container, else 8080."""
        given = dig(self.main, "ports", 0, default={})
        return {
            "name": given.get("name") or self.workload,
            "containerPort": given.get("containerPort") or HTTP_PORT,
            "protocol": given.get("protocol") or "TCP",
        }

    @property
    def main(self) -> Obj:
        """The container that serves, as the spec gives it."""
        if self.framework:
            return self.model
        containers: list[Obj] = self.predictor.get("containers") or []
        named = [container for container in containers if container.get("name") == CONTAINER]
        return (named or containers or [{}])[0]


def read(subject: Obj, settings: OperatorSettings) -> Service:
    """Read the object. Never fails: what is wrong comes out of `problem`."""
    predictor: Obj = dig(subject, "spec", "predictor", default={})
    annotations = annotations_of(subject)
    framework, model = _framework(predictor)
    metric = str(predictor.get("scaleMetric") or ("concurrency" if framework == _SERVED_HERE else "cpu"))
    return Service(
        name=name_of(subject),
        namespace=namespace_of(subject),
        predictor=predictor,
        framework=framework,
        model=model,
        image=str(model.get("image") or annotations.get(IMAGE_ANNOTATION) or settings.model_server_image),
        metric=metric,
        rule=_rule(predictor, metric, annotations.get(SCALE_DOWN_ANNOTATION, ""), settings),
        autoscaler=annotations.get(AUTOSCALER_ANNOTATION, ""),
        mode=annotations.get(MODE_ANNOTATION, ""),
        stopped=annotations.get(STOP_ANNOTATION, "").lower() == "true",
    )


def _framework(predictor: Obj) -> tuple[str, Obj]:
    model = predictor.get("model")
    if isinstance(model, dict):
        return str(dig(model, "modelFormat", "name", default="")), model
    for framework in FRAMEWORKS:
        if isinstance(predictor.get(framework), dict):
            return framework, predictor[framework]
    return "", {}


def _rule(predictor: Obj, metric: str, scale_down: str, settings: OperatorSettings) -> Rule:
    least = predictor.get("minReplicas")
    least = 1 if least is None else max(int(least), 0)
    most = max(int(predictor.get("maxReplicas") or 0), least, 1)
    usual = _CPU_UTILIZATION if metric in ("cpu", "memory") else settings.scale_target
    try:
        window = max(float(scale_down), 0.0) if scale_down else settings.scale_down_seconds
    except ValueError:
        window = settings.scale_down_seconds
    return Rule(least, most, max(int(predictor.get("scaleTarget") or usual), 1), window)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why there is nothing to run. `reason` is one of KServe's failure reasons."""

    reason: str
    message: str


def problem(service: Service) -> Problem | None:
    """What is wrong with the spec, None when it can be served."""
    if not _NAME.fullmatch(service.name) or len(service.name) > _NAME_MAX:
        return Problem(
            "InvalidPredictorSpec",
            f"metadata.name {service.name!r} names a Service: use lower-case letters, digits and dashes, "
            f"{_NAME_MAX} characters at most.",
        )
    if service.mode not in _STANDARD:
        return Problem(
            "InvalidPredictorSpec",
            f"The deployment mode {service.mode} is not run here; annotate {MODE_ANNOTATION}: Standard.",
        )
    if not service.framework:
        if not any(container.get("image") for container in service.predictor.get("containers") or ()):
            return Problem(
                "InvalidPredictorSpec",
                f"spec.predictor gives neither a model nor containers; name a model or a container {CONTAINER}.",
            )
        return None
    if service.framework != _SERVED_HERE and "image" not in service.model:
        return Problem(
            "NoSupportingRuntime",
            f"No runtime serves the model format {service.framework}; give spec.predictor.model.image, or use "
            f"{_SERVED_HERE}.",
        )
    return None
