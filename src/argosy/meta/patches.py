"""JSON patch (RFC 6902) and JSON merge patch (RFC 7386), as values in and a new value out.

The API server applies the bodies of PATCH requests with these, the client computes merge patches with `diff`. Nothing
given is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from argosy.meta.json import Obj, encode, thaw


class PatchFailed(ValueError):
    """A patch cannot be applied to this document (422)."""


class BadPatch(ValueError):
    """The patch itself is malformed (400)."""


_COPIED_BYTES = 3 * 1024 * 1024
_OPERATIONS_MAX = 10_000
"""What one JSON patch may do at most."""


def merge(target: Any, patch: Any) -> Any:
    """The target after a merge patch: objects merge, null removes, anything else replaces."""
    if not isinstance(patch, dict):
        return thaw(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return dict(sorted(result.items()))  # as Kubernetes writes, and quotes, every level that a patch went through


def diff(old: Obj, new: Obj) -> Obj:
    """The merge patch that makes `new` of `old`; empty when they are equal. Nulls inside `new` cannot be said."""
    patch: Obj = {key: None for key in old if key not in new}
    for key, value in new.items():
        before = old.get(key)
        if key in old and before == value and encode(before) == encode(value):  # True equals 1 only in Python
            continue
        if isinstance(before, dict) and isinstance(value, dict):
            inner = diff(before, value)
            if inner:
                patch[key] = inner
        else:
            patch[key] = value
    return patch


def apply_json(document: Any, operations: Sequence[Obj]) -> Any:
    """The document after a JSON patch. Raises BadPatch or PatchFailed; then nothing has happened."""
    holder = {"": thaw(document)}
    copied = 0
    for operation in operations:
        if operation.get("op") == "copy":
            # Copies of copies double: a short patch could make an object that no memory holds.
            copied += len(encode(_read(holder, operation.get("from"), "copy")))
            if copied > _COPIED_BYTES:
                raise PatchFailed(
                    f"unable to copy, the accumulated size increase of copy is {copied}, exceeding the limit {_COPIED_BYTES}"
                )
        _apply(holder, operation)
        if "" not in holder:
            raise PatchFailed(f"{operation['op']} operation does not apply: it leaves no document")
    for operation in operations:
        for pointer in (operation.get("path"), operation.get("from")):
            _sort_along(holder[""], pointer)
    return holder[""]


def _sort_along(document: Any, pointer: Any) -> None:
    """Sort, in place, every object that an operation went through: so Kubernetes writes, and quotes, the outcome."""
    here = document
    for part in _pointer(pointer, "") if isinstance(pointer, str) and pointer else ():
        if isinstance(here, dict):
            items = sorted(here.items())
            here.clear()
            here.update(items)
            here = here.get(part)
        elif isinstance(here, list) and part.isdigit() and int(part) < len(here):
            here = here[int(part)]
        else:
            return


def check_json(operations: Any) -> list[Obj]:
    """A decoded body as the operations of a JSON patch. Raises BadPatch for what is not one."""
    if isinstance(operations, list) and len(operations) > _OPERATIONS_MAX:
        raise BadPatch(f"The allowed maximum operations in a JSON patch is {_OPERATIONS_MAX}, got {len(operations)}")
    if not isinstance(operations, list):
        raise BadPatch(
            f"error decoding patch: json: cannot unmarshal {_name(operations)} into Go value of type"
            " []handlers.jsonPatchOp"
        )
    for operation in operations:
        if not isinstance(operation, dict):
            raise BadPatch(
                f"error decoding patch: json: cannot unmarshal {_name(operation)} into Go value of type"
                " handlers.jsonPatchOp"
            )
    return operations


def _name(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    names = {dict: "object", list: "array", str: "string", int: "number", float: "number"}
    return names.get(type(value), "null")


def _pointer(path: Any, operation: str) -> list[str]:
    if not isinstance(path, str):
        raise PatchFailed(f"{operation} operation missing path field")
    if not path:
        return []
    if not path.startswith("/"):
        raise PatchFailed(f"{operation} operation does not apply: path {path!r} must start with '/'")
    return [part.replace("~1", "/").replace("~0", "~") for part in path[1:].split("/")]


def _apply(holder: Obj, operation: Obj) -> None:
    name = operation.get("op")
    run = _OPERATIONS.get(str(name))
    if run is None:
        raise PatchFailed(f"Unexpected kind: {name if name is not None else 'unknown'}")
    run(holder, operation)


def _container(holder: Obj, parts: Sequence[str], operation: str, path: str) -> tuple[Any, str]:
    """The container that holds the last part of a path, and that part."""
    here: Any = holder
    steps = ["", *parts]
    for step in steps[:-1]:
        here = _step(here, step, operation, path)
        if not isinstance(here, dict | list):
            raise _missing_path(operation, path)
    return here, steps[-1]


def _missing_path(operation: str, path: str) -> PatchFailed:
    return PatchFailed(f"{operation} operation does not apply: doc is missing path: {_quoted(path)}: missing value")


def _missing_key(operation: str, path: str) -> PatchFailed:
    return PatchFailed(f"{operation} operation does not apply: doc is missing key: {path}: missing value")


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '\\"') + '"'


def _step(here: Any, step: str, operation: str, path: str) -> Any:
    if isinstance(here, list):
        index = _index(step, len(here), path, operation)
        if index >= len(here):
            raise _missing_path(operation, path)
        return here[index]
    if not isinstance(here, dict) or step not in here:
        raise _missing_path(operation, path)
    return here[step]


def _index(step: str, size: int, path: str, operation: str) -> int:
    try:
        index = int(step)
    except ValueError:
        raise PatchFailed(
            f"{operation} operation does not apply: strconv.Atoi: parsing {_quoted(step)}: invalid syntax"
        ) from None
    if index < 0:
        index += size
    if index < 0:
        raise PatchFailed(
            f"{operation} operation does not apply: doc is missing path: {path}: Unable to access invalid index: {step}:"
            " invalid index referenced"
        )
    return index


def _value(operation: Obj) -> Any:
    return thaw(operation.get("value"))


def _add(holder: Obj, operation: Obj) -> None:
    _insert(holder, operation.get("path"), _value(operation), "add")


def _insert(holder: Obj, path: Any, value: Any, name: str) -> None:
    where, key = _container(holder, _pointer(path, name), name, path)
    if isinstance(where, dict):
        where[key] = value
        return
    if key == "-":
        where.append(value)
        return
    index = _index(key, len(where), path, name)
    if index > len(where):
        raise PatchFailed(
            f"{name} operation does not apply: doc is missing path: {_quoted(path)}: Unable to access invalid index:"
            f" {index}: invalid index referenced"
        )
    where.insert(index, value)


def _take(holder: Obj, path: Any, name: str) -> Any:
    where, key = _container(holder, _pointer(path, name), name, path)
    if isinstance(where, list):
        index = _index(key, len(where), path, name)
        if index >= len(where):
            raise PatchFailed(
                f"{name} operation does not apply: doc is missing path: {_quoted(path)}: Unable to access invalid index:"
                f" {index}: invalid index referenced"
            )
        return where.pop(index)
    if key not in where:
        raise PatchFailed(f"{name} operation does not apply: unable to remove nonexistent key: {key}: missing value")
    return where.pop(key)


def _remove(holder: Obj, operation: Obj) -> None:
    _take(holder, operation.get("path"), "remove")


def _replace(holder: Obj, operation: Obj) -> None:
    path = operation.get("path")
    where, key = _container(holder, _pointer(path, "replace"), "replace", str(path))
    if isinstance(where, list):
        index = _index(key, len(where), str(path), "replace")
        if index >= len(where):
            raise _missing_key("replace", str(path))
        where[index] = _value(operation)
    else:
        where[key] = _value(operation)  # kube-apiserver lets a replace add what is not there


def _read(holder: Obj, path: Any, name: str) -> Any:
    where, key = _container(holder, _pointer(path, name), name, path)
    if isinstance(where, dict):
        return where.get(key)  # kube-apiserver copies what is not there as null
    return _step(where, key, name, path)


def _move(holder: Obj, operation: Obj) -> None:
    source, path = operation.get("from"), operation.get("path")
    if isinstance(source, str) and isinstance(path, str) and path.startswith(f"{source}/"):
        raise PatchFailed(f"move operation does not apply: {source} cannot move into itself")
    _insert(holder, path, _take(holder, source, "move"), "move")


def _copy(holder: Obj, operation: Obj) -> None:
    _insert(holder, operation.get("path"), thaw(_read(holder, operation.get("from"), "copy")), "copy")


def _test(holder: Obj, operation: Obj) -> None:
    path, wanted = operation.get("path"), operation.get("value")
    where, key = _container(holder, _pointer(path, "test"), "test", str(path))
    missing = isinstance(where, dict) and key not in where
    if missing and wanted is None and "value" in operation:
        return
    if missing or not same(_step(where, key, "test", str(path)), wanted):
        raise PatchFailed(f"testing value {path} failed: test failed")


def same(left: Any, right: Any) -> bool:
    """JSON equality: 1 is 1.0, true is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(same(a, b) for a, b in zip(left, right, strict=True))
    return bool(left == right)


_OPERATIONS: dict[str, Callable[[Obj, Obj], None]] = {
    "add": _add, "remove": _remove, "replace": _replace, "move": _move, "copy": _copy, "test": _test,
}  # fmt: skip
