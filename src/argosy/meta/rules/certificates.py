"""Rules of CertificateSigningRequests: what is asked for, and what approvers and signers may say to it."""

from __future__ import annotations

import base64
from collections.abc import Iterator

from argosy.meta import causes, names
from argosy.meta.json import Obj
from argosy.meta.rules.fields import Found, one_of, required, say

_DECISIONS = ("Approved", "Denied", "Failed")
_USAGES = (
    "any", "cert sign", "client auth", "code signing", "content commitment", "crl sign", "data encipherment",
    "decipher only", "digital signature", "email protection", "encipher only", "ipsec end system", "ipsec tunnel",
    "ipsec user", "key agreement", "key encipherment", "microsoft sgc", "netscape sgc", "ocsp signing", "s/mime",
    "server auth", "signing", "timestamping",
)  # fmt: skip
_LEGACY = "kubernetes.io/legacy-unknown"
_SHORTEST_SECONDS = 600
_DOMAIN_MAX, _SIGNER_MAX = 253, 253 + 1 + 253 + 1 + 63


def request(new: Obj, old: Obj | None) -> Found:
    """certificates.k8s.io/v1 CertificateSigningRequest. What it asks for never changes, so it is looked at once."""
    found: Found = []
    if old is not None:
        return found
    spec = new["spec"]
    path, asked = "spec.request", spec.get("request")
    say(found, path, asked, _unreadable(base64.b64decode(asked or "")))
    usages = spec.get("usages") or []
    required(found, "spec.usages", usages)
    for index, usage in enumerate(usages):
        one_of(found, f"spec.usages[{index}]", usage, _USAGES)
        if usage in usages[:index]:
            found.append(causes.duplicate(f"spec.usages[{index}]", usage))
    signer = spec.get("signerName") or ""
    if signer == _LEGACY:
        message = "the legacy signerName is not allowed via this API version"
        found.append(causes.invalid("spec.signerName", signer, message))
    else:
        signer_name(found, "spec.signerName", signer)
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < _SHORTEST_SECONDS:
        message = "may not specify a duration less than 600 seconds (10 minutes)"
        found.append(causes.invalid("spec.expirationSeconds", seconds, message))
    return found


def _unreadable(pem: bytes) -> list[str]:
    """Why no signing request can be read, or why its signature is not that of its key."""
    from cryptography import x509  # noqa: PLC0415 (few clusters ever see one)
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415

    block = next(_blocks(pem), None)
    if block is None or block[0] != "CERTIFICATE REQUEST":
        return ["PEM block type must be CERTIFICATE REQUEST"]
    try:
        parsed = x509.load_der_x509_csr(block[2])
        good = parsed.is_signature_valid
    except (ValueError, UnsupportedAlgorithm) as error:
        return ["asn1: syntax error: data truncated" if not block[2] else f"x509: malformed request: {error}"]
    return [] if good else ["x509: signature verification failed"]


def _blocks(pem: bytes) -> Iterator[tuple[str, bool, bytes]]:
    """The PEM blocks of a file that are whole: their type, whether they have headers, and what is in them."""
    lines = pem.decode("ascii", "replace").splitlines()
    start: int | None = None
    kind = ""
    for number, line in enumerate(map(str.rstrip, lines)):
        if line.startswith("-----BEGIN ") and line.endswith("-----"):
            start, kind = number + 1, line[11:-5]
        elif start is not None and line == f"-----END {kind}-----":
            body = lines[start:number]
            headers = any(":" in each for each in body)
            try:
                inner = base64.b64decode("".join(each for each in body if ":" not in each), validate=False)
            except ValueError:
                start = None
                continue
            yield kind, headers, inner
            start = None


def signer_name(found: Found, path: str, name: str) -> None:
    """Who is to sign: `example.com/signer-name`."""
    if not required(found, path, name):
        return
    domain, _, rest = name.partition("/")
    if name.count("/") != 1:
        message = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        found.append(causes.invalid(path, name, message))
        return
    if len(domain) > _DOMAIN_MAX:
        found.append(causes.too_long(path, _DOMAIN_MAX))
    for label in domain.split("."):
        if names.label(label):
            say(found, path, domain, [f'validating label "{label}": {why}' for why in names.label(label)])
            break
    if "." not in domain:
        found.append(causes.invalid(path, domain, "should be a domain with at least two segments separated by dots"))
    for label in rest.split("."):
        if names.subdomain(label):
            say(found, path, rest, [f'validating label "{label}": {why}' for why in names.subdomain(label)])
            break
    if len(name) > _SIGNER_MAX:
        found.append(causes.too_long(path, _SIGNER_MAX))


def status(new: Obj, old: Obj) -> Found:
    """What a signer reports: the certificate, once, and whether it failed."""
    return _decided(new, old, by="status")


def approval(new: Obj, old: Obj) -> Found:
    """What an approver says."""
    return _decided(new, old, by="approval")


def _decided(new: Obj, old: Obj, *, by: str) -> Found:
    found: Found = []
    mine, theirs = new.get("status") or {}, old.get("status") or {}
    now, before = mine.get("conditions") or [], theirs.get("conditions") or []
    path = "status.conditions"
    _conditions(found, path, now, before)
    for type in _DECISIONS:
        if len(_of(now, type)) < len(_of(before, type)):
            found.append(causes.forbidden(path, f'updates may not remove a condition of type "{type}"'))
    for type in _DECISIONS[:2] if by == "status" else ():
        if len(_of(now, type)) > len(_of(before, type)):
            found.append(causes.forbidden(path, f'updates may not add a condition of type "{type}"'))
    _certificate(found, mine.get("certificate") or "", theirs.get("certificate") or "")
    return found


def _of(conditions: list[Obj], type: str) -> list[Obj]:
    return [each for each in conditions if each.get("type") == type]


def _conditions(found: Found, path: str, now: list[Obj], before: list[Obj]) -> None:
    """What is already stored may stay as wrong as it is."""
    types, had = [each.get("type") or "" for each in now], [each.get("type") or "" for each in before]
    repeated, nameless = len(set(had)) < len(had), "" in had
    for index, each in enumerate(now):
        place, type, value = f"{path}[{index}]", types[index], each.get("status") or ""
        if not type and not nameless:
            found.append(causes.required(f"{place}.type"))
        if required(found, f"{place}.status", value):
            one_of(found, f"{place}.status", value, ("True",) if type in _DECISIONS else ("False", "True", "Unknown"))
        other = {"Approved": "Denied", "Denied": "Approved"}.get(type)
        if other in types[:index] and not {"Approved", "Denied"} <= set(had):
            found.append(causes.invalid(path, type, "Approved and Denied conditions are mutually exclusive"))
        if type in types[:index] and not repeated:
            found.append(causes.duplicate(f"{place}.type", type))


def _certificate(found: Found, now: str, before: str) -> None:
    path = "status.certificate"
    if now == before:
        return
    if not before or not _bad_certificates(base64.b64decode(before)):
        say(found, path, "<certificate data>", _bad_certificates(base64.b64decode(now)))
    if before:
        found.append(causes.forbidden(path, "updates may not modify existing certificate content"))


def _bad_certificates(pem: bytes) -> list[str]:
    from cryptography import x509  # noqa: PLC0415 (few clusters ever see one)

    if not pem:
        return []
    count = 0
    for kind, headers, inner in _blocks(pem):
        if kind != "CERTIFICATE":
            return [f'only CERTIFICATE PEM blocks are allowed, found "{kind}"']
        if headers:
            return ["no PEM block headers are permitted"]
        count += 1
        try:
            x509.load_der_x509_certificate(inner)
        except ValueError:
            return ["x509: malformed certificate" if inner else "found CERTIFICATE PEM block containing 0 certificates"]
    return [] if count else ["must contain at least one CERTIFICATE PEM block"]
