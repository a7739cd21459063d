from __future__ import annotations

from argosy.cli.demo import story
from argosy.cli.demo.chapters import _last_json
from argosy.cli.demo.stage import is_available


def test_steps_results_and_resumptions_are_read_from_logs() -> None:
    assert story.read_step("step=25 loss=5.4202 tokens/s=2594") == story.Step(25, 5.4202, 2594.0)
    assert story.read_step("step=10 loss=3.1") == story.Step(10, 3.1)
    assert story.read_step("checkpoint step=25 seconds=0.1") is None
    assert story.read_result("held_out_loss=4.4029 unigram_entropy=6.1247 saved=/models/base") == (4.4029, 6.1247)
    assert story.read_resumed("resuming from /models/checkpoints/x/step-75 at step 76") == 76
    assert story.read_sample("sample: 'Return the'") == "'Return the'"
    assert story.read_sample("step=1 loss=1") is None


def test_the_story_keeps_what_the_summary_and_the_report_need() -> None:
    told = story.Story("r")
    told.curves["pretrain"] = [story.Step(5, 6.1, 100)]
    told.moments.append(story.Moment(1.234, "killed"))
    told.replicas += [(1.0, 1), (2.0, 3)]
    assert story.most_ready(told) == 3
    assert told.as_json()["curves"]["pretrain"] == [{"step": 5, "loss": 6.1, "tokens_per_second": 100}]
    assert told.as_json()["moments"] == [{"at": 1.23, "what": "killed", "until": None}]


def test_a_burst_in_a_line() -> None:
    result = {"requests": 10, "failed": 0, "requests_per_second": 2.5, "latency_seconds": {"p50": 0.1, "p99": 0.2}}
    line = story.burst_line(result)
    assert line.startswith("10 requests, 0 failed, 2.5 requests/s")
    assert "p50 0.1 s, p99 0.2 s" in line


def test_the_last_json_of_a_log_on_one_line_or_many() -> None:
    assert _last_json('noise\n{"a": 1}\n') == {"a": 1}
    assert _last_json('{\n "a": {\n  "b": 2\n }\n}\n') == {"a": {"b": 2}}
    assert _last_json("nothing") == {}


def test_available_means_all_replicas_of_this_generation() -> None:
    deployment = {
        "metadata": {"generation": 2},
        "spec": {"replicas": 2},
        "status": {"observedGeneration": 2, "availableReplicas": 2, "updatedReplicas": 2},
    }
    assert is_available(deployment)
    assert not is_available({**deployment, "metadata": {"generation": 3}})
    assert not is_available({**deployment, "status": {}})
