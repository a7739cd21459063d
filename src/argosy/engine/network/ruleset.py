"""A table of nftables rules as a value, and the script that turns one into another. Pure.

`service_rules` and `policy_rules` say what the table should hold, `kernel` loads the difference: sets keep what the kernel
has put into them by itself (who stays with which backend), and a change costs what changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Collection:
    """A set or a map. An element of a map is `key : value`; those of a dynamic set are the kernel's own affair."""

    head: str
    """Type and flags, as nft writes them: `type ipv4_addr;`."""
    elements: frozenset[str] = frozenset()
    kind: str = "set"


@dataclass(frozen=True, slots=True)
class Chain:
    """Rules in order. `hook` makes it a base chain: `type filter hook input priority filter;`."""

    rules: tuple[str, ...]
    hook: str = ""


@dataclass(frozen=True, slots=True)
class Ruleset:
    """Everything in one table of family ip. A collection or a hook that changes its head must change its name."""

    collections: Mapping[str, Collection] = field(default_factory=dict)
    chains: Mapping[str, Chain] = field(default_factory=dict)


EMPTY = Ruleset()


def union(parts: Iterable[Ruleset]) -> Ruleset:
    """All of several tables' parts; a set that several of them name holds the elements of all."""
    collections: dict[str, Collection] = {}
    chains: dict[str, Chain] = {}
    for part in parts:
        chains |= part.chains
        for name, more in part.collections.items():
            known = collections.get(name)
            every = known.elements | more.elements if known is not None else more.elements
            collections[name] = Collection(more.head, every, more.kind)
    return Ruleset(collections, chains)


def creation(table: str, wanted: Ruleset) -> str:
    """The script that makes a table what is wanted, whatever it was."""
    # Adding first makes the deletion of a table that is not there no error.
    head = [f"add table ip {table}", f"delete table ip {table}", f"add table ip {table}"]
    return "\n".join([*head, *_steps(table, EMPTY, wanted)]) + "\n"


def change(table: str, present: Ruleset, wanted: Ruleset) -> str:
    """The script from one to the other; empty when they are equal."""
    steps = list(_steps(table, present, wanted))
    return "\n".join(steps) + "\n" if steps else ""


def _steps(table: str, present: Ruleset, wanted: Ruleset) -> Iterator[str]:
    """What is referred to is made before, and removed after, what refers to it."""
    gone = [name for name in present.chains if name not in wanted.chains]
    changed = [name for name, chain in wanted.chains.items() if present.chains.get(name) != chain]
    for name, collection in wanted.collections.items():
        if name not in present.collections:
            yield f"add {collection.kind} ip {table} {name} {{ {collection.head} }}"
    for name in changed:
        if name not in present.chains:
            hook = wanted.chains[name].hook
            yield f"add chain ip {table} {name}" + (f" {{ {hook} }}" if hook else "")
    for name, collection in present.collections.items():
        kept = wanted.collections.get(name)
        if kept is not None:
            yield from _elements("delete", table, name, collection.elements - kept.elements)
    for name in (*gone, *(name for name in changed if name in present.chains)):
        yield f"flush chain ip {table} {name}"
    for name in changed:
        yield from (f"add rule ip {table} {name} {rule}" for rule in wanted.chains[name].rules)
    for name, collection in wanted.collections.items():
        had = present.collections.get(name)
        yield from _elements("add", table, name, collection.elements - had.elements if had else collection.elements)
    for name, collection in present.collections.items():
        if name not in wanted.collections:
            if collection.kind == "map":
                yield f"flush map ip {table} {name}"
            yield f"delete {collection.kind} ip {table} {name}"
    for name in gone:
        yield f"delete chain ip {table} {name}"


def _elements(verb: str, table: str, name: str, elements: Iterable[str]) -> Iterator[str]:
    listed = ", ".join(sorted(elements))
    if listed:
        yield f"{verb} element ip {table} {name} {{ {listed} }}"
