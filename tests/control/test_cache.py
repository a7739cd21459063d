from argosy.control.cache import OWNER, Cache
from argosy.meta.objects import Key


def obj(name, version, uid="u", owner="", **labels):
    meta = {"name": name, "namespace": "ns", "uid": uid, "resourceVersion": str(version), "labels": labels}
    if owner:
        meta["ownerReferences"] = [{"uid": "another"}, {"uid": owner, "controller": True}]
    return {"metadata": meta}


def types(changes):
    return [change.type for change in changes]


def test_events_become_consistent_changes():
    cache = Cache()
    assert types(cache.apply("MODIFIED", obj("a", 1))) == ["ADDED"]
    assert types(cache.apply("ADDED", obj("a", 1))) == []
    assert types(cache.apply("ADDED", obj("a", 2))) == ["MODIFIED"]
    assert types(cache.apply("MODIFIED", obj("a", 1))) == [], "the past"
    assert types(cache.apply("DELETED", obj("a", 1))) == [], "the past"
    assert types(cache.apply("DELETED", obj("a", 2))) == ["DELETED"]
    assert types(cache.apply("DELETED", obj("a", 2))) == []
    assert cache.version == 2


def test_a_namesake_is_another_object():
    cache = Cache()
    cache.apply("ADDED", obj("a", 1, uid="one"))
    changes = cache.apply("MODIFIED", obj("a", 5, uid="two"))
    assert [(c.type, c.obj["metadata"]["uid"]) for c in changes] == [("DELETED", "one"), ("ADDED", "two")]
    changes = cache.replace([obj("a", 9, uid="three")], "9")
    assert [(c.type, c.obj["metadata"]["uid"]) for c in changes] == [("DELETED", "two"), ("ADDED", "three")]


def test_a_list_replaces_everything():
    cache = Cache()
    for name in "abc":
        cache.apply("ADDED", obj(name, 3, uid=name))
    changes = cache.replace([obj("b", 3, uid="b"), obj("c", 7, uid="c"), obj("d", 8, uid="d")], "10")
    assert sorted((c.type, c.obj["metadata"]["name"]) for c in changes) == [
        ("ADDED", "d"), ("DELETED", "a"), ("MODIFIED", "c"),
    ]  # fmt: skip
    assert cache.version == 10
    # A server that was restored from a backup goes back in time, and the copy with it.
    assert types(cache.replace([obj("c", 2, uid="c")], "2")) == ["DELETED", "DELETED", "MODIFIED"]
    assert cache.version == 2


def test_indexes_follow():
    cache = Cache()
    cache.apply("ADDED", obj("a", 1, owner="o1", color="red"))
    cache.index("color", lambda o: [o["metadata"]["labels"]["color"]])
    cache.index("color", lambda o: [])
    cache.apply("ADDED", obj("b", 2, uid="b", owner="o1", color="red"))
    assert len(cache.indexed(OWNER, "o1")) == 2
    assert cache.indexed(OWNER, "another") == (), "only the controlling owner"
    cache.apply("MODIFIED", obj("a", 3, color="blue"))
    assert [o["metadata"]["name"] for o in cache.indexed("color", "red")] == ["b"]
    assert cache.indexed("color", "blue") == [cache.objects[Key("ns", "a")]]
    assert [o["metadata"]["name"] for o in cache.indexed(OWNER, "o1")] == ["b"]
    cache.replace([], "4")
    assert cache.indexed("color", "red") == ()
    assert cache.indexed(OWNER, "o1") == ()


def test_versions_that_are_not_numbers():
    cache = Cache()
    cache.apply("ADDED", obj("a", "x1"))
    assert types(cache.apply("MODIFIED", obj("a", "x0"))) == ["MODIFIED"]
    assert cache.version == 0
