"""The ecosystem's kinds; they run on any cluster. One folder a kind, and one line in `ALL`."""

from __future__ import annotations

from argosy.clock import Clock
from argosy.intent import Operator
from argosy.operators import inferenceservice, pytorchjob
from argosy.operators.settings import OperatorSettings

ALL: tuple[Operator, ...] = (
    pytorchjob.OPERATOR,
    inferenceservice.OPERATOR,
)
"""Every operator, with the default settings."""


def build(settings: OperatorSettings, clock: Clock | None = None) -> tuple[Operator, ...]:
    """Every operator under an administrator's settings."""
    return (pytorchjob.operator(settings), inferenceservice.operator(settings, clock))
