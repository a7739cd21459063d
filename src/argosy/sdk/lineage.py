"""What a run was made from, written down on its job: git's state, the command, the environment, the tracking server.

Called by `argosy train`, `argosy sweep` and `argosy.sdk.train`. The annotations are read by people and by whatever
registers the model; where the cluster runs MLflow the same facts become tags of every run that the job starts.
"""

from __future__ import annotations

import hashlib
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from argosy import kinds
from argosy.client.client import Client
from argosy.errors import ApiError
from argosy.meta.json import Obj, encode
from argosy.meta.kind import Kind
from argosy.operators.tracking import job as tracking_job
from argosy.operators.tracking import server

PREFIX = "argosy.dev/"
_GIT_SECONDS = 5


def of_git(directory: Path) -> dict[str, str]:
    """`git-commit`, `git-branch`, `git-remote` and `git-dirty` of a directory; empty outside of a repository."""
    commit = _git(directory, "rev-parse", "HEAD")
    if not commit:
        return {}
    remote = re.sub(r"//[^/@]*@", "//", _git(directory, "remote", "get-url", "origin"))  # without credentials
    dirty = "true" if _git(directory, "status", "--porcelain", "--", ".") else "false"
    branch = _git(directory, "rev-parse", "--abbrev-ref", "HEAD")
    found = {"git-commit": commit, "git-branch": branch, "git-remote": remote, "git-dirty": dirty}
    return {name: value for name, value in found.items() if value}


def recorded(git: Mapping[str, str], command: Sequence[str], image: str, requirements: str, digest: str) -> Obj:
    """The annotations of a job that runs this command of this workspace in this environment."""
    environment = hashlib.sha256(encode([image, requirements])).hexdigest()[:20]
    facts = {**git, "command": shlex.join(command), "environment": environment, "workspace-digest": digest}
    return {f"{PREFIX}{name}": value for name, value in facts.items()}


async def tracking(client: Client, namespace: str) -> str:
    """The address of the cluster's MLflow for pods of a namespace: of the namespace's own server, else of the first
    Service anywhere that is named or labelled `mlflow`; empty where there is none.
    """
    for where in (namespace, ""):
        try:
            services = (await client.list(kinds.SERVICE, where)).items
        except ApiError:
            continue  # reading other namespaces is not everybody's right
        found = server.first(services, namespace)
        if found is not None:
            return found.address
    return ""


def tracking_environment(
    address: str, experiment: str, job: Obj, kind: Kind, facts: Mapping[str, str]
) -> dict[str, str]:
    """The variables by which MLflow's own client finds the server and tags each run with where it comes from: a job of
    this kind, of which only the metadata is looked at.
    """
    if not address:
        return {}
    tags = {name.removeprefix(PREFIX): value for name, value in facts.items()}
    named = {"mlflow.source.git.commit": tags["git-commit"]} if "git-commit" in tags else {}
    return {
        "MLFLOW_TRACKING_URI": address,
        "MLFLOW_EXPERIMENT_NAME": experiment,
        "MLFLOW_RUN_CONTEXT": encode({**tracking_job.context(job, kind), **tags, **named}).decode(),
    }


def _git(directory: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(directory), *arguments], capture_output=True, text=True, timeout=_GIT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
