"""The pod machine on simulated time."""

from __future__ import annotations

import itertools

import pytest

from .pods import Life, World, pod_of

C = {"name": "c", "image": "i"}


def conditions(status):
    return {c["type"]: c["status"] for c in status["conditions"]}


def test_a_job_pod_runs_once_and_succeeds():
    world = World(pod_of([C], restartPolicy="Never"), {"c": [Life(5, 0)]}).run(1)
    running = world.status
    assert running["phase"] == "Running"
    assert conditions(running) == dict.fromkeys(
        ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"), "True"
    )
    assert running["containerStatuses"][0]["started"] is True
    world.run()
    assert world.status["phase"] == "Succeeded"
    container = world.status["containerStatuses"][0]
    assert container["state"]["terminated"]["reason"] == "Completed"
    assert container["state"]["terminated"]["exitCode"] == 0
    ready = next(c for c in world.status["conditions"] if c["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "PodCompleted")
    assert world.starts("c") == [0]
    assert not world.forgotten
    world.delete().run()
    assert world.forgotten


def test_crash_loop_doubles_from_10_to_300_seconds():
    world = World(pod_of([C]), {"c": [Life(1, 1)]}).run(3000)
    gaps = [round(b - a - 1) for a, b in itertools.pairwise(world.starts("c"))]
    assert gaps[:8] == [0, 10, 20, 40, 80, 160, 300, 300]
    status = world.status["containerStatuses"][0]
    assert status["state"]["waiting"] == {
        "reason": "CrashLoopBackOff",
        "message": "back-off 5m0s restarting failed container=c pod=p_ns(u)",
    }
    assert status["lastState"]["terminated"]["exitCode"] == 1
    assert status["restartCount"] == len(world.starts("c")) - 1
    assert world.status["phase"] == "Running"


def test_ten_good_minutes_reset_the_back_off():
    lives = [Life(1, 1), Life(1, 1), Life(1, 1), Life(700, 1), Life(1, 1)]
    world = World(pod_of([C]), {"c": lives}).run(800)
    starts = world.starts("c")
    assert starts[4] - (starts[3] + 700) == pytest.approx(0)
    assert starts[5] - (starts[4] + 1) == pytest.approx(10)


@pytest.mark.parametrize(
    ("policy", "code", "runs", "phase"),
    [
        ("Never", 0, 1, "Succeeded"),
        ("Never", 3, 1, "Failed"),
        ("OnFailure", 0, 1, "Succeeded"),
        ("OnFailure", 3, 2, "Running"),
        ("Always", 0, 2, "Running"),
        ("Always", 3, 2, "Running"),
    ],
)
def test_restart_policies(policy, code, runs, phase):
    world = World(pod_of([C], restartPolicy=policy), {"c": [Life(1, code)]}).run(5)
    assert len(world.starts("c")) == runs
    assert world.status["phase"] == phase


def test_restart_rules_overrule_the_policy():
    rules = [{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]
    container = {**C, "restartPolicy": "Never", "restartPolicyRules": rules}
    world = World(pod_of([container], restartPolicy="Never"), {"c": [Life(1, 42), Life(1, 7)]}).run(60)
    assert len(world.starts("c")) == 2
    assert world.status["phase"] == "Failed"


def test_init_containers_run_in_order_before_the_main_ones():
    pod = pod_of([C], init=[{"name": "a"}, {"name": "b"}])
    world = World(pod, {"a": [Life(2, 0)], "b": [Life(3, 0)]}).run(1)
    assert world.status["phase"] == "Pending"
    assert world.status["containerStatuses"][0]["state"]["waiting"]["reason"] == "PodInitializing"
    initialized = next(c for c in world.status["conditions"] if c["type"] == "Initialized")
    assert initialized["message"] == "containers with incomplete status: [a b]"
    world.run(9)
    assert (world.starts("a"), world.starts("b"), world.starts("c")) == ([0], [2], [5])
    a = world.status["initContainerStatuses"][0]
    assert (a["ready"], a["started"], a["state"]["terminated"]["reason"]) == (True, False, "Completed")


def test_a_failed_init_container_fails_a_pod_that_never_restarts():
    world = World(pod_of([C], init=[{"name": "a"}], restartPolicy="Never"), {"a": [Life(1, 9)]}).run()
    assert world.status["phase"] == "Failed"
    assert world.starts("c") == []
    assert world.status["containerStatuses"][0]["state"] == {"waiting": {"reason": "PodInitializing"}}


def test_a_failed_init_container_is_retried_with_back_off():
    world = World(pod_of([C], init=[{"name": "a"}]), {"a": [Life(1, 9), Life(1, 9), Life(1, 0)]}).run(30)
    assert [round(t) for t in world.starts("a")] == [0, 1, 12]
    assert world.status["phase"] == "Running"


def test_a_sidecar_starts_first_and_ends_last():
    sidecar = {"name": "s", "restartPolicy": "Always"}
    pod = pod_of([C], init=[sidecar, {"name": "a"}], restartPolicy="Never")
    world = World(pod, {"a": [Life(2, 0)], "c": [Life(4, 0)], "s": [Life(None, 0)]}).run(3)
    assert (world.starts("s"), world.starts("a"), world.starts("c")) == ([0], [0], [2])
    assert world.status["phase"] == "Running"
    world.run()
    assert world.status["phase"] == "Succeeded"
    signals = [what for _, what in world.story if what.startswith("signal")]
    assert signals == ["signal s#0 15"]


def test_sidecars_end_in_reverse_order():
    sidecars = [{"name": n, "restartPolicy": "Always"} for n in ("s1", "s2")]
    lives = {"c": [Life(None, 0, 1.0)], "s1": [Life(None, 0, 1.0)], "s2": [Life(None, 0, 1.0)]}
    world = World(pod_of([C], init=sidecars), lives).run(5).delete().run()
    signals = [(t, what) for t, what in world.story if what.startswith("signal")]
    assert signals == [(5, "signal c#0 15"), (6, "signal s2#0 15"), (7, "signal s1#0 15")]
    assert world.forgotten


def test_termination_hook_then_signal_then_kill():
    container = {**C, "lifecycle": {"preStop": {"exec": {"command": ["x"]}}}}
    world = World(pod_of([container]), {"c": [Life(None, 0, None)]}, hook_seconds=4).run(5).delete(10).run()
    steps = [(t, w) for t, w in world.story if w.startswith(("preStop", "signal", "remove", "forget"))]
    assert steps == [
        (5, "preStop c#0"),
        (9, "signal c#0 15"),
        (15, "signal c#0 9"),
        (15, "remove"),
        (15, "forget"),
    ]
    assert world.status["phase"] == "Failed"
    assert world.said("Killing") == ["Stopping container c"]


def test_a_hook_that_eats_the_grace_period_leaves_two_seconds():
    container = {**C, "lifecycle": {"preStop": {"exec": {"command": ["x"]}}}}
    world = World(pod_of([container]), {"c": [Life(None, 0, None)]}, hook_seconds=99).run(5).delete(10).run()
    steps = [(t, w) for t, w in world.story if w.startswith("signal")]
    assert steps == [(15, "signal c#0 15"), (17, "signal c#0 9")]


def test_a_second_delete_shortens_the_grace_period():
    world = World(pod_of([C]), {"c": [Life(None, 0, None)]}).run(5).delete(100).run(2).delete(1).run()
    assert [(t, w) for t, w in world.story if w.startswith("signal")][-1] == (8, "signal c#0 9")


def test_stop_signal_of_its_own():
    container = {**C, "lifecycle": {"stopSignal": "SIGINT"}}
    world = World(pod_of([container]), {"c": [Life()]}).run(1).delete().run()
    assert "signal c#0 2" in [w for _, w in world.story]


def test_deleted_before_it_was_prepared():
    world = World(pod_of([C]), {}, prepare_seconds=60).run(1).delete().run()
    assert world.forgotten
    assert world.starts("c") == []


def test_deleted_while_the_image_is_still_being_pulled():
    world = World(pod_of([C]), {"c": [Life(fail=("ErrImagePull", "no"))]}).run(0).delete().run()
    assert world.forgotten


def test_image_errors_back_off_and_recover():
    lives = [Life(fail=("ErrImagePull", "no such image")), Life(fail=("ErrImagePull", "no such image")), Life()]
    world = World(pod_of([C]), {"c": lives}).run(0.5)
    assert world.status["containerStatuses"][0]["state"]["waiting"] == {
        "reason": "ErrImagePull",
        "message": "no such image",
    }
    world.run(1)
    assert world.status["containerStatuses"][0]["state"]["waiting"] == {
        "reason": "ImagePullBackOff",
        "message": 'Back-off pulling image "i": ErrImagePull: no such image',
    }
    assert world.status["phase"] == "Pending"
    world.run(60)
    assert world.starts("c") == [0, 10, 30]
    assert world.status["phase"] == "Running"
    assert world.status["containerStatuses"][0]["restartCount"] == 0


def test_the_active_deadline_fails_the_pod():
    world = World(pod_of([C], activeDeadlineSeconds=20), {"c": [Life()]}).run(100)
    assert world.status["phase"] == "Failed"
    assert world.status["reason"] == "DeadlineExceeded"
    assert [t for t, w in world.story if w.startswith("signal")] == [20]


def test_oom_and_start_errors_are_named():
    world = World(pod_of([C], restartPolicy="Never"), {"c": [Life(1, 137, reason="OOMKilled")]}).run()
    assert world.status["containerStatuses"][0]["state"]["terminated"]["reason"] == "OOMKilled"


def probe(kind, **fields):
    return {f"{kind}Probe": {"tcpSocket": {"port": 1}, "periodSeconds": 10, **fields}}


def test_readiness_is_asked_eagerly_until_the_first_success():
    container = {**C, **probe("readiness")}
    world = World(pod_of([container]), {"c": [Life()]}, probe=lambda ask, t: t > 3).run(2)
    assert conditions(world.status)["Ready"] == "False"
    ready = next(c for c in world.status["conditions"] if c["type"] == "Ready")
    assert ready["message"] == "containers with unready status: [c]"
    world.run(3)
    assert conditions(world.status)["Ready"] == "True"
    assert world.said("Unhealthy") == []


def test_readiness_lost_and_found():
    container = {**C, **probe("readiness", periodSeconds=1, failureThreshold=2, successThreshold=2)}
    world = World(pod_of([container]), {"c": [Life()]}, probe=lambda ask, t: not 10 < t < 20).run(10.5)
    assert conditions(world.status)["Ready"] == "True"
    world.run(3)
    assert conditions(world.status)["Ready"] == "False"
    assert world.said("Unhealthy")
    world.run(10)
    assert conditions(world.status)["Ready"] == "True"
    assert world.status["containerStatuses"][0]["restartCount"] == 0


def test_liveness_restarts_the_container():
    container = {**C, **probe("liveness", periodSeconds=5, failureThreshold=3)}
    world = World(pod_of([container]), {"c": [Life(dies_in=1.0)]}, probe=lambda ask, t: t > 30 or t < 8)
    world.run(60)
    assert world.said("Killing") == ["Container c failed liveness probe, will be restarted"]
    assert world.status["containerStatuses"][0]["restartCount"] == 1
    assert [round(t) for t in world.starts("c")] == [0, 21]


def test_the_startup_probe_holds_the_others_back():
    container = {**C, **probe("startup", failureThreshold=30), **probe("liveness", failureThreshold=1)}
    asked = []

    def answer(ask, t):
        asked.append((ask.kind.value, t))
        return t > 35

    world = World(pod_of([container]), {"c": [Life()]}, probe=answer).run(60)
    assert world.status["containerStatuses"][0]["restartCount"] == 0
    first_liveness = min(t for kind, t in asked if kind == "liveness")
    last_startup = max(t for kind, t in asked if kind == "startup")
    assert first_liveness > last_startup > 35
    assert world.status["containerStatuses"][0]["started"] is True
    assert conditions(world.status)["Ready"] == "True"


def test_a_startup_probe_that_never_passes_restarts():
    container = {**C, **probe("startup", periodSeconds=2, failureThreshold=3)}
    world = World(pod_of([container]), {"c": [Life()]}, probe=lambda ask, t: False).run(9)
    assert world.status["containerStatuses"][0]["restartCount"] == 1


def test_post_start_holds_readiness_back():
    container = {**C, "lifecycle": {"postStart": {"exec": {"command": ["x"]}}}}
    world = World(pod_of([container]), {"c": [Life()]}, hook_seconds=5).run(2)
    assert conditions(world.status)["Ready"] == "False"
    world.run(5)
    assert conditions(world.status)["Ready"] == "True"


def test_readiness_gates():
    pod = pod_of([C], readinessGates=[{"conditionType": "x/y"}])
    world = World(pod, {"c": [Life()]}).run(1)
    ready = next(c for c in world.status["conditions"] if c["type"] == "Ready")
    assert ready["reason"] == "ReadinessGatesNotReady"
    world.pod["status"]["conditions"].append({"type": "x/y", "status": "True"})
    assert conditions(world.status)["Ready"] == "True"
    assert world.status["qosClass"] == "BestEffort"


@pytest.mark.parametrize("policy", ["Always", "OnFailure", "Never"])
def test_every_small_world_ends_when_deleted(policy):
    """Exhaustive: an init container, a sidecar and a main container, each of several lives, deleted at each moment."""
    lives = (Life(None, 0), Life(1, 0), Life(1, 1), Life(None, 0, None))
    init_lives = (Life(1, 0), Life(1, 1))
    for init, side, main, at in itertools.product(init_lives, lives, lives, (0, 0.5, 1, 1.5, 2, 12.5)):
        pod = pod_of([C], init=[{"name": "s", "restartPolicy": "Always"}, {"name": "a"}], restartPolicy=policy)
        world = World(pod, {"a": [init], "s": [side], "c": [main]}).run(at).delete(3).run(120)
        assert world.forgotten, (policy, init, side, main, at)
        assert world.status["phase"] in {"Succeeded", "Failed"}
        phases = [s["phase"] for s in world.history]
        ranks = {"Pending": 0, "Running": 1, "Succeeded": 2, "Failed": 2}
        assert [ranks[p] for p in phases] == sorted(ranks[p] for p in phases), phases
