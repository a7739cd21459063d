"""Keeps the rules in the cluster's network what the parts of the network say they should be.

Services and NetworkPolicies each own a table. Whoever changes one hands the whole of it over and waits until it is in force;
changes that come while the kernel is busy go there together, as one script with only what differs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from argosy.engine.network.ruleset import Ruleset, change, creation
from argosy.engine.node.runtime.spec import Network, RulesRefused
from argosy.errors import ArgosyError

_log = logging.getLogger(__name__)


_TRIAL = "argosy-trial"


class Kernel:
    """The tables of the cluster's network."""

    def __init__(self, network: Network, again_seconds: float = 0.5) -> None:
        """`again_seconds`: how long to wait before asking again a network that may take rules later."""
        self._network = network
        self._again_seconds = again_seconds
        self._wanted: dict[str, Ruleset] = {}
        self._loaded: dict[str, Ruleset] = {}
        self._busy = asyncio.Lock()

    async def open(self, trial: Iterable[Ruleset]) -> str:
        """Try whether the network takes rules like these. Returns why not, as a sentence; nothing when all is well.

        The trial leaves nothing behind, and what an earlier engine put in force stays so until `put` replaces it in one step.
        """
        script = "".join(creation(_TRIAL, rules) + f"delete table ip {_TRIAL}\n" for rules in trial)
        while True:
            try:
                await self._network.load_rules(script)
            except RulesRefused as error:
                return str(error)
            except ArgosyError as error:
                _log.info("the network's rules have to wait: %s", error)
                await asyncio.sleep(self._again_seconds)
            else:
                return ""

    async def put(self, table: str, rules: Ruleset) -> None:
        """A table's rules, in force when this returns. Raises RulesRefused when the kernel does not understand them."""
        self._wanted[table] = rules
        while True:
            async with self._busy:
                wanted = dict(self._wanted)
                stale = [name for name in wanted if self._loaded.get(name) is not wanted[name]]
                if not stale:
                    return
                if await self._load(stale, wanted):
                    self._loaded |= {name: wanted[name] for name in stale}
                    return
            await asyncio.sleep(self._again_seconds)

    async def _load(self, stale: list[str], wanted: dict[str, Ruleset]) -> bool:
        """Whether it could be loaded. Raises RulesRefused."""
        steps = "".join(self._steps(name, wanted[name]) for name in stale)
        try:
            if steps:
                await self._network.load_rules(steps)
        except RulesRefused as error:
            # Somebody else may have changed the tables: once more, from nothing.
            _log.warning("the rules are made anew: %s", error)
            await self._network.load_rules("".join(creation(name, rules) for name, rules in wanted.items()))
            self._loaded = dict(wanted)
        except ArgosyError as error:
            _log.info("the network's rules have to wait: %s", error)
            return False
        return True

    def _steps(self, table: str, wanted: Ruleset) -> str:
        present = self._loaded.get(table)
        return creation(table, wanted) if present is None else change(table, present, wanted)
