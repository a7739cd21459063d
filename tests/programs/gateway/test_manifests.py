"""The gateway's objects."""

from __future__ import annotations

from argosy.programs.gateway.__main__ import parse
from argosy.programs.gateway.manifests import GatewayPlacement, gateway_manifests


def by_kind(**given: object) -> dict[str, dict]:
    return {obj["kind"]: obj for obj in gateway_manifests(GatewayPlacement(**given))}  # type: ignore[arg-type]


def test_they_fit_together():
    objs = by_kind(image="r/argosy:1", namespace="models")
    assert list(objs) == ["Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Deployment", "Service"]
    pod = objs["Deployment"]["spec"]["template"]
    assert objs["Service"]["spec"]["selector"] == pod["metadata"]["labels"]
    assert pod["spec"]["serviceAccountName"] == objs["ServiceAccount"]["metadata"]["name"]
    assert objs["ClusterRoleBinding"]["subjects"][0]["namespace"] == "models"
    assert objs["ClusterRoleBinding"]["roleRef"]["name"] == objs["ClusterRole"]["metadata"]["name"]
    assert pod["spec"]["containers"][0]["image"] == "r/argosy:1"
    assert "Namespace" not in by_kind(create_namespace=False)


def test_the_command_is_one_that_the_program_understands():
    spec = by_kind(api_keys_secret="keys")["Deployment"]["spec"]["template"]["spec"]
    given = parse(spec["containers"][0]["command"][3:])
    assert str(given.api_keys) == spec["containers"][0]["volumeMounts"][0]["mountPath"]
    assert spec["volumes"][0]["secret"]["secretName"] == "keys"
    assert given.host == "$(POD_IP)"
