"""The last steps before exec: identity, limits, no new privileges, no capabilities, the system call filter.

Called in the child that becomes a container's command, for the first process and for `exec` alike, so that both are
confined in exactly the same way. Raises OSError; the caller must not go on then.
"""

from __future__ import annotations

import os
import resource
import signal

from argosy.engine.node.runtime.holder import landlock, seccomp, syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from argosy.engine.node.runtime.holder.order import Confinement

CAPABILITIES = {
    "CHOWN": 0, "DAC_OVERRIDE": 1, "FOWNER": 3, "FSETID": 4, "KILL": 5, "SETGID": 6, "SETUID": 7, "SETPCAP": 8,
    "NET_BIND_SERVICE": 10, "NET_ADMIN": 12, "NET_RAW": 13, "IPC_LOCK": 14, "SYS_CHROOT": 18, "SYS_NICE": 23,
}  # fmt: skip
"""Capabilities that a container may be given: those that stay within its namespaces. SYS_ADMIN, SYS_PTRACE and the like
would reach the supervisor or the mounts and are never granted."""

DESCRIPTORS_MAX = 1 << 20  # programs that close every descriptor there may be would never end with more
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def reset_signals() -> None:
    """Give the command the dispositions it expects: Python ignores two signals, the holder a third."""
    signal.set_wakeup_fd(-1)
    for number in (
        signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT,
        signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH,
    ):  # fmt: skip
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def capability_set(names: list[str]) -> int:
    """Names as Kubernetes writes them, as a bit set; those that are never granted are left out."""
    bits = 0
    for name in names:
        number = CAPABILITIES.get(name.upper().removeprefix("CAP_"))
        if name.upper() == "ALL":
            for each in CAPABILITIES.values():
                bits |= 1 << each
        elif number is not None:
            bits |= 1 << number
    return bits


def become(uid: int | None, gid: int | None, groups: Sequence[int], *, many_ids: bool) -> None:
    """Take on a user and groups. Where only one id is mapped (an ordinary user's engine) a nested user namespace renames it."""
    if many_ids:
        os.setgroups(groups)
        syscalls.prctl(syscalls.PR_SET_KEEPCAPS, 1)  # drop_privileges still needs one
        if gid is not None or uid is not None:
            os.setresgid(gid or 0, gid or 0, gid or 0)
        if uid is not None:
            os.setresuid(uid, uid, uid)
        return
    if not uid and not gid:
        return
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    syscalls.unshare(syscalls.CLONE_NEWUSER)
    write_id_maps("/proc/self", f"{uid or 0} {outer_uid} 1", f"{gid or 0} {outer_gid} 1")


def write_id_maps(process: str, uids: str, gids: str, *, deny_setgroups: bool = True) -> None:
    """Fill in a new user namespace's id maps."""
    if deny_setgroups:
        write_text(f"{process}/setgroups", "deny")
    write_text(f"{process}/uid_map", uids)
    write_text(f"{process}/gid_map", gids)


def write_text(path: str, text: str) -> None:
    """Write a kernel file in one write(2)."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def limit(how: Confinement) -> None:
    """Enter the control groups, narrow the CPUs, and offer oneself to the kernel when memory runs out."""
    for path in how["cgroups"]:
        write_text(path, "0")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    bounded = DESCRIPTORS_MAX if most == resource.RLIM_INFINITY else min(most, DESCRIPTORS_MAX)
    resource.setrlimit(resource.RLIMIT_NOFILE, (bounded, most))
    if how["cpus"]:
        os.sched_setaffinity(0, how["cpus"])
    try:
        write_text("/proc/self/oom_score_adj", "500")  # the kernel should take a pod before the engine
    except OSError:
        pass


def become_command(argv: list[str], how: Confinement, *, many_ids: bool, processes_are_apart: bool) -> NoReturn:
    """Take on the user, go to the working directory, give up every privilege, execute. Raises OSError."""
    os.umask(0o022)
    become(how["uid"], how["gid"], how.get("groups", ()), many_ids=many_ids)
    try:
        os.chdir(how["cwd"])
    except OSError as error:
        raise OSError(error.errno, f"working directory {how['cwd']}: {error.strerror}") from None
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    landlock.restrict(how["rules"], how["scope"])
    # Below the one user of a pod stands no other; without namespaces the user is not root, and no program expects to be.
    one_user = processes_are_apart and not many_ids
    drop_privileges(capability_set(how["capabilities"]), processes_are_apart=processes_are_apart, one_user=one_user)
    execute(argv, how["env"])


def drop_privileges(keep: int, *, processes_are_apart: bool, one_user: bool) -> None:
    """No capabilities but `keep`, and the filter; no_new_privs is set. Nothing privileged can be done after this."""
    setpcap = 1 << CAPABILITIES["SETPCAP"]
    try:
        syscalls.set_capabilities(setpcap, setpcap | keep, keep)
        syscalls.drop_bounding(keep)
    except PermissionError:  # an ordinary user without namespaces (L0) has no capabilities to lose
        keep = 0
    syscalls.prctl(syscalls.PR_CAP_AMBIENT, syscalls.PR_CAP_AMBIENT_CLEAR_ALL)
    syscalls.set_capabilities(keep, keep, keep)
    for capability in range(syscalls.LAST_CAPABILITY + 1):
        if keep >> capability & 1:
            syscalls.prctl(syscalls.PR_CAP_AMBIENT, syscalls.PR_CAP_AMBIENT_RAISE, capability)
    program = seccomp.program(syscalls.MACHINE, processes_are_apart=processes_are_apart, one_user=one_user)
    if program:
        syscalls.install_filter(program)


def execute(argv: list[str], env: dict[str, str]) -> NoReturn:
    """Replace the process. Returns never; raises OSError with a sentence that names the program."""
    program = argv[0]
    if "/" in program:
        candidates = [program]
    else:
        candidates = [f"{directory or '.'}/{program}" for directory in env.get("PATH", DEFAULT_PATH).split(":")]
    found: OSError | None = None
    for candidate in candidates:
        try:
            os.execve(candidate, argv, env)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            found = found or error
    if found is not None:
        raise OSError(found.errno, f'exec: "{program}": {(found.strerror or "failed").lower()}')
    where = "no such file or directory" if "/" in program else "executable file not found in $PATH"
    raise OSError(2, f'exec: "{program}": {where}')


def explain(error: BaseException) -> bytes:
    """What to tell about a command that could not be started."""
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    else:
        text = f"{type(error).__name__}: {error}"
    return text.encode(errors="replace")
