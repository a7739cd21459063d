"""Attempts to get out of a container. Each is made by a program inside; the test says what must have come of it."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from pathlib import Path

import pytest

from argosy.engine.node.runtime.holder import landlock
from argosy.engine.node.runtime.spec import Level, Mount

PRELUDE = """
import ctypes, errno, json, os, socket, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
results = {}

def attempt(name, work):
    try:
        value = work()
        results[name] = "done" if value is None else str(value)
    except OSError as error:
        results[name] = errno.errorcode.get(error.errno, str(error.errno))

def call(number, *arguments):
    ctypes.set_errno(0)
    if libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]) < 0:
        raise OSError(ctypes.get_errno(), "")

def libc_call(function, *arguments):
    ctypes.set_errno(0)
    if getattr(libc, function)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), "")

def append(path):
    with open(path, "ab") as file:
        file.write(b"0")

def connect(family, address):
    with socket.socket(family) as attempted:
        attempted.settimeout(2)
        attempted.connect(address)
"""

KERNEL = """
attempt("mount", lambda: libc_call("mount", b"none", b"/tmp", b"tmpfs", 0, None))
attempt("umount", lambda: libc_call("umount2", b"/proc", 2))
attempt("unshare user", lambda: libc_call("unshare", 0x10000000))
attempt("unshare mount", lambda: libc_call("unshare", 0x20000))
attempt("setns", lambda: libc_call("setns", os.open("/proc/self/ns/net", os.O_RDONLY), 0))
attempt("chroot", lambda: os.chroot("/tmp"))
attempt("mknod", lambda: os.mknod("/tmp/disk", 0o60600, os.makedev(8, 0)))
attempt("raw socket", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))
attempt("packet socket", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
attempt("vsock", lambda: socket.socket(40, socket.SOCK_STREAM))
attempt("setuid", lambda: os.setuid(12345))
attempt("kernel log", lambda: libc_call("klogctl", 3, ctypes.create_string_buffer(10), 10))
attempt("reboot", lambda: libc_call("reboot", 0))
attempt("hostname", lambda: socket.sethostname("x"))
if os.uname().machine == "x86_64":
    attempt("clone3", lambda: call(435, None, 0))
    attempt("bpf", lambda: call(321, 0, None, 0))
    attempt("keyctl", lambda: call(250, 0, 0))
    attempt("io_uring", lambda: call(425, 1, None))
    attempt("open_by_handle_at", lambda: call(304, 0, None, 0))
    attempt("x32", lambda: call(0x40000000 | 39))
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb"):
    results[name] = str(int(status[name], 16))
results["NoNewPrivs"] = status["NoNewPrivs"].strip()
print(json.dumps(results))
"""


def tried(bench, program: str, *arguments: str, pod=None, **changes: object) -> dict[str, str]:
    pod = pod or bench.pod()
    spec = bench.python(pod, PRELUDE + program, *arguments, **changes)
    return json.loads(bench.run(lambda runtime: bench.play(runtime, spec)))


def test_the_kernel_refuses(bench):
    results = tried(bench, KERNEL)
    absent = {"clone3", "bpf", "io_uring", "x32"}
    for name in ("mount", "umount", "unshare user", "unshare mount", "setns", "chroot", "raw socket"):
        assert results.pop(name) == "EPERM", name
    assert results.pop("mknod") in {"EPERM", "EACCES"}
    assert results.pop("packet socket") == "EPERM"
    assert results.pop("vsock") == "EAFNOSUPPORT"
    for name in absent & results.keys():
        assert results.pop(name) == "ENOSYS", name
    assert results.pop("NoNewPrivs") == "1"
    if bench.level is Level.L0 and os.geteuid() != 0:
        results.pop("CapBnd")  # an ordinary user cannot empty it, and has nothing to gain from it
    for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert results.pop(name, "0") == "0", name
    assert set(results.values()) <= {"EPERM", "EINVAL"}, results


def test_only_what_was_given_can_be_seen(bench, tmp_path):
    """The user's home, the engine's state and socket, other pods."""
    if bench.level is Level.L0 and not landlock.version():
        pytest.skip("this kernel has no Landlock")
    secret = tmp_path / "secret"
    secret.write_text("mine")
    other = bench.pod()
    (other.directory / "data").write_text("theirs")
    bench.pod()
    holder_socket = bench.home / "run" / "holder" / "holder.sock"
    program = """
secret, other, holder, state = sys.argv[1:5]
attempt("secret", lambda: open(secret).read())
attempt("home", lambda: os.listdir(os.path.dirname(secret)))
attempt("other pod", lambda: open(other).read())
attempt("state", lambda: os.listdir(state))
attempt("holder", lambda: open(holder))
attempt("write beside", lambda: append(secret))
attempt("write /usr", lambda: append("/usr/share/made-inside"))
print(json.dumps(results))
"""
    results = tried(
        bench, program, str(secret), str(other.directory / "data"), str(holder_socket), str(bench.home / "run")
    )
    refused = {"ENOENT", "EACCES", "EROFS", "ENXIO"}
    assert {name: value for name, value in results.items() if value not in refused} == {}
    assert secret.read_text() == "mine"


def test_the_supervisor_and_the_host_cannot_be_reached(apart):
    program = """
host = int(sys.argv[1])
attempt("root of 1", lambda: os.listdir("/proc/1/root/"))
attempt("memory of 1", lambda: open("/proc/1/mem", "rb").read(1))
attempt("environment of 1", lambda: open("/proc/1/environ").read())
for fd in range(20):
    attempt(f"descriptor {fd}", lambda: os.stat(f"/proc/1/fd/{fd}"))
attempt("ptrace 1", lambda: libc_call("ptrace", 16, 1, 0, 0))
attempt("signal host", lambda: os.kill(host, 0))
attempt("kill 1", lambda: os.kill(1, 9))
attempt("core_pattern", lambda: append("/proc/sys/kernel/core_pattern"))
attempt("sysrq", lambda: append("/proc/sysrq-trigger"))
attempt("sysfs", lambda: append("/sys/kernel/mm/ksm/run"))
attempt("remount", lambda: libc_call("mount", None, b"/usr", None, 32 | 4096, None))
attempt("block device", lambda: open("/dev/vda"))
results["pids"] = len([n for n in os.listdir("/proc") if n.isdigit()])
print(json.dumps(results))
"""
    results = tried(apart, program, str(os.getpid()))
    assert results.pop("pids") <= 3
    assert results.pop("signal host") == "ESRCH"
    assert results.pop("kill 1") == "done", "the kernel takes the call and drops the signal: this output proves it"
    refused = {"EACCES", "EPERM", "ENOENT", "EROFS"}
    assert {name: value for name, value in results.items() if value not in refused} == {}


def test_the_host_can_still_be_seen_but_not_touched_at_l0(plain):
    program = """
host = int(sys.argv[1])
attempt("signal host", lambda: os.kill(host, 0))
attempt("ptrace host", lambda: libc_call("ptrace", 16, host, 0, 0))
attempt("memory", lambda: open(f"/proc/{host}/mem", "rb"))
print(json.dumps(results))
"""
    results = tried(plain, program, str(os.getpid()))
    assert results.pop("ptrace host") == "EPERM"
    if landlock.version() >= 6:
        assert results.pop("signal host") == "EPERM"
    if landlock.version():
        assert results.pop("memory") == "EACCES"


def test_sockets_of_the_host(bench):
    abstract = f"\0argosy-test-{os.getpid()}"
    program = """
attempt("abstract", lambda: connect(socket.AF_UNIX, "\\0" + sys.argv[1]))
attempt("loopback", lambda: connect(socket.AF_INET, ("127.0.0.1", int(sys.argv[2]))))
print(json.dumps(results))
"""
    with socket.socket(socket.AF_UNIX) as unix, socket.socket() as tcp:
        unix.bind(abstract)
        unix.listen()
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        results = tried(bench, program, abstract[1:], str(tcp.getsockname()[1]))
    if bench.level is Level.L2:
        assert results == {"abstract": "ECONNREFUSED", "loopback": "ECONNREFUSED"}
    elif landlock.version() >= 6:
        assert results["abstract"] == "EPERM"


def test_a_symlink_in_a_volume_leads_nowhere(apart, tmp_path):
    """Mounting below a link that a volume holds must not touch the host, and must not show it."""
    outside, volume, inner = tmp_path / "outside", tmp_path / "volume", tmp_path / "inner"
    for directory in (outside, volume, inner):
        directory.mkdir()
    (outside / "secret").write_text("mine")
    (volume / "link").symlink_to(outside)
    (volume / "up").symlink_to("../" * 20 + str(outside).lstrip("/"))
    program = """
attempt("link", lambda: open("/data/link/secret").read())
attempt("up", lambda: open("/data/up/secret").read())
print(json.dumps(results))
"""
    assert tried(apart, program, mounts=(Mount(volume, "/data"),)) == {"link": "ENOENT", "up": "ENOENT"}
    pod = apart.pod()

    async def scenario(runtime):
        await runtime.create_pod(pod)
        mounts = (Mount(volume, "/data"), Mount(inner, "/data/link/made"))
        run = await runtime.start_container(apart.container(pod, "true", mounts=mounts))
        return await runtime.wait(run.id)

    assert apart.run(scenario).code == 0, "it lies where the link leads within the container's own root"
    assert sorted(path.name for path in outside.iterdir()) == ["secret"]


def test_what_is_executed_later_is_confined_too(apart):
    pod = apart.pod()

    async def scenario(runtime):
        await runtime.create_pod(pod)
        base = Path(sys.base_prefix)
        paths = () if base.is_relative_to("/usr") else (base,)
        run = await runtime.start_container(apart.container(pod, "sleep", "600", read_only_paths=paths))
        argv = [sys._base_executable, "-I", "-S", "-c", PRELUDE + KERNEL]
        return json.loads((await runtime.exec(run.id, argv)).output)

    results = apart.run(scenario)
    assert results["mount"] == results["unshare user"] == results["raw socket"] == "EPERM"
    assert (results["CapEff"], results["CapBnd"], results["NoNewPrivs"]) == ("0", "0", "1")


def test_pods_do_not_see_each_other(apart):
    first, second = apart.pod(), apart.pod()

    async def scenario(runtime):
        for pod in (first, second):
            await runtime.create_pod(pod)
        runs = [await runtime.start_container(apart.container(pod, "sleep", "600")) for pod in (first, second)]
        await runtime.exec(runs[0].id, ["sh", "-c", "echo private > /tmp/file; echo shared > /dev/shm/file"])
        seen = await runtime.exec(runs[1].id, ["sh", "-c", "ls /tmp /dev/shm; ls /proc | grep -c '^[0-9]'"])
        return seen.output.decode()

    assert "file" not in apart.run(scenario)


@pytest.mark.parametrize("capability", ["NET_RAW", "NET_ADMIN"])
def test_a_capability_that_stays_inside_can_be_had(networked, capability):
    program = """
attempt("raw socket", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))
attempt("mount", lambda: libc_call("mount", b"none", b"/tmp", b"tmpfs", 0, None))
print(json.dumps(results))
"""
    results = tried(networked, program, add_capabilities=(capability, "SYS_ADMIN", "SYS_PTRACE"))
    assert (
        results["raw socket"] == ("done" if capability == "NET_RAW" else "EPERM") or "socket" in results["raw socket"]
    )
    assert results["mount"] == "EPERM"


def test_nothing_is_mounted_on_the_host(apart):
    pod = apart.pod()

    async def scenario(runtime):
        await runtime.create_pod(pod)
        await runtime.start_container(apart.container(pod, "sleep", "600"))
        return await asyncio.to_thread(Path("/proc/self/mountinfo").read_text)

    during = apart.run(scenario)
    assert str(apart.home) not in during
