from __future__ import annotations

import asyncio
import stat

import pytest

from argosy.engine.node import volumes
from argosy.engine.node.environment import Sources
from argosy.engine.node.projection import File, references_of
from argosy.engine.node.sources import ClusterFacts, Missing, PodFacts, Reference

OBJECTS = {
    Reference("configmaps", "ns", "cm"): {"kind": "ConfigMap", "data": {"x": "1"}, "binaryData": {"b": "AAE="}},
    Reference("configmaps", "ns", "kube-root-ca.crt"): {"kind": "ConfigMap", "data": {"ca.crt": "CA"}},
    Reference("secrets", "ns", "s"): {"kind": "Secret", "data": {"pw": "c2VjcmV0"}},
}


def pod_with(*sources, **meta):
    named = [{"name": f"v{n}", **source} for n, source in enumerate(sources)]
    return {"metadata": {"name": "p", "namespace": "ns", "uid": "u", **meta}, "spec": {"volumes": named}}


async def token(pod, wanted):
    return f"token for {wanted.audience}", 1000.0 + wanted.expiration_seconds


def set_up(pod, directory, objects=OBJECTS):
    sources = Sources(objects.get, PodFacts("10.0.0.1", "127.0.0.1", "n"), ClusterFacts("h", 1))
    return asyncio.run(volumes.set_up(pod, directory, directory, sources, token))


def test_config_maps_and_secrets_become_files(tmp_path):
    pod = pod_with(
        {"configMap": {"name": "cm", "defaultMode": 0o400}},
        {"secret": {"secretName": "s", "items": [{"key": "pw", "path": "deep/er", "mode": 0o440}]}},
        {"configMap": {"name": "none", "optional": True}},
    )
    made = set_up(pod, tmp_path)
    assert (made.paths["v0"] / "x").read_text() == "1"
    assert (made.paths["v0"] / "b").read_bytes() == b"\0\1"
    assert stat.S_IMODE((made.paths["v0"] / "x").stat().st_mode) == 0o400
    assert (made.paths["v1"] / "deep" / "er").read_text() == "secret"
    assert stat.S_IMODE((made.paths["v1"] / "deep/er").stat().st_mode) == 0o440
    assert not [p for p in made.paths["v2"].iterdir() if not p.name.startswith("..")]
    assert made.read_only == {"v0", "v1", "v2"}
    assert references_of(pod) == {
        Reference("configmaps", "ns", "cm"), Reference("secrets", "ns", "s"), Reference("configmaps", "ns", "none"),
    }  # fmt: skip


def test_a_service_accounts_volume(tmp_path):
    projected = {
        "projected": {
            "sources": [
                {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
            ]
        }
    }
    made = set_up(pod_with(projected), tmp_path)
    files = {name: (made.paths["v0"] / name).read_text() for name in ("token", "ca.crt", "namespace")}
    assert files == {"token": "token for ", "ca.crt": "CA", "namespace": "ns"}
    assert made.renew_at == pytest.approx(1000 + 0.8 * 3607)


def test_updates_are_exchanged_as_a_whole(tmp_path):
    target = tmp_path / "v"
    assert volumes.write_files(target, {"a": File(b"1"), "b": File(b"1")})
    first = (target / "..data").readlink()
    assert not volumes.write_files(target, {"a": File(b"1"), "b": File(b"1")})
    assert volumes.write_files(target, {"a": File(b"2"), "c/d": File(b"2")})
    assert (target / "..data").readlink() != first
    assert (target / "a").read_text() == "2"
    assert (target / "c/d").read_text() == "2"
    assert not (target / "b").exists()
    assert not (target / first).exists()


def test_what_is_missing_names_the_volume(tmp_path):
    with pytest.raises(Missing) as caught:
        set_up(pod_with({"configMap": {"name": "none"}}), tmp_path)
    assert str(caught.value) == 'MountVolume.SetUp failed for volume "v0" : configmap "none" not found'
    assert caught.value.reference == Reference("configmaps", "ns", "none")
    with pytest.raises(Missing, match="references non-existent secret key: k"):
        set_up(pod_with({"secret": {"secretName": "s", "items": [{"key": "k", "path": "k"}]}}), tmp_path)
    with pytest.raises(Missing, match="volumes of the kind nfs are not served"):
        set_up(pod_with({"nfs": {"server": "s"}}), tmp_path)
    with pytest.raises(Missing, match="leads out of the volume"):
        set_up(pod_with({"configMap": {"name": "cm", "items": [{"key": "x", "path": "../x"}]}}), tmp_path)


def test_host_paths(tmp_path):
    made = volumes.host_path(str(tmp_path / "d/e"), "DirectoryOrCreate")
    assert made.is_dir()
    assert volumes.host_path(str(tmp_path / "f"), "FileOrCreate").is_file()
    for type in ("Directory", "File", "Socket", "CharDevice", "BlockDevice"):
        with pytest.raises(Missing, match="hostPath type check failed"):
            volumes.host_path(str(tmp_path / "none"), type)
    assert volumes.host_path("/dev/null", "CharDevice").is_char_device()


def test_a_claim_leads_to_its_volume(tmp_path):
    claim = {"spec": {"volumeName": "pv"}, "status": {"phase": "Bound"}}
    objects = {
        Reference("persistentvolumeclaims", "ns", "c"): claim,
        Reference("persistentvolumes", "", "pv"): {"spec": {"hostPath": {"path": str(tmp_path / "data")}}},
    }
    pod = pod_with({"persistentVolumeClaim": {"claimName": "c"}})
    assert set_up(pod, tmp_path / "p", objects).paths["v0"] == tmp_path / "data"
    with pytest.raises(Missing, match='persistentvolumeclaim "c" not found'):
        set_up(pod, tmp_path / "p", {})
    assert set_up(pod, tmp_path / "p", objects).read_only == frozenset()
    claim["spec"]["accessModes"] = ["ReadOnlyMany"]
    assert set_up(pod, tmp_path / "p", objects).read_only == {"v0"}
    objects[Reference("persistentvolumes", "", "pv")] = {"spec": {"local": {"path": str(tmp_path / "disk")}}}
    with pytest.raises(Missing, match="does not exist"):
        set_up(pod, tmp_path / "p", objects)
    (tmp_path / "disk").mkdir()
    assert set_up(pod, tmp_path / "p", objects).paths["v0"] == tmp_path / "disk"
    objects[Reference("persistentvolumeclaims", "ns", "c")] = {"spec": {}, "status": {"phase": "Pending"}}
    with pytest.raises(Missing, match="is not bound"):
        set_up(pod, tmp_path / "p", objects)


def test_projected_files_below_a_sub_path_are_kept_where_nothing_is_mounted(tmp_path):
    volume = tmp_path / "volumes" / "v"
    volumes.write_files(volume, {"a": File(b"1"), "deep/b": File(b"1")})
    made = volumes.Volumes({"v": volume}, frozenset({"v"}))
    container = {
        "name": "main",
        "volumeMounts": [{"name": "v", "mountPath": f"/{path}", "subPath": path} for path in ("a", "deep")],
    }
    file, directory = volumes.mounts(container, made, {}, kept=tmp_path / "kept")
    volumes.write_files(volume, {"a": File(b"2"), "deep/b": File(b"2")})
    assert (file.source.read_text(), (directory.source / "b").read_text()) == ("1", "1")
    file, directory = volumes.mounts(container, made, {}, kept=tmp_path / "kept")  # a restart sees what is now
    assert (file.source.read_text(), (directory.source / "b").read_text()) == ("2", "2")


def test_mounts_and_sub_paths(tmp_path):
    made = set_up(pod_with({"emptyDir": {}}, {"configMap": {"name": "cm"}}), tmp_path)
    container = {
        "volumeMounts": [
            {"name": "v0", "mountPath": "/data"},
            {"name": "v0", "mountPath": "/sub", "subPath": "a/b", "readOnly": True},
            {"name": "v0", "mountPath": "/exp", "subPathExpr": "$(POD)"},
            {"name": "v1", "mountPath": "/x", "subPath": "x"},
        ]
    }
    data, sub, expanded, file = volumes.mounts(container, made, {"POD": "p-1"})
    assert (data.source, data.target, data.read_only) == (made.paths["v0"], "/data", False)
    assert sub.source == made.paths["v0"] / "a/b"
    assert sub.read_only
    assert expanded.source.name == "p-1"
    assert file.source.read_text() == "1"
    (made.paths["v0"] / "evil").symlink_to("/etc")
    for bad in ("../x", "/etc", "evil/passwd"):
        with pytest.raises(Missing, match="leads out"):
            volumes.mounts({"volumeMounts": [{"name": "v0", "mountPath": "/m", "subPath": bad}]}, made, {})
    with pytest.raises(Missing, match="names no volume"):
        volumes.mounts({"volumeMounts": [{"name": "none", "mountPath": "/m"}]}, made, {})
