"""What may not be reported of a pod: addresses that are none, and containers that come back though they are done.

Called by the API server's `validation.statuses` for what a node, or whoever plays one, writes to a pod's status.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from argosy.errors import Cause
from argosy.meta import causes, names
from argosy.meta.json import Obj
from argosy.meta.rules import addresses
from argosy.meta.rules.fields import Found, say, unchanged

_SYSTEM = frozenset({"PodScheduled", "Ready", "Initialized"})
_NOT_NEGATIVE = "must be a non-negative integer"


def status(new: Obj, old: Obj) -> Found:
    """v1 Pod."""
    found: Found = []
    now, before, spec = new.get("status") or {}, old.get("status") or {}, old["spec"]
    for index, condition in enumerate(now.get("conditions") or ()):
        path, type = f"status.conditions[{index}]", condition.get("type") or ""
        if (condition.get("observedGeneration") or 0) < 0:
            found.append(causes.invalid(f"{path}.observedGeneration", condition["observedGeneration"], _NOT_NEGATIVE))
        if type not in _SYSTEM:
            say(found, f"{path}.Type", type, names.qualified(type))
    _nominated(found, now, before, spec)
    if (now.get("observedGeneration") or 0) < 0:
        found.append(causes.invalid("status.observedGeneration", now["observedGeneration"], _NOT_NEGATIVE))
    unchanged(found, "status.qosClass", now.get("qosClass") or "", before.get("qosClass") or "")
    policy = spec.get("restartPolicy") or "Always"
    for field, containers in (("containerStatuses", "containers"), ("initContainerStatuses", "initContainers")):
        own = {each["name"]: each for each in spec.get(containers) or ()}
        _done(found, field, now, before, partial(_restarts, own, policy))
    _done(found, "ephemeralContainerStatuses", now, before, lambda name, code: False)
    _claims(found, now, spec)
    _addresses(found, "podIPs", now, before)
    hosts = now.get("hostIPs") or []
    if hosts and (now.get("hostIP") or "") != (hosts[0].get("ip") or ""):
        found.append(causes.invalid("status.hostIPs[0].ip", hosts[0].get("ip") or "", "must be equal to `hostIP`"))
    _addresses(found, "hostIPs", now, before)
    return found


def _nominated(found: Found, now: Obj, before: Obj, spec: Obj) -> None:
    path, node = "status.nominatedNodeName", now.get("nominatedNodeName") or ""
    if not node or node == before.get("nominatedNodeName"):
        return
    say(found, path, node, names.subdomain(node))
    if spec.get("nodeName"):
        found.append(causes.forbidden(path, "may not be set on pods that are already bound to a node"))


def _restarts(own_containers: dict[str, Obj], policy: str, name: str, code: int) -> bool:
    """Whether a container that ended with this code may run again."""
    container = own_containers.get(name)
    if container is None:
        return False
    own = container.get("restartPolicy")
    for rule in container.get("restartPolicyRules") or () if own else ():
        codes = rule.get("exitCodes") or {}
        if (code in (codes.get("values") or ())) == (codes.get("operator") == "In"):
            return bool(rule.get("action") in ("Restart", "RestartAllContainers"))
    policy = own or policy
    return policy == "Always" or (policy == "OnFailure" and code != 0)


def _done(found: Found, field: str, now: Obj, before: Obj, restarts: Callable[[str, int], bool]) -> None:
    reported = {each.get("name"): each for each in reversed(now.get(field) or [])}
    for index, each in enumerate(before.get(field) or ()):
        ended = (each.get("state") or {}).get("terminated")
        later = reported.get(each.get("name"))
        if ended is None or later is None or (later.get("state") or {}).get("terminated") is not None:
            continue
        if not restarts(each.get("name") or "", ended.get("exitCode") or 0):
            message = "may not be transitioned to non-terminated state"
            found.append(causes.forbidden(f"status.{field}[{index}].state", message))


def _claims(found: Found, now: Obj, spec: Obj) -> None:
    asked = {each.get("name") for each in spec.get("resourceClaims") or ()}
    seen: set[str] = set()
    for index, each in enumerate(now.get("resourceClaimStatuses") or ()):
        path, name = f"status.resourceClaimStatuses[{index}]", each.get("name") or ""
        if name not in asked:
            message = "must match the name of an entry in `spec.resourceClaims`"
            found.append(causes.invalid(f"{path}.name", name, message))
        if name in seen:
            found.append(causes.duplicate(f"{path}.name", name))
        seen.add(name)
        claim = each.get("resourceClaimName")
        if claim is not None:
            say(found, f"{path}.resourceClaimName", claim, names.subdomain(claim))


def _addresses(found: Found, field: str, now: Obj, before: Obj) -> None:
    path, items = f"status.{field}", now.get(field) or []
    kept = [each.get("ip") or "" for each in before.get(field) or ()]
    texts = [each.get("ip") or "" for each in items]
    for index, text in enumerate(texts):
        addresses.address(found, f"{path}[{index}]", text, kept)
    read = [addresses.sloppy(text) for text in texts]
    if len(texts) < 2:
        return
    if None in read:
        at = read.index(None)
        why = f"Internal error: failed to check for dual stack with error:invalid IP[{at}]: {texts[at]}"
        found.append(Cause("InternalError", why, path))
    if None in read or sorted(value.version for value in read if value is not None) != [4, 6]:
        shown = [{"IP": text} for text in texts]
        found.append(causes.invalid(path, shown, "may specify no more than one IP for each IP family"))
