"""The objects that an MPIJob v2beta1 is made of: Service, ConfigMap, Secret, worker pods and the launcher's Job.

Pure construction, called by `plan`; names, labels, volumes and environment are upstream's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from argosy import kinds
from argosy.meta.json import Obj, thaw
from argosy.meta.kind import Kind
from argosy.meta.objects import owner_reference
from argosy.operators.gang.env import entries
from argosy.operators.gang.job import Replica
from argosy.operators.gang.labels import LABEL_INDEX, LABEL_JOB, LABEL_OPERATOR, LABEL_ROLE
from argosy.operators.gang.pods import Gang
from argosy.operators.mpijob import hosts, keys
from argosy.operators.mpijob.hosts import CONFIG_PATH, DISCOVER, HOSTFILE
from argosy.operators.mpijob.job import OPERATOR_NAME, MpiJob, restart_policy
from argosy.operators.mpijob.schema import INTEL, MPI_JOB, MPICH, OPEN_MPI, ROOT_SSH

PUBLIC_KEY, PRIVATE_KEY = "ssh-publickey", "ssh-privatekey"
_CONFIG_VOLUME, _SSH_VOLUME = "mpi-job-config", "ssh-auth"
_SSH_FILES = ((PRIVATE_KEY, "id_rsa"), (PUBLIC_KEY, "id_rsa.pub"), (PUBLIC_KEY, "authorized_keys"))
_SSHD = ["/usr/sbin/sshd", "-De"]
_PATIENCE = "-o ConnectionAttempts=10"
_NO_GPU = {"NVIDIA_VISIBLE_DEVICES": "", "NVIDIA_DRIVER_CAPABILITIES": ""}
"""The launcher runs no rank and must not be counted as a user of the node's GPUs."""


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes the objects of one job."""

    job: MpiJob
    owner: Obj
    gang: Gang

    def service(self) -> Obj:
        """The headless Service that gives the pods their names."""
        spec: Obj = {"clusterIP": "None", "selector": {LABEL_OPERATOR: OPERATOR_NAME, LABEL_JOB: self.job.name}}
        if self.job.launcher_works:
            spec["publishNotReadyAddresses"] = True  # the launcher is a rank and waits for itself
        return self._owned(kinds.SERVICE, self.job.name, spec=spec)

    def config_map(self, running: Iterable[str]) -> Obj:
        """The host file and the script that lists the workers that run."""
        return self._owned(kinds.CONFIG_MAP, self.job.config_name, data=hosts.files(self.job, running))

    def secret(self, seed: bytes) -> Obj:
        """The SSH key."""
        private, public = keys.pair(seed, str(self.owner["metadata"]["uid"]))
        data = {PRIVATE_KEY: keys.encoded(private), PUBLIC_KEY: keys.encoded(public)}
        return self._owned(kinds.SECRET, self.job.secret_name, type="kubernetes.io/ssh-auth", data=data)

    def worker(self, replica: Replica, index: int) -> Obj:
        """A worker's pod. One that is given no command serves SSH."""
        job, name = self.job, self.job.worker_name(index)
        # With ranks in the launcher, the launcher is 0: integrations want unique indices in one pod group.
        template = self._template(replica, name, str(index + job.launcher_works))
        spec = template["spec"]
        dns = spec.setdefault("dnsConfig", {})
        dns["searches"] = [*(dns.get("searches") or ()), f"{job.name}.{job.namespace}.svc.cluster.local"]
        container = spec["containers"][0]
        if not container.get("command") and not container.get("args"):
            container["command"] = list(_SSHD)
        _extend(container, "env", entries({"K_MPI_JOB_ROLE": "worker"}))
        self._mount_key(spec)
        return self._owned(kinds.POD, name, **template)

    def launcher(self) -> Obj:
        """The launcher's Job, suspended with the MPIJob."""
        base = self.job.base
        spec: Obj = {
            "template": self.launcher_template(),
            # A pod that is on its way out is not replaced before it is gone.
            "podReplacementPolicy": "Failed",
        }
        limits = {"ttlSecondsAfterFinished": base.ttl, "activeDeadlineSeconds": base.deadline}
        spec |= {name: value for name, value in limits.items() if value is not None}
        if base.backoff_limit is not None:
            spec["backoffLimit"] = base.backoff_limit
        if base.suspend:
            spec["suspend"] = True
        return self._owned(kinds.JOB, self.job.launcher_name, spec=spec)

    def launcher_template(self) -> Obj:
        """The launcher's pod template."""
        job = self.job
        template = self._template(job.launcher, job.launcher_name, "0" if job.launcher_works else "")
        spec = template["spec"]
        container = spec["containers"][0]
        _extend(container, "env", entries(_launcher_environment(job)))
        self._mount_key(spec)
        items = [{"key": HOSTFILE, "path": HOSTFILE, "mode": 0o444}, {"key": DISCOVER, "path": DISCOVER, "mode": 0o555}]
        config = {"name": job.config_name, "items": items}
        _extend(spec, "volumes", [{"name": _CONFIG_VOLUME, "configMap": config}])
        _extend(container, "volumeMounts", [{"name": _CONFIG_VOLUME, "mountPath": CONFIG_PATH}])
        return template

    def _template(self, replica: Replica, name: str, index: str) -> Obj:
        """What launcher and workers have in common, from a replica's template."""
        template: Obj = thaw(replica.template)
        given, spec = template.get("metadata") or {}, template["spec"]
        labels = {**(given.get("labels") or {}), **self.gang.labels, LABEL_OPERATOR: OPERATOR_NAME}
        labels |= {LABEL_JOB: self.job.name, LABEL_ROLE: replica.type.lower()}
        if index:
            labels[LABEL_INDEX] = index
        annotations = {**(given.get("annotations") or {}), **self.gang.annotations}
        if self.gang.task_annotation:
            annotations[self.gang.task_annotation] = replica.type.lower()
        spec |= {"hostname": name, "subdomain": self.job.name, "restartPolicy": restart_policy(replica)}
        spec |= self.gang.spec
        if spec.get("hostNetwork"):
            spec["dnsPolicy"] = "ClusterFirstWithHostNet"
        return {"metadata": {"labels": labels} | ({"annotations": annotations} if annotations else {}), "spec": spec}

    def _mount_key(self, spec: Obj) -> None:
        source: Obj = {
            "secretName": self.job.secret_name,
            "items": [{"key": key, "path": path} for key, path in _SSH_FILES],
        }
        if self.job.ssh_path == ROOT_SSH:
            source["defaultMode"] = 0o600
        _extend(spec, "volumes", [{"name": _SSH_VOLUME, "secret": source}])
        _extend(spec["containers"][0], "volumeMounts", [{"name": _SSH_VOLUME, "mountPath": self.job.ssh_path}])

    def _owned(self, kind: Kind, name: str, *, metadata: Obj | None = None, **content: object) -> Obj:
        own: Obj = {
            "name": name,
            "namespace": self.job.namespace,
            "ownerReferences": [owner_reference(self.owner, MPI_JOB)],
        }
        if metadata is None:
            metadata = {"labels": {"app": self.job.name}}
        return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": own | metadata, **content}


def _launcher_environment(job: MpiJob) -> dict[str, str]:
    hostfile, slots = f"{CONFIG_PATH}/{HOSTFILE}", str(job.slots)
    own = {
        OPEN_MPI: {
            "OMPI_MCA_orte_keep_fqdn_hostnames": "true",
            "OMPI_MCA_orte_default_hostfile": hostfile,
            "OMPI_MCA_plm_rsh_args": _PATIENCE,
            "OMPI_MCA_orte_set_default_slots": slots,
            # Open MPI 5 does not know the names above, finds no hosts and silently runs all ranks in the launcher.
            "PRTE_MCA_prte_keep_fqdn_hostnames": "true",
            "PRTE_MCA_prte_default_hostfile": hostfile,
            "PRTE_MCA_plm_ssh_args": _PATIENCE,
        },
        INTEL: {
            "I_MPI_HYDRA_HOST_FILE": hostfile,
            "I_MPI_HYDRA_BOOTSTRAP_EXEC_EXTRA_ARGS": _PATIENCE,
            "I_MPI_PERHOST": slots,
        },
        MPICH: {"HYDRA_HOST_FILE": hostfile, "HYDRA_LAUNCH_EXTRA_ARGS": _PATIENCE},
    }[job.implementation]
    return {"K_MPI_JOB_ROLE": "launcher", **own, **({} if job.launcher_works else _NO_GPU)}


def _extend(obj: Obj, field: str, added: list[Obj]) -> None:
    obj[field] = [*(obj.get(field) or ()), *added]
