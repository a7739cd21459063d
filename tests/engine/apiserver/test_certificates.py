"""Requests for certificates: what may be asked, who decides and signs, and what nobody can change any more."""

import base64

import pytest
from api_world import ALICE, with_world
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from argosy.kinds import CLUSTER_ROLE, CLUSTER_ROLE_BINDING

GROUP = "certificates.k8s.io"
PATH = f"/apis/{GROUP}/v1/certificatesigningrequests"


def asked_for(name, organization="dev"):
    names = [x509.NameAttribute(NameOID.COMMON_NAME, name), x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)]
    key = ec.generate_private_key(ec.SECP256R1())
    made = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(names)).sign(key, hashes.SHA256())
    return base64.b64encode(made.public_bytes(serialization.Encoding.PEM)).decode()


def request(name="a", **spec):
    asked = {"signerName": "example.com/s", "usages": ["client auth"], "request": asked_for(name), **spec}
    return {"apiVersion": f"{GROUP}/v1", "kind": "CertificateSigningRequest", "metadata": {"name": name}, "spec": asked}


def said(type, status="True"):
    return {"status": {"conditions": [{"type": type, "status": status, "reason": "r", "message": "m"}]}}


@pytest.mark.parametrize(
    ("spec", "field", "words"),
    [
        ({"request": base64.b64encode(b"-----BEGIN X-----\nYQ==\n-----END X-----\n").decode()}, "spec.request", "PEM block type must be CERTIFICATE REQUEST"),
        ({"signerName": "x"}, "spec.signerName", "must be a fully qualified domain and path of the form 'example.com/signer-name'"),
        ({"signerName": "kubernetes.io/legacy-unknown"}, "spec.signerName", "the legacy signerName is not allowed"),
        ({"usages": ["fly"]}, "spec.usages[0]", 'Unsupported value: "fly"'),
        ({"expirationSeconds": 599}, "spec.expirationSeconds", "may not specify a duration less than 600 seconds"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked(spec, field, words):
    async def check(world):
        status, body, _ = await world.send("POST", PATH, request(**spec))
        assert status == 422
        (cause,) = body["details"]["causes"]
        assert cause["field"] == field
        assert words in cause["message"]

    with_world(check)


def test_a_request_names_who_made_it_and_is_decided_through_its_own_doors():
    async def check(world):
        status, made, _ = await world.send("POST", PATH, request(username="somebody", groups=["system:masters"]))
        assert (status, made["spec"]["username"]) == (201, "system:admin")
        assert "managedFields" not in made["metadata"]
        _, plain, _ = await world.send(
            "PUT", f"{PATH}/a", {**made, **said("Approved"), "spec": {**made["spec"], "usages": ["any"]}}
        )
        assert (plain["spec"], plain["status"]) == (made["spec"], {})
        _, approved, _ = await world.send("PUT", f"{PATH}/a/approval", {**plain, **said("Approved")})
        assert approved["status"]["conditions"][0]["lastUpdateTime"] == "2026-01-01T12:00:00Z"
        status, body, _ = await world.send("PUT", f"{PATH}/a/approval", {**approved, **said("Denied")})
        assert (status, body["details"]["causes"][0]["field"]) == (422, "status.conditions")
        assert 'may not remove a condition of type "Approved"' in body["message"]
        broken = {"status": {"certificate": base64.b64encode(b"no").decode()}}
        status, body, _ = await world.send("PATCH", f"{PATH}/a/status", broken, type="application/merge-patch+json")
        assert status == 422
        assert "must contain at least one CERTIFICATE PEM block" in body["message"]

    with_world(check)


def test_only_who_may_approves():
    async def check(world):
        rules = [{"apiGroups": [GROUP], "resources": ["certificatesigningrequests/approval"], "verbs": ["*"]}]
        await world.client.create(CLUSTER_ROLE, {"metadata": {"name": "r"}, "rules": rules})
        ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "r"}
        who = [{"kind": "User", "name": "alice", "apiGroup": "rbac.authorization.k8s.io"}]
        await world.client.create(CLUSTER_ROLE_BINDING, {"metadata": {"name": "r"}, "roleRef": ref, "subjects": who})
        _, made, _ = await world.send("POST", PATH, request())
        status, body, _ = await world.send("PUT", f"{PATH}/a/approval", {**made, **said("Approved")}, user=ALICE)
        assert status == 403
        assert body["message"].endswith('user not permitted to approve requests with signerName "example.com/s"')
        rules.append(
            {"apiGroups": [GROUP], "resources": ["signers"], "resourceNames": ["example.com/*"], "verbs": ["approve"]}
        )
        await world.send(
            "PATCH", f"/apis/{ref['apiGroup']}/v1/clusterroles/r", {"rules": rules}, type="application/merge-patch+json"
        )
        status, _, _ = await world.send("PUT", f"{PATH}/a/approval", {**made, **said("Approved")}, user=ALICE)
        assert status == 200

    with_world(check)


def test_nobody_asks_for_the_certificate_of_an_administrator():
    async def check(world):
        signer = "kubernetes.io/kube-apiserver-client"
        asked = request(signerName=signer, request=asked_for("a", "system:masters"))
        status, body, _ = await world.send("POST", PATH, asked)
        assert status == 403
        assert body["message"].endswith(f"use of {signer} signer with system:masters group is not allowed")

    with_world(check)
