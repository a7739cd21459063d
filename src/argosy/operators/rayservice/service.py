"""A RayService read once, and what keeps it from being run, in KubeRay's words. Called by `plan` and the probe. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from argosy.meta.json import Obj, dig
from argosy.meta.objects import annotations_of, name_of, namespace_of, uid_of
from argosy.operators.ray import checks, names
from argosy.operators.ray.cluster import Cluster
from argosy.operators.rayservice.schema import INCREMENTAL, NEW_CLUSTER, NO_UPGRADE

_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?")
_DELETION_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Service:
    """What the plan needs to know."""

    name: str
    namespace: str
    uid: str
    spec: Obj
    cluster: Cluster
    """The cluster that the spec describes, before it has a name of its own."""
    initializing_seconds: float | None
    """How long it may take to become ready; None for as long as it likes."""

    @property
    def suspend(self) -> bool:
        """Whether it should have no cluster."""
        return self.spec.get("suspend") is True

    @property
    def upgrades(self) -> bool:
        """Whether a changed cluster spec brings a new cluster."""
        return bool(dig(self.spec, "upgradeStrategy", "type", default=NEW_CLUSTER) != NO_UPGRADE)

    @property
    def deletion_seconds(self) -> float:
        """How long a cluster without traffic is kept."""
        given = self.spec.get("rayClusterDeletionDelaySeconds")
        return _DELETION_SECONDS if given is None else float(given)

    @property
    def serve_config(self) -> str:
        """`serveConfigV2`, YAML."""
        return str(self.spec.get("serveConfigV2") or "")

    @property
    def serve_service(self) -> str:
        """The name of the Service that requests go to."""
        return str(dig(self.spec, "serveService", "metadata", "name") or names.serve_service(self.name))

    @property
    def managed_by(self) -> str:
        """Who reconciles it; empty for us."""
        value = str(self.spec.get("managedBy") or "")
        return "" if value == names.MANAGED_BY else value


def read(subject: Obj, domain: str) -> Service:
    """Read the object. Never fails: what is wrong comes out of `problem`."""
    spec: Obj = subject.get("spec") or {}
    name, namespace = name_of(subject), namespace_of(subject)
    labels = names.origin_labels("RayService", name)
    cluster = Cluster(name, namespace, "", spec.get("rayClusterConfig") or {}, annotations_of(subject), labels, domain)
    timeout = _seconds(annotations_of(subject).get(names.INITIALIZING_TIMEOUT, ""))
    return Service(name, namespace, uid_of(subject), spec, cluster, timeout)


def problem(service: Service) -> tuple[str, str]:
    """The event's word and the message of what is wrong; empty when it can be run."""
    wrong = checks.name_problem("RayService", service.name, names.MAX_OWNER_NAME)
    given = service.cluster.annotations.get(names.INITIALIZING_TIMEOUT, "")
    if not wrong and given and not service.initializing_seconds:
        wrong = (
            f"annotation {names.INITIALIZING_TIMEOUT} has invalid format: {given}. Expected Go duration format (e.g., "
            "'5m', '1h') or positive integer seconds"
        )
    if wrong:
        return "InvalidRayServiceMetadata", f"The RayService metadata is invalid: {wrong}"
    wrong = _spec(service)
    return ("InvalidRayServiceSpec", f"The RayService spec is invalid: {wrong}") if wrong else ("", "")


def _spec(service: Service) -> str:
    wrong = checks.cluster_problem(service.cluster)
    if wrong:
        return wrong
    if dig(service.cluster.head, "headService", "metadata", "name"):
        return "spec.rayClusterConfig.headGroupSpec.headService.metadata.name should not be set"
    upgrade = dig(service.spec, "upgradeStrategy", "type", default=NEW_CLUSTER)
    if upgrade == INCREMENTAL:
        return f"upgradeStrategy.type {INCREMENTAL} is not run here: it needs the Gateway API; use {NEW_CLUSTER}"
    if upgrade not in (NEW_CLUSTER, NO_UPGRADE):
        return (
            f"Spec.UpgradeStrategy.Type value {upgrade} is invalid, valid options are {INCREMENTAL}, {NEW_CLUSTER}, "
            f"or {NO_UPGRADE}"
        )
    if service.cluster.token_auth:
        return "authOptions.mode token is not run here for a RayService; leave it out"
    ports = [str(port.get("name") or "") for port in service.cluster.head_container.get("ports") or ()]
    serves = any(name == "serve" or name.startswith("serve-") for name in ports) or not ports
    if not serves and service.spec.get("serveService") is None:
        return (
            "the Ray head container has no port named 'serve' (or with the prefix 'serve-'), so there would be no "
            "Service for Ray Serve; name one 8000"
        )
    return checks.yaml_problem("serveConfigV2", service.serve_config)


def _seconds(text: str) -> float | None:
    if text.isdigit():
        return float(text)
    match = _DURATION.fullmatch(text)
    if not text or match is None:
        return None
    return sum(float(part) * unit for part, unit in zip(match.groups(), (3600, 60, 1), strict=True) if part)
