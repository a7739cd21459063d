"""EndpointSlice and Endpoints: which addresses stand behind each Service."""

from collections.abc import Sequence

from argosy.engine.controllers.endpointslice.plan import plan
from argosy.intent import Operator, Related
from argosy.kinds import ENDPOINT_SLICE, ENDPOINTS, POD, SERVICE
from argosy.meta.json import Obj, dig
from argosy.meta.objects import key_of, labels_of, namespace_of


def _selected(service: Obj, pod: Obj) -> bool:
    selector = dig(service, "spec", "selector") or {}
    return bool(selector) and namespace_of(service) == namespace_of(pod) and selector.items() <= labels_of(pod).items()


def _one_label(service: Obj) -> Sequence[str]:
    selector = dig(service, "spec", "selector") or {}
    return [f"{namespace_of(service)}/{k}={v}" for k, v in sorted(selector.items())[:1]]


def _all_labels(pod: Obj) -> Sequence[str]:
    return [f"{namespace_of(pod)}/{k}={v}" for k, v in labels_of(pod).items()]


def _written_for(service: Obj, endpoints: Obj) -> bool:
    return key_of(service) == key_of(endpoints)


def _own_key(service: Obj) -> Sequence[str]:
    return (str(key_of(service)),)


OPERATOR = Operator(
    kind=SERVICE,
    owns=(ENDPOINT_SLICE, ENDPOINTS),
    related=(
        Related(POD, _selected, subject_keys=_one_label, object_keys=_all_labels),
        Related(ENDPOINTS, _written_for, subject_keys=_own_key, object_keys=lambda each: (str(key_of(each)),)),
    ),
    plan=plan,
    name="endpointslice-controller",
)
