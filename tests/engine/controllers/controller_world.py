"""A small world for plans: objects in a dict, a clock that is told, actions carried out at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from argosy.clock import rfc3339
from argosy.intent import Create, Delete, Observed, Operator, Patch, Plan
from argosy.kinds import POD
from argosy.meta.json import Obj, thaw
from argosy.meta.kind import Kind
from argosy.meta.objects import Key, is_controlled_by, key_of, uid_of

START = datetime(2026, 1, 1, tzinfo=UTC)


def merged(target: Obj, patch: Obj) -> Obj:
    """RFC 7386."""
    result = dict(target)
    for field, value in patch.items():
        if value is None:
            result.pop(field, None)
        elif isinstance(value, dict):
            result[field] = merged(result.get(field) or {}, value)
        else:
            result[field] = value
    return result


class World:
    """What the API server would hold."""

    def __init__(self) -> None:
        self.objects: dict[Kind, dict[Key, Obj]] = {}
        self.now = START
        self._serial = 0

    def put(self, kind: Kind, obj: Obj) -> Obj:
        self._serial += 1
        obj = thaw(obj)
        meta = obj["metadata"]
        meta.setdefault("uid", f"uid-{self._serial:04d}")
        meta.setdefault("creationTimestamp", rfc3339(self.now))
        meta.setdefault("generation", 1)
        obj.setdefault("apiVersion", kind.api_version)
        obj.setdefault("kind", kind.kind)
        self.objects.setdefault(kind, {})[key_of(obj)] = obj
        return obj

    def get(self, kind: Kind, name: str, namespace: str = "default") -> Obj:
        return self.objects[kind][Key(namespace if kind.namespaced else "", name)]

    def all(self, kind: Kind) -> list[Obj]:
        return [self.objects[kind][key] for key in sorted(self.objects.get(kind, {}))]

    def change(self, kind: Kind, obj: Obj, patch: Obj) -> Obj:
        key = key_of(obj)
        old = self.objects[kind][key]
        new = merged(old, patch)
        if new.get("spec") != old.get("spec"):
            new["metadata"] = {**new["metadata"], "generation": old["metadata"].get("generation", 1) + 1}
        self.objects[kind][key] = new
        self._collect(kind, key)
        return new

    def delete(self, kind: Kind, key: Key, *, at_once: bool = False) -> None:
        """Pods on a node take their time; whatever has finalizers waits."""
        obj = self.objects.get(kind, {}).get(key)
        if obj is None:
            return
        graceful = kind is POD and obj["spec"].get("nodeName") and not at_once
        if graceful or obj["metadata"].get("finalizers"):
            grace = 30 if graceful else 0
            meta = {"deletionTimestamp": rfc3339(self.now), "deletionGracePeriodSeconds": grace}
            self.objects[kind][key] = merged(obj, {"metadata": meta})
        else:
            del self.objects[kind][key]

    def finish_deletions(self) -> None:
        """The node agent has ended what was to end."""
        for key, pod in list(self.objects.get(POD, {}).items()):
            if pod["metadata"].get("deletionTimestamp"):
                self.objects[POD][key] = merged(pod, {"metadata": {"deletionGracePeriodSeconds": 0}})
                self._collect(POD, key)

    def _collect(self, kind: Kind, key: Key) -> None:
        obj = self.objects[kind][key]
        meta = obj["metadata"]
        if meta.get("deletionTimestamp") and not meta.get("finalizers") and not meta.get("deletionGracePeriodSeconds"):
            del self.objects[kind][key]

    def later(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    # -- pods

    def run_pod(
        self, pod: Obj, *, ready: bool = True, phase: str = "Running", node: str = "n1", **status: object
    ) -> Obj:
        stamp = rfc3339(self.now)
        conditions = [{"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": stamp}]
        said = {"phase": phase, "conditions": conditions, "podIP": "10.64.0.1", **status}
        return self.change(POD, pod, {"spec": {"nodeName": node}, "status": said})

    def end_pod(self, pod: Obj, code: int = 0) -> Obj:
        stamp = rfc3339(self.now)
        ended = {"terminated": {"exitCode": code, "finishedAt": stamp}}
        phase = "Failed" if code else "Succeeded"
        statuses = [{"name": "main", "state": ended}]
        return self.run_pod(pod, ready=False, phase=phase, containerStatuses=statuses)

    # -- plans

    def observe(self, operator: Operator, subject: Obj, probed: Obj | None = None) -> Observed:
        return Observed(
            subject=subject,
            now=self.now,
            children={k: [o for o in self.all(k) if is_controlled_by(o, subject)] for k in operator.owns},
            related={r.kind: [o for o in self.all(r.kind) if r.wants(subject, o)] for r in operator.related},
            probed=probed,
        )

    def step(self, operator: Operator, name: str, namespace: str = "default", probed: Obj | None = None) -> Plan:
        """Plan once and carry it out; checks the laws that every plan keeps."""
        key = Key(namespace if operator.kind.namespaced else "", name)
        subject = self.objects[operator.kind].get(key)
        if subject is None:
            return Plan()
        seen = self.observe(operator, subject, probed)
        frozen = thaw((seen.subject, dict(seen.children), dict(seen.related)))
        plan = operator.plan(seen)
        assert plan == operator.plan(seen), "the same input must give the same plan"
        assert frozen == (seen.subject, dict(seen.children), dict(seen.related)), "a plan must not change what it sees"
        if subject["metadata"].get("deletionTimestamp"):
            assert not any(isinstance(a, Create) for a in plan.actions), "a deleted subject makes nothing"
        self._check_reach(operator, seen, plan)
        self.carry_out(operator, subject, plan)
        return plan

    def _check_reach(self, operator: Operator, seen: Observed, plan: Plan) -> None:
        """A plan touches its subject, its children, and what it was shown, nothing else."""
        reach = {(operator.kind, key_of(seen.subject))}
        for shown in (seen.children, seen.related):
            reach |= {(kind, key_of(obj)) for kind, objects in shown.items() for obj in objects}
        for action in plan.actions:
            if isinstance(action, Create):
                reach.add((action.kind, key_of(action.obj)))
            elif not (isinstance(action, Patch) and action.subresource == "scale"):
                assert (action.kind, action.key) in reach, f"{action} is out of reach"

    def carry_out(self, operator: Operator, subject: Obj, plan: Plan) -> None:
        for action in plan.actions:
            match action:
                case Create():
                    key = key_of(action.obj)
                    assert key not in self.objects.get(action.kind, {}), f"{action.kind} {key} is there already"
                    self.put(action.kind, action.obj)
                case Patch(subresource="scale"):
                    target = self.objects[action.kind][action.key]
                    self.change(action.kind, target, action.patch)
                case Patch():
                    target = self.objects[action.kind].get(action.key)
                    if target is not None and action.uid in ("", uid_of(target)):
                        self.change(action.kind, target, action.patch)
                case Delete():
                    self.delete(action.kind, action.key)
        present = self.objects.get(operator.kind, {}).get(key_of(subject))
        if plan.status is not None and present is not None:
            present = dict(present)
            present["status"] = thaw(plan.status)
            self.objects[operator.kind][key_of(subject)] = present

    def settle(self, *work: tuple[Operator, str], between: Callable[[], None] = lambda: None, steps: int = 60) -> None:
        """Plan until nothing changes any more."""
        for _ in range(steps):
            before = thaw(self.objects)
            for operator, name in work:
                for _ in range(2):
                    self.step(operator, name)
            between()
            if before == self.objects:
                return
        raise AssertionError("the plans do not come to rest")
