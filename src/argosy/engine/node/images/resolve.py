"""From an image reference to the environment that stands for it: pure. `catalogue` reads the files, `builder` builds.

An image may also be itself, from a registry or a layout on disk (`rule_of`; `engine/node/oci` fetches it). Where nothing
may be fetched, an unmapped reference is an error that says how to map it, never a guess.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from argosy.errors import ArgosyError
from argosy.meta.json import Obj, encode

FORMAT = 1
"""Part of every environment's address: raised when environments are built differently."""


_PART = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?:[a-zA-Z0-9][-a-zA-Z0-9.]*(?::[0-9]+)?/)?{_PART}(?:/{_PART})*(?::\w[-\w.]{{0,127}})?(?:@[a-z0-9]+:[0-9a-f]{{32,}})?"
)


class ImageError(ArgosyError):
    """An image that cannot be had; `reason` is the kubelet's word for it."""

    def __init__(self, message: str, reason: str = "ErrImagePull") -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason


class CatalogueError(ArgosyError):
    """A catalogue that makes no sense."""


@dataclass(frozen=True, slots=True)
class Environment:
    """What a container finds: the host's tools, Argosy's own Python, or packages in a venv."""

    name: str
    kind: str
    """`host`, `interpreter` or `venv`."""
    requirements: tuple[str, ...] = ()
    parent: str = ""
    torch: bool = False
    warm: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of `images`."""

    patterns: tuple[str, ...]
    environment: str
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    working_dir: str = "/"
    note: str = ""
    programs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What stands in for the image's own programs, by name or by path: a module of the environment and its arguments."""
    oci: str | None = None
    """Set when the image is itself and no environment: where it is, `docker://…` or `oci:/…`; empty: where it says."""


@dataclass(frozen=True, slots=True)
class Registry:
    """What is said of a registry."""

    plain_http: bool | None = None
    """None: where nobody said so, registries on loopback are asked without TLS."""
    ca_file: str = ""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Environments by name, and the mappings in the order in which they are tried."""

    environments: Mapping[str, Environment]
    mappings: tuple[Entry, ...]
    registries: Mapping[str, Registry] = field(default_factory=dict)
    """By host, or host and port."""
    pull_unmapped: bool = True
    """An image that nothing maps is asked of the registry that it names."""

    def line(self, name: str) -> tuple[Environment, ...]:
        """An environment and its ancestors, itself first."""
        found: list[Environment] = []
        while name:
            environment = self.environments[name]
            if environment in found:
                raise CatalogueError(f"the environment {name} is its own ancestor; remove one `parent`")
            found.append(environment)
            name = environment.parent
        return tuple(found)


def read(*documents: Obj) -> Catalogue:
    """Make a catalogue of parsed YAML documents, the most important first. Raises CatalogueError."""
    environments: dict[str, Environment] = {}
    mappings: list[Entry] = []
    for document in documents:
        if not isinstance(document, dict):
            raise CatalogueError("a catalogue is a mapping with `environments` and `images`")
        for name, raw in (document.get("environments") or {}).items():
            environments.setdefault(str(name), _environment(str(name), raw or {}))
        mappings += [_mapping(raw) for raw in document.get("images") or ()]
    for mapping in mappings:
        if mapping.oci is None and mapping.environment not in environments:
            raise CatalogueError(
                f"the image pattern {mapping.patterns[0]} names the environment {mapping.environment!r}, which is not there; "
                f"use one of {', '.join(sorted(environments))}"
            )
        if mapping.programs and environments[mapping.environment].kind == "host":
            raise CatalogueError(
                f"the image pattern {mapping.patterns[0]} has `programs`, which are Python, and the environment "
                f"{mapping.environment} has none; use one of kind interpreter or venv"
            )
    for environment in environments.values():
        if environment.parent and environment.parent not in environments:
            raise CatalogueError(
                f"the environment {environment.name} names the parent {environment.parent!r}, not there"
            )
    said = [document["unmapped"] for document in documents if "unmapped" in document]
    if said and said[0] not in {"pull", "refuse"}:
        raise CatalogueError(f"`unmapped` is {said[0]!r}; write pull or refuse")
    registries = {
        str(host): _registry(host, raw) for d in documents for host, raw in (d.get("registries") or {}).items()
    }
    return Catalogue(environments, tuple(mappings), registries, said[:1] != ["refuse"])


def _registry(host: Any, raw: Any) -> Registry:
    if not isinstance(raw, dict) or raw.keys() - {"plain_http", "ca_file"} or "/" in str(host):
        raise CatalogueError(
            f"the registry {host} is described by {raw!r}; write HOST[:PORT]: {{plain_http: true}} or {{ca_file: FILE}}"
        )
    plain = raw.get("plain_http")
    return Registry(None if plain is None else bool(plain), str(raw.get("ca_file") or ""))


def _environment(name: str, raw: Obj) -> Environment:
    kind = str(raw.get("kind") or "venv")
    if kind not in {"host", "interpreter", "venv"}:
        raise CatalogueError(f"the environment {name} is of kind {kind!r}; use host, interpreter or venv")
    return Environment(
        name=name,
        kind=kind,
        requirements=_texts(raw.get("requirements")),
        parent=str(raw.get("parent") or ""),
        torch=bool(raw.get("torch")),
        warm=_texts(raw.get("warm")),
    )


def _mapping(raw: Any) -> Entry:
    oci = raw.get("oci") if isinstance(raw, dict) else None
    if not isinstance(raw, dict) or not raw.get("match") or bool(raw.get("environment")) == bool(oci):
        raise CatalogueError("an entry of `images` needs `match` and `environment`, or `oci` in its place")
    if oci is not None and oci is not True and not re.match(r"docker://.|oci:/.", str(oci)):
        raise CatalogueError(
            f"the image pattern {raw['match']} has oci: {oci!r}; write true, docker://HOST/NAME[:TAG] or oci:/PATH[:TAG]"
        )
    return Entry(
        patterns=_texts(raw["match"]),
        environment=str(raw.get("environment") or ""),
        oci=None if oci is None else "" if oci is True else str(oci),
        entrypoint=_texts(raw.get("entrypoint")),
        command=_texts(raw.get("command")),
        env={str(k): str(v) for k, v in (raw.get("env") or {}).items()},
        working_dir=str(raw.get("working_dir") or "/"),
        note=str(raw.get("note") or ""),
        programs={str(name): _texts(module) for name, module in (raw.get("programs") or {}).items()},
    )


def _texts(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(str(item) for item in value)


def extended(line: tuple[Environment, ...], requirements: Sequence[str]) -> tuple[Environment, ...]:
    """The line with an environment in front that has these packages too; only one that holds packages can have more."""
    if not requirements or line[0].kind != "venv":
        return line
    return (Environment(f"{line[0].name} with requirements", "venv", tuple(requirements), line[0].name), *line)


def split(reference: str) -> tuple[str, str]:
    """`docker.io/library/python:3.12@sha256:…` is (`python`, `3.12`). Raises ImageError for what is no reference."""
    if not _REFERENCE.fullmatch(reference):
        raise ImageError(
            f'Failed to apply default image tag "{reference}": couldn\'t parse image name: invalid reference format',
            "InvalidImageName",
        )
    name = reference.partition("@")[0]
    head, colon, tag = name.rpartition(":")
    if colon and "/" not in tag:
        name = head
    else:
        tag = "latest"
    for registry in ("docker.io/", "index.docker.io/", "registry-1.docker.io/"):
        name = name.removeprefix(registry)
    return name.removeprefix("library/"), tag


def find(catalogue: Catalogue, reference: str, user_file: str) -> Entry:
    """The entry for a reference. Raises ImageError, with the line to add when there is none."""
    for mapping in _fitting(catalogue, reference):
        if mapping.oci is not None:
            break
        return mapping
    raise ImageError(unmapped(catalogue, reference, user_file))


def unmapped(catalogue: Catalogue, reference: str, user_file: str) -> str:
    """What to do about an image that no environment stands for."""
    repository, _ = split(reference)
    return (
        f"no environment is mapped to the image {reference}; add to {user_file}: "
        f"images: [{{match: {repository}, environment: torch}}] (environments: {', '.join(sorted(catalogue.environments))})"
    )


def rule_of(catalogue: Catalogue, reference: str, *, itself: bool) -> str | None:
    """Where an image is that is itself, as `images.yaml` says or (empty) as it says; None: an environment stands for it.

    With `itself` no environment may. Raises ImageError for what is no reference.
    """
    for mapping in _fitting(catalogue, reference):
        if mapping.oci is not None:
            return mapping.oci
        if not itself:
            return None
    return "" if itself or catalogue.pull_unmapped else None


def is_mapped(catalogue: Catalogue, reference: str) -> bool:
    """Whether anything is said of an image."""
    return next(_fitting(catalogue, reference), None) is not None


def _fitting(catalogue: Catalogue, reference: str) -> Iterator[Entry]:
    """The entries for a reference, the one that counts first."""
    repository, tag = split(reference)
    for mapping in catalogue.mappings:
        for pattern in mapping.patterns:
            has_tag = ":" in pattern.rpartition("/")[2]
            if fnmatchcase(f"{repository}:{tag}" if has_tag else repository, pattern):
                yield mapping
                break


def other_python(reference: str, here: str) -> str:
    """A sentence for who asks for `python:3.12` where only another Python is; empty when the versions agree."""
    repository, tag = split(reference)
    wanted = re.match(r"3\.\d+", tag)
    if repository.rpartition("/")[2] != "python" or wanted is None or f"{here}.".startswith(f"{wanted[0]}."):
        return ""
    return f"the image {reference} runs on this machine's Python {here}, not on {wanted[0]}"


@dataclass(frozen=True, slots=True)
class Platform:
    """What an environment's packages depend on besides their names."""

    python: str
    """`3.11.7`."""
    tag: str
    """`cpython-311-x86_64-linux-gnu`."""
    accelerator: str = "cpu"
    """`cpu` or `cuda`: which build of PyTorch."""


def address(line: Sequence[Environment], platform: Platform) -> str:
    """The content address of an environment: of its packages, its ancestors' and the platform."""
    parent = address(line[1:], platform) if len(line) > 1 else ""
    own = line[0]
    told = [
        FORMAT, own.kind, sorted(own.requirements), parent, platform.python, platform.tag,
        platform.accelerator if any(e.torch for e in line) else "",
    ]  # fmt: skip
    return hashlib.sha256(encode(told)).hexdigest()
