"""Reading the object out of a request's body: JSON, YAML or protobuf, with what strict decoding objects to.

Used by every verb that takes a body. An object that comes from within the process is copied, never changed.
"""

from __future__ import annotations

import json
import re
from typing import Any

from argosy.client.requests import Request
from argosy.engine.apiserver import protobuf
from argosy.errors import BadRequest, UnsupportedMediaType
from argosy.meta.causes import go_quoted
from argosy.meta.json import Obj, decode, encode, thaw

YAML_TYPES = ("application/yaml", "application/apply-patch+yaml")
PROTOBUF = "application/vnd.kubernetes.protobuf"
_YAML_ERROR = "error converting YAML to JSON: yaml: "
_SHOWN = 30
_DEEPEST, _DEEPEST_FLOW = 150, 1000
"""How deep values may nest; the deepest CustomResourceDefinition of the wild has 51 levels. Brackets in quoted text count
where YAML has not been read yet, so there may be more of them."""
_TOO_DEEP = f"exceeded max depth of {_DEEPEST}"
_AFTER_KEY = b'":'
_ODD_KEY = re.compile(rb'"[ \t\r\n]+:|\\u0022')
"""What could make repeated keys look like as many as there are without."""
_NESTED = (dict, list)
_BRACKETS = re.compile(rb"[\[\]{}]")


def content_type(request: Request) -> str:
    """The media type without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def read_object(request: Request, problems: list[str], expected: str = "") -> Obj:
    """The body as an object of our own. Duplicate fields are added to `problems`; `expected` names the kind in messages.

    Raises BadRequest for a body that cannot be read, UnsupportedMediaType for one that we do not read.
    """
    if request.obj is not None:
        obj: Obj = thaw(request.obj)
        return obj
    kind = content_type(request)
    if kind == PROTOBUF:
        return protobuf.read(request.body)
    if kind in YAML_TYPES:
        value = _expected_yaml(request.body, problems, expected)
    elif kind in ("", "application/json", "*/*") or kind.endswith("+json"):
        value = read_json(request.body, problems)
    else:
        raise UnsupportedMediaType(
            "the body of the request was in an unknown format - accepted media types include: application/json,"
            " application/yaml, application/vnd.kubernetes.protobuf"
        )
    if not isinstance(value, dict):
        raise BadRequest(
            "couldn't get version/kind; json parse error: json: cannot unmarshal"
            f" {_go_type(value)} into Go value of type struct {{ APIVersion string"
            ' "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
        )
    return value


def read_yaml(raw: bytes, problems: list[str]) -> Any:
    """YAML; the last of duplicate keys counts. Raises BadRequest."""
    try:
        value = _plain_json(raw)
        if value is None:
            from argosy.engine.apiserver import yaml_bodies  # noqa: PLC0415 - heavy, and few clients send YAML

            _refuse_depth(raw)
            value = yaml_bodies.read(raw, problems)
        _check_depth(raw, value)
        return value
    except ValueError as error:
        raise BadRequest(f"{_YAML_ERROR}{error}") from None


def _plain_json(raw: bytes) -> Obj | None:
    """The object where the YAML is JSON without repeated keys, as kubectl applies it: read in a fiftieth of the time."""
    if not raw.startswith(b"{"):
        return None
    try:
        value: Obj = decode(raw)
    except (ValueError, RecursionError):
        return None
    return None if _repeats(raw, value) else value


def _expected_yaml(raw: bytes, problems: list[str], expected: str) -> Any:
    try:
        return read_yaml(raw, problems)
    except BadRequest as error:
        why = error.message.removeprefix(_YAML_ERROR)
        beginning = raw[:_SHOWN].hex() + (" ..." if len(raw) > _SHOWN else "")
        raise BadRequest(
            f"the object provided is unrecognized (must be of type {expected}): yaml: {why} ({beginning})"
        ) from None


def read_json(raw: bytes, problems: list[str]) -> Any:
    """JSON; duplicate keys are reported and the last one counts. Raises BadRequest."""
    try:
        value = decode(raw)
        _check_depth(raw, value)
    except RecursionError:
        raise BadRequest(f"couldn't get version/kind; json parse error: {_TOO_DEEP}") from None
    except ValueError as error:
        raise BadRequest(f"couldn't get version/kind; json parse error: {_go_error(raw, error)}") from None
    problems += _repeats(raw, value)
    return value


def _repeats(raw: bytes, value: Any) -> list[str]:
    """What there is to say of keys that came twice in JSON that has been read."""
    try:
        written = encode(value)
    except (ValueError, OverflowError):
        return _duplicates(raw)
    if written == raw:
        return []
    # What was read has no key twice: where it has as many as what came, none came twice.
    as_many = written.count(_AFTER_KEY) == raw.count(_AFTER_KEY) and not _ODD_KEY.search(raw)
    return [] if as_many else _duplicates(raw)


def _check_depth(raw: bytes, value: Any) -> None:
    """Raises ValueError for values in values in values: nobody means them, and every step after this one recurses."""
    if raw.count(b"{") + raw.count(b"[") + raw.count(b":\n") + raw.count(b"- ") <= _DEEPEST:
        return
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > _DEEPEST:
            raise ValueError(_TOO_DEEP)
        within = (item.values() if isinstance(item, dict) else item for item in level)
        level = [each for items in within for each in items if isinstance(each, _NESTED)]


def _refuse_depth(raw: bytes) -> None:
    """The same before YAML is read, whose reader takes its time over brackets in brackets. Raises ValueError."""
    if raw.count(b"[") + raw.count(b"{") <= _DEEPEST_FLOW:
        return
    depth = 0
    for bracket in _BRACKETS.findall(raw):
        depth += 1 if bracket in b"[{" else -1
        if depth > _DEEPEST_FLOW:
            raise ValueError(_TOO_DEEP)


class _Repeated(Obj):
    """A JSON object that had keys twice, and which."""

    repeated: list[str]


def _duplicates(raw: bytes) -> list[str]:
    def pairs(items: list[tuple[str, Any]]) -> Any:
        made = dict(items)
        if len(made) == len(items):
            return made
        seen: set[str] = set()
        kept = _Repeated(made)
        kept.repeated = []
        for key, _ in items:
            if key in seen and key not in kept.repeated:
                kept.repeated.append(key)
            seen.add(key)
        return kept

    return [f"duplicate field {go_quoted(path)}" for path in _repeated(json.loads(raw, object_pairs_hook=pairs), "")]


def _repeated(value: Any, path: str) -> list[str]:
    found: list[str] = []
    if isinstance(value, dict):
        for key, item in value.items():
            place = f"{path}.{key}" if path else key
            found += _repeated(item, place)
            if isinstance(value, _Repeated) and key in value.repeated:
                found.append(place)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found += _repeated(item, f"{path}[{index}]")
    return found


def _go_type(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if value is None:
        return "null"
    if isinstance(value, list):
        return "array"
    return "string" if isinstance(value, str) else "number"


def _go_error(raw: bytes, error: ValueError) -> str:
    if not raw.strip():
        return "unexpected end of JSON input"
    if str(error) == _TOO_DEEP:
        return _TOO_DEEP
    try:
        json.loads(raw)
    except json.JSONDecodeError as detail:
        if detail.pos >= len(detail.doc.rstrip()):
            return "unexpected end of JSON input"
        return f"invalid character '{detail.doc[detail.pos]}' looking for beginning of value"
    except UnicodeDecodeError:
        return "invalid UTF-8"
    except ValueError:
        return "number out of range"
    return str(error)
