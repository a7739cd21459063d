"""The job of a trial: the experiment's template with `${trialParameters.NAME}` filled in. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from argosy.meta.json import Obj, thaw

_PLACE = re.compile(r"\$\{trialParameters\.([^}]+)\}")
_META = re.compile(r"\$\{trialSpec\.(\w+)(?:\[([^\]]+)\])?\}")


def problems(template: Obj, parameters: set[str]) -> list[str]:
    """What is wrong with a `trialTemplate` for an experiment with these parameters."""
    found = []
    spec = template.get("trialSpec")
    if not isinstance(spec, dict):
        where = (
            "a ConfigMap's template is not read here: put it" if template.get("configMap") else "it is missing: put it"
        )
        return [f"spec.trialTemplate.trialSpec: {where} into trialSpec"]
    if not spec.get("apiVersion") or not spec.get("kind"):
        found.append("spec.trialTemplate.trialSpec needs apiVersion and kind")
    given = template.get("trialParameters") or ()
    for parameter in given:
        reference = str(parameter.get("reference") or "")
        if reference not in parameters and not _META.fullmatch(reference):
            found.append(
                f"spec.trialTemplate.trialParameters {parameter.get('name')} refers to {reference!r}, no parameter"
            )
    unknown = _places(spec) - {str(parameter.get("name")) for parameter in given}
    found += [
        f"spec.trialTemplate.trialSpec uses ${{trialParameters.{name}}}, not in trialParameters"
        for name in sorted(unknown)
    ]
    return found


def run_spec(template: Obj, assignments: Mapping[str, str], name: str, namespace: str) -> Obj:
    """The filled-in job. What `problems` passes cannot fail."""
    spec = template["trialSpec"]
    values = {
        str(parameter["name"]): _value(str(parameter["reference"]), assignments, spec, name, namespace)
        for parameter in template.get("trialParameters") or ()
    }
    made: Obj = _filled(thaw(spec), values)
    made.setdefault("metadata", {})
    made["metadata"] |= {"name": name, "namespace": namespace}
    return made


def _value(reference: str, assignments: Mapping[str, str], spec: Obj, name: str, namespace: str) -> str:
    match = _META.fullmatch(reference)
    if match is None:
        return assignments[reference]
    meta = spec.get("metadata") or {}
    plain = {"Name": name, "Namespace": namespace, "Kind": spec.get("kind"), "APIVersion": spec.get("apiVersion")}
    keyed = {"Labels": meta.get("labels") or {}, "Annotations": meta.get("annotations") or {}}
    return str(keyed.get(match[1], {}).get(match[2], "") if match[2] else plain.get(match[1], ""))


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _PLACE.sub(lambda match: values.get(match[1], match[0]), value)
    if isinstance(value, dict):
        return {key: _filled(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, values) for item in value]
    return value


def _places(value: Any) -> set[str]:
    if isinstance(value, str):
        return set(_PLACE.findall(value))
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return {name for item in items for name in _places(item)}
