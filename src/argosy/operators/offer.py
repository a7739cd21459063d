"""What one folder of `operators/` brings to a cluster: its kinds, who reconciles them, and what comes along.

Each folder makes one `Offer` and `argosy.operators.ALL` lists them. Making it costs next to nothing: the code that plans
is imported when `operators` is called, so that whoever needs only the kinds (`argosy up`, before it is ready) does not
wait for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from argosy.clock import Clock
from argosy.intent import Operator
from argosy.meta.json import Obj
from argosy.meta.kind import Kind
from argosy.operators.settings import OperatorSettings


def _nothing() -> Iterable[Obj]:
    return ()


@dataclass(frozen=True, slots=True)
class Offer:
    """One folder's contribution."""

    kinds: tuple[Kind, ...]
    """The kinds whose CustomResourceDefinitions are installed. Two versions of one kind stand beside each other, the stored
    one first.
    """
    operators: Callable[[OperatorSettings, Clock], tuple[Operator, ...]]
    """Who reconciles them, under an administrator's settings."""
    official: tuple[str, ...] = ()
    """Deployments, by name, of the operators that may already care for these kinds in a cluster; then ours leaves them alone."""
    objects: Callable[[], Iterable[Obj]] = _nothing
    """Objects that a cluster gets with the kinds, such as ready-made training runtimes; one that is there already stays."""
    trains: bool = False
    """Whether the first kind's objects are training jobs, which `tracking` reports to MLflow."""

    @property
    def versions(self) -> tuple[Kind, ...]:
        """The first kind, in each of its versions. A cluster may serve only some of them, by a definition of its own."""
        return tuple(kind for kind in self.kinds if kind.resource == self.kinds[0].resource)
