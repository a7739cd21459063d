"""Bodies in YAML. Only `bodies` imports this, when the first one comes by."""

from __future__ import annotations

from typing import Any

import yaml

_MANY, _RATIO = 100_000, 10
"""Nodes that any document may come to, and how many times its own one with aliases may come to beyond that."""
_NODES_MAX = 200_000
"""Nodes of one document: each takes microseconds. JSON is read a hundred times as fast and may have any number."""
_SEPARATORS = (b",", b"\n", b":")


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML's values as Kubernetes' reader takes them: what Python would make a date stays the text that it is."""


def _integer(loader: Any, node: Any) -> Any:
    if ":" in node.value:  # minutes and seconds to YAML 1.1, to nobody else
        return loader.construct_scalar(node)
    value = loader.construct_yaml_int(node)
    return value if -(1 << 63) <= value < 1 << 64 else float(value)


def _float(loader: Any, node: Any) -> Any:
    return loader.construct_scalar(node) if ":" in node.value else loader.construct_yaml_float(node)


_Loader.add_constructor("tag:yaml.org,2002:int", _integer)
_Loader.add_constructor("tag:yaml.org,2002:float", _float)
_Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, node: loader.construct_scalar(node))


def read(raw: bytes, problems: list[str]) -> Any:
    """YAML; the last of duplicate keys counts. Raises ValueError with the reason."""
    try:
        _refuse_crowds(raw)
        loader = _Loader(raw)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _Weight().add(node, ())
            problems += _duplicates(node)
            return _jsonable(loader.construct_document(node))
        finally:
            loader.dispose()
    except RecursionError:
        raise ValueError("exceeded max depth of 10000") from None
    except OverflowError:
        raise ValueError("a number is out of range") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(_reason(error)) from None


def _refuse_crowds(raw: bytes) -> None:
    """Raises ValueError for documents of more nodes than anybody waits for, as soon as that many have come."""
    if sum(map(raw.count, _SEPARATORS)) <= _NODES_MAX:
        return
    nodes = 0
    for event in yaml.parse(raw, Loader=_Loader):
        nodes += isinstance(event, yaml.NodeEvent)
        if nodes > _NODES_MAX:
            raise ValueError(f"more than {_NODES_MAX} values; send so large an object as JSON")


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
            if not isinstance(key, yaml.ScalarNode):
                raise ValueError(f"line {key.start_mark.line + 1}: invalid map key: a key must be a single value")
            if key.value in seen:
                found.append(f'line {key.start_mark.line + 1}: key "{key.value}" already set in map')
            seen.add(key.value)
            found += _duplicates(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            found += _duplicates(item)
    return found


def _jsonable(value: Any) -> Any:
    """YAML's own types as JSON has them: keys become text."""
    if isinstance(value, dict):
        return {_key_text(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_jsonable(item) for item in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, set):
        return {_key_text(key): None for key in value}
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


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
