"""What `argosy serve` applies: an InferenceService with its adapters. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from argosy.errors import UserError
from argosy.meta.json import Obj

_SCHEMES = ("pvc://", "hf://", "s3://", "gs://", "https://")


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model to serve. `adapters` maps a model name to where its LoRA weights lie, as a path below the model's
    storage.
    """

    name: str
    storage_uri: str
    adapters: Mapping[str, str] = field(default_factory=dict)
    min_replicas: int = 1
    max_replicas: int = 1
    scale_target: int = 4
    """Requests in flight a replica should have."""
    resources: Mapping[str, str] = field(default_factory=dict)


def serving_objects(model: ServedModel, namespace: str) -> list[Obj]:
    """The InferenceService. Raises UserError for a storage URI that none of the schemes fits."""
    if not model.storage_uri.startswith(_SCHEMES):
        raise UserError(
            f"{model.storage_uri!r} is not a place that models are read from",
            f"begin it with one of {', '.join(_SCHEMES)}, for example pvc://models/base",
        )
    if model.max_replicas < model.min_replicas:
        raise UserError(
            f"--max {model.max_replicas} is less than --min {model.min_replicas}", "raise --max or lower --min"
        )
    predictor: Obj = {
        "minReplicas": model.min_replicas,
        "maxReplicas": model.max_replicas,
        "scaleMetric": "concurrency",
        "scaleTarget": model.scale_target,
        "model": {"modelFormat": {"name": "huggingface"}, "storageUri": model.storage_uri},
    }
    if model.adapters:
        modules = [f"{name}={_adapter_path(path)}" for name, path in model.adapters.items()]
        predictor["model"]["args"] = ["--enable-lora", "--lora-modules", *modules]
    if model.resources:
        predictor["model"]["resources"] = {"requests": dict(model.resources), "limits": dict(model.resources)}
    return [
        {
            "apiVersion": "serving.kserve.io/v1beta1",
            "kind": "InferenceService",
            "metadata": {
                "name": model.name,
                "namespace": namespace,
                "annotations": {"serving.kserve.io/deploymentMode": "Standard"},
            },
            "spec": {"predictor": predictor},
        }
    ]


def _adapter_path(path: str) -> str:
    return path if path.startswith("/") else f"/mnt/models/{path}"
