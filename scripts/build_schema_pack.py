"""Build `src/argosy/meta/schemas.json.gz` and `descriptions.json.gz` from the dev package `kubernetes-validate`.

The package carries the whole OpenAPI definitions of Kubernetes; the pack keeps what validation, defaulting, patches,
server-side apply and OpenAPI need, adds the facts of `schema_facts.py`, and puts the prose into a file of its own that
only `kubectl explain` makes the engine open. The same input gives the same bytes.

    python scripts/build_schema_pack.py [--check]
"""

from __future__ import annotations

import gzip
import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import schema_facts as facts

KUBERNETES = "1.36"
TARGET = Path(__file__).parent.parent / "src" / "argosy" / "meta"
KEEP = (
    "type", "format", "enum", "required", "default", "x-kubernetes-list-type", "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type", "x-kubernetes-patch-merge-key", "x-kubernetes-patch-strategy",
)  # fmt: skip
SPECIAL = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"type": "string", "format": "int-or-string"},
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": "string", "format": "quantity"},
}


def source() -> Path | None:
    """Where the installed package keeps the definitions of our Kubernetes version."""
    spec = find_spec("kubernetes_validate")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "kubernetes-json-schema" / f"v{KUBERNETES}.0-local" / "_definitions.json"
    return path if path.exists() else None


def _words(text: str) -> tuple[set[str], set[str]]:
    words = text.split()
    return {w for w in words if not w.startswith("-")}, {w[1:] for w in words if w.startswith("-")}


DROP, NOT_DROP = _words(facts.DROP)
STRINGS, _ = _words(facts.KEEP)
FILL, NOT_FILL = _words(facts.FILL)
NULL, _ = _words(facts.NULL)


def _named(definition: str, prop: str, words: set[str]) -> bool:
    group, short = definition.split(".")[-3], definition.rsplit(".", maxsplit=1)[-1]
    return prop in words or f"{short}.{prop}" in words or f"{group}.{short}.{prop}" in words


def zero(definition: str, prop: str, schema: dict[str, Any], required: bool) -> str:
    """The `zero` of a property, empty for the default of its type."""
    kind = schema.get("type", "")
    if _named(definition, prop, NULL):
        return "null"
    excepted = _named(definition, prop, NOT_FILL)
    scalar = kind in ("integer", "boolean", "string")
    if not excepted and (required if scalar else False):
        return "fill"
    named = _named(definition, prop, FILL) and not excepted
    if scalar and f"{definition.rsplit('.', maxsplit=1)[-1]}.{prop}" in FILL:
        return "fill"
    if kind in ("integer", "boolean"):
        dropped = _named(definition, prop, DROP) and not _named(definition, prop, NOT_DROP)
        return "drop" if dropped else ""
    if kind == "string":
        return "keep" if _named(definition, prop, STRINGS) else ""
    if named and schema.get("$ref", "").rsplit(".", 1)[-1] not in ("", "Time", "IntOrString"):
        return "fill"
    return ""


def slim(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema without prose, with short references and without `null` among its types."""
    result: dict[str, Any] = {key: schema[key] for key in KEEP if key in schema}
    if isinstance(result.get("type"), list):
        result["type"] = next(kind for kind in result["type"] if kind != "null")
    if "enum" in result:
        result["enum"] = [value for value in result["enum"] if value is not None]
    if "$ref" in schema:
        result["$ref"] = schema["$ref"].removeprefix("#/$defs/")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            result[key] = slim(schema[key])
    return result


def definition(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """One entry of the pack."""
    if name in SPECIAL:
        return dict(SPECIAL[name])
    result = slim(schema)
    gvks = schema.get("x-kubernetes-group-version-kind") or []
    if len(gvks) == 1:
        result["x-kubernetes-group-version-kind"] = gvks
    properties = {}
    for prop, inner in sorted((schema.get("properties") or {}).items()):
        properties[prop] = slim(inner)
        if prop in ("apiVersion", "kind") and gvks:
            properties[prop].pop("enum", None)
        mark = zero(name, prop, properties[prop], prop in schema.get("required", ()))
        if mark:
            properties[prop]["zero"] = mark
    if properties:
        result["properties"] = properties
    return result


def descriptions(schema: dict[str, Any]) -> dict[str, str]:
    """The prose of a definition (under the empty key) and of its properties."""
    found = {"": schema["description"]} if schema.get("description") else {}
    for prop, inner in sorted((schema.get("properties") or {}).items()):
        if inner.get("description"):
            found[prop] = inner["description"]
    return found


def build(path: Path) -> dict[str, bytes]:
    """The files of the pack by name."""
    definitions = json.loads(path.read_text())["$defs"]
    slimmed = {name: definition(name, definitions[name]) for name in sorted(definitions)}
    kinds = {}
    for name, schema in slimmed.items():
        for gvk in schema.get("x-kubernetes-group-version-kind", ()):
            prefix = f"{gvk['group']}/" if gvk["group"] else ""
            kinds[f"{prefix}{gvk['version']}/{gvk['kind']}"] = name
    prose = {name: descriptions(definitions[name]) for name in sorted(definitions)}
    pack = {"kubernetes": KUBERNETES, "kinds": kinds, "definitions": slimmed}
    return {"schemas.json.gz": _pack(pack), "descriptions.json.gz": _pack(prose)}


def _pack(value: Any) -> bytes:
    raw = json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
    return gzip.compress(raw, compresslevel=9, mtime=0)


def main() -> int:
    """Write the files, or with --check say whether they are what they should be."""
    path = source()
    if path is None:
        print("kubernetes-validate with Kubernetes", KUBERNETES, "is not installed: pip install -e '.[dev]'")
        return 1
    stale = []
    for name, raw in build(path).items():
        target = TARGET / name
        if not target.exists() or target.read_bytes() != raw:
            stale.append(name)
            if "--check" not in sys.argv:
                target.write_bytes(raw)
        print(f"{name}: {len(raw):,} bytes")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
