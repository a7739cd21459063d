from datetime import UTC, datetime

import pytest

from argosy import kinds
from argosy.kinds.cells import access_modes, human_duration, labels_text, selector_text, since, some

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"), (-1, "0s"), (0, "0s"), (119, "119s"), (120, "2m"), (150, "2m30s"), (599, "9m59s"),
        (600, "10m"), (179 * 60, "179m"), (3 * 3600, "3h"), (3 * 3600 + 60, "3h1m"), (8 * 3600 + 60, "8h"),
        (47 * 3600, "47h"), (48 * 3600, "2d"), (49 * 3600, "2d1h"), (8 * 86400, "8d"), (729 * 86400, "729d"),
        (730 * 86400, "2y"), (731 * 86400, "2y1d"), (8 * 365 * 86400 + 86400, "8y"),
    ],
)  # fmt: skip
def test_durations_read_as_kubectl_prints_them(seconds, text):
    assert human_duration(seconds) == text


def test_since_tells_unknown_times():
    assert since(None, NOW) == "<unknown>"
    assert since("yesterday", NOW) == "<unknown>"
    assert since("2026-01-01T11:59:58Z", NOW) == "2s"
    assert since(None, NOW, "<none>") == "<none>"


def test_selectors_and_labels_as_text():
    assert labels_text({"b": "2", "a": "1"}) == "a=1,b=2"
    assert labels_text(None) == "<none>"
    assert selector_text({}) == "<none>"
    terms = [
        {"key": "a", "operator": "In", "values": ["y", "x"]},
        {"key": "b", "operator": "NotIn", "values": ["z"]},
        {"key": "c", "operator": "Exists"},
        {"key": "d", "operator": "DoesNotExist"},
    ]
    assert selector_text({"matchLabels": {"k": "v"}, "matchExpressions": terms}) == "k=v,a in (x,y),b notin (z),c,!d"


def test_access_modes_and_some():
    assert access_modes(["ReadWriteMany", "ReadWriteOnce", "ReadWriteOnce"]) == "RWO,RWX"
    assert some([]) == "<none>"
    assert some(list("abcde")) == "a,b,c + 2 more..."


def test_every_kind_is_found_by_its_names():
    for kind in kinds.ALL:
        assert kinds.by_gvk(kind.group, kind.version, kind.kind) is kind
        assert kinds.by_resource(kind.group, kind.version, kind.plural) is kind
        assert kinds.of(kind.api_version, kind.kind) is kind
    assert kinds.by_gvk("", "v1", "Nothing") is None
    assert kinds.of("autoscaling/v1", "Scale") is kinds.SCALE


def test_no_two_kinds_share_a_path():
    paths = [kind.path() for kind in kinds.ALL]
    assert len(set(paths)) == len(paths)


def test_a_kind_knows_its_paths():
    assert kinds.POD.path("a b", "p", "log") == "/api/v1/namespaces/a%20b/pods/p/log"
    assert kinds.NODE.path("ignored", "n") == "/api/v1/nodes/n"
    assert kinds.DEPLOYMENT.path() == "/apis/apps/v1/deployments"


@pytest.mark.parametrize("kind", kinds.ALL, ids=str)
def test_every_column_can_show_an_empty_object(kind):
    obj = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": "a"}}
    for column in kind.columns:
        assert column.cell is not None
        column.cell(obj, NOW)
