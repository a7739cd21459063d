"""The job of a trial: the experiment's template with `${trialParameters.NAME}` filled in. Pure.

The template stands in the Experiment, as an object, or in a ConfigMap, as text that becomes YAML once it is filled in.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import yaml

from argosy.meta.json import Obj, dig, thaw
from argosy.meta.objects import Key, key_of

_PLACE = re.compile(r"\$\{trialParameters\.([^}]+)\}")
_META = re.compile(r"\$\{trialSpec\.(\w+)(?:\[([^\]]+)\])?\}")
_META_KEYS = ("Name", "Namespace", "Kind", "APIVersion", "Labels", "Annotations")
_CONFIG_MAP = "spec.trialTemplate.configMap"

Source: TypeAlias = Obj | str
"""A template: an object, or text."""


def config_map_of(template: Obj) -> Key | None:
    """The ConfigMap that holds the template, where one does."""
    told: Obj = template.get("configMap") or {}
    return Key(str(told.get("configMapNamespace")), str(told.get("configMapName"))) if told else None


def source_of(template: Obj, config_maps: Iterable[Obj]) -> tuple[Source | None, list[str]]:
    """The template, and what is wrong with where it should be."""
    spec, told = template.get("trialSpec"), template.get("configMap") or {}
    if spec is not None and told:
        return None, ["spec.trialTemplate has both trialSpec and configMap: leave one of them out"]
    if isinstance(spec, dict):
        return spec, []
    if not told:
        return None, ["spec.trialTemplate.trialSpec: it is missing: put it into trialSpec"]
    missing = [name for name in ("configMapName", "configMapNamespace", "templatePath") if not told.get(name)]
    if missing:
        return None, [f"{_CONFIG_MAP} needs {', '.join(missing)}"]
    key = config_map_of(template)
    found = next((each for each in config_maps if key_of(each) == key), None)
    if found is None:
        return None, [f"{_CONFIG_MAP}: there is no ConfigMap {key}: create it, then this Experiment anew"]
    text = dig(found, "data", told["templatePath"])
    if not isinstance(text, str):
        return None, [f"{_CONFIG_MAP}: ConfigMap {key} has no key {told['templatePath']!r}"]
    return text, []


def problems(template: Obj, parameters: set[str], config_maps: Iterable[Obj] = ()) -> list[str]:
    """What is wrong with a `trialTemplate` for an experiment with these parameters."""
    source, found = source_of(template, config_maps)
    if source is None:
        return found
    given = template.get("trialParameters") or ()
    names = [str(parameter.get("name")) for parameter in given]
    for parameter in given:
        reference = str(parameter.get("reference") or "")
        if reference not in parameters and not _is_meta(reference):
            found.append(
                f"spec.trialTemplate.trialParameters {parameter.get('name')} refers to {reference!r}, no parameter"
            )
    found += [
        f"spec.trialTemplate.trialParameters {n} is there twice" for n in sorted(set(names)) if names.count(n) > 1
    ]
    text = source if isinstance(source, str) else json.dumps(source)
    unknown = set(_PLACE.findall(text)) - set(names)
    found += [
        f"spec.trialTemplate.trialSpec uses ${{trialParameters.{name}}}, not in trialParameters"
        for name in sorted(unknown)
    ]
    return found or _shape(_object(source, dict.fromkeys(names, "0")))


def _is_meta(reference: str) -> bool:
    match = _META.fullmatch(reference)
    return match is not None and match[1] in _META_KEYS


def _shape(made: Obj | str) -> list[str]:
    if isinstance(made, str):
        return [f"spec.trialTemplate: {made}"]
    if not made.get("apiVersion") or not made.get("kind"):
        return ["spec.trialTemplate.trialSpec needs apiVersion and kind"]
    meta = made.get("metadata") or {}
    if meta.get("name") or meta.get("namespace"):
        return ["spec.trialTemplate.trialSpec must leave out metadata.name and metadata.namespace: trials give them"]
    return []


def run_spec(template: Obj, source: Source, assignments: Mapping[str, str], name: str, namespace: str) -> Obj:
    """The filled-in job. What `problems` passes cannot fail."""
    given = {str(parameter["name"]): str(parameter["reference"]) for parameter in template.get("trialParameters") or ()}
    plain = _object(source, dict.fromkeys(given, "0"))
    assert isinstance(plain, dict), "problems passed it"
    values = {each: _value(reference, assignments, plain, name, namespace) for each, reference in given.items()}
    made = _object(source, values)
    assert isinstance(made, dict), "problems passed it"
    made.setdefault("metadata", {})
    made["metadata"] |= {"name": name, "namespace": namespace}
    return made


def _object(source: Source, values: Mapping[str, str]) -> Obj | str:
    """The template filled in, or why it is no object."""
    if not isinstance(source, str):
        filled: Obj = _filled(thaw(source), values)
        return filled
    try:
        made = yaml.safe_load(_filled(source, values))
    except yaml.YAMLError as error:
        return f"the template is no YAML: {' '.join(str(error).split())}"
    return made if isinstance(made, dict) else "the template is no object"


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
