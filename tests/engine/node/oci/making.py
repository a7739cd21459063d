"""Makes OCI images for tests, of nothing but tar and JSON: layers, layouts, and root file systems of this host's programs."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import platform
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

MACHINE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


@dataclass(frozen=True)
class Entry:
    """One entry of a layer."""

    name: str
    content: bytes | str = b""
    type: bytes = tarfile.REGTYPE
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    link: str = ""
    mtime: float = 1_700_000_000
    pax: Mapping[str, str] = field(default_factory=dict)


def directory(name: str, mode: int = 0o755, **more: int) -> Entry:
    return Entry(name, type=tarfile.DIRTYPE, mode=mode, **more)


def symlink(name: str, to: str) -> Entry:
    return Entry(name, type=tarfile.SYMTYPE, link=to, mode=0o777)


def hardlink(name: str, to: str) -> Entry:
    return Entry(name, type=tarfile.LNKTYPE, link=to)


def archive(entries: Iterable[Entry]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for entry in entries:
            info = tarfile.TarInfo(entry.name)
            content = entry.content.encode() if isinstance(entry.content, str) else entry.content
            info.type, info.mode, info.uid, info.gid, info.mtime = (
                entry.type, entry.mode, entry.uid, entry.gid, entry.mtime,
            )  # fmt: skip
            info.linkname, info.size, info.pax_headers = entry.link, len(content), dict(entry.pax)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass
class Made:
    """An image as blobs by digest, and the descriptor that leads to it."""

    descriptor: dict
    blobs: dict[str, bytes]

    @property
    def digest(self) -> str:
        return str(self.descriptor["digest"])


def blob(content: bytes, media_type: str, blobs: dict[str, bytes], **more: object) -> dict:
    blobs[digest(content)] = content
    return {"mediaType": media_type, "digest": digest(content), "size": len(content), **more}


def image(
    *layers: Iterable[Entry] | bytes, packing: str = "gzip", architecture: str = MACHINE, **config: object
) -> Made:
    """An image of layers (entries or whole archives), the lowest first. `config` is as in `docker inspect`."""
    blobs: dict[str, bytes] = {}
    tars = [layer if isinstance(layer, bytes) else archive(layer) for layer in layers]
    packed = [(pack(tar, packing), f"{LAYER}+{packing}" if packing else LAYER) for tar in tars]
    described = [blob(content, media_type, blobs) for content, media_type in packed]
    document = {
        "os": "linux", "architecture": architecture, "config": config,
        "rootfs": {"type": "layers", "diff_ids": [digest(tar) for tar in tars]},
    }  # fmt: skip
    manifest = {
        "schemaVersion": 2, "mediaType": MANIFEST, "layers": described,
        "config": blob(json.dumps(document).encode(), CONFIG, blobs),
    }  # fmt: skip
    return Made(blob(json.dumps(manifest).encode(), MANIFEST, blobs), blobs)


def pack(tar: bytes, packing: str) -> bytes:
    if packing == "gzip":
        return gzip.compress(tar, mtime=0)
    if packing == "zstd":
        return subprocess.run(["zstd", "-qc"], input=tar, capture_output=True, check=True).stdout
    return tar


def index(*images: tuple[Made, str]) -> Made:
    """An index of images by architecture."""
    blobs = {name: content for made, _ in images for name, content in made.blobs.items()}
    entries = [{**made.descriptor, "platform": {"os": "linux", "architecture": a}} for made, a in images]
    document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
    return Made(blob(json.dumps(document).encode(), INDEX, blobs), blobs)


def layout(path: Path, **tagged: Made) -> Path:
    """Write an OCI layout."""
    (path / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
    (path / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    entries = []
    for tag, made in tagged.items():
        for name, content in made.blobs.items():
            (path / "blobs" / "sha256" / name.removeprefix("sha256:")).write_bytes(content)
        entries.append({**made.descriptor, "annotations": {"org.opencontainers.image.ref.name": tag}})
    (path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": entries}))
    return path


def programs(*names: str) -> list[Entry]:
    """This host's programs as /bin, with the libraries that they need: a root file system to run something in."""
    found: dict[str, Entry] = {}
    for name in names:
        program = shutil.which(name)
        assert program, name
        found[f"bin/{name}"] = Entry(f"bin/{name}", Path(program).read_bytes(), mode=0o755)
        said = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
        for library in re.findall(r"(/\S+\.so\S*)", said):
            at = library.removeprefix("/")
            found[at] = Entry(at, Path(library).read_bytes(), mode=0o755)
    return [*found.values()]


PASSWD = "root:x:0:0:root:/root:/bin/sh\napp:x:1234:5678:app:/home/app:/bin/sh\n"
GROUP = "root:x:0:\napp:x:5678:\nextra:x:77:app\n"


def runnable(*more: Entry, tools: Iterable[str] = ("sh", "cat", "id", "sleep", "stat", "ls"), **config: object) -> Made:
    """A small image in which a shell runs."""
    base = [
        directory("etc"), Entry("etc/passwd", PASSWD), Entry("etc/group", GROUP),
        directory("home/app", uid=1234, gid=5678), directory("root", 0o700), directory("tmp", 0o1777), *programs(*tools),
    ]  # fmt: skip
    return image(base, more, **config) if more else image(base, **config)
