"""JAXJob: process 0 coordinates, and all end together."""

from __future__ import annotations

from training_jobs import env, job, role, running, settled

from argosy import kinds
from argosy.operators.jaxjob.operator import JAX


def test_process_0_coordinates():
    w = settled(JAX, job(JAX, {"Worker": 3}))
    assert list(env(w, "job-worker-2").items()) == [
        ("PYTHONUNBUFFERED", "1"),
        ("COORDINATOR_PORT", "6666"),
        ("COORDINATOR_ADDRESS", "job-worker-0"),
        ("NUM_PROCESSES", "3"),
        ("PROCESS_ID", "2"),
    ]
    assert w.get(kinds.SERVICE, "job-worker-0")["spec"]["ports"] == [{"name": "jaxjob-port", "port": 6666}]
    assert [role(w, name) for name in w.names(kinds.POD)] == ["master", None, None]


def test_the_coordinators_own_port_is_used():
    subject = job(JAX, {"Worker": 2})
    (container,) = subject["spec"]["jaxReplicaSpecs"]["Worker"]["template"]["spec"]["containers"]
    container["ports"] = [{"name": "jaxjob-port", "containerPort": 1234}]
    assert env(settled(JAX, subject), "job-worker-1")["COORDINATOR_PORT"] == "1234"


def test_types_are_found_whatever_their_case():
    w = settled(JAX, job(JAX, {"worker": 2}))
    assert w.names(kinds.POD) == ["job-worker-0", "job-worker-1"]
    assert w.conditions() == [("Created", "True")]


def test_all_processes_end_together():
    w = running(JAX, {"Worker": 2})
    w.exit("job-worker-0", 0, container="jax")
    w.settle()
    assert w.conditions()[-1] == ("Running", "True")
    w.exit("job-worker-1", 0, container="jax")
    w.settle()
    assert w.conditions() == [("Created", "True"), ("Running", "False"), ("Succeeded", "True")]
    assert [c["reason"] for c in w.status["conditions"]] == ["JAXJobCreated", "JAXJobRunning", "JAXJobSucceeded"]


def test_a_failure_ends_the_job_by_default_and_restarts_it_when_asked():
    w = running(JAX, {"Worker": 2})
    w.exit("job-worker-1", 137, container="jax")
    w.settle()
    assert w.conditions()[-1] == ("Failed", "True")
    w = running(JAX, {"Worker": 2}, policy="OnFailure")
    w.exit("job-worker-1", 137, container="jax")
    w.settle()
    assert w.conditions()[-1] == ("Restarting", "True")
    assert len(w.of(kinds.POD)) == 2
