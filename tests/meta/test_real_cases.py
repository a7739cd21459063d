"""Documents that people wrote, held against what a real kube-apiserver made of them.

They are in `golden.jsonl.gz` (request, code and response a line) and `crds.tar.gz` of the folder that `cases` finds;
without it these tests skip.
"""

from __future__ import annotations

import tarfile
from functools import cache
from typing import Any

import yaml

from argosy.meta import pack, rules, structural, validation
from argosy.meta.decode import decode
from argosy.meta.defaults import set_defaults
from argosy.meta.json import thaw
from argosy.meta.kind import Kind
from argosy.meta.schema import Schema
from argosy.meta.schema import structural as compiled
from cases import FOLDER, lines, needs_cases

pytestmark = needs_cases
GIVEN_BY_THE_SERVER = (
    "uid",
    "creationTimestamp",
    "resourceVersion",
    "managedFields",
    "generation",
    "namespace",
    "name",
)


@cache
def custom_schemas() -> dict[tuple[str, str], Schema]:
    found = {}
    with tarfile.open(FOLDER / "crds.tar.gz") as archive:
        for member in archive:
            source = archive.extractfile(member)
            if source is None:
                continue
            spec = yaml.load(source, Loader=yaml.CSafeLoader)["spec"]
            for version in spec["versions"]:
                key = (f"{spec['group']}/{version['name']}", spec["names"]["kind"])
                found[key] = compiled(version["schema"]["openAPIV3Schema"])
    return found


def documents() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = lines("golden.jsonl.gz")
    return found


def processed(obj: dict[str, Any]) -> tuple[dict[str, Any], list[str], list[Any]] | None:
    api_version, kind = obj["apiVersion"], obj["kind"]
    schema = pack.definition_for(api_version, kind)
    if schema is not None:
        decoded = decode(obj, schema)
        assert decoded.error == ""
        set_defaults(api_version, kind, decoded.obj)
        group, _, version = api_version.rpartition("/")
        manual = thaw(decoded.obj)
        manual["metadata"].setdefault("name", "n")
        if kind == "Job" and "selector" not in manual["spec"]:
            manual["spec"] |= {
                "selector": {},
                "manualSelector": True,
            }  # what the server makes of it is tested elsewhere
        return decoded.obj, list(decoded.unknown), rules.check(Kind(group, version, kind, ""), manual)
    custom = custom_schemas().get((api_version, kind))
    if custom is None:
        return None
    result = thaw(obj)
    unknown = structural.prepare(result, custom)
    return result, unknown, validation.validate_object(result, custom)


def test_verdicts_and_unknown_fields() -> None:
    for case in documents():
        outcome = processed(case["request"]) if case["code"] in (201, 422) else None
        if outcome is None:
            continue
        _, unknown, causes = outcome
        assert bool(unknown) is (case["strict"] == 400), case["local"]
        if case["code"] == 201:
            assert causes == [], case["local"]


def test_specs_of_workloads_and_custom_objects_are_equal() -> None:
    changed_later = ("Pod", "Job", "Service", "ReplicationController", "CustomResourceDefinition")
    for case in documents():
        if case["code"] != 201 or case["request"]["kind"] in changed_later:
            continue
        outcome = processed(case["request"])
        assert outcome is not None
        assert outcome[0].get("spec") == case["response"].get("spec"), case["local"]
