"""The file system that a container sees, put together in its own mount namespace.

Called by the child that becomes the command, as the first thing it does. The root is the holder's skeleton with a writable
layer of the run's own on top (overlayfs; a copy where the kernel has none for us), the host's /usr bound read-only, and
its own /proc, /dev and /sys. Where an image is itself, its root file system takes the place of skeleton and /usr. Sources are opened as detached mount trees before pivot_root and attached after it, so that a
symlink in a volume can only ever lead to somewhere inside the container. Nothing is mounted on the host's side: all of it
ends with the namespace.
"""

from __future__ import annotations

import errno
import os
import stat

from argosy.engine.node.runtime.holder import confine, skeleton, syscalls

_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_READ_ONLY_PROC = ("sys", "sysrq-trigger", "irq", "bus", "fs")
_HIDDEN_PROC = ("kcore", "keys", "timer_list", "sched_debug", "kallsyms", "kmsg", "latency_stats", "acpi", "scsi")
_SAFE = syscalls.MOUNT_ATTR_NOSUID | syscalls.MOUNT_ATTR_NODEV
_QUIET = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC
PIDS_MIN = 301
"""The least that the kernel takes."""
_NO_OVERLAY = (errno.EPERM, errno.EINVAL, errno.ENODEV, errno.EOPNOTSUPP, errno.EACCES)


class Host:
    """What every container takes from this machine; made once by the holder."""

    def __init__(self, layer: str, *, whole: bool = True) -> None:
        self.layer = layer
        self.binds = skeleton.build(layer, whole=whole)
        self.devices = [name for name in _DEVICES if os.path.exists(f"/dev/{name}")]
        self.many_ids = maps_many_ids()
        self.own_pid_max = own_pid_max()
        # Only root's containers hold uid 0 of the host, whose files in /proc need no capability to be written.
        self.read_only_proc = [n for n in _READ_ONLY_PROC if n == "sys" or (self.many_ids and _there(f"/proc/{n}"))]
        self.hidden_proc = [n for n in _HIDDEN_PROC if self.many_ids and _there(f"/proc/{n}")]


class Layout:
    """What one container's root is made of."""

    __slots__ = ("binds", "gid", "host_pids", "image", "own_network", "pids", "read_only", "root", "uid")

    def __init__(self, root: str, binds: list[skeleton.Bind], *, own_network: bool) -> None:
        self.root = root
        self.binds = binds
        self.own_network = own_network
        self.uid: int | None = None
        self.gid: int | None = None
        self.read_only = False
        self.pids = 0
        self.host_pids = False  # to see the host's processes
        self.image = ""  # the root file system of an image that is itself


def own_pid_max() -> bool:
    """Whether a pid namespace has a limit of its own (Linux 6.14); before that, setting it would change the machine's."""
    version = [int("".join(filter(str.isdigit, part)) or 0) for part in os.uname().release.split(".")[:2]]
    return version >= [6, 14]


def maps_many_ids() -> bool:
    """Whether more than one user exists in this user namespace (the engine was started by root)."""
    with open("/proc/self/uid_map", encoding="ascii") as file:
        return any(int(line.split()[2]) > 1 for line in file)


def _there(path: str) -> bool:
    return os.path.exists(path)


def enter(host: Host, layout: Layout) -> None:
    """Build the root and move into it. The caller is in a new pid namespace, with CAP_SYS_ADMIN in its user namespace.

    Raises OSError with the path that failed.
    """
    syscalls.unshare(syscalls.CLONE_NEWNS)
    os.umask(0o022)
    own = [] if layout.image else host.binds
    binds = own + layout.binds
    trees = [_open_source(source) for source, _, _ in binds]
    wanting = _wanting(binds, trees, len(own))
    _mount_layers(layout.image or host.layer, layout)
    _mount_kernel_file_systems(host, layout)
    syscalls.pivot_root(".", ".")
    syscalls.unmount(".")
    os.chdir("/")
    if layout.image and os.path.isdir("/etc"):
        skeleton.write_new("/etc/hostname", f"{os.uname().nodename}\n")
    for (source, target, read_only), (tree, is_directory) in zip(binds, trees, strict=True):
        _attach(source, tree, target, is_directory=is_directory, read_only=read_only)
        if target in wanting:
            _make_room(target, wanting[target])
    if layout.read_only:
        syscalls.mount_setattr("/", syscalls.MOUNT_ATTR_RDONLY, recursive=False)


def _wanting(binds: list[skeleton.Bind], trees: list[tuple[int, bool]], own: int) -> dict[str, list[tuple[str, bool]]]:
    """Places to mount at that lie within the host's read-only directories (the first `own` binds) and are not there.

    By directory: each path within it, and whether a directory is to be mounted there.
    """
    found: dict[str, list[tuple[str, bool]]] = {}
    for (_, target, _), (_, is_directory) in zip(binds[own:], trees[own:], strict=True):
        if os.path.exists(target):
            continue
        real = os.path.realpath(target)
        for _, base, _ in binds[:own]:
            if real.startswith(f"{base}/"):
                found.setdefault(base, []).append((real[len(base) + 1 :], is_directory))
    return found


def _make_room(base: str, places: list[tuple[str, bool]]) -> None:
    """Lay a layer that holds nothing but mount points over a read-only directory, so `/usr/share/x` can be one."""
    syscalls.mount("tmpfs", "/tmp", "tmpfs", _QUIET, "mode=755")
    for path, is_directory in places:
        os.makedirs(f"/tmp/{path if is_directory else os.path.dirname(path)}", exist_ok=True)
        if not is_directory:
            skeleton.write(f"/tmp/{path}", "")
    try:
        syscalls.mount("overlay", base, "overlay", syscalls.MS_RDONLY | syscalls.MS_NODEV, f"lowerdir=/tmp:{base}")
    except OSError as error:
        if error.errno not in _NO_OVERLAY:
            raise
    syscalls.unmount("/tmp")


def _mount_layers(layer: str, layout: Layout) -> None:
    """Mount the container's root over the run's directory, its writable layer, and make it the working directory."""
    root = layout.root
    work = f"{root}.work"
    os.mkdir(work, 0o700)
    if layout.image:  # what an overlay's root looks like is said by the layer on top
        looks = os.stat(layer)
        os.chown(root, looks.st_uid, looks.st_gid)
        os.chmod(root, looks.st_mode & 0o7777)
    os.chdir(root)
    # Through descriptors, since a path may hold the commas and colons that separate options.
    lower, upper, scratch = (os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) for path in (layer, root, work))
    options = f"lowerdir=/proc/self/fd/{lower},upperdir=/proc/self/fd/{upper},workdir=/proc/self/fd/{scratch}"
    try:
        syscalls.mount("overlay", root, "overlay", 0, f"{options},userxattr,volatile")
    except OSError as error:
        if error.errno not in _NO_OVERLAY:
            raise
        skeleton.copy_layer(layer, root)
        _bind(root, root, 0)
    for fd in (upper, scratch):
        os.close(fd)
    os.close(lower)
    os.chdir(layout.root)
    syscalls.mount_setattr(".", _SAFE, recursive=False)
    if layout.image:
        _make_mount_points()
    elif layout.uid not in {None, 0, 65534} or layout.gid not in {None, 0, 5, 65534}:
        uid, gid = layout.uid or 0, layout.gid or 0
        skeleton.write("etc/passwd", f"{skeleton.PASSWD}user:x:{uid}:{gid}:user:/:/bin/sh\n")
        skeleton.write("etc/group", f"{skeleton.GROUP}user:x:{gid}:\n")


def _make_mount_points() -> None:
    """Whatever an image has in the place of these directories must not lead the mounts elsewhere."""
    for name in ("proc", "sys", "dev"):
        try:
            found = os.lstat(name)
        except FileNotFoundError:
            os.mkdir(name, 0o755)
            continue
        if not stat.S_ISDIR(found.st_mode):
            raise OSError(errno.ENOTDIR, f"the image's /{name} is no directory, so nothing can be mounted there")


def _mount_kernel_file_systems(host: Host, layout: Layout) -> None:
    """Before pivot_root, since the kernel lets a user namespace mount proc only while it still sees a whole one."""
    if layout.host_pids:
        _bind("/proc", "proc", _SAFE)
    else:
        syscalls.mount("proc", "proc", "proc", _QUIET)
    if layout.pids and host.own_pid_max and not layout.host_pids:
        confine.write_text("proc/sys/kernel/pid_max", str(max(layout.pids, PIDS_MIN)))
    for name in host.read_only_proc:
        _bind(f"proc/{name}", f"proc/{name}", syscalls.MOUNT_ATTR_RDONLY)
    for name in host.hidden_proc:
        _hide(f"proc/{name}")
    _mount_sys(own_network=layout.own_network)
    syscalls.mount("tmpfs", "dev", "tmpfs", syscalls.MS_NOSUID, "mode=755,size=65536k")
    for name in host.devices:
        skeleton.write(f"dev/{name}", "")
        _bind(f"/dev/{name}", f"dev/{name}", 0)
    for name, target in (("fd", "fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        os.symlink(f"/proc/self/{target}", f"dev/{name}")
    os.mkdir("dev/shm")
    syscalls.mount("tmpfs", "dev/shm", "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=1777")
    os.mkdir("dev/pts")
    try:
        syscalls.mount("devpts", "dev/pts", "devpts", syscalls.MS_NOSUID, "newinstance,ptmxmode=0666,mode=620")
        os.symlink("pts/ptmx", "dev/ptmx")
    except OSError:  # kernels without it still run everything that needs no terminal
        pass
    os.mkdir("dev/mqueue")
    try:
        syscalls.mount("mqueue", "dev/mqueue", "mqueue", _QUIET)
    except OSError:
        pass


def _mount_sys(*, own_network: bool) -> None:
    if own_network:  # sysfs belongs to the network namespace: one's own may be mounted
        try:
            syscalls.mount("sysfs", "sys", "sysfs", _QUIET | syscalls.MS_RDONLY)
        except OSError:
            pass
        else:
            return
    syscalls.mount("tmpfs", "sys", "tmpfs", _QUIET, "mode=755,size=4k")
    for name in ("devices", "bus", "class", "block", "module"):
        if os.path.isdir(f"/sys/{name}"):
            os.mkdir(f"sys/{name}")
            _bind(f"/sys/{name}", f"sys/{name}", 0)
    syscalls.mount_setattr("sys", syscalls.MOUNT_ATTR_RDONLY)


def _bind(source: str, target: str, attributes: int) -> None:
    tree = syscalls.open_tree(source)
    try:
        syscalls.move_mount(tree, target)
    finally:
        os.close(tree)
    if attributes:
        syscalls.mount_setattr(target, attributes)


def _hide(path: str) -> None:
    try:
        if os.path.isdir(path):
            syscalls.mount("tmpfs", path, "tmpfs", _QUIET | syscalls.MS_RDONLY, "size=0k")
        else:
            _bind("/dev/null", path, 0)
    except FileNotFoundError:  # the container's /proc may have less in it than the host's
        pass


def _open_source(source: str) -> tuple[int, bool]:
    try:
        tree = syscalls.open_tree(source)
    except OSError as error:
        raise OSError(error.errno, f"cannot bind {source}: {error.strerror}") from None
    return tree, stat.S_ISDIR(os.fstat(tree).st_mode)


def _attach(source: str, tree: int, target: str, *, is_directory: bool, read_only: bool) -> None:
    try:
        target = os.path.realpath(target)  # an image may have a symlink there that leads nowhere yet
        if is_directory:
            os.makedirs(target, exist_ok=True)
        elif not os.path.exists(target):
            os.makedirs(os.path.dirname(target), exist_ok=True)
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
        syscalls.move_mount(tree, target)
        # Devices stay usable when one is asked for by name (a GPU); directories never carry any.
        safe = _SAFE if is_directory else syscalls.MOUNT_ATTR_NOSUID
        syscalls.mount_setattr(target, safe | (syscalls.MOUNT_ATTR_RDONLY if read_only else 0))
    except OSError as error:
        raise OSError(error.errno, f"cannot mount {source} at {target}: {error.strerror}") from None
    finally:
        os.close(tree)
