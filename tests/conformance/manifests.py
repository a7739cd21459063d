"""Pod specs for the suite, of images that any cluster can pull and the engine's catalogue knows."""

from __future__ import annotations

from argosy.meta.json import Obj

SHELL_IMAGE = "busybox:1.36"
PYTHON_IMAGE = "python:3-alpine"
PAUSE_IMAGE = "registry.k8s.io/pause:3.10"


def shell(script: str, name: str = "main", **fields: object) -> Obj:
    """A container that runs a script of POSIX shell."""
    return {"name": name, "image": SHELL_IMAGE, "command": ["sh", "-c", script], **fields}


def python(program: str, name: str = "main", **fields: object) -> Obj:
    """A container that runs a program of Python's standard library. `$POD_IP` is where it should listen."""
    environment = [{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]
    given = fields.pop("env", [])
    assert isinstance(given, list)
    env = [*environment, *given]
    return {"name": name, "image": PYTHON_IMAGE, "command": ["python3", "-c", program], "env": env, **fields}


def pause(name: str = "main", **fields: object) -> Obj:
    """A container that does nothing, for ever."""
    return {"name": name, "image": PAUSE_IMAGE, **fields}


def sleeper(name: str = "main", **fields: object) -> Obj:
    """A container that sleeps and ends at once when it is asked to; commands can be run in it."""
    return shell("trap 'exit 0' TERM; sleep 86400 & wait", name, **fields)


def pod_spec(*containers: Obj, **fields: object) -> Obj:
    """A pod that is gone quickly when it is deleted."""
    return {"containers": list(containers), "terminationGracePeriodSeconds": 1, **fields}


def container_of(pod: Obj, name: str = "main") -> Obj:
    """The status of a container, of whatever sort; one that is not there yet has none."""
    sorts = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
    statuses = (each for sort in sorts for each in pod.get("status", {}).get(sort) or ())
    return next((each for each in statuses if each["name"] == name), {"state": {}, "ready": False, "restartCount": 0})


def ending_of(pod: Obj, name: str = "main") -> Obj:
    """How a container ended, or last ended; empty while it never has."""
    status = container_of(pod, name)
    found: Obj = status["state"].get("terminated") or status.get("lastState", {}).get("terminated") or {}
    return found


def workload(name: str, template: Obj, **spec: object) -> Obj:
    """What Deployments, ReplicaSets, StatefulSets and DaemonSets have in common: pods labelled `app: NAME`."""
    labels = {"app": name}
    pods = {"metadata": {"labels": labels}, "spec": template}
    return {"metadata": {"name": name}, "spec": {"selector": {"matchLabels": labels}, "template": pods, **spec}}
