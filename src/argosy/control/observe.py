"""What an operator sees: informers in, `Observed` out, and which subjects an event concerns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from argosy.control.cache import OWNER, Change
from argosy.control.informer import Informer
from argosy.control.pool import Informers
from argosy.intent import Capabilities, Observed, Operator, Related
from argosy.meta.json import Obj
from argosy.meta.kind import Kind
from argosy.meta.objects import Key, key_of, uid_of


class View:
    """One operator's view of the cluster, kept by shared informers."""

    def __init__(self, operator: Operator, informers: Informers, *, namespace: str = "") -> None:
        self.operator = operator
        self.subjects = informers.of(operator.kind, namespace=namespace)
        self._owned = [(kind, _of(informers, kind, namespace)) for kind in operator.owns]
        self._related = [
            _RelatedView(operator, number, related, _of(informers, related.kind, namespace), self.subjects)
            for number, related in enumerate(operator.related)
        ]
        self.informers: dict[Kind, Informer] = {operator.kind: self.subjects}
        self.informers.update(self._owned)
        self.informers.update((each.related.kind, each.informer) for each in self._related)

    async def synced(self) -> None:
        """Wait until every copy is complete."""
        for informer in self.informers.values():
            await informer.synced()

    def observe(
        self, subject: Obj, now: datetime, capabilities: Capabilities, probed: Obj | None, answers: Mapping[str, str]
    ) -> Observed:
        """What a plan for this subject may look at."""
        uid = uid_of(subject)
        return Observed(
            subject=subject,
            now=now,
            children={kind: sorted(informer.indexed(OWNER, uid), key=key_of) for kind, informer in self._owned},
            related={each.related.kind: each.seen_by(subject) for each in self._related},
            capabilities=capabilities,
            probed=probed,
            answers=answers,
        )

    def listen(self, concerns: Callable[[Key], None]) -> Callable[[], None]:
        """Call `concerns` with each subject's key that something has happened to or around; returns what ends that."""

        def on_subjects(changes: Sequence[Change]) -> None:
            for change in changes:
                concerns(key_of(change.obj))

        def on_owned(changes: Sequence[Change]) -> None:
            for change in changes:
                for key in self._owners(change):
                    concerns(key)

        stops = [self.subjects.listen(on_subjects)]
        stops += [informer.listen(on_owned) for _, informer in self._owned]
        stops += [each.informer.listen(each.listener(concerns)) for each in self._related]

        def stop() -> None:
            for each in stops:
                each()

        return stop

    def _owners(self, change: Change) -> Iterable[Key]:
        key = self._owner(change.obj)
        if key is not None:
            yield key
        if change.old is not None and change.old is not change.obj:
            before = self._owner(change.old)
            if before is not None and before != key:
                yield before

    def _owner(self, obj: Obj) -> Key | None:
        kind = self.operator.kind
        meta = obj["metadata"]
        for reference in meta.get("ownerReferences") or ():
            if reference.get("controller") and reference["kind"] == kind.kind:
                group = reference["apiVersion"].rpartition("/")[0]
                if group == kind.group:
                    return Key((meta.get("namespace") or "") if kind.namespaced else "", reference["name"])
        return None


class _RelatedView:
    """The pairs of subjects and objects of one related kind, found through indexes where the operator names keys."""

    def __init__(
        self, operator: Operator, number: int, related: Related, informer: Informer, subjects: Informer
    ) -> None:
        self.related = related
        self.informer = informer
        self._subjects = subjects
        self._index = ""
        if related.subject_keys is not None and related.object_keys is not None:
            self._index = f"{operator.component}/{operator.kind.resource}/{number}"
            informer.index(self._index + "/objects", related.object_keys)
            subjects.index(self._index + "/subjects", related.subject_keys)

    def seen_by(self, subject: Obj) -> list[Obj]:
        """The objects that this subject's plan sees, ordered by key."""
        wants = self.related.wants
        candidates = self._candidates(self.informer, "/objects", subject, self.related.subject_keys)
        return sorted((obj for obj in candidates if wants(subject, obj)), key=key_of)

    def listener(self, concerns: Callable[[Key], None]) -> Callable[[Sequence[Change]], None]:
        """What turns changes of the related kind into the keys of the subjects that see them."""

        def on_related(changes: Sequence[Change]) -> None:
            if not self._subjects.items():
                return  # most kinds have none, and every pod is told to all of them
            for change in changes:
                for key in self._concerned(change):
                    concerns(key)

        return on_related

    def _concerned(self, change: Change) -> set[Key]:
        wants = self.related.wants
        states = [change.obj] if change.old is None or change.old is change.obj else [change.obj, change.old]
        return {
            key_of(subject)
            for state in states
            for subject in self._candidates(self._subjects, "/subjects", state, self.related.object_keys)
            if wants(subject, state)
        }

    def _candidates(
        self, informer: Informer, side: str, of: Obj, keys: Callable[[Obj], Iterable[str]] | None
    ) -> Iterable[Obj]:
        if not self._index or keys is None:
            return informer.items()
        found: dict[int, Obj] = {}
        for value in keys(of):
            for obj in informer.indexed(self._index + side, value):
                found[id(obj)] = obj
        return found.values()


def _of(informers: Informers, kind: Kind, namespace: str) -> Informer:
    return informers.of(kind, namespace=namespace if kind.namespaced else "")
