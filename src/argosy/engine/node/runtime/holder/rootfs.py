"""The file system that a container sees, put together in its own mount namespace.

Called by the child that becomes the command, as the first thing it does. The root is a directory on disk, one per run, with
the host's /usr bound read-only, a small /etc, its own /proc, /dev, /tmp and so on. Sources are opened as detached mount
trees before pivot_root and attached after it, so that a symlink in a volume can only ever lead to somewhere inside the
container. Nothing is mounted on the host's side: all of it ends with the namespace.
"""

from __future__ import annotations

import os
import stat

from argosy.engine.node.runtime.holder import syscalls

_LIBRARY_LINKS = ("bin", "sbin", "lib", "lib64", "lib32", "libx32")
_DIRECTORIES = {
    "etc": 0o755, "proc": 0o555, "sys": 0o555, "dev": 0o755, "usr": 0o755, "tmp": 0o1777, "run": 0o755, "var": 0o755,
    "root": 0o700, "home": 0o755, "opt": 0o755, "mnt": 0o755, "srv": 0o755,
}  # fmt: skip
_VAR = {"tmp": 0o1777, "lib": 0o755, "log": 0o755, "cache": 0o755, "spool": 0o755}
_HOST_ETC = (
    "alternatives", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "ssl/certs", "ssl/openssl.cnf", "ca-certificates.conf",
    "pki/tls/certs", "pki/tls/openssl.cnf", "pki/ca-trust/extracted", "crypto-policies", "services", "protocols",
    "mime.types", "gai.conf", "fonts", "openmpi", "bash.bashrc", "profile", "terminfo", "magic", "os-release",
    "debian_version", "java-17-openjdk", "java-21-openjdk", "OpenCL", "python3", "python3.11", "python3.12", "python3.13",
)  # fmt: skip
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_READ_ONLY_PROC = ("sys", "sysrq-trigger", "irq", "bus", "fs")
_HIDDEN_PROC = ("kcore", "keys", "timer_list", "sched_debug", "kallsyms", "kmsg", "latency_stats", "acpi", "scsi")
_SAFE = syscalls.MOUNT_ATTR_NOSUID | syscalls.MOUNT_ATTR_NODEV
_QUIET = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC

Bind = tuple[str, str, bool]
"""Source on the host, target in the container, read-only."""


class Host:
    """What every container takes from this machine; looked up once by the holder."""

    def __init__(self) -> None:
        self.links: list[tuple[str, str]] = []
        self.binds: list[Bind] = [("/usr", "/usr", True)]
        for name in _LIBRARY_LINKS:
            path = f"/{name}"
            if os.path.islink(path):
                self.links.append((name, os.readlink(path)))
            elif os.path.isdir(path):
                self.binds.append((path, path, True))
        for name in _HOST_ETC:
            path = f"/etc/{name}"
            if os.path.islink(path) and os.readlink(path).lstrip("./").startswith("usr/"):
                self.links.append((f"etc/{name}", os.readlink(path)))
            elif os.path.exists(path) and os.access(path, os.R_OK):
                self.binds.append((path, path, True))
        if os.path.exists("/etc/localtime"):
            self.links.append(("etc/localtime", os.path.realpath("/etc/localtime")))
        self.devices = [name for name in _DEVICES if os.path.exists(f"/dev/{name}")]
        self.many_ids = _maps_many_ids()
        self.hidden_proc = [name for name in _HIDDEN_PROC if os.path.exists(f"/proc/{name}")] if self.many_ids else []


class Layout:
    """What one container's root is made of."""

    __slots__ = ("binds", "gid", "hostname", "own_network", "read_only", "root", "uid")

    def __init__(self, root: str, binds: list[Bind], hostname: str, *, own_network: bool) -> None:
        self.root = root
        self.binds = binds
        self.hostname = hostname
        self.own_network = own_network
        self.uid: int | None = None
        self.gid: int | None = None
        self.read_only = False


def _maps_many_ids() -> bool:
    with open("/proc/self/uid_map", encoding="ascii") as file:
        return any(int(line.split()[2]) > 1 for line in file)


def enter(host: Host, layout: Layout) -> None:
    """Build the root and move into it. The caller is in a new pid namespace, with CAP_SYS_ADMIN in its user namespace.

    Raises OSError with the path that failed.
    """
    syscalls.unshare(syscalls.CLONE_NEWNS)
    os.umask(0)
    _make_skeleton(host, layout)
    binds = host.binds + layout.binds
    trees = [_open_source(source) for source, _, _ in binds]
    root_tree = syscalls.open_tree(layout.root)
    syscalls.move_mount(root_tree, layout.root)
    os.close(root_tree)
    os.chdir(layout.root)
    syscalls.mount_setattr(".", _SAFE, recursive=False)
    _mount_kernel_file_systems(host, layout)
    syscalls.pivot_root(".", ".")
    syscalls.unmount(".")
    os.chdir("/")
    for (source, target, read_only), (tree, is_directory) in zip(binds, trees, strict=True):
        _attach(source, tree, target, is_directory=is_directory, read_only=read_only)
    if layout.read_only:
        syscalls.mount_setattr("/", syscalls.MOUNT_ATTR_RDONLY, recursive=False)
    os.umask(0o022)


def _make_skeleton(host: Host, layout: Layout) -> None:
    os.chdir(layout.root)
    for name, mode in _DIRECTORIES.items():
        _mkdir(name, mode)
    for name, mode in _VAR.items():
        _mkdir(f"var/{name}", mode)
    _symlink("../run", "var/run")
    for name, target in host.links:
        if "/" in name:
            os.makedirs(os.path.dirname(name), exist_ok=True)
        _symlink(target, name)
    uid, gid = layout.uid or 0, layout.gid or 0
    home = "/root" if not uid else "/"
    passwd = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n"
    group = "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n"
    if uid not in {0, 65534}:
        passwd += f"user:x:{uid}:{gid}:user:{home}:/bin/sh\n"
    if gid not in {0, 5, 65534}:
        group += f"user:x:{gid}:\n"
    _write("etc/passwd", passwd)
    _write("etc/group", group)
    _write("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n")
    _write("etc/hostname", f"{layout.hostname}\n")


def _mount_kernel_file_systems(host: Host, layout: Layout) -> None:
    """Before pivot_root, since the kernel lets a user namespace mount proc only while it still sees a whole one."""
    syscalls.mount("proc", "proc", "proc", _QUIET)
    for name in _READ_ONLY_PROC if host.many_ids else ("sys",):
        path = f"proc/{name}"
        if os.path.exists(path):
            tree = syscalls.open_tree(path)
            syscalls.move_mount(tree, path)
            os.close(tree)
            syscalls.mount_setattr(path, syscalls.MOUNT_ATTR_RDONLY)
    for name in host.hidden_proc:
        _hide(f"proc/{name}")
    _mount_sys(own_network=layout.own_network)
    syscalls.mount("tmpfs", "dev", "tmpfs", syscalls.MS_NOSUID, "mode=755,size=65536k")
    for name in host.devices:
        _write(f"dev/{name}", "")
        tree = syscalls.open_tree(f"/dev/{name}")
        syscalls.move_mount(tree, f"dev/{name}")
        os.close(tree)
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
    flags = _QUIET | syscalls.MS_RDONLY
    if own_network:  # sysfs belongs to the network namespace: one's own may be mounted
        try:
            syscalls.mount("sysfs", "sys", "sysfs", flags)
        except OSError:
            pass
        else:
            return
    for name in ("devices", "bus", "class", "block", "module"):
        source = f"/sys/{name}"
        if os.path.isdir(source):
            tree = syscalls.open_tree(source)
            os.mkdir(f"sys/{name}")
            syscalls.move_mount(tree, f"sys/{name}")
            os.close(tree)
            syscalls.mount_setattr(f"sys/{name}", syscalls.MOUNT_ATTR_RDONLY)


def _hide(path: str) -> None:
    try:
        if os.path.isdir(path):
            syscalls.mount("tmpfs", path, "tmpfs", _QUIET | syscalls.MS_RDONLY, "size=0k")
            return
        tree = syscalls.open_tree("/dev/null")
        syscalls.move_mount(tree, path)
        os.close(tree)
    except FileNotFoundError:  # kernels differ in what /proc has
        pass


def _open_source(source: str) -> tuple[int, bool]:
    try:
        tree = syscalls.open_tree(source)
    except OSError as error:
        raise OSError(error.errno, f"cannot bind {source}: {error.strerror}") from None
    return tree, stat.S_ISDIR(os.fstat(tree).st_mode)


def _attach(source: str, tree: int, target: str, *, is_directory: bool, read_only: bool) -> None:
    try:
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


def _mkdir(path: str, mode: int) -> None:
    try:
        os.mkdir(path, mode)
    except FileExistsError:
        pass


def _symlink(target: str, path: str) -> None:
    try:
        os.symlink(target, path)
    except FileExistsError:
        pass


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        if text:
            os.write(fd, text.encode())
    finally:
        os.close(fd)
