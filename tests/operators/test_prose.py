"""What `kubectl explain` says of the kinds that come with Argosy."""

from argosy.meta.crd import crd_for
from argosy.meta.prose import about, described, words_of
from argosy.operators import ALL

KINDS = [kind for operator in ALL for kind in operator.kinds]


def paths(schema, path=()):
    yield path
    for name, inner in (schema.get("properties") or {}).items():
        yield from paths(inner, (*path, name))
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from paths(schema[key], path)


def schema_of(kind):
    return crd_for(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def test_every_kind_is_explained_and_every_word_is_about_a_field():
    said, used = set(), set()
    for kind in KINDS:
        words = words_of(kind.group, kind.kind)
        assert words.get(()), kind.kind
        said |= {(kind.group, known, words[known]) for known in words}
        used |= {
            (kind.group, end, words[end]) for path in paths(schema_of(kind)) if (end := about(path, words)) is not None
        }
    assert said - used == set()


def test_fields_are_described_where_people_look():
    kind = next(kind for kind in KINDS if kind.kind == "PyTorchJob")
    spec = described(kind.group, kind.kind, schema_of(kind))["properties"]["spec"]["properties"]
    replicas = spec["pytorchReplicaSpecs"]["additionalProperties"]["properties"]
    assert replicas["replicas"]["description"] == "How many pods have this role. Default: 1."
    assert "description" not in replicas["template"]["properties"]["spec"]  # that is a pod's own
    assert spec["runPolicy"]["properties"]["suspend"]["description"].startswith("True deletes the job's pods")


def test_a_kind_of_somebody_else_is_left_alone():
    schema = {"type": "object", "properties": {"spec": {"type": "object"}}}
    assert described("example.com", "PyTorchJob", schema) is schema
    own = {"description": "theirs", **schema}
    assert described("kubeflow.org", "PyTorchJob", own) is own
