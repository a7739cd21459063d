"""Layers unpacked and merged: what they may do to each other, and what none may do to this machine."""

from __future__ import annotations

import io
import os
import stat
import tarfile

import pytest

from argosy.engine.node.images.resolve import ImageError
from argosy.engine.node.oci import layer, merge
from argosy.engine.node.oci.layer import Rest, unpack

from .making import Entry, archive, directory, hardlink, symlink


class Stack:
    """Layers unpacked beside each other, and what they show together."""

    def __init__(self, path):
        self.path = path
        self.outside = path / "outside"
        self.outside.mkdir()
        (self.outside / "precious").write_text("untouched")
        self.layers = []

    def add(self, *entries):
        place = self.path / f"layer{len(self.layers)}"
        (place / merge.TREE).mkdir(parents=True)
        rest = unpack(io.BytesIO(archive(entries)), place / merge.TREE, owners=False)
        rest.write(place / merge.REST)
        self.layers.append(place)
        return rest

    def merged(self):
        root = self.path / f"root{len(list(self.path.glob('root*')))}"
        root.mkdir()
        merge.merge(self.layers, root, owners=False)
        return root

    def seen(self):
        root = self.merged()
        return {str(p.relative_to(root)): p.read_text() for p in sorted(root.rglob("*")) if p.is_file()}


@pytest.fixture
def stack(tmp_path):
    return Stack(tmp_path)


def test_files_keep_what_their_archive_says(stack):
    stack.add(
        directory("d", 0o750), Entry("d/run", "x", mode=0o4755), symlink("d/link", "/etc/passwd"), hardlink("again", "d/run"),
        Entry("d/pipe", type=tarfile.FIFOTYPE, mode=0o600),
    )  # fmt: skip
    root = stack.merged()
    assert stat.S_IMODE((root / "d").stat().st_mode) == 0o750
    assert stat.S_IMODE((root / "d/run").stat().st_mode) == 0o4755
    assert (root / "d/run").stat().st_mtime == 1_700_000_000 == (root / "d").stat().st_mtime
    assert str((root / "d/link").readlink()) == "/etc/passwd"
    assert (root / "again").samefile(root / "d/run")
    assert stat.S_ISFIFO((root / "d/pipe").lstat().st_mode)


def test_files_are_shared_between_images_and_layers_above_do_not_change_them(stack):
    stack.add(Entry("a", "below"), Entry("b", "both"))
    below = stack.merged()
    stack.add(Entry("a", "above"))
    above = stack.merged()
    assert (below / "b").samefile(above / "b")
    assert ((below / "a").read_text(), (above / "a").read_text()) == ("below", "above")


def test_whiteouts_delete_what_is_below_and_not_what_is_beside(stack):
    stack.add(directory("d"), Entry("d/old", "1"), Entry("d/kept", "1"), directory("gone"), Entry("gone/x", "1"))
    stack.add(Entry("d/.wh.old"), Entry("d/new", "2"), Entry(".wh.gone"), Entry("d/.wh.new"), Entry("d/.wh..wh.plnk"))
    assert stack.seen() == {"d/kept": "1", "d/new": "2"}


def test_opaque_directories_hide_what_is_below(stack):
    stack.add(directory("d"), Entry("d/old", "1"), directory("d/sub"), Entry("d/sub/old", "1"), Entry("e", "1"))
    stack.add(directory("d"), Entry("d/new", "2"), Entry("d/.wh..wh..opq"))
    assert stack.seen() == {"d/new": "2", "e": "1"}


@pytest.mark.parametrize("name", ["a/.wh...", "a/.wh..", "a/.wh.", ".wh..."])
def test_a_whiteout_deletes_no_directory_that_it_is_in(stack, name):
    with pytest.raises(ImageError, match="which is no file"):
        stack.add(directory("a"), Entry(name))


def test_a_file_takes_the_place_of_a_directory_and_the_other_way_round(stack):
    stack.add(directory("a"), Entry("a/x", "1"), Entry("b", "1"), symlink("c", "a"))
    stack.add(Entry("a", "2"), directory("b"), Entry("b/x", "2"), directory("c"), Entry("c/y", "2"))
    root = stack.merged()
    assert (root / "a").read_text() == "2"
    assert (root / "b/x").read_text() == "2"
    assert not (root / "c").is_symlink()


def test_a_directory_that_no_archive_names_is_found_through_the_images_own_symlinks(stack):
    stack.add(directory("run"), symlink("var/run", "/run"), symlink("lib", "usr/lib"), directory("usr/lib"))
    stack.add(Entry("var/run/app.pid", "1"), Entry("lib/libx", "2"))
    root = stack.merged()
    assert (root / "run/app.pid").read_text() == "1"
    assert (root / "usr/lib/libx").read_text() == "2"
    assert str((root / "var/run").readlink()) == "/run"


@pytest.mark.parametrize("climb", ["/", "/..", "../../../../..", "/../../.."])
def test_symlinks_of_layers_below_never_lead_out_of_the_image(stack, climb):
    outside = str(stack.outside).lstrip("/")
    stack.add(symlink("evil", f"{climb}/{outside}"))
    stack.add(Entry("evil/precious", "broken"), Entry("evil/.wh.other"))
    stack.merged()
    assert (stack.outside / "precious").read_text() == "untouched"
    assert [p.name for p in stack.outside.iterdir()] == ["precious"]


def test_whiteouts_and_links_through_symlinks_stay_within(stack):
    outside = str(stack.outside)
    stack.add(symlink("evil", outside))
    stack.add(Entry("evil/.wh.precious"), Entry("evil/.wh..wh..opq"))
    stack.merged()
    assert (stack.outside / "precious").exists()
    stack.add(hardlink("stolen", "evil/precious"))
    with pytest.raises(ImageError, match="which no layer has"):
        stack.merged()


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ([Entry("../escaped", "x")], "outside the image"),
        ([Entry("a/../../escaped", "x")], "outside the image"),
        ([Entry("/../escaped", "x")], "outside the image"),
        ([hardlink("a", "../outside/precious")], "outside the image"),
        ([symlink("evil", "/etc"), Entry("evil/x", "x")], "through the symlink 'evil' to '/etc', outside the image"),
        ([symlink("evil", "../outside"), Entry("evil/precious", "x")], "outside the image"),
        ([symlink("a", "b"), symlink("b", "../outside"), Entry("a/precious", "x")], "outside the image"),
        ([symlink("a", "b"), symlink("b", "a"), Entry("a/x", "x")], "outside the image"),
        ([Entry("f", "x"), Entry("f/g", "x")], "no directory"),
        ([Entry("null", type=tarfile.CHRTYPE)], "device 'null'"),
        ([Entry("d/sda", type=tarfile.BLKTYPE)], "device 'd/sda'"),
        ([directory("d"), hardlink("e", "d")], "which is a directory"),
        ([hardlink("e", "")], "to nothing"),
    ],
)
def test_attacks_are_refused(stack, entries, says):
    with pytest.raises(ImageError, match="layer") as caught:
        stack.add(*entries)
    assert says in caught.value.message
    assert (stack.outside / "precious").read_text() == "untouched"
    assert sorted(p.name for p in stack.path.iterdir()) == ["layer0", "outside"]


def test_absolute_names_lie_within_the_image(stack):
    stack.add(Entry("/etc/motd", "hello"), Entry("./b", "1"))
    assert stack.seen() == {"b": "1", "etc/motd": "hello"}


def test_a_hard_link_to_a_symlink_links_the_symlink(stack):
    stack.add(symlink("s", str(stack.outside / "precious")), hardlink("t", "s"))
    root = stack.merged()
    assert str((root / "t").readlink()) == str(stack.outside / "precious")


def test_devices_that_every_container_has_anyway_are_left_out(stack):
    stack.add(directory("dev"), Entry("dev/console", type=tarfile.CHRTYPE), Entry("dev/shm/x", "1"))
    assert stack.seen() == {"dev/shm/x": "1"}


def test_a_hard_link_to_a_file_of_a_layer_below(stack):
    stack.add(directory("a"), Entry("a/f", "1"))
    rest = stack.add(hardlink("b/g", "a/f"))
    assert rest.links == [("b/g", "a/f")]
    assert stack.seen() == {"a/f": "1", "b/g": "1"}


def test_symlinks_within_a_layer_are_followed_where_they_stay_within(stack):
    stack.add(symlink("lib", "usr/lib"), directory("usr/lib"), Entry("lib/a", "1"), Entry("usr/lib/b", "1"))
    assert stack.seen() == {"usr/lib/a": "1", "usr/lib/b": "1"}


def test_the_last_of_several_entries_of_one_name_counts(stack):
    stack.add(Entry("a", "1"), Entry("a", "2"), symlink("b", "a"), Entry("b", "3"), directory("c"), Entry("c", "4"))
    assert stack.seen() == {"a": "2", "b": "3", "c": "4"}


def test_directories_nobody_may_enter_are_filled_all_the_same(stack):
    stack.add(
        directory("closed", 0o000), Entry("closed/x", "1"), directory("closed/in", 0o500), Entry("closed/in/y", "1")
    )
    stack.add(Entry("closed/in/z", "2"))
    root = stack.merged()
    assert stat.S_IMODE((root / "closed").stat().st_mode) == 0
    (root / "closed").chmod(0o700)
    assert (root / "closed/in/z").read_text() == "2"


def test_names_that_are_no_text(stack):
    name = b"caf\xe9".decode(errors="surrogateescape")
    place = stack.path / "layer"
    (place / merge.TREE).mkdir(parents=True)
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.GNU_FORMAT, errors="surrogateescape") as tar:
        info = tarfile.TarInfo(f"{name}/x")
        tar.addfile(info)
        tar.addfile(tarfile.TarInfo(f".wh.{name}2"))
    raw.seek(0)
    rest = unpack(raw, place / merge.TREE, owners=False)
    rest.write(place / merge.REST)
    assert Rest.read(place / merge.REST) == rest
    root = stack.path / "root"
    root.mkdir()
    merge.merge([place], root, owners=False)
    assert [os.fsencode(p.name) for p in root.iterdir()] == [b"caf\xe9"]


@pytest.mark.parametrize("cut", [100, 600, 1100])
def test_damage_is_said(stack, cut):
    whole = archive([Entry("a", "x" * 2000), Entry("b", "y" * 2000)])
    place = stack.path / "cut"
    place.mkdir()
    with pytest.raises(ImageError, match="a layer is damaged"):
        unpack(io.BytesIO(whole[:cut]), place, owners=False)


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_times_that_are_none(stack, value):
    with pytest.raises(ImageError, match="damaged"):
        stack.add(Entry("a", "1", pax={"mtime": value}))


def test_times_before_there_were_any(stack):
    stack.add(Entry("a", "1", pax={"mtime": "-1e30"}))
    assert (stack.merged() / "a").stat().st_mtime == 0


def test_headers_that_would_fill_the_memory(stack):
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, layer.HEADER_BYTES_MAX + 1
    place = stack.path / "bomb"
    place.mkdir()
    with pytest.raises(ImageError, match="more than a megabyte"):
        unpack(io.BytesIO(info.tobuf(tarfile.GNU_FORMAT) + b"x" * 4096), place, owners=False)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_owners(stack):
    place = stack.path / "owned"
    (place / merge.TREE).mkdir(parents=True)
    content = archive([directory("d", uid=7, gid=8), Entry("d/f", "x", uid=9, gid=10, mode=0o2755), symlink("s", "d")])
    rest = unpack(io.BytesIO(content), place / merge.TREE, owners=True)
    rest.write(place / merge.REST)
    root = stack.path / "root"
    root.mkdir()
    merge.merge([place], root, owners=True)
    assert ((root / "d").stat().st_uid, (root / "d").stat().st_gid) == (7, 8)
    found = (root / "d/f").stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (9, 10, 0o2755)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("etc/passwd", "in"),
        ("a/passwd", "in"),
        ("b", "in"),
        ("out", ""),
        ("loop", ""),
        ("etc", ""),
        ("none/x", ""),
        ("pipe", ""),
    ],
)
def test_files_of_an_image_are_read_as_it_sees_them(stack, path, text):
    stack.add(
        directory("etc"), Entry("etc/passwd", "in"), symlink("a", "/etc"), symlink("b", "a/passwd"),
        symlink("out", f"../../../..{stack.outside}/precious"), symlink("loop", "loop"),
        Entry("pipe", type=tarfile.FIFOTYPE),
    )  # fmt: skip
    assert merge.read_text(stack.merged(), path) == text
