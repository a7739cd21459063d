"""Volumes as directories of this machine: made before a pod's containers start, kept up to date while they run.

`set_up` gives each volume of a pod its place on the host; `mounts` turns a container's volumeMounts into the runtime's
mounts. Projected files are exchanged as a whole through a `..data` symlink, as the kubelet does it, so a reader never
sees half an update. Called by `worker`; what cannot be had yet raises `Missing`.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from argosy.engine.node.environment import Sources, expand
from argosy.engine.node.projection import PROJECTED, File, TokenWanted, files_of, tokens_of
from argosy.engine.node.runtime.spec import Mount
from argosy.engine.node.sources import Missing, Reference
from argosy.meta.json import Obj, dig
from argosy.meta.objects import name_of, namespace_of

TokenSource = Callable[[Obj, TokenWanted], Awaitable[tuple[str, float]]]
"""(pod, what is wanted) -> (token, when it expires in seconds since the epoch). Raises ApiError."""

_SERVED = "emptyDir, hostPath, configMap, secret, projected, downwardAPI, image, ephemeral and persistentVolumeClaim"


class MountFailed(Missing):
    """A volume cannot be mounted; names the volume."""

    def __init__(self, volume: str, message: str, reference: Reference | None = None) -> None:
        super().__init__(f'MountVolume.SetUp failed for volume "{volume}" : {message}', reference)


@dataclass(frozen=True, slots=True)
class Volumes:
    """Where a pod's volumes lie on the host, and when their tokens want renewing."""

    paths: Mapping[str, Path]
    read_only: frozenset[str] = frozenset()
    renew_at: float | None = None
    images: frozenset[str] = frozenset()
    """Those that are the files of an image: nothing is ever written there."""


async def set_up(pod: Obj, directory: Path, memory: Path, sources: Sources, token: TokenSource) -> Volumes:
    """Make every volume of a pod: projected ones and those of medium Memory under `memory`, others under `directory`.

    Doing it again brings projected files up to date. Images are left to `with_images`, for they take a pull.
    """
    paths: dict[str, Path] = {}
    read_only: set[str] = set()
    renew_at: float | None = None
    for volume in pod["spec"].get("volumes") or ():
        name = str(volume["name"])
        if volume.get("image") is not None:
            continue
        try:
            if any(volume.get(kind) is not None for kind in PROJECTED):
                paths[name] = memory / "volumes" / name
                renewal = await _project(pod, volume, paths[name], sources, token)
                renew_at = min(filter(None, (renew_at, renewal)), default=None)
                read_only.add(name)
            else:
                in_memory = dig(volume, "emptyDir", "medium") == "Memory"
                paths[name] = _plain(pod, volume, memory if in_memory else directory, sources)
                if _is_read_only(pod, volume, sources):
                    read_only.add(name)
        except MountFailed:
            raise
        except Missing as missing:
            raise MountFailed(name, str(missing), missing.reference) from None
        except OSError as error:
            raise MountFailed(name, f"{error.strerror or error}: {error.filename or directory}") from None
    return Volumes(paths, frozenset(read_only), renew_at)


def with_images(made: Volumes, images: Mapping[str, Path]) -> Volumes:
    """The volumes together with those that are images, by name."""
    names = frozenset(images)
    return Volumes({**made.paths, **images}, made.read_only | names, made.renew_at, names)


def mounts(container: Obj, volumes: Volumes, env: Mapping[str, str], *, kept: Path | None = None) -> tuple[Mount, ...]:
    """A container's volumeMounts as the runtime takes them, in their order. Raises Missing.

    Projected files below a subPath do not follow what they come from. A mount holds on to them by itself; where nothing
    can be mounted (L0) they are kept under `kept`, on the file system of the volumes.
    """
    found = []
    for mount in container.get("volumeMounts") or ():
        name = str(mount["name"])
        if name not in volumes.paths:
            raise Missing(f'volume mount "{name}" names no volume of the pod')
        source = volumes.paths[name]
        sub_path = str(mount.get("subPath") or expand(str(mount.get("subPathExpr") or ""), env))
        if sub_path:
            within = _within(source, sub_path, name, make=name not in volumes.images)
            if kept is not None and (source / "..data").is_symlink():
                within = _keep(within, kept / str(container["name"]) / name / sub_path)
            source = within
        read_only = bool(mount.get("readOnly")) or name in volumes.read_only
        found.append(Mount(source, str(mount["mountPath"]), read_only))
    return tuple(found)


def _within(volume: Path, sub_path: str, name: str, *, make: bool) -> Path:
    """A subPath, made when it is missing and may be; never outside its volume, whatever links lie in it."""
    wanted = volume / sub_path
    if sub_path.startswith("/") or ".." in sub_path.split("/"):
        raise Missing(
            f'subPath "{sub_path}" of volume "{name}" leads out of the volume; use a relative path without ..'
        )
    root = volume.resolve()
    existing = wanted
    while not existing.exists() and existing != volume:
        existing = existing.parent
    if not existing.resolve().is_relative_to(root):
        raise Missing(
            f'subPath "{sub_path}" of volume "{name}" leads out of the volume through a link; remove the link'
        )
    if not wanted.exists() and not make:
        raise Missing(f'the image of volume "{name}" has no "{sub_path}"')
    if not wanted.exists():
        wanted.mkdir(parents=True, exist_ok=True)
        wanted.chmod(stat.S_IMODE(volume.stat().st_mode))
    return wanted.resolve()


def _keep(source: Path, target: Path) -> Path:
    """Files under a second name, which they have when their volume has gone on to others. What was there is replaced."""
    if target.is_dir():
        shutil.rmtree(target)
    target.unlink(missing_ok=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, copy_function=os.link)
    else:
        os.link(source, target)
    return target


async def _project(pod: Obj, volume: Obj, target: Path, sources: Sources, token: TokenSource) -> float | None:
    tokens: dict[TokenWanted, str] = {}
    renew_at: float | None = None
    for wanted in tokens_of(volume):
        text, expires_at = await token(pod, wanted)
        tokens[wanted] = text
        renewal = expires_at - 0.2 * wanted.expiration_seconds
        renew_at = renewal if renew_at is None else min(renew_at, renewal)
    write_files(target, files_of(pod, volume, sources, tokens), group=_group_of(pod))
    return renew_at


def write_files(target: Path, files: Mapping[str, File], *, group: int | None = None) -> bool:
    """Make a directory hold exactly these files, all at once, readable by a group. Returns whether anything changed."""
    place = str(target)  # plain text from here: every pod comes by, and a Path costs more than its file
    try:
        old = str(os.readlink(f"{place}/..data"))  # noqa: PTH115
    except OSError:
        old = ""
    if old and _same(target / old, files):
        return False
    fresh = f"..data_{int(old.rpartition('_')[2]) + 1 if old else 0}"
    try:
        os.makedirs(f"{place}/{fresh}")  # noqa: PTH103
    except FileExistsError:  # left by an interrupted attempt
        shutil.rmtree(f"{place}/{fresh}")
        os.mkdir(f"{place}/{fresh}")  # noqa: PTH102
    for path, file in files.items():
        _write_file(f"{place}/{fresh}/{path}", file, group)
    if old:
        (target / "..data_tmp").unlink(missing_ok=True)
        os.symlink(fresh, f"{place}/..data_tmp")  # noqa: PTH211
        (target / "..data_tmp").replace(target / "..data")
    else:
        os.symlink(fresh, f"{place}/..data")  # noqa: PTH211
    _link_names(place, {path.split("/", 1)[0] for path in files})
    if old:
        shutil.rmtree(f"{place}/{old}", ignore_errors=True)
    return True


def _write_file(place: str, file: File, group: int | None) -> None:
    try:
        descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, file.mode)
    except FileNotFoundError:
        Path(place).parent.mkdir(parents=True)
        descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, file.mode)
    try:
        os.write(descriptor, file.content)
        mode = file.mode
        if group is not None:
            with suppress(OSError):  # of an engine with a single user, whose files are the pod's own
                os.fchown(descriptor, -1, group)
                mode |= 0o440
        os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


def _same(directory: Path, files: Mapping[str, File]) -> bool:
    try:
        there = {str(p.relative_to(directory)) for p in directory.rglob("*") if not p.is_dir()}
        return there == set(files) and all((directory / p).read_bytes() == f.content for p, f in files.items())
    except OSError:
        return False


def _link_names(place: str, names: set[str]) -> None:
    there = {entry.name for entry in os.scandir(place) if not entry.name.startswith("..")}
    for name in there - names:
        os.unlink(f"{place}/{name}")  # noqa: PTH108
    for name in names - there:
        os.symlink(f"..data/{name}", f"{place}/{name}")  # noqa: PTH211


def _plain(pod: Obj, volume: Obj, directory: Path, sources: Sources) -> Path:
    name = str(volume["name"])
    if volume.get("emptyDir") is not None:
        medium = str(volume["emptyDir"].get("medium") or "")
        if medium not in {"", "Memory"}:
            raise Missing(f"the medium {medium} of an emptyDir is not served here; use Memory, or none")
        path = directory / "volumes" / name
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o777)
        _give_group(pod, path)
        return path
    if volume.get("hostPath") is not None:
        return host_path(str(volume["hostPath"].get("path")), str(volume["hostPath"].get("type") or ""))
    if volume.get("persistentVolumeClaim") is not None:
        return _claim(pod, str(volume["persistentVolumeClaim"].get("claimName")), sources)
    if volume.get("ephemeral") is not None:
        return _claim(pod, f"{name_of(pod)}-{name}", sources)
    kinds = [key for key in volume if key != "name"]
    raise Missing(f"volumes of the kind {' '.join(kinds) or '(none)'} are not served here; use one of {_SERVED}")


def host_path(path: str, type: str) -> Path:
    """A hostPath, made or checked as its type says. Raises Missing."""
    place = Path(path)
    if type == "DirectoryOrCreate":
        place.mkdir(parents=True, exist_ok=True, mode=0o755)
    elif type == "FileOrCreate" and not place.exists():
        place.touch(mode=0o644)
    checks: dict[str, Callable[[], bool]] = {
        "DirectoryOrCreate": place.is_dir,
        "Directory": place.is_dir,
        "FileOrCreate": place.is_file,
        "File": place.is_file,
        "Socket": place.is_socket,
        "CharDevice": place.is_char_device,
        "BlockDevice": place.is_block_device,
    }
    if type in checks and not checks[type]():
        raise Missing(f"hostPath type check failed: {path} is not a {type}")
    if not type and not place.exists():
        # The kubelet leaves this to the container runtime, which makes a directory.
        place.mkdir(parents=True, exist_ok=True, mode=0o755)
    return place


def _claim(pod: Obj, claim_name: str, sources: Sources) -> Path:
    reference = Reference("persistentvolumeclaims", namespace_of(pod), claim_name)
    claim = sources.lookup(reference)
    if claim is None:
        raise Missing(f'persistentvolumeclaim "{claim_name}" not found', reference)
    volume_name = str(dig(claim, "spec", "volumeName", default=""))
    if not volume_name or dig(claim, "status", "phase") != "Bound":
        raise Missing(f'persistentvolumeclaim "{claim_name}" is not bound to a volume yet', reference)
    volume_reference = Reference("persistentvolumes", "", volume_name)
    volume = sources.lookup(volume_reference)
    if volume is None:
        raise Missing(f'persistentvolume "{volume_name}" not found', volume_reference)
    spec = volume["spec"]
    source = spec.get("hostPath") or spec.get("local")
    if source is None:
        raise Missing(f'persistentvolume "{volume_name}" is neither hostPath nor local, and only these are served here')
    if spec.get("local") and not Path(str(source.get("path"))).exists():
        raise Missing(f'the path "{source.get("path")}" of the local volume "{volume_name}" does not exist; make it')
    path = host_path(
        str(source.get("path")), str(source.get("type") or ("" if "local" in spec else "DirectoryOrCreate"))
    )
    _give_group(pod, path)
    return path


def _is_read_only(pod: Obj, volume: Obj, sources: Sources) -> bool:
    """A claim that says so where it is used, or that has been made for reading alone."""
    source = volume.get("persistentVolumeClaim")
    if source is None:
        return False
    claim = sources.lookup(Reference("persistentvolumeclaims", namespace_of(pod), str(source.get("claimName"))))
    return bool(source.get("readOnly")) or dig(claim, "spec", "accessModes", default=[]) == ["ReadOnlyMany"]


def _give_group(pod: Obj, path: Path) -> None:
    """Give the volume to `fsGroup`, where we may."""
    group = _group_of(pod)
    if group is not None:
        with suppress(OSError):
            os.chown(path, -1, group)
            path.chmod(0o2777)


def _group_of(pod: Obj) -> int | None:
    group = dig(pod, "spec", "securityContext", "fsGroup")
    return None if group is None else int(group)
