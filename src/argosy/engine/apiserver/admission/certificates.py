"""Certificates: who asked for one is written down by the server, and only who may decides on it or signs it."""

from __future__ import annotations

import base64

from argosy import kinds
from argosy.clock import rfc3339
from argosy.engine.apiserver.authz import MASTERS, Attributes
from argosy.engine.apiserver.calls import Call
from argosy.engine.apiserver.failures import forbidden
from argosy.meta.json import Obj, dig

_OF_CLIENTS = "kubernetes.io/kube-apiserver-client"


def admit(call: Call, obj: Obj, old: Obj | None) -> None:
    """Complete a CertificateSigningRequest, in place: its requestor, and the times of its conditions."""
    if call.served.storage is not kinds.CERTIFICATE_SIGNING_REQUEST:
        return
    if old is None:
        user, spec = call.user, obj["spec"]
        for field in ("username", "uid", "groups", "extra"):
            spec.pop(field, None)
        spec["username"] = user.name
        if user.uid:
            spec["uid"] = user.uid
        if user.groups:
            # That somebody is known at all is noted last, whoever says so.
            spec["groups"] = sorted(user.groups, key=lambda group: (group == "system:authenticated", group))
        if user.extra:
            spec["extra"] = {key: list(values) for key, values in user.extra.items()}
    elif call.target.subresource:
        _times(obj, old, rfc3339(call.now))


def _times(obj: Obj, old: Obj, now: str) -> None:
    before = dig(old, "status", "conditions", default=())
    for condition in dig(obj, "status", "conditions", default=()):
        condition["lastUpdateTime"] = condition.get("lastUpdateTime") or now
        if not condition.get("lastTransitionTime"):
            same = (
                each.get("lastTransitionTime")
                for each in before
                if each.get("type") == condition.get("type") and each.get("status") == condition.get("status")
            )
            condition["lastTransitionTime"] = next(filter(None, same), now)


def review(call: Call, obj: Obj, old: Obj | None) -> None:
    """Raises Forbidden for who may not approve or sign for that signer, and for a client certificate of an admin."""
    if call.served.storage is not kinds.CERTIFICATE_SIGNING_REQUEST:
        return
    name, door = obj["metadata"].get("name", ""), call.target.subresource
    if old is None:
        if dig(obj, "spec", "signerName") == _OF_CLIENTS and MASTERS in _organizations(obj["spec"]["request"]):
            raise forbidden(call.kind, name, f"use of {_OF_CLIENTS} signer with {MASTERS} group is not allowed")
        return
    signer = old["spec"].get("signerName") or ""
    changed = any(dig(obj, "status", field) != dig(old, "status", field) for field in ("certificate", "conditions"))
    if door == "approval" and not _may(call, "approve", signer):
        raise forbidden(call.kind, name, f'user not permitted to approve requests with signerName "{signer}"')
    if door == "status" and changed and not _may(call, "sign", signer):
        raise forbidden(call.kind, name, f'user not permitted to sign requests with signerName "{signer}"')


def _may(call: Call, verb: str, signer: str) -> bool:
    domain = signer.partition("/")[0]
    return any(
        call.api.authorizer.decide(call.user, Attributes(verb, call.kind.group, "signers", name)).allowed
        for name in (signer, f"{domain}/*")
    )


def _organizations(request: str) -> list[str]:
    from cryptography import x509  # noqa: PLC0415 (few clusters ever see one)

    subject = x509.load_pem_x509_csr(base64.b64decode(request)).subject
    return [str(each.value) for each in subject.get_attributes_for_oid(x509.NameOID.ORGANIZATION_NAME)]
