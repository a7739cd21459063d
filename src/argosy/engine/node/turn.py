"""One turn of the pod machine: the state as it changes, and the instructions that pile up.

A turn lives inside one call of `machine.handle`; it exists so that the rules can be written as small functions that
change one thing each without threading state and lists through every signature. Pure to the outside.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from argosy.engine.node.state import ContainerState, Instruction, PodState, Say
from argosy.intent import Reason


class Turn:
    """The state being rewritten, `now` in seconds since the epoch, and what to do about it."""

    __slots__ = ("_containers", "instructions", "now", "state")

    def __init__(self, state: PodState, now: float) -> None:
        self.state = state
        self.now = now
        self.instructions: list[Instruction] = []
        self._containers: dict[str, ContainerState] | None = None

    def of(self, name: str) -> ContainerState:
        """A container as it stands now."""
        return self.state.containers[name]

    def change(self, name: str, **changes: Any) -> ContainerState:
        """Rewrite fields of a container."""
        if self._containers is None:
            self._containers = dict(self.state.containers)
            self.state = replace(self.state, containers=self._containers)
        changed = replace(self._containers[name], **changes)
        self._containers[name] = changed
        return changed

    def change_pod(self, **changes: Any) -> None:
        """Rewrite fields of the pod."""
        self.state = replace(self.state, **changes)

    def do(self, instruction: Instruction) -> None:
        """Add an instruction."""
        self.instructions.append(instruction)

    def say(self, code: str, message: str, *, warning: bool = False) -> None:
        """Add an Event about the pod."""
        self.instructions.append(Say(Reason(code, message, warning)))
