from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from argosy.meta import pack
from argosy.meta.kind import Kind
from argosy.meta.schema import INT_OR_STRING, LIST, MAP, QUANTITY, STRUCT, TIME

ROOT = Path(__file__).parent.parent.parent


def builder() -> ModuleType:
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        spec = importlib.util.spec_from_file_location("build_schema_pack", ROOT / "scripts" / "build_schema_pack.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(ROOT / "scripts"))


def test_the_pack_is_what_the_script_builds() -> None:
    module = builder()
    path = module.source()
    if path is None:
        pytest.skip("the dev package kubernetes-validate is not installed")
    for name, raw in module.build(path).items():
        assert (ROOT / "src" / "argosy" / "meta" / name).read_bytes() == raw, (
            f"run scripts/build_schema_pack.py: {name}"
        )


def test_kinds_and_definitions() -> None:
    known = set(pack.kinds())
    assert {("v1", "Pod"), ("apps/v1", "Deployment"), ("batch/v1", "Job")} <= known
    assert pack.definition_for("v1", "Nope") is None
    assert pack.kubernetes_version() == "1.36"
    with pytest.raises(KeyError):
        pack.definition("io.k8s.Nope")


def test_schemas_know_types_and_merge_keys() -> None:
    deployment = pack.definition_for("apps/v1", "Deployment")
    assert deployment is not None
    ports = deployment.at("spec", "template", "spec", "containers", "*", "ports")
    assert ports is not None
    assert (ports.code, ports.merge_key, ports.map_keys) == (LIST, "containerPort", ("containerPort", "protocol"))
    codes = {
        ("spec",): STRUCT,
        ("metadata", "labels"): MAP,
        ("metadata", "creationTimestamp"): TIME,
        ("spec", "strategy", "rollingUpdate", "maxSurge"): INT_OR_STRING,
        ("spec", "template", "spec", "containers", "*", "resources", "limits", "cpu"): QUANTITY,
    }
    for path, code in codes.items():
        found = deployment.at(*path)
        assert found is not None
        assert found.code == code, path
    assert deployment.at("spec", "nope") is None


def test_every_definition_compiles_and_refers_to_what_is_there() -> None:
    for api_version, kind in pack.kinds():
        schema = pack.definition_for(api_version, kind)
        assert schema is not None
        for field in schema.fields.values():
            assert field.code >= 0


def test_prose_is_kept_apart() -> None:
    prose = pack.descriptions("io.k8s.api.core.v1.Pod")
    assert prose[""].startswith("Pod is a collection of containers")
    assert "spec" in prose
    assert pack.descriptions("io.k8s.Nope") == {}


def test_a_custom_kind_brings_its_own_schema() -> None:
    raw = {"type": "object", "properties": {"spec": {"type": "object"}}}
    kind = Kind("example.com", "v1", "Widget", "widgets", schema=raw)
    schema = pack.schema_for(kind)
    assert schema is not None
    assert schema.structural
    assert pack.schema_for(kind) is schema
    assert pack.schema_for(Kind("", "v1", "Pod", "pods")) is pack.definition_for("v1", "Pod")
