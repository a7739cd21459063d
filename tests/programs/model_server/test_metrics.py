"""Prometheus' text."""

from __future__ import annotations

from argosy.programs.model_server.metrics import Metrics


def test_text() -> None:
    metrics = Metrics()
    metrics.in_flight['odd"name'] += 2
    metrics.first_token("m", 0.02)
    metrics.first_token("m", 300.0)
    metrics.ended("m", 200, 0.3)
    lines = metrics.text(running=3, waiting=1, ready=True).splitlines()
    assert 'argosy_model_server_requests_in_flight{model="odd\\"name"} 2' in lines
    assert 'argosy_model_server_requests_total{model="m",code="200"} 1' in lines
    assert 'argosy_model_server_time_to_first_token_seconds_bucket{model="m",le="0.025"} 1' in lines
    assert 'argosy_model_server_time_to_first_token_seconds_bucket{model="m",le="120.0"} 1' in lines
    assert 'argosy_model_server_time_to_first_token_seconds_bucket{model="m",le="+Inf"} 2' in lines
    assert "argosy_model_server_batch_sequences 3" in lines
    assert "argosy_model_server_ready 1" in lines
    types = [line for line in lines if line.startswith("# TYPE")]
    assert len(types) == len(set(types))
