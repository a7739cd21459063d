"""The job of a trial: filled in, judged by its conditions, read through a sidecar."""

from __future__ import annotations

import pytest

from argosy.meta.json import Obj, dig
from argosy.operators.experiment import collector, gjson, outcome, template


def test_templates_are_filled_in() -> None:
    given = {
        "trialParameters": [{"name": "rate", "reference": "lr"}, {"name": "n", "reference": "${trialSpec.Name}"}],
        "trialSpec": {
            "apiVersion": "batch/v1", "kind": "Job",
            "spec": {"args": ["--lr=${trialParameters.rate}", "${trialParameters.n}"], "count": 3},
        },
    }  # fmt: skip
    assert template.problems(given, {"lr"}) == []
    made = template.run_spec(given, given["trialSpec"], {"lr": "0.1"}, "t-1", "ns")
    assert made["spec"] == {"args": ["--lr=0.1", "t-1"], "count": 3}
    assert made["metadata"] == {"name": "t-1", "namespace": "ns"}
    assert "refers to 'lr', no parameter" in template.problems(given, {"other"})[0]
    given["trialParameters"] = []
    assert len(template.problems(given, {"lr"})) == 2
    assert (
        "needs configMapNamespace, templatePath" in template.problems({"configMap": {"configMapName": "c"}}, set())[0]
    )


def in_config_map(text: str) -> tuple[Obj, list[Obj]]:
    place = {"configMapName": "c", "configMapNamespace": "ns", "templatePath": "t.yaml"}
    given = {"trialParameters": [{"name": "n", "reference": "n"}], "configMap": place}
    return given, [{"metadata": {"name": "c", "namespace": "ns"}, "data": {"t.yaml": text}}]


def test_templates_in_config_maps_are_text_until_they_are_filled_in() -> None:
    given, maps = in_config_map("apiVersion: batch/v1\nkind: Job\nspec: {parallelism: ${trialParameters.n}}")
    assert template.problems(given, {"n"}, maps) == []
    source, _ = template.source_of(given, maps)
    assert source is not None
    made = template.run_spec(given, source, {"n": "3"}, "t-1", "ns")
    assert made["spec"] == {"parallelism": 3}, "a number, not a text"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "the template is no YAML"),
        ("word", "the template is no object"),
        ("kind: Job", "needs apiVersion and kind"),
        ("apiVersion: v1\nkind: Job\nmetadata: {name: x}", "must leave out metadata.name"),
        ("apiVersion: v1\nkind: Job\nx: ${trialParameters.other}", "uses ${trialParameters.other}, not in"),
    ],
)
def test_what_is_wrong_with_a_template_is_said(text: str, says: str) -> None:
    given, maps = in_config_map(text)
    assert says in template.problems(given, {"n"}, maps)[0]
    given["configMap"]["templatePath"] = "absent"
    assert "has no key 'absent'" in template.problems(given, {"n"}, maps)[0]


@pytest.mark.parametrize(
    ("kind", "condition", "state"),
    [
        ("Job", {"type": "Complete", "status": "True"}, "succeeded"),
        ("Job", {"type": "Complete", "status": "False"}, "running"),
        ("Job", {"type": "Failed", "status": "True", "message": "m"}, "failed"),
        ("PyTorchJob", {"type": "Succeeded", "status": "True"}, "succeeded"),
        ("TrainJob", {"type": "Complete", "status": "True"}, "succeeded"),
    ],
)
def test_a_job_s_end_is_known_by_its_conditions(kind: str, condition: Obj, state: str) -> None:
    assert outcome.outcome_of({"kind": kind, "status": {"conditions": [condition]}}, {}).state == state


def test_conditions_in_gjson() -> None:
    spec = {"successCondition": 'status.conditions.#(type=="Done")#|#(status=="True")#'}
    job: Obj = {"kind": "Job", "status": {"conditions": [{"type": "Done", "status": "True", "message": "m"}]}}
    assert outcome.problems(spec) == []
    assert outcome.outcome_of(job, spec) == outcome.Outcome("succeeded", "m")
    assert outcome.problems({"failureCondition": "status.phase"}) == []
    assert len(outcome.problems({"failureCondition": 'status.#(phase=="x"'})) == 1


STATUS: Obj = {
    "phase": "Succeeded", "done": 3, "a.b": 1, "ok": True, "none": None,
    "steps": [{"name": "x", "n": 1, "t": {"k": "v"}}, {"name": "y", "n": 2}, {"name": "z", "n": 3}],
    "nested": [{"l": [1, 2]}, {"l": [3]}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("phase", "Succeeded"),
        (r"a\.b", 1),
        ("ph*", "Succeeded"),
        ("steps.1.name", "y"),
        ("steps.#", 3),
        ("steps.#.name", ["x", "y", "z"]),
        ("steps.#.name|0", "x"),
        ("steps.#(n>1).name", "y"),
        ("steps.#(n>1)#.name", ["y", "z"]),
        ("steps.#(n>1)#|1.name", "z"),
        ("steps.#(n>=1)#|#(n<3)#|#", 2),
        ('steps.#(name!="x")#.n', [2, 3]),
        ('steps.#(name%"[xy]")#.n', [1, 2]),
        ('steps.#(name!%"x")#.n', [2, 3]),
        ('steps.#(t.k=="v")#.n', [1]),
        ("steps.#(t)#.n", [1]),
        ("steps.#(n==true)#", []),
        ('[phase,"absent"].0', "Succeeded"),
        ('[@this].#(phase=="Succeeded").done', 3),
        ("[@this].#(done==3)#|0.ok", True),
        ("nested.#.l.#(>1)#", [[2], [3]]),
        ("absent.deep", gjson.MISSING),
        ("steps.9", gjson.MISSING),
        ("phase.#(x==1)", gjson.MISSING),
        ("none", None),
    ],
)
def test_gjson(path: str, found: object) -> None:
    assert gjson.problem(path) == ""
    assert gjson.get(STATUS, path) == found


@pytest.mark.parametrize("path", ["", "a..b", "a.#(b", 'a.#(b=="c)', "a.@reverse"])
def test_no_paths(path: str) -> None:
    assert gjson.problem(path)


def pod(name: str, phase: str, **labels: str) -> Obj:
    meta = {"name": name, "namespace": "ns", "labels": labels, "creationTimestamp": f"2026-01-0{len(name)}T00:00:00Z"}
    return {"metadata": meta, "status": {"phase": phase}}


def test_which_pod_is_read() -> None:
    pods = [pod("a", "Failed"), pod("bb", "Running"), pod("ccc", "Running"), pod("dddd", "Pending")]
    assert outcome.printing(pods) is pods[2]
    assert outcome.printing([*pods, pod("eeeee", "Succeeded")])["metadata"]["name"] == "eeeee"  # type: ignore[index]
    assert outcome.printing(pods[3:]) is None


def test_the_pods_of_a_trial_are_known_by_labels() -> None:
    trial: Obj = {"metadata": {"name": "t", "namespace": "ns"}, "spec": {"runSpec": {"kind": "PyTorchJob"}}}
    name, role = {"training.kubeflow.org/job-name": "t"}, "training.kubeflow.org/job-role"
    master, worker = pod("m", "Running", **name, **{role: "master"}), pod("w", "Running", **name)
    assert [outcome.prints(trial, each) for each in (master, worker)] == [True, False]
    trial["spec"]["primaryPodLabels"] = {"mine": "yes"}
    assert not outcome.prints(trial, master)
    assert outcome.prints(trial, pod("w", "Running", **name, mine="yes"))
    assert list(outcome.jobs_of(master)) == ["ns/t"]
    trial["spec"] = {"runSpec": {"kind": "MPIJob"}}
    assert outcome.prints(trial, pod("l", "Running", **name, **{role: "launcher"}))


def job(**container: object) -> Obj:
    main = {"name": "main", "image": "x", **container}
    return {"kind": "Job", "spec": {"template": {"spec": {"containers": [main, {"name": "other", "image": "y"}]}}}}


FILE = collector.read({"collector": {"kind": "File"}, "source": {"fileSystemPath": {"path": "/out/m.log"}}})


def test_a_file_is_read_by_a_sidecar_on_a_volume_of_their_own() -> None:
    made = collector.with_sidecar(job(securityContext={"runAsUser": 5}), "main", FILE, "alpine")
    spec = dig(made, "spec", "template", "spec")
    (sidecar,) = spec["initContainers"]
    assert (sidecar["name"], sidecar["restartPolicy"], sidecar["image"]) == ("metrics-collector", "Always", "alpine")
    assert sidecar["securityContext"] == {"runAsUser": 5}
    mount = {"name": "metrics-volume", "mountPath": "/out"}
    assert sidecar["volumeMounts"] == spec["containers"][0]["volumeMounts"] == [mount]
    assert spec["volumes"] == [{"name": "metrics-volume", "emptyDir": {}}]
    assert "volumeMounts" not in spec["containers"][1]


def test_a_file_on_a_volume_that_is_there_is_read_from_it() -> None:
    mounts = [{"name": "mine", "mountPath": "/out"}]
    spec = dig(collector.with_sidecar(job(volumeMounts=mounts), "", FILE, "alpine"), "spec", "template", "spec")
    assert spec["initContainers"][0]["volumeMounts"] == mounts
    assert "volumes" not in spec


def test_other_collectors_leave_the_job_alone() -> None:
    assert collector.with_sidecar(job(), "main", collector.read(None), "alpine") == job()
    page = collector.read({"collector": {"kind": "PrometheusMetric"}})
    assert (page.page, collector.read({}).page) == ("8080/metrics", "")


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"collector": {"kind": "Push"}}, "'Push' is none of StdOut, File, PrometheusMetric: Katib's report_metrics()"),
        ({"collector": {"kind": "Custom"}}, "Katib's database, which is not run here"),
        ({"collector": {"kind": "Nonsense"}}, "there is no such kind"),
        ({"collector": {"kind": "File"}, "source": {"fileSystemPath": {"path": "m.log"}}}, "needs kind File and the"),
        ({"collector": {"kind": "File"}, "source": {"fileSystemPath": {"path": "/m.log"}}}, "in a directory"),
        ({"collector": {"kind": "File"}, "source": {"fileSystemPath": {"format": "CSV"}}}, "neither TEXT nor JSON"),
        (
            {"collector": {"kind": "File"}, "source": {"fileSystemPath": {"format": "JSON"}, "filter": {"metricsFormat": ["(a)(b)"]}}},
            "has no use where the format is JSON",
        ),
        ({"collector": {"kind": "PrometheusMetric"}, "source": {"httpGet": {"port": "web"}}}, "needs a port by number"),
        ({"source": {"filter": {"metricsFormat": ["("]}}}, "is no regular expression"),
    ],
)  # fmt: skip
def test_impossible_collectors_are_told(spec: Obj, says: str) -> None:
    assert says in collector.problems(spec)[0]
