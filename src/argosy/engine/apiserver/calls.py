"""One request, understood: what verbs are handed, with the parts of the server that they need."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from argosy.client.requests import Request, User
from argosy.engine.apiserver.api import Api
from argosy.engine.apiserver.failures import invalid_options
from argosy.engine.apiserver.routes import Target
from argosy.engine.apiserver.served import Served
from argosy.engine.store import Op
from argosy.errors import BadRequest
from argosy.meta.causes import unsupported
from argosy.meta.json import Obj
from argosy.meta.kind import Kind
from argosy.meta.objects import Key

ANONYMOUS = User("system:anonymous", frozenset({"system:unauthenticated"}))


@dataclass(slots=True)
class Call:
    """One request for a resource."""

    api: Api
    request: Request
    target: Target
    served: Served
    verb: str
    now: datetime
    warnings: list[str] = field(default_factory=list)
    said: Obj = field(default_factory=dict)
    """The object as the client wrote it, or as its patch made it, before it was decoded."""
    charges: list[Op] = field(default_factory=list)
    """Writes that belong to this one and are committed with it: the quotas that a create uses up."""

    @property
    def user(self) -> User:
        """Who asks."""
        return self.request.user or ANONYMOUS

    @property
    def kind(self) -> Kind:
        """The kind in the version that was asked for."""
        return self.served.kind

    @property
    def key(self) -> Key:
        """The object that was asked for."""
        return Key(self.target.namespace, self.target.name)

    @property
    def query(self) -> Mapping[str, str]:
        """The parameters."""
        return self.request.query

    @property
    def dry_run(self) -> bool:
        """Whether nothing may be kept. Raises Invalid for anything but `All`."""
        single = self.query.get("dryRun")
        if single is None:
            return False
        values = list(self.request.multi_query.get("dryRun", (single,)))
        if any(value != "All" for value in values):
            raise invalid_options(self._options_kind(), [unsupported("dryRun", values, ["All"])])
        return True

    def check_dry_run(self) -> None:
        """Refuse what a write says of `dryRun` before anything else is looked at; a DELETE's body may overrule its query."""
        if self.request.method in ("POST", "PUT", "PATCH") and "dryRun" in self.query:
            _ = self.dry_run

    def _options_kind(self) -> str:
        return {"POST": "CreateOptions", "PUT": "UpdateOptions", "PATCH": "PatchOptions"}.get(
            self.request.method, "DeleteOptions"
        )

    @property
    def field_validation(self) -> str:
        """Strict, Warn or Ignore. Raises Invalid for anything else."""
        value = self.query.get("fieldValidation") or "Warn"
        if value not in ("Strict", "Warn", "Ignore"):
            cause = unsupported("fieldValidation", value, ["", "Ignore", "Strict", "Warn"])
            raise invalid_options(self._options_kind(), [cause])
        return value

    @property
    def field_manager(self) -> str:
        """Who is to be recorded as the manager of the fields that are written."""
        given = self.query.get("fieldManager")
        if given:
            return given
        agent = self.request.headers.get("user-agent", "")
        return agent.partition("/")[0][:128] or "unknown"

    def number(self, name: str) -> int | None:
        """A numeric parameter, None when it is absent. Raises BadRequest."""
        text = self.query.get(name)
        if text is None:
            return None
        if re.fullmatch(r"[+-]?[0-9]+", text) is None:
            raise BadRequest(f'strconv.ParseInt: parsing "{text}": invalid syntax')
        value = int(text[:40])
        if not -(2**63) <= value < 2**63:
            raise BadRequest(f'strconv.ParseInt: parsing "{text}": value out of range')
        return value
