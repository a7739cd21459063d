"""What extends or guards the API itself: CRDs, admission configuration, API services, certificates, flow control."""

from __future__ import annotations

from datetime import datetime

from argosy.kinds.cells import AGE, CREATED_AT, NONE, UNSET, column
from argosy.meta.conditions import find
from argosy.meta.json import Obj, dig
from argosy.meta.kind import Column, Kind

_STATUS = frozenset({"status"})
_ADMISSION = "admissionregistration.k8s.io"

CUSTOM_RESOURCE_DEFINITION = Kind(
    "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False,
    short_names=("crd", "crds"), categories=("api-extensions",), subresources=_STATUS, columns=(CREATED_AT,),
)  # fmt: skip


def _available(service: Obj, now: datetime) -> str:
    condition = find(service, "Available")
    if condition is None:
        return ""
    status = str(condition.get("status"))
    return status if status == "True" else f"{status} ({condition.get('reason', '')})"


def _backend(service: Obj, now: datetime) -> str:
    ref = dig(service, "spec", "service")
    return f"{ref.get('namespace')}/{ref.get('name')}" if ref else "Local"


API_SERVICE = Kind(
    "apiregistration.k8s.io", "v1", "APIService", "apiservices", namespaced=False,
    categories=("api-extensions",), subresources=_STATUS,
    columns=(
        Column("Service", cell=_backend, description="The reference to the service that hosts this API endpoint."),
        Column("Available", cell=_available, description="Whether this service is available."),
        AGE,
    ),
)  # fmt: skip

_WEBHOOKS = Column(
    "Webhooks", cell=lambda o, now: len(o.get("webhooks") or ()), type="integer",
    description="Webhooks indicates the number of webhooks registered in this configuration",
)  # fmt: skip

MUTATING_WEBHOOK_CONFIGURATION = Kind(
    _ADMISSION, "v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", namespaced=False,
    categories=("api-extensions",), columns=(_WEBHOOKS, AGE),
)  # fmt: skip

VALIDATING_WEBHOOK_CONFIGURATION = Kind(
    _ADMISSION, "v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", namespaced=False,
    categories=("api-extensions",), columns=(_WEBHOOKS, AGE),
)  # fmt: skip


def _param_kind(policy: Obj, now: datetime) -> str:
    kind = dig(policy, "spec", "paramKind")
    return f"{kind.get('apiVersion', '')}/{kind.get('kind', '')}" if kind else UNSET


def _param_ref(binding: Obj, now: datetime) -> str:
    ref = dig(binding, "spec", "paramRef")
    if not ref:
        return UNSET
    if ref.get("name"):
        return f"{ref['namespace']}/{ref['name']}" if ref.get("namespace") else f"*/{ref['name']}"
    return f"{ref.get('namespace') or '*'}/*"


VALIDATING_ADMISSION_POLICY = Kind(
    _ADMISSION, "v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies", namespaced=False,
    categories=("api-extensions",), subresources=_STATUS,
    columns=(
        Column(
            "Validations", cell=lambda o, now: len(dig(o, "spec", "validations", default=())), type="integer",
            description="Validations indicates the number of validation rules defined in this configuration",
        ),
        Column(
            "ParamKind", cell=_param_kind,
            description="ParamKind specifies the kind of resources used to parameterize this policy",
        ),
        AGE,
    ),
)  # fmt: skip

VALIDATING_ADMISSION_POLICY_BINDING = Kind(
    _ADMISSION, "v1", "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", namespaced=False,
    categories=("api-extensions",),
    columns=(
        column(
            "PolicyName", "spec", "policyName",
            about="PolicyName indicates the policy definition which the policy binding binded to",
        ),
        Column(
            "ParamRef", cell=_param_ref,
            description="ParamRef indicates the param resource which sets the configuration param",
        ),
        AGE,
    ),
)  # fmt: skip


def _csr_condition(request: Obj, now: datetime) -> str:
    types = [str(c.get("type")) for c in dig(request, "status", "conditions", default=())]
    words: list[str] = [word for word in ("Approved", "Denied", "Failed") if word in types]
    words = words or ["Pending"]
    return ",".join([*words, *(["Issued"] if dig(request, "status", "certificate") else [])])


CERTIFICATE_SIGNING_REQUEST = Kind(
    "certificates.k8s.io", "v1", "CertificateSigningRequest", "certificatesigningrequests", namespaced=False,
    short_names=("csr",), subresources=frozenset({"approval", "status"}),
    columns=(
        AGE,
        column(
            "SignerName", "spec", "signerName", default="<none>",
            about="Requested signer for the request. It is a qualified name in the form: `scope-hostname.io/name`.",
        ),
        column("Requestor", "spec", "username", about="Base64-encoded PKCS#10 CSR data"),
        column("RequestedDuration", "spec", "expirationSeconds", default="<none>"),
        Column("Condition", cell=_csr_condition, description="Conditions applied to the request, such as approval or denial."),
    ),
)  # fmt: skip


def _missing(schema: Obj, now: datetime) -> str:
    """Whether the level is not there; nobody knows before somebody looked."""
    conditions = dig(schema, "status", "conditions", default=())
    return next((str(each.get("status")) for each in conditions if each.get("type") == "Dangling"), "?")


FLOW_SCHEMA = Kind(
    "flowcontrol.apiserver.k8s.io", "v1", "FlowSchema", "flowschemas", namespaced=False, subresources=_STATUS,
    columns=(
        column("PriorityLevel", "spec", "priorityLevelConfiguration", "name"),
        column("MatchingPrecedence", "spec", "matchingPrecedence", default=0),
        Column(
            "DistinguisherMethod", ".spec.distinguisherMethod",
            cell=lambda o, now: dig(o, "spec", "distinguisherMethod", "type", default=NONE),
        ),
        AGE,
        Column("MissingPL", cell=_missing, description="references a broken or non-existent PriorityLevelConfiguration"),
    ),
)  # fmt: skip

PRIORITY_LEVEL_CONFIGURATION = Kind(
    "flowcontrol.apiserver.k8s.io", "v1", "PriorityLevelConfiguration", "prioritylevelconfigurations",
    namespaced=False, subresources=_STATUS,
    columns=(
        column("Type", "spec", "type"),
        column("NominalConcurrencyShares", "spec", "limited", "nominalConcurrencyShares", default="<none>"),
        column("Queues", "spec", "limited", "limitResponse", "queuing", "queues", default="<none>"),
        column("HandSize", "spec", "limited", "limitResponse", "queuing", "handSize", default="<none>"),
        column("QueueLengthLimit", "spec", "limited", "limitResponse", "queuing", "queueLengthLimit", default="<none>"),
        AGE,
    ),
)  # fmt: skip

ALL = (
    CUSTOM_RESOURCE_DEFINITION, API_SERVICE, MUTATING_WEBHOOK_CONFIGURATION, VALIDATING_WEBHOOK_CONFIGURATION,
    VALIDATING_ADMISSION_POLICY, VALIDATING_ADMISSION_POLICY_BINDING, CERTIFICATE_SIGNING_REQUEST, FLOW_SCHEMA,
    PRIORITY_LEVEL_CONFIGURATION,
)  # fmt: skip
