"""Bodies in YAML. Only `bodies` imports this, when the first one comes by."""

from __future__ import annotations

from typing import Any

import yaml

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read(raw: bytes, problems: list[str]) -> Any:
    """YAML; the last of duplicate keys counts. Raises ValueError with the reason."""
    try:
        node = yaml.compose(raw, Loader=_LOADER)
        if node is not None:
            problems += _duplicates(node)
        return _jsonable(yaml.load(raw, Loader=_LOADER))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(_reason(error)) from None


def _duplicates(node: yaml.Node) -> list[str]:
    found: list[str] = []
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                found.append(f'line {key.start_mark.line + 1}: key "{key.value}" already set in map')
            seen.add(key.value)
            found += _duplicates(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            found += _duplicates(item)
    return found


def _jsonable(value: Any) -> Any:
    """YAML's own types as JSON has them: keys and dates become text."""
    if isinstance(value, dict):
        return {_key_text(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_jsonable(item) for item in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _key_text(key: Any) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    return "null" if key is None else str(key)


def _reason(error: Exception) -> str:
    """The error with its line, counted as Kubernetes' reader counts."""
    problem = getattr(error, "problem", None) or str(error)
    mark, context = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    mark = context if context is not None and context.line else mark
    if mark is None:
        return str(problem)
    return f"line {mark.line + isinstance(error, yaml.scanner.ScannerError)}: {problem}"
