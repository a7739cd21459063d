"""Bodies in YAML. Only `bodies` imports this, when the first one comes by."""

from __future__ import annotations

from typing import Any

import yaml

_MANY, _RATIO = 100_000, 10
"""Nodes that any document may come to, and how many times its own one with aliases may come to beyond that."""
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read(raw: bytes, problems: list[str]) -> Any:
    """YAML; the last of duplicate keys counts. Raises ValueError with the reason."""
    try:
        node = yaml.compose(raw, Loader=_LOADER)
        if node is not None:
            _Weight().add(node, ())
            problems += _duplicates(node)
        return _jsonable(yaml.load(raw, Loader=_LOADER))
    except RecursionError:
        raise ValueError("exceeded max depth of 10000") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(_reason(error)) from None


class _Weight:
    """How large a document is once its aliases are written out. A few lines of them can make one of many gigabytes."""

    def __init__(self) -> None:
        self._nodes = 0
        self._own: set[int] = set()

    def add(self, node: yaml.Node, within: tuple[int, ...]) -> None:
        """Count a node with what is below it. Raises ValueError for one that contains itself, or for too many."""
        identity = id(node)
        if identity in within:
            raise ValueError("anchor value contains itself")
        self._nodes += 1
        self._own.add(identity)
        if self._nodes > _MANY and self._nodes > _RATIO * len(self._own):
            raise ValueError("document contains excessive aliasing")
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                self.add(key, within)
                self.add(value, (*within, identity))
        elif isinstance(node, yaml.SequenceNode):
            for item in node.value:
                self.add(item, (*within, identity))


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
