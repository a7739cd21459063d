"""`podFailurePolicy` and `successPolicy`: which rule a failed pod, or a set of finished indexes, meets. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from argosy.engine.controllers.job import indexes
from argosy.meta.json import Obj, dig
from argosy.meta.objects import key_of


class Match(NamedTuple):
    """What a pod failure policy says of one failed pod."""

    action: str
    """FailJob, FailIndex, Ignore or Count (also when no rule matches)."""
    message: str = ""


def match_failure(job: Obj, pod: Obj) -> Match:
    """The first rule that the failed pod meets."""
    for number, rule in enumerate(dig(job, "spec", "podFailurePolicy", "rules", default=())):
        action = str(rule.get("action"))
        if rule.get("onExitCodes"):
            hit = _exit_code(rule["onExitCodes"], pod)
            if hit:
                container, code = hit
                return Match(
                    action,
                    f"Container {container} for pod {key_of(pod)} failed with exit code {code} matching {action} rule "
                    f"at index {number}",
                )
        for pattern in rule.get("onPodConditions") or ():
            if _has_condition(pod, pattern):
                return Match(
                    action,
                    f"Pod {key_of(pod)} has condition {pattern.get('type')} matching {action} rule at index {number}",
                )
    return Match("Count")


def _exit_code(rule: Obj, pod: Obj) -> tuple[str, int] | None:
    status = pod.get("status") or {}
    for container in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
        if rule.get("containerName") and rule["containerName"] != container.get("name"):
            continue
        code = dig(container, "state", "terminated", "exitCode")
        if code:  # a container that succeeded is never what failed the pod
            listed = code in (rule.get("values") or ())
            if listed == (rule.get("operator") == "In"):
                return str(container.get("name")), int(code)
    return None


def _has_condition(pod: Obj, pattern: Obj) -> bool:
    wanted = str(pattern.get("status") or "True")
    return any(
        c.get("type") == pattern.get("type") and c.get("status") == wanted
        for c in dig(pod, "status", "conditions", default=())
    )


def match_success(job: Obj, succeeded: Iterable[int]) -> str | None:
    """The message of the first success rule that the succeeded indexes meet."""
    done = set(succeeded)
    completions = int(job["spec"].get("completions") or 0)
    for number, rule in enumerate(dig(job, "spec", "successPolicy", "rules", default=())):
        counted = done
        if rule.get("succeededIndexes"):
            named = indexes.parse(str(rule["succeededIndexes"]), completions)
            counted = done & named
            met = len(counted) >= int(rule.get("succeededCount") or len(named))
        else:
            met = len(counted) >= int(rule.get("succeededCount") or completions)
        if met:
            return f"Matched rules at index {number}"
    return None
