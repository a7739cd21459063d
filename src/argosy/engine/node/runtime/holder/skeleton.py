"""The lowest layer of every container's root: empty directories, a small /etc, the symlinks of a merged /usr.

Built once per holder, in the holder's run directory, and laid under each container's writable layer by overlayfs (`rootfs`);
per container nothing of it is created anew, which is most of what makes a start fast. Programs and libraries are not in
here: they are the host's /usr, bound read-only.
"""

from __future__ import annotations

import os
import stat

_DIRECTORIES = {
    "etc": 0o755, "proc": 0o555, "sys": 0o555, "dev": 0o755, "usr": 0o755, "tmp": 0o1777, "run": 0o755, "var": 0o755,
    "root": 0o711, "home": 0o755, "opt": 0o755, "mnt": 0o755, "srv": 0o755, "media": 0o755,
    "var/tmp": 0o1777, "var/lib": 0o755, "var/log": 0o755, "var/cache": 0o755, "var/spool": 0o755,
    "run/secrets": 0o755, "run/secrets/kubernetes.io": 0o755, "run/secrets/kubernetes.io/serviceaccount": 0o755,
}  # fmt: skip
"""With the place where nearly every pod has its token: what has to be made for one container costs more than all of this.
An interpreter that lies in root's home here is for every user of a pod, so /root can be walked through.
"""
_LIBRARY_LINKS = ("bin", "sbin", "lib", "lib64", "lib32", "libx32")
_COPIED_ETC = (
    "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "ssl/openssl.cnf", "ca-certificates.conf", "pki/tls/openssl.cnf",
    "services", "protocols", "mime.types", "gai.conf", "fonts", "openmpi", "bash.bashrc", "os-release",
    "debian_version", "redhat-release", "OpenCL", "vulkan", "python3", "inputrc", "shells",
)  # fmt: skip
_BOUND_ETC = ("ssl/certs", "pki/tls/certs", "pki/ca-trust/extracted", "alternatives", "crypto-policies")
_FILE_MAX = 4 * 1024 * 1024
PROFILE = 'export PATH="${PATH:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin}"\n'
"""/etc/profile: a login shell, which many images are started through, keeps the path to the image's programs."""
PASSWD = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n"
GROUP = "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n"

Bind = tuple[str, str, bool]
"""Source on the host, target in the container, read-only."""


def build(directory: str, *, whole: bool = True) -> list[Bind]:
    """Make the layer in an empty or absent directory; returns what has to be bound over it. Raises OSError.

    Without `whole` the small files of /etc are left out, for a trial.
    """
    os.makedirs(directory, exist_ok=True)
    for name, mode in _DIRECTORIES.items():
        os.mkdir(f"{directory}/{name}")
        os.chmod(f"{directory}/{name}", mode)
    binds: list[Bind] = [("/usr", "/usr", True)]
    for name in _LIBRARY_LINKS:
        path = f"/{name}"
        if os.path.islink(path):
            os.symlink(os.readlink(path), f"{directory}/{name}")
        elif os.path.isdir(path):
            os.mkdir(f"{directory}/{name}")
            binds.append((path, path, True))
    for name in _COPIED_ETC if whole else ():
        _copy(f"/etc/{name}", f"{directory}/etc/{name}")
    for name in _BOUND_ETC:
        path = f"/etc/{name}"
        if os.path.isdir(path) and os.access(path, os.R_OK | os.X_OK):
            os.makedirs(f"{directory}/etc/{name}", exist_ok=True)
            binds.append((path, path, True))
    os.symlink("../run", f"{directory}/var/run")
    os.symlink("/proc/mounts", f"{directory}/etc/mtab")
    os.symlink("/proc/sys/kernel/hostname", f"{directory}/etc/hostname")  # so says whichever pod looks
    if os.path.exists("/etc/localtime"):
        os.symlink(os.path.realpath("/etc/localtime"), f"{directory}/etc/localtime")
    write(f"{directory}/etc/passwd", PASSWD)
    write(f"{directory}/etc/group", GROUP)
    write(f"{directory}/etc/profile", PROFILE)
    write(f"{directory}/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n")
    write(f"{directory}/etc/host.conf", "multi on\n")  # else glibc gives one address a name of the hosts file
    for name in ("hosts", "resolv.conf"):
        write(f"{directory}/etc/{name}", "")
    return binds


def _copy(source: str, target: str) -> None:
    """Copy a file, a symlink into /usr or a small directory; what may not be read is left out."""
    try:
        if os.path.islink(source) and "usr/" in os.readlink(source):
            os.makedirs(os.path.dirname(target), exist_ok=True)
            os.symlink(os.readlink(source), target)
        elif os.path.isdir(source):
            os.makedirs(target, exist_ok=True)
            for name in os.listdir(source):
                _copy(f"{source}/{name}", f"{target}/{name}")
        elif os.path.isfile(source) and os.path.getsize(source) <= _FILE_MAX:
            with open(source, "rb") as file:
                content = file.read()
            os.makedirs(os.path.dirname(target), exist_ok=True)
            write(target, content)
    except PermissionError:
        pass


def copy_layer(source: str, target: str) -> None:
    """The whole layer again, for a root that cannot be an overlay. Owners and modes are kept."""
    for entry in os.scandir(source):
        there, looks = f"{target}/{entry.name}", entry.stat(follow_symlinks=False)
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), there)
        elif entry.is_dir():
            os.mkdir(there)
            copy_layer(entry.path, there)
        elif stat.S_ISFIFO(looks.st_mode):
            os.mkfifo(there)
        else:
            _copy_content(entry.path, there)
        if (looks.st_uid, looks.st_gid) != (os.geteuid(), os.getegid()):
            os.chown(there, looks.st_uid, looks.st_gid, follow_symlinks=False)
        if not entry.is_symlink():
            os.chmod(there, looks.st_mode & 0o7777)


def _copy_content(source: str, target: str) -> None:
    with open(source, "rb", buffering=0) as file, open(target, "wb", buffering=0) as copy:
        while os.sendfile(copy.fileno(), file.fileno(), None, 1 << 24):
            pass


def write(path: str, content: str | bytes) -> None:
    """Write a file of mode 0644."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        if content:
            os.write(fd, content.encode() if isinstance(content, str) else content)
    finally:
        os.close(fd)


def write_new(path: str, content: str) -> None:
    """Write a file in the place of whatever is there, without following it."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError:  # a directory, or something that is not ours to replace
        return
    write(path, content)
