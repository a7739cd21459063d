"""A RayCluster's spec read once: the questions that pods, Services, checks and status all ask of it.

RayJob and RayService ask them too, about the spec that they embed. Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from argosy.meta.json import Obj, dig, encode, thaw
from argosy.meta.objects import annotations_of, labels_of, name_of, namespace_of, uid_of
from argosy.operators.ray import names

UNLIMITED = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Group:
    """A worker group. `replicas` are of `hosts` pods each."""

    name: str
    spec: Obj
    hosts: int
    suspended: bool
    replicas: int
    """As wanted, within the least and the most."""
    least: int
    most: int

    @property
    def pods(self) -> int:
        """How many pods it should have."""
        return self.replicas * self.hosts

    @property
    def doomed(self) -> frozenset[str]:
        """Pods that whoever scales (the autoscaler, a user) has chosen to go."""
        return frozenset(dig(self.spec, "scaleStrategy", "workersToDelete", default=()))


@dataclass(frozen=True, slots=True)
class Cluster:
    """A RayCluster."""

    name: str
    namespace: str
    uid: str
    spec: Obj
    annotations: Mapping[str, str]
    labels: Mapping[str, str]
    domain: str

    @property
    def head(self) -> Obj:
        """`headGroupSpec`."""
        return dict(self.spec.get("headGroupSpec") or {})

    @property
    def head_container(self) -> Obj:
        """The container that Ray's head runs in: the first."""
        return dict(dig(self.head, "template", "spec", "containers", 0, default={}))

    @property
    def version(self) -> tuple[int, ...]:
        """`rayVersion` as numbers, empty when it is not given or not a version."""
        return version_of(self.spec.get("rayVersion"))

    @property
    def creator(self) -> str:
        """The kind that made the cluster: RayCluster when a person did."""
        origin = self.labels.get(names.LABEL_ORIGIN_KIND, "")
        return origin if origin in ("RayJob", "RayService") else "RayCluster"

    @property
    def head_service(self) -> str:
        """The name of the head's Service."""
        return str(dig(self.head, "headService", "metadata", "name") or names.head_service(self.name))

    @property
    def address(self) -> str:
        """The head's full DNS name."""
        return f"{self.head_service}.{self.namespace}.svc.{self.domain}"

    @property
    def gcs_port(self) -> str:
        """Where the head's GCS listens."""
        return str((self.head.get("rayStartParams") or {}).get("port") or names.GCS_PORT)

    @property
    def autoscales(self) -> bool:
        """Whether Ray's own autoscaler runs beside the head."""
        return self.spec.get("enableInTreeAutoscaling") is True

    @property
    def autoscaler_version(self) -> str:
        """`v1` or `v2` where the spec says which; empty for what Ray itself chooses."""
        return str(dig(self.spec, "autoscalerOptions", "version", default=""))

    @property
    def autoscaler_account(self) -> str:
        """The service account of a head with an autoscaler."""
        return str(dig(self.head, "template", "spec", "serviceAccountName") or self.name)

    @property
    def suspend(self) -> bool:
        """Whether it should have no pods."""
        return self.spec.get("suspend") is True

    @property
    def fault_tolerant(self) -> bool:
        """Whether the GCS keeps its state outside of the head."""
        asked = self.annotations.get(names.FT_ENABLED, "").lower() == "true"
        return asked or self.spec.get("gcsFaultToleranceOptions") is not None

    @property
    def token_auth(self) -> bool:
        """Whether Ray asks for a token."""
        return bool(dig(self.spec, "authOptions", "mode") == "token")

    @property
    def token_secret(self) -> str:
        """The Secret with the token under `auth_token`."""
        return str(dig(self.spec, "authOptions", "secretName") or names.clipped(self.name))

    @property
    def managed_by(self) -> str:
        """Who reconciles it; empty for us."""
        value = str(self.spec.get("managedBy") or "")
        return "" if value == names.MANAGED_BY else value

    def groups(self) -> Iterator[Group]:
        """The worker groups in the order of the spec."""
        for spec in self.spec.get("workerGroupSpecs") or ():
            yield _group(spec)


def read(subject: Obj, domain: str) -> Cluster:
    """Read a RayCluster. Never fails: what is wrong comes out of `checks`."""
    return Cluster(
        name_of(subject),
        namespace_of(subject),
        uid_of(subject),
        subject.get("spec") or {},
        annotations_of(subject),
        labels_of(subject),
        domain,
    )


def _group(spec: Obj) -> Group:
    least, most = int(spec.get("minReplicas") or 0), spec.get("maxReplicas")
    most = UNLIMITED if most is None else int(most)
    suspended = spec.get("suspend") is True
    replicas = 0 if suspended else min(max(int(spec.get("replicas") or 0), least), most)
    hosts = max(int(spec.get("numOfHosts") or 1), 1)
    return Group(str(spec.get("groupName") or ""), spec, hosts, suspended, replicas, least, most)


def version_of(text: Any) -> tuple[int, ...]:
    """`2.53.0rc1` as (2, 53, 0); empty for what is no version."""
    numbers: list[int] = []
    for part in str(text or "").removeprefix("v").split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
    return tuple(numbers)


def port_named(container: Obj, name: str, default: int) -> int:
    """A container's port of this name."""
    found = (port for port in container.get("ports") or () if port.get("name") == name)
    return int(dig(next(found, None), "containerPort", default=default))


def env_value(container: Obj, name: str) -> Obj | None:
    """A container's variable of this name."""
    return next((entry for entry in container.get("env") or () if entry.get("name") == name), None)


def spec_hash(spec: Obj) -> str:
    """A hash of all of a cluster's spec that does not merely scale it or place its pods."""
    kept: Obj = thaw(spec)
    kept.pop("upgradeStrategy", None)
    kept.pop("suspend", None)
    for group in (kept.get("headGroupSpec") or {}, *(kept.get("workerGroupSpecs") or ())):
        for field in ("replicas", "minReplicas", "maxReplicas", "scaleStrategy"):
            group.pop(field, None)
        for field in ("tolerations", "schedulingGates"):
            ((group.get("template") or {}).get("spec") or {}).pop(field, None)
    return hashlib.sha256(encode(_sorted(kept))).hexdigest()[:32]


def _sorted(value: object) -> object:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value
