"""Which webhooks a request is for. Pure, but for a look at what is stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from argosy import kinds
from argosy.engine.apiserver.admission import matching
from argosy.engine.apiserver.admission.matching import States
from argosy.engine.apiserver.calls import Call
from argosy.engine.apiserver.served import Served
from argosy.errors import Forbidden
from argosy.meta.json import Obj
from argosy.meta.kind import Kind

EXEMPT = frozenset({
    kinds.MUTATING_WEBHOOK_CONFIGURATION, kinds.VALIDATING_WEBHOOK_CONFIGURATION,
    kinds.VALIDATING_ADMISSION_POLICY, kinds.VALIDATING_ADMISSION_POLICY_BINDING,
})  # fmt: skip
"""What no webhook is asked about, or nobody could take a bad one back."""


@dataclass(frozen=True, slots=True)
class Hook:
    """One entry of a webhook configuration's `webhooks`."""

    configuration: str
    spec: Obj

    @property
    def name(self) -> str:
        """Its own, by which it is told of."""
        return str(self.spec["name"])

    @property
    def fails_open(self) -> bool:
        """Whether a request goes on when the webhook cannot be asked."""
        return self.spec.get("failurePolicy") == "Ignore"

    @property
    def timeout_seconds(self) -> int:
        """How long it may take to answer."""
        return int(self.spec.get("timeoutSeconds") or 10)

    @property
    def has_effects(self) -> bool:
        """Whether asking it changes something elsewhere, so that it must not be asked in a dry run."""
        return self.spec.get("sideEffects") not in ("None", "NoneOnDryRun")


def all_hooks(call: Call, configurations: Kind) -> list[Hook]:
    """Every webhook of a sort, in the order in which they are asked."""
    if call.served.storage in EXEMPT:
        return []
    records = sorted(call.api.store.list(configurations.resource), key=lambda record: record.key.name)
    return [Hook(record.key.name, spec) for record in records for spec in record.obj.get("webhooks") or ()]


@dataclass(frozen=True, slots=True)
class Asked:
    """What webhooks are asked about."""

    call: Call
    operation: str
    namespace: Obj | None
    options: str
    """The kind of the request's options."""
    dry_run: bool
    about: Kind | None = None
    """The kind of the object, where that is not the resource's own: a Scale, a Binding, an Eviction."""

    def version_for(self, hook: Hook, states: States) -> Served | None:
        """The version of the kind in which a webhook wants to see the request, None when it is not for this webhook.

        Raises Forbidden where an expression that decides this has no value and the webhook fails closed.
        """
        served = next(self._versions(hook), None)
        if served is None or not matching.selected(hook.spec, states, self.namespace):
            return None
        return served if self._conditions_hold(hook, states) else None

    def _versions(self, hook: Hook) -> Iterator[Served]:
        own = self.call.served
        exact = hook.spec.get("matchPolicy") == "Exact"
        others = [] if exact else [s for s in self.call.api.registry.all() if s.storage is own.storage and s is not own]
        for served in (own, *others):
            named = replace(self.call, served=served)
            for rule in hook.spec.get("rules") or ():
                versions = rule.get("apiVersions") or ()
                if ("*" in versions or served.kind.version in versions) and matching.rule_holds(
                    named, rule, self.operation
                ):
                    yield served

    def _conditions_hold(self, hook: Hook, states: States) -> bool:
        conditions = hook.spec.get("matchConditions")
        if not conditions:
            return True
        from argosy.meta.cel.policies import program_of  # noqa: PLC0415 (many clusters never see an expression)
        from argosy.meta.cel.syntax import Issues  # noqa: PLC0415
        from argosy.meta.cel.values import EvalError, TooCostly  # noqa: PLC0415

        facts = matching.facts(self.call, *states, self.operation, self.namespace)
        fault = ""
        for each in conditions:
            try:
                if program_of(each["expression"], ())(facts) is not True:
                    return False  # one that does not hold weighs more than one that has no value
            except (EvalError, TooCostly, Issues) as error:
                fault = fault or f"expression '{each['expression']}' resulted in error: {error}"
        if fault and not hook.fails_open:
            raise Forbidden(f'admission webhook "{hook.name}" matchConditions could not be evaluated: {fault}')
        return not fault
