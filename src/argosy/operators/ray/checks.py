"""What is wrong with a RayCluster's spec, in KubeRay's words: the first complaint decides.

Called by the plans of all three kinds before they do anything. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import yaml

from argosy.meta import names as kubernetes_names
from argosy.meta.json import Obj, dig
from argosy.operators.ray import names
from argosy.operators.ray.cluster import Cluster, Group, env_value

_RESOURCE_PARAMS = ("num-cpus", "num-gpus", "memory", "resources")
_TOKEN_VERSION = (2, 52)


def name_problem(kind: str, name: str, most: int) -> str:
    """What is wrong with an object's name; empty when it is good."""
    if len(name) > most:
        return f"{kind} name should be no more than {most} characters"
    wrong = kubernetes_names.label_1035(name)
    return f"{kind} name should be a valid DNS1035 label: {wrong[0]}" if wrong else ""


def cluster_problem(cluster: Cluster) -> str:
    """What is wrong with the spec of a cluster; empty when it can be run."""
    return next((wrong for check in _CHECKS if (wrong := check(cluster))), "")


def yaml_problem(what: str, text: str) -> str:
    """What is wrong with a field that holds a YAML mapping; an empty one is good."""
    try:
        value = yaml.safe_load(text) if text else {}
    except yaml.YAMLError as error:
        return f"{what} is not valid YAML: {str(error).splitlines()[0]}"
    return "" if isinstance(value, Mapping) else f"{what} should be a YAML mapping"


def _containers(cluster: Cluster) -> str:
    if not cluster.head_container:
        return "headGroupSpec should have at least one container"
    if not all(dig(group.spec, "template", "spec", "containers") for group in cluster.groups()):
        return "workerGroupSpec should have at least one container"
    return ""


def _groups(cluster: Cluster) -> str:
    wrong = _group_fields("Head", cluster.head)
    taken: set[str] = set()
    for group in cluster.groups():
        wrong = wrong or _numbers(group, cluster) or _group_fields(group.name, group.spec)
        if group.name in taken:
            wrong = wrong or f"worker group {group.name} is given twice; name each group once"
        taken.add(group.name)
    return wrong


def _group_fields(name: str, spec: Obj) -> str:
    params: Obj = spec.get("rayStartParams") or {}
    if spec.get("resources") and any(params.get(param) for param in _RESOURCE_PARAMS):
        return (
            f"resource fields should not be set in both rayStartParams and Resources for {name} group; "
            "please use only one"
        )
    if "labels" in params:
        return (
            f"rayStartParams['labels'] is not supported for {name} group; please use the top-level Labels field instead"
        )
    for key, value in (spec.get("labels") or {}).items():
        wrong = [*kubernetes_names.qualified(key), *kubernetes_names.label_value(value)]
        if wrong:
            return f"invalid label {key}={value} for {name} group: {wrong[0]}"
    return ""


def _numbers(group: Group, cluster: Cluster) -> str:
    if group.least < 0:
        return f"worker group {group.name} has negative minReplicas {group.least}"
    if group.most < 0:
        return f"worker group {group.name} has negative maxReplicas {group.most}"
    if group.least > group.most:
        return f"worker group {group.name} has minReplicas {group.least} greater than maxReplicas {group.most}"
    if group.suspended and cluster.autoscales:
        return f"worker group {group.name} cannot be suspended with Autoscaler enabled"
    return ""


def _redis(cluster: Cluster) -> str:
    options, head = cluster.spec.get("gcsFaultToleranceOptions"), cluster.head_container
    address = env_value(head, "RAY_REDIS_ADDRESS") is not None
    params: Obj = cluster.head.get("rayStartParams") or {}
    if params.get("redis-username") or env_value(head, "REDIS_USERNAME"):
        return (
            "cannot set redis username in rayStartParams or environment variables - "
            "use GcsFaultToleranceOptions.RedisUsername instead"
        )
    if options is None:
        if address and not cluster.fault_tolerant:
            return (
                "RAY_REDIS_ADDRESS is set which implicitly enables GCS fault tolerance, but GcsFaultToleranceOptions "
                "is not set. Please set GcsFaultToleranceOptions to enable GCS fault tolerance"
            )
        return ""
    if names.FT_ENABLED in cluster.annotations:
        return (
            f"{names.FT_ENABLED} annotation and GcsFaultToleranceOptions are both set. "
            "Please use only GcsFaultToleranceOptions to configure GCS fault tolerance"
        )
    use = "GcsFaultToleranceOptions is enabled - use GcsFaultToleranceOptions."
    if params.get("redis-password"):
        return f"cannot set `redis-password` in rayStartParams when {use}RedisPassword instead"
    if env_value(head, "REDIS_PASSWORD"):
        return f"cannot set `REDIS_PASSWORD` env var in head Pod when {use}RedisPassword instead"
    if address:
        return f"cannot set `RAY_REDIS_ADDRESS` env var in head Pod when {use}RedisAddress instead"
    if cluster.annotations.get(names.STORAGE_NAMESPACE):
        return f"cannot set `{names.STORAGE_NAMESPACE}` annotation when {use}ExternalStorageNamespace instead"
    return _backend(options)


def _backend(options: Obj) -> str:
    if options.get("backend") != "rocksdb":
        if options.get("storage") is not None:
            return (
                "cannot set GcsFaultToleranceOptions.Storage when backend is 'redis' - "
                "it only applies to the 'rocksdb' backend"
            )
        return ""
    for field in ("redisAddress", "redisUsername", "redisPassword", "externalStorageNamespace"):
        if options.get(field):
            return f"cannot set GcsFaultToleranceOptions.{field[0].upper()}{field[1:]} when backend is 'rocksdb'"
    storage: Obj = options.get("storage") or {}
    if storage.get("deletionPolicy") == "Retain" and not storage.get("claimName"):
        return (
            "GcsFaultToleranceOptions.Storage.DeletionPolicy Retain is not run here; make a claim of your own and name "
            "it in claimName"
        )
    if storage.get("claimName") and any(storage.get(field) for field in ("size", "storageClassName", "accessModes")):
        return (
            "GcsFaultToleranceOptions.Storage.ClaimName is mutually exclusive with size, storageClassName, and "
            "accessModes"
        )
    return ""


def _autoscaler(cluster: Cluster) -> str:
    options: Obj = cluster.spec.get("autoscalerOptions") or {}
    variable = env_value(cluster.head_container, "RAY_enable_autoscaler_v2")
    if not cluster.autoscales:
        if variable is not None and variable.get("value") in ("1", "true"):
            return (
                f"environment variable RAY_enable_autoscaler_v2 cannot be set to '{variable['value']}' when "
                "enableInTreeAutoscaling is false. Please set enableInTreeAutoscaling: true to use autoscaler v2"
            )
    elif cluster.autoscaler_version:
        if variable is not None:
            return (
                "both .spec.autoscalerOptions.version and head Pod env var RAY_enable_autoscaler_v2 are set, "
                "please only use the former"
            )
        if cluster.autoscaler_version == "v2":
            return _restart_policies(cluster)
    idle = options.get("idleTimeoutSeconds")
    if idle is not None and idle < 0:
        return f"autoscalerOptions.idleTimeoutSeconds must be non-negative, got {idle}"
    if any(entry.get("name") == "KUBERAY_GEN_AUTOSCALER_START_CMD" for entry in options.get("env") or ()):
        return (
            "autoscalerOptions.env must not contain KUBERAY_GEN_AUTOSCALER_START_CMD: it is managed by KubeRay and "
            "injected automatically into the autoscaler container"
        )
    return ""


def _restart_policies(cluster: Cluster) -> str:
    good = ("", None, "Never")
    if dig(cluster.head, "template", "spec", "restartPolicy") not in good:
        return "restartPolicy for head Pod should be Never or unset when using autoscaler V2"
    for group in cluster.groups():
        if dig(group.spec, "template", "spec", "restartPolicy") not in good:
            return f"restartPolicy for worker group {group.name} should be Never or unset when using autoscaler V2"
    return ""


def _token(cluster: Cluster) -> str:
    by_account = dig(cluster.spec, "authOptions", "enableK8sTokenAuth", default=False)
    if by_account:
        return "authOptions.enableK8sTokenAuth is not run here; leave it out to have a Secret with the token made"
    if not cluster.token_auth:
        return ""
    given = cluster.spec.get("rayVersion")
    if not given:
        return "authOptions.mode is 'token' but RayVersion was not specified. Ray version 2.52.0 or later is required"
    if not cluster.version:
        return f"authOptions.mode is 'token' but RayVersion format is invalid: {given}"
    if cluster.version < _TOKEN_VERSION:
        return f"authOptions.mode is 'token' but minimum Ray version is 2.52.0, got {given}"
    return ""


def _not_run(cluster: Cluster) -> str:
    """What KubeRay itself offers behind feature gates that are off by default."""
    if dig(cluster.spec, "tlsOptions", "enabled"):
        return "spec.tlsOptions is not run here: it needs cert-manager; configure RAY_USE_TLS and its files in the pods"
    if cluster.spec.get("networkPolicy") is not None:
        return (
            "spec.networkPolicy is not run here; create NetworkPolicies for the labels ray.io/cluster and ray.io/group"
        )
    if cluster.spec.get("historyServerOptions") is not None:
        return "spec.historyServerOptions is not run here; leave it out"
    if dig(cluster.spec, "upgradeStrategy", "type") and cluster.creator != "RayCluster":
        return f"upgradeStrategy cannot be set when RayCluster is created by {cluster.creator}"
    return ""


_CHECKS: tuple[Callable[[Cluster], str], ...] = (_containers, _groups, _redis, _autoscaler, _token, _not_run)
