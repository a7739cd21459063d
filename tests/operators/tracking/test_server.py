"""Where MLflow is, and whom an operator lends its rights to."""

from __future__ import annotations

import pytest

from argosy.meta.json import Obj
from argosy.operators.tracking import server as servers
from argosy.operators.tracking.server import Server


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("http://mlflow:5000", Server("team", "mlflow", 5000)),
        ("http://mlflow:5000/mlflow/", Server("team", "mlflow", 5000, "mlflow")),
        ("http://web.ml", Server("ml", "web", 80)),
        ("http://web.ml.svc.cluster.local.:8080/a/b", Server("ml", "web", 8080, "a/b")),
        ("https://mlflow:5000", None),
        ("http://mlflow.example.com", None),
        ("http://10.0.0.1:5000", None),
        ("http://mlflow:port", None),
        ("databricks", None),
        ("file:///tmp/x", None),
        ("sqlite:///mlflow.db", None),
        ("http://", None),
        ("http://[::1]:5000", None),
        ("http://localhost:5000", None),
        ("http://mlflow:5000/../../secrets", None),
        ("http://mlflow:5000/a%2F..", None),
    ],
)
def test_what_a_uri_names(uri: str, expected: Server | None) -> None:
    assert servers.of_uri(uri, "team") == expected


def service(name: str, namespace: str, **labels: str) -> Obj:
    return {"metadata": {"name": name, "namespace": namespace, "labels": labels}, "spec": {"ports": [{"port": 80}]}}


def test_the_own_namespace_s_server_goes_first() -> None:
    own, web = service("mlflow", "team"), service("web", "a", **{servers.APP_LABEL: "mlflow"})
    assert servers.first([web, own, service("db", "team")], "team") == Server("team", "mlflow", 80)
    assert servers.first([web, own], "b") == Server("a", "web", 80)
    assert servers.first([service("db", "team")], "team") is None


def test_no_rights_are_lent_to_reach_strangers() -> None:
    assert servers.may_be_asked(Server("team", "anything", 80), "team", None)
    assert not servers.may_be_asked(Server("bank", "ledger", 80), "team", service("ledger", "bank"))
    assert servers.may_be_asked(Server("ml", "mlflow", 80), "team", service("mlflow", "ml"))


def test_requests_go_through_the_proxy() -> None:
    server = Server("ml", "web", 80, "base")
    assert server.path("runs/get", run_id="a b") == (
        "/api/v1/namespaces/ml/services/web%3A80/proxy/base/api/2.0/mlflow/runs/get?run_id=a%20b"
    )
    assert server.call("runs/update", {}).path == "base/api/2.0/mlflow/runs/update"
