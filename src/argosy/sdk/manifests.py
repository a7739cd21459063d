"""Reading manifests: YAML or JSON, one document or many, files, directories, or standard input.

A mistake is reported with the file, the document and the line, before anything is sent to the cluster.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from argosy.errors import UserError
from argosy.meta.json import Obj

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SUFFIXES = (".yaml", ".yml", ".json")
_BYTES_MAX = 16 * 1024 * 1024


def read(sources: Iterable[str], *, recursive: bool = False) -> list[Obj]:
    """Every object in the named files and directories (`-`: standard input), `List`s unfolded. Raises UserError."""
    objects: list[Obj] = []
    for source in sources:
        if source == "-":
            objects += parse(sys.stdin.read(), "standard input")
            continue
        for path in _files(Path(source), recursive):
            try:
                text = path.read_text()
            except (OSError, UnicodeDecodeError) as error:
                raise UserError(f"{path} cannot be read: {error}", "name a YAML or JSON file") from None
            objects += parse(text, str(path))
    return objects


def parse(text: str, source: str) -> list[Obj]:
    """The objects in a text. Raises UserError that names `source` and the line."""
    if len(text) > _BYTES_MAX:
        raise UserError(f"{source} is larger than {_BYTES_MAX >> 20} MiB", "split it")
    try:
        documents = list(yaml.load_all(text, Loader=_LOADER))
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UserError(f"{source}{line} is not valid YAML: {error.problem}", "mend it and apply again") from None
    except yaml.YAMLError as error:
        raise UserError(f"{source} is not valid YAML: {error}", "mend it and apply again") from None
    return [obj for number, document in enumerate(documents, 1) for obj in _objects(document, source, number)]


def _files(path: Path, recursive: bool) -> list[Path]:
    if path.is_dir():
        found = path.rglob("*") if recursive else path.iterdir()
        return sorted(p for p in found if p.suffix in _SUFFIXES and p.is_file())
    if not path.exists():
        raise UserError(f"there is no file {path}", "name a manifest that exists")
    return [path]


def _objects(document: Any, source: str, number: int) -> Iterator[Obj]:
    if document is None:
        return
    where = f"{source}, document {number}"
    if not isinstance(document, dict):
        raise UserError(f"{where} is not an object", "a manifest starts with apiVersion and kind")
    for field in ("apiVersion", "kind"):
        if not isinstance(document.get(field), str):
            raise UserError(f"{where} has no {field}", "a manifest starts with apiVersion and kind")
    if str(document["kind"]).endswith("List") and isinstance(document.get("items"), list):
        for item in document["items"]:
            yield from _objects(item, source, number)
        return
    meta = document.get("metadata")
    if not isinstance(meta, dict) or not (meta.get("name") or meta.get("generateName")):
        raise UserError(f"{where} ({document['kind']}) has no metadata.name", "give it one")
    yield document
