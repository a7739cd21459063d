"""A small world that carries plans out: a dict of objects, merge patches, deletion that takes a step.

Operators are tested against it: give it a subject, `step` until nothing changes, kill or finish pods in between.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from argosy import kinds
from argosy.clock import rfc3339
from argosy.intent import Action, Call, Capabilities, Create, Delete, Observed, Operator, Patch, Plan, Reason
from argosy.meta.json import Obj, thaw
from argosy.meta.kind import Kind
from argosy.meta.objects import Key, is_controlled_by, key_of

START = datetime(2026, 1, 1, tzinfo=UTC)


def merge(target: Obj, patch: Obj) -> Obj:
    """RFC 7386."""
    result = dict(target)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            old = result.get(name)
            result[name] = merge(old if isinstance(old, dict) else {}, value)
        else:
            result[name] = thaw(value)
    return result


@dataclass
class World:
    """One subject, and what its operator made of it."""

    operator: Operator
    subject: Obj | None
    now: datetime = START
    objects: dict[tuple[Kind, Key], Obj] = field(default_factory=dict)
    capabilities: Capabilities = field(default_factory=Capabilities)
    reasons: list[Reason] = field(default_factory=list)
    probed: Obj | None = None
    readable: dict[str, str] = field(default_factory=dict)
    """What there is to read, by API path without its query; the rest is answered by an empty text."""
    answers: dict[str, str] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    again: float | None = None
    slow_deletes: bool = False
    """Whether a deleted pod only gets a deletionTimestamp, until `bury`."""
    serial: int = 0

    def __post_init__(self) -> None:
        assert self.subject is not None
        self.subject = thaw(self.subject)
        meta = self.subject["metadata"]
        meta.setdefault("namespace", "default")
        meta.setdefault("uid", "subject-uid")
        meta.setdefault("creationTimestamp", rfc3339(self.now))
        meta.setdefault("generation", 1)

    def observe(self) -> Observed:
        assert self.subject is not None
        children: dict[Kind, list[Obj]] = {kind: [] for kind in self.operator.owns}
        for (kind, _), obj in sorted(self.objects.items(), key=lambda item: item[0][1]):
            if kind in children and is_controlled_by(obj, self.subject):
                children[kind].append(obj)
        related = {
            r.kind: [o for (k, _), o in sorted(self.objects.items(), key=lambda item: item[0][1])
                     if k == r.kind and r.wants(self.subject, o)]
            for r in self.operator.related
        }  # fmt: skip
        return Observed(self.subject, self.now, children, related, self.capabilities, self.probed, self.answers)

    def plan(self) -> Plan:
        """Plan twice on equal input: the same must come out, and the input must be left alone."""
        seen = self.observe()
        before = thaw([seen.subject, [list(objs) for objs in seen.children.values()]])
        first, second = self.operator.plan(seen), self.operator.plan(seen)
        assert first == second, "a plan is a function"
        after = [seen.subject, [list(objs) for objs in seen.children.values()]]
        assert before == after, "a plan changes nothing in place"
        self._only_own(first)
        return first

    def step(self) -> bool:
        """One round; whether anything changed."""
        if self.subject is None:
            return False
        plan = self.plan()
        changed = False
        for action in plan.actions:
            changed |= self._carry_out(action)
        if self.subject is not None and plan.status is not None and plan.status != (self.subject.get("status") or {}):
            self.subject = {**self.subject, "status": thaw(plan.status)}
            changed = True
        changed |= any(path not in self.answers for path in plan.asks)
        self.answers = {path: self.readable.get(path.partition("?")[0], "") for path in plan.asks}
        self.reasons += plan.reasons
        self.again = plan.again_in_seconds
        return changed

    def settle(self, rounds: int = 20) -> None:
        """Step until nothing changes: the fixpoint that every plan must have."""
        for _ in range(rounds):
            if not self.step():
                return
        raise AssertionError("the operator never comes to rest")

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def of(self, kind: Kind) -> list[Obj]:
        return [obj for (k, _), obj in sorted(self.objects.items(), key=lambda item: item[0][1]) if k == kind]

    def get(self, kind: Kind, name: str) -> Obj:
        return self.objects[kind, Key("default", name)]

    def names(self, kind: Kind) -> list[str]:
        return [obj["metadata"]["name"] for obj in self.of(kind)]

    def change(self, kind: Kind, name: str, patch: Obj) -> None:
        key = (kind, Key("default", name))
        self.objects[key] = merge(self.objects[key], patch)

    def pods(self, phase: str, *names: str) -> None:
        """Put pods (all, when none is named) into a phase."""
        for name in names or self.names(kinds.POD):
            self.change(kinds.POD, name, {"status": {"phase": phase}})

    def exit(self, name: str, code: int, *, at: float = 0, container: str = "pytorch", **terminated: object) -> None:
        """End a pod's container."""
        end: Obj = {"exitCode": code, "finishedAt": rfc3339(self.now + timedelta(seconds=at)), **terminated}
        statuses = [{"name": container, "state": {"terminated": end}}]
        phase = "Failed" if code else "Succeeded"
        self.change(kinds.POD, name, {"status": {"phase": phase, "containerStatuses": statuses}})

    def edit(self, patch: Obj) -> None:
        assert self.subject is not None
        self.subject = merge(self.subject, patch)

    def bury(self) -> None:
        """What is being deleted is gone now."""
        for key, obj in list(self.objects.items()):
            if obj["metadata"].get("deletionTimestamp"):
                del self.objects[key]

    def remove(self, kind: Kind, name: str) -> None:
        del self.objects[kind, Key("default", name)]

    @property
    def status(self) -> Obj:
        assert self.subject is not None
        return self.subject.get("status") or {}

    def conditions(self) -> list[tuple[str, str]]:
        return [(c["type"], c["status"]) for c in self.status.get("conditions") or ()]

    def told(self, code: str) -> list[str]:
        return [reason.message for reason in self.reasons if reason.code == code]

    def _carry_out(self, action: Action) -> bool:
        assert self.subject is not None
        if isinstance(action, Call):
            self.calls.append(action)
            self.probed = None
            return True
        if isinstance(action, Create):
            key = (action.kind, key_of(action.obj))
            if action.kind is kinds.CONFIG_MAP and key in self.objects:
                assert is_controlled_by(self.objects[key], self.subject)
                return False  # one that is there with the same owner counts as made
            assert key not in self.objects, f"{key} exists already"
            self.serial += 1
            obj = thaw(action.obj)
            obj["metadata"] |= {"uid": f"uid-{self.serial}", "creationTimestamp": rfc3339(self.now), "generation": 1}
            if action.kind == kinds.POD:
                obj["status"] = {"phase": "Pending"}
            self.objects[key] = obj
            return True
        if isinstance(action, Patch):
            if (action.kind, action.key) == (self.operator.kind, key_of(self.subject)):
                self.subject = merge(self.subject, action.patch)
                return True
            old = self.objects[action.kind, action.key]
            assert not action.uid or action.uid == old["metadata"]["uid"]
            self.objects[action.kind, action.key] = merge(old, action.patch)
            return self.objects[action.kind, action.key] != old
        if (action.kind, action.key) == (self.operator.kind, key_of(self.subject)):
            self.subject = None
            return True
        if action.kind is kinds.CONFIG_MAP and (action.kind, action.key) not in self.objects:
            return False  # what is gone already counts as deleted
        old = self.objects[action.kind, action.key]
        assert not action.uid or action.uid == old["metadata"]["uid"]
        assert not old["metadata"].get("deletionTimestamp"), "deleted twice"
        if self.slow_deletes and action.kind == kinds.POD:
            self.change(action.kind, action.key.name, {"metadata": {"deletionTimestamp": rfc3339(self.now)}})
        else:
            del self.objects[action.kind, action.key]
        return True

    def _only_own(self, plan: Plan) -> None:
        assert self.subject is not None
        mine = self._is_mine
        for action in plan.actions:
            if isinstance(action, Create):
                # A ConfigMap may also be a record that is written once and that nothing looks at again.
                assert action.kind in self.operator.owns or action.kind is kinds.CONFIG_MAP
                assert mine(action.obj)
            elif action.kind == kinds.NODE:
                assert isinstance(action, Patch)
                assert action.patch["spec"] == {"unschedulable": True}, "of nodes nothing else"
                assert action.optional
            elif isinstance(action, Call):
                assert self.operator.probe is not None, "only what is asked may be told"
            elif action.kind is kinds.CONFIG_MAP and (action.kind, action.key) not in self.objects:
                assert isinstance(action, Delete), "an old record makes room for the next"
            elif (action.kind, action.key) != (self.operator.kind, key_of(self.subject)):
                assert mine(self.objects[action.kind, action.key]), f"{action} is about somebody else's object"

    def _is_mine(self, obj: Obj) -> bool:
        """Whether the subject controls it, or controls what does."""
        assert self.subject is not None
        if is_controlled_by(obj, self.subject):
            return True
        return any(is_controlled_by(obj, other) and self._is_mine(other) for other in self.objects.values())
