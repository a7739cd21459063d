"""Server-side apply, and the ownership of fields that every other write leaves behind.

`apply` merges a manager's configuration into the live object and takes away what the manager no longer says;
`track_update` records what a create, update or patch changed. Both are handed whole objects in the version of the
request and return the new `metadata.managedFields`; storing them is the caller's part. Pure: the time is an argument.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from typing import Final

from argosy.clock import rfc3339
from argosy.errors import ApiError, BadRequest, Cause, Conflict
from argosy.meta import fieldset, typed
from argosy.meta.decode import blank
from argosy.meta.json import Obj, decode, encode
from argosy.meta.schema import Schema

BEFORE_FIRST_APPLY: Final = "before-first-apply"
ANCIENT: Final = "ancient-changes"
LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_UPDATERS_MAX: Final = 10
_UNMANAGED: Final = "failed to create manager for existing fields: failed to convert new object"
_NEVER_OWNED = fieldset.of_paths(
    ("apiVersion",), ("kind",), ("metadata",), ("metadata", "name"), ("metadata", "namespace"),
    ("metadata", "creationTimestamp"), ("metadata", "selfLink"), ("metadata", "uid"), ("metadata", "clusterName"),
    ("metadata", "generation"), ("metadata", "managedFields"), ("metadata", "resourceVersion"),
)  # fmt: skip


class ApplyFailed(ApiError):
    """The configuration does not fit the schema; kube-apiserver answers 500."""


@dataclass(frozen=True, slots=True)
class Manager:
    """Who writes, and how."""

    name: str
    operation: str
    """`Apply` or `Update`."""
    api_version: str
    subresource: str = ""
    time: str = ""

    @property
    def identity(self) -> tuple[str, ...]:
        """What makes two entries the same manager: an applier keeps its entry across versions."""
        version = "" if self.operation == "Apply" else self.api_version
        return (self.operation, self.name, self.subresource, version)

    @property
    def place(self) -> str:
        """By which conflicts are sorted: Kubernetes compares managers as JSON."""
        told = {"manager": self.name, "operation": self.operation, "apiVersion": self.identity[3]}
        told = {field: text for field, text in (told | {"subresource": self.subresource}).items() if text}
        return encode(told).decode()

    def __str__(self) -> str:
        text = f'"{self.name}"'
        if self.subresource:
            text += f' with subresource "{self.subresource}"'
        if self.operation == "Update":
            text += f" using {self.api_version}"
        return text


@dataclass(frozen=True, slots=True)
class Request:
    """The write at hand."""

    manager: str
    api_version: str
    now: datetime
    subresource: str = ""
    ignored: Obj = field(default_factory=dict)
    """A field set (`fieldset.of_paths`) of what this endpoint does not write, `status` on the main resource, say."""
    force: bool = False
    owns: bool = True
    """Whether what an update sets becomes its manager's."""

    def as_manager(self, operation: str) -> Manager:
        """The entry that this write makes."""
        return Manager(self.manager, operation, self.api_version, self.subresource, rfc3339(self.now))


@dataclass(slots=True)
class _Entry:
    manager: Manager
    fields: Obj


_Managers = dict[tuple[str, ...], _Entry]


def read_managers(entries: Sequence[Obj] | None, *, strict: bool = True) -> _Managers:
    """`metadata.managedFields` by identity. Raises ValueError when an entry is malformed.

    What the server itself recorded need not be read strictly.
    """
    managers: _Managers = {}
    for entry in entries or ():
        operation = entry.get("operation")
        if operation not in ("Apply", "Update"):
            raise ValueError("operation must be `Apply` or `Update`")
        if entry.get("fieldsType", "FieldsV1") != "FieldsV1":
            raise ValueError("fieldsType must be `FieldsV1`")
        manager = Manager(
            entry.get("manager", ""),
            operation,
            entry.get("apiVersion", ""),
            entry.get("subresource", ""),
            entry.get("time") or "",
        )
        fields = entry.get("fieldsV1") or {}
        if strict:
            fieldset.check(fields)
        managers[manager.identity] = _Entry(manager, fields)
    return managers


def write_managers(managers: _Managers) -> list[Obj]:
    """The entries in the order in which kube-apiserver keeps them."""
    entries = [entry for entry in managers.values() if entry.fields]

    def order(entry: _Entry) -> tuple[str, ...]:
        manager = entry.manager
        return (manager.operation, manager.time, manager.name, manager.api_version, manager.subresource)

    return [_entry(each) for each in sorted(entries, key=order)]


def _entry(entry: _Entry) -> Obj:
    manager = entry.manager
    result: Obj = {"manager": manager.name, "operation": manager.operation, "apiVersion": manager.api_version}
    if manager.time:
        result["time"] = manager.time
    result |= {"fieldsType": "FieldsV1", "fieldsV1": fieldset.ordered(entry.fields)}
    if manager.subresource:
        result["subresource"] = manager.subresource
    return result


def _live_managers(entries: Sequence[Obj] | None, *, strict: bool = False) -> _Managers:
    try:
        return read_managers(entries, strict=strict)
    except ValueError:
        return {}


def _bare(obj: Obj) -> Obj:
    """The object without its managedFields."""
    meta = obj.get("metadata")
    if not isinstance(meta, dict) or "managedFields" not in meta:
        return obj
    return {**obj, "metadata": {key: value for key, value in meta.items() if key != "managedFields"}}


def blank_of(schema: Schema | None) -> Obj:
    """The empty object of a kind, which a created one is compared with; shared."""
    return {} if schema is None or schema.structural else _blank(schema)


@cache
def _blank(schema: Schema) -> Obj:
    found: Obj = blank(schema)
    return found


def track_update(live: Obj | None, new: Obj, schema: Schema | None, request: Request) -> list[Obj]:
    """The managedFields after a create (`live` is None), update or patch that made `new`, defaults included.

    `new["metadata"]["managedFields"]`, where it has entries, replaces what was recorded before; `[{}]`, and `[]` left by
    a patch, forgets it. Objects that nobody tracks stay untracked. Where the schema does not fit the object all records are
    dropped: a write never fails for its bookkeeping.
    """
    sent = (new.get("metadata") or {}).get("managedFields")
    recorded = ((live or {}).get("metadata") or {}).get("managedFields")
    if live is None and not sent:
        return _created(new, schema, request)
    if sent in ([{}], []) and not request.subresource:
        managers: _Managers = {}
    else:
        managers = _sent_managers(sent, recorded, request) or _live_managers(recorded)
    if live is not None and not managers:
        return []
    root = typed.root_schema(schema)
    try:
        difference = typed.compare(_bare(live if live is not None else blank_of(schema)), _bare(new), root)
    except typed.Untyped:
        return []
    _record(managers, difference, request)
    return write_managers(_capped(managers))


def _created(new: Obj, schema: Schema | None, request: Request) -> list[Obj]:
    """The managedFields of a new object whose writer says nothing of them: all that it sets is the writer's."""
    try:
        difference = typed.compare(blank_of(schema), _bare(new), typed.root_schema(schema))
    except typed.Untyped:
        return []
    owned = _ownable(fieldset.without(difference.changed, request.ignored))
    return [_entry(_Entry(request.as_manager("Update"), owned))] if owned else []


def _sent_managers(sent: Sequence[Obj] | None, recorded: Sequence[Obj] | None, request: Request) -> _Managers:
    """What the writer itself says about ownership; through a subresource nobody may."""
    if request.subresource or sent == recorded:
        return {}
    return _live_managers(sent, strict=True)


def _record(managers: _Managers, difference: typed.Comparison, request: Request) -> None:
    """Give the request's manager what changed, take it from the others; in place."""
    changed = fieldset.without(difference.changed, request.ignored)
    removed = fieldset.without(difference.removed, request.ignored)
    lost = fieldset.union(changed, removed)
    if not lost:
        return
    for identity in list(managers):
        entry = managers[identity]
        rest = fieldset.difference(entry.fields, lost)
        if rest:
            managers[identity] = _Entry(entry.manager, rest)
        else:
            del managers[identity]
    owned = _ownable(changed) if request.owns else {}
    if not owned:
        return
    manager = request.as_manager("Update")
    before = managers.get(manager.identity)
    fields = fieldset.union(before.fields, owned) if before else owned
    managers[manager.identity] = _Entry(manager, fields)


def _ownable(fields: Obj) -> Obj:
    return fieldset.difference(fields, _NEVER_OWNED)


def _capped(managers: _Managers) -> _Managers:
    """At most ten updaters: the oldest are merged into one."""
    updaters = [entry for entry in managers.values() if entry.manager.operation == "Update"]
    excess = len(updaters) - _UPDATERS_MAX
    if excess <= 0:
        return managers
    updaters.sort(key=lambda entry: (entry.manager.time, entry.manager.name))
    result = dict(managers)
    merged: dict[str, _Entry] = {}
    for entry in updaters:
        version = entry.manager.api_version
        ancient = merged.get(version)
        if excess <= 0:
            break
        del result[entry.manager.identity]
        if ancient is None:
            merged[version] = _Entry(replace(entry.manager, name=ANCIENT, subresource=""), entry.fields)
        else:
            manager = replace(ancient.manager, time=entry.manager.time)
            merged[version] = _Entry(manager, fieldset.union(ancient.fields, entry.fields))
            excess -= 1
    for entry in merged.values():
        result[entry.manager.identity] = entry
    return result


def apply(live: Obj | None, config: Obj, schema: Schema | None, request: Request) -> tuple[Obj, list[Obj]]:
    """The object after an apply patch, and its managedFields. The object still has to be decoded and defaulted.

    `live` is None when the apply creates. An object that the apply leaves as it is comes
    back equal to `live`. Raises Conflict when another manager owns a field that the config sets otherwise, BadRequest
    and ApplyFailed for configs that cannot be applied.
    """
    if "managedFields" in (config.get("metadata") or {}):
        raise BadRequest("metadata.managedFields must be nil")
    root = typed.root_schema(schema)
    before = _bare(live) if live is not None else blank_of(schema)
    managers = _live_managers(((live or {}).get("metadata") or {}).get("managedFields"))
    unfit = _unfit(before, root) if live is not None else []
    if unfit and not managers:
        raise ApplyFailed(f"{_UNMANAGED} {place_of(before)} to smd typed: {_told(unfit)}")
    config = _typed_config(config, root)
    if unfit:
        raise ApplyFailed(f"failed to create typed live object {place_of(before)}: {_told(unfit)}")
    if not managers and live is not None:
        managers = _before_first_apply(before, blank_of(schema), root, request)
    try:
        result, after = _applied(before, config, managers, root, request)
    except Conflict:
        if request.manager != "kubectl" or live is None or not _kubectl_owned(before, config, managers, root, request):
            raise
        result, after = _applied(before, config, managers, root, replace(request, force=True))
    if request.manager == "kubectl":
        result = _with_last_applied(result, config)
    if live is not None and result == before:
        # An apply that changes nothing but who owns what is no event: it leaves the time as it was, or none.
        mine = request.as_manager("Apply").identity
        if mine in after:
            earlier = managers.get(mine)
            kept = replace(after[mine].manager, time=earlier.manager.time if earlier else "")
            after[mine] = _Entry(kept, after[mine].fields)
    return result, write_managers(_capped(after))


def _typed_config(config: Obj, root: Schema) -> Obj:
    problems = typed.check(config, root)
    if problems:
        raise ApplyFailed(f"failed to create typed patch object {place_of(config)}: {_told(problems)}")
    return config


def _unfit(live: Obj, root: Schema) -> list[str]:
    """What of a stored object does not fit the schema; items that occur twice do."""
    return [each for each in typed.check(live, root) if ": duplicate entries for key " not in each]


def _told(problems: Sequence[str]) -> str:
    return problems[0] if len(problems) == 1 else "\n  ".join(["errors:", *problems])


def place_of(config: Obj) -> str:
    """What a configuration is about, as failures name it: `(namespace/name; group/version, Kind=kind)`."""
    group, _, version = str(config.get("apiVersion", "")).rpartition("/")
    meta = config.get("metadata") or {}
    return f"({meta.get('namespace', '')}/{meta.get('name', '')}; {group}/{version}, Kind={config.get('kind', '')})"


def _before_first_apply(live: Obj, empty: Obj, root: Schema, request: Request) -> _Managers:
    """What is there when the first apply comes belongs to a manager of its own."""
    fields = _ownable(typed.compare(empty, live, root).changed)
    if not fields:
        return {}
    manager = Manager(BEFORE_FIRST_APPLY, "Update", request.api_version, "", rfc3339(request.now))
    return {manager.identity: _Entry(manager, fields)}


def _applied(live: Obj, config: Obj, managers: _Managers, root: Schema, request: Request) -> tuple[Obj, _Managers]:
    manager = request.as_manager("Apply")
    merged = typed.merge(live, config, root)
    said = fieldset.without(typed.fields_of(config, root), request.ignored)
    before = managers.get(manager.identity)
    after = {**managers, manager.identity: _Entry(manager, said)}
    if before is not None and before.fields:
        merged = _pruned(merged, before.fields, after, root)
    after[manager.identity] = _Entry(manager, _ownable(said))
    difference = typed.compare(live, merged, root)
    changed = fieldset.without(difference.changed, request.ignored)
    conflicts: dict[tuple[str, ...], Obj] = {}
    for identity, entry in after.items():
        both = fieldset.intersection(entry.fields, changed) if identity != manager.identity else {}
        if both:
            conflicts[identity] = both
    if conflicts and not request.force:
        raise _conflict({identity: (after[identity].manager, both) for identity, both in conflicts.items()})
    for identity in [each for each in after if each != manager.identity]:
        entry = after[identity]
        rest = fieldset.difference(entry.fields, conflicts.get(identity, {}))
        rest = fieldset.difference(rest, difference.removed)
        if rest:
            after[identity] = _Entry(entry.manager, rest)
        else:
            del after[identity]
    return merged, after


def _pruned(merged: Obj, last: Obj, managers: _Managers, root: Schema) -> Obj:
    """Take away what the manager applied last and no longer does, unless somebody else owns it."""
    owned: Obj = {}
    for entry in managers.values():
        owned = fieldset.union(owned, entry.fields)
    named = typed.with_named
    before = named(last, root)
    pruned = typed.remove(merged, before, root) or {}
    everything = named(typed.fields_of(merged, root), root)
    kept = named(typed.fields_of(pruned, root), root)
    gone = fieldset.difference(everything, fieldset.union(kept, named(owned, root)))
    pruned = typed.remove(merged, gone, root) or {}
    kept = named(typed.fields_of(pruned, root), root)
    dangling = fieldset.intersection(fieldset.difference(everything, kept), before)
    result: Obj = typed.remove(merged, dangling, root) or {}
    return result


def _conflict(conflicts: dict[tuple[str, ...], tuple[Manager, Obj]]) -> Conflict:
    found = [(manager, path) for manager, fields in conflicts.values() for path in fieldset.members(fields)]
    found.sort(key=lambda each: each[0].place)
    causes = [Cause("FieldManagerConflict", f"conflict with {m}", fieldset.path_text(path)) for m, path in found]
    if len(found) == 1:
        return Conflict(f"Apply failed with 1 conflict: {causes[0].message}: {causes[0].field}", causes=causes)
    lines: list[str] = []
    for number, (manager, path) in enumerate(found):
        if number == 0 or found[number - 1][0] != manager:
            lines.append(f"conflicts with {manager}:")
        lines.append(f"- {fieldset.path_text(path)}")
    return Conflict(f"Apply failed with {len(found)} conflicts: " + "\n".join(lines), causes=causes)


def _last_applied(live: Obj) -> Obj | None:
    text = ((live.get("metadata") or {}).get("annotations") or {}).get(LAST_APPLIED)
    try:
        found = decode(text) if text else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _kubectl_owned(live: Obj, config: Obj, managers: _Managers, root: Schema, request: Request) -> bool:
    """Whether everything in conflict was last set by kubectl's client-side apply, which this apply then takes over."""
    last = _last_applied(live)
    if last is None:
        return False
    manager = request.as_manager("Apply")
    changed = typed.compare(live, typed.merge(live, config, root), root).changed
    allowed = fieldset.difference(typed.fields_of(last, root), typed.compare(live, last, root).modified)
    for identity, entry in managers.items():
        if identity == manager.identity:
            continue
        if fieldset.difference(fieldset.intersection(entry.fields, changed), allowed):
            return False
    return True


def _with_last_applied(result: Obj, config: Obj) -> Obj:
    """The record of client-side apply follows kubectl's server-side applies where it exists."""
    meta = result.get("metadata") or {}
    annotations = meta.get("annotations") or {}
    if LAST_APPLIED not in annotations:
        return result
    text = encode(_sorted(config)).decode() + "\n"
    return {**result, "metadata": {**meta, "annotations": {**annotations, LAST_APPLIED: text}}}


def _sorted(value: object) -> object:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_sorted(item) for item in value]
    return value
