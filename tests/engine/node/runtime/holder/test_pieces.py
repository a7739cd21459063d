"""The holder's pure pieces: log lines, state files, the filter, netlink messages, frames."""

from __future__ import annotations

import json
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.engine.node.runtime.holder import confine, crilog, netlink, plain, processes, seccomp, statefile, wire

STAMP = b"2026-01-31T12:00:00.000000000Z"


def parse(log: bytes) -> bytes:
    out = b""
    for line in log.split(b"\n")[:-1]:
        stamp, stream, tag, text = line.split(b" ", 3)
        assert (stamp, stream) == (STAMP, b"stdout")
        assert len(text) <= crilog.LINE_MAX
        out += text + (b"\n" if tag == b"F" else b"")
    return out


@given(st.lists(st.binary(max_size=50) | st.just(b"x" * 40_000) | st.just(b"\n" * 3), max_size=12))
def test_log_lines_say_what_was_written(chunks: list[bytes]) -> None:
    log, rest = b"", b""
    for chunk in chunks:
        out, rest = crilog.format_chunk(b"stdout", STAMP, rest, chunk)
        log += out
        assert len(rest) <= crilog.LINE_MAX
    assert parse(log) + rest == b"".join(chunks)


def test_log_line() -> None:
    out, rest = crilog.format_chunk(b"stdout", STAMP, b"", b"one\ntwo\nthr")
    assert out == STAMP + b" stdout F one\n" + STAMP + b" stdout F two\n"
    assert rest == b"thr"
    assert crilog.timestamp(1_700_000_000_123_456_789) == b"2023-11-14T22:13:20.123456789Z"


def test_log_rotates_and_flushes(tmp_path) -> None:
    log = crilog.Log(str(tmp_path / "deep" / "0.log"), 5000)
    for _ in range(100):
        log.feed(b"stdout", b"0123456789" * 10 + b"\n")
    log.feed(b"stderr", b"no newline")
    log.feed(b"stdout", b"prompt> ", at_once=True)
    log.finish()
    current, previous = tmp_path / "deep" / "0.log", tmp_path / "deep" / "0.log.1"
    assert current.stat().st_size <= 5200
    assert previous.stat().st_size <= 5200
    assert current.read_text().endswith("Z stdout P prompt> \n" + current.read_text().split("\n")[-2] + "\n")
    assert " stderr F no newline\n" in current.read_text()


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
                    | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8))  # fmt: skip
def test_state_files_are_json(value: object) -> None:
    assert json.loads(statefile.encode(value)) == value


def test_state_files_grow_by_lines(tmp_path) -> None:
    path = tmp_path / "state.json"
    statefile.append(str(path), {"a": 1})
    statefile.append(str(path), {"a": "\udcff\n"})
    assert [json.loads(line) for line in path.read_text().splitlines()] == [{"a": 1}, {"a": "\udcff\n"}]
    with pytest.raises(TypeError):
        statefile.encode({1, 2})


def verdict(program: bytes, number: int, *, arch: int = 0xC000003E, arguments: tuple[int, ...] = ()) -> int:
    """Run classic BPF over the record that seccomp shows it."""
    record = struct.pack("=iIQ6Q", number, arch, 0, *(arguments + (0,) * 6)[:6])
    steps = list(struct.iter_unpack("=HBBI", program))
    accumulator, at = 0, 0
    while True:
        code, if_true, if_false, value = steps[at]
        at += 1
        if code == 0x20:
            (accumulator,) = struct.unpack_from("=I", record, value)
        elif code == 0x06:
            return value
        else:
            held = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}[code]
            at += if_true if held else if_false


@pytest.mark.parametrize(
    ("name", "number", "arguments", "error"),
    [
        ("read", 0, (), 0), ("execve", 59, (), 0), ("fork", 57, (), 0), ("mount", 165, (), 1), ("bpf", 321, (), 38),
        ("clone for a thread", 56, (0x3D0F00,), 0), ("clone with a user namespace", 56, (0x10000011,), 1),
        ("clone3", 435, (), 38), ("socket inet", 41, (2,), 0), ("socket vsock", 41, (40,), 97),
        ("ioctl TCGETS", 16, (0, 0x5401), 0), ("ioctl TIOCSTI", 16, (0, 0x5412), 1), ("x32 getpid", 0x40000027, (), 38),
        ("unshare", 272, (), 1), ("ptrace", 101, (), 0), ("process_vm_readv", 310, (), 0),
    ],
)  # fmt: skip
def test_the_filter(name: str, number: int, arguments: tuple[int, ...], error: int) -> None:
    program = seccomp.build("x86_64", processes_are_apart=True)
    found = verdict(program, number, arguments=arguments)
    assert found == (0x00050000 | error if error else 0x7FFF0000), name


def test_the_filter_elsewhere() -> None:
    program = seccomp.build("x86_64", processes_are_apart=False)
    assert verdict(program, 101) == 0x00050001, "ptrace, where no pid namespace holds it"
    assert verdict(program, 0, arch=0x40000003) == 0x00050026, "a 32-bit call"
    arm = seccomp.build("aarch64", processes_are_apart=True)
    assert verdict(arm, 40, arch=0xC00000B7) == 0x00050001
    assert verdict(arm, 63, arch=0xC00000B7) == 0x7FFF0000
    assert seccomp.build("riscv64", processes_are_apart=True) == b""


def test_where_there_is_one_user_files_change_hands_in_pretence() -> None:
    shared, alone = (seccomp.build("x86_64", processes_are_apart=True, one_user=one) for one in (False, True))
    for number in (92, 93, 94, 260):
        assert verdict(shared, number) == 0x7FFF0000, "allowed"
        assert verdict(alone, number) == 0x00050000, "answered with 0, and not done"
    assert verdict(alone, 90) == 0x7FFF0000, "chmod"


def test_capabilities() -> None:
    assert confine.capability_set(["NET_RAW", "cap_chown"]) == 1 << 13 | 1 << 0
    assert confine.capability_set(["SYS_ADMIN", "SYS_PTRACE", "SYS_MODULE", "nonsense"]) == 0
    assert not confine.capability_set(["ALL"]) >> 21 & 1, "SYS_ADMIN is never granted"


def test_netlink_messages_have_the_kernels_shape() -> None:
    ip = socket.inet_aton("10.64.0.2")
    kind, flags, body = netlink.veth(b"\x0a\x58" + ip, "ap0a400002", 1234, 7)
    assert (kind, flags) == (16, 0x600)
    assert struct.unpack_from("=BxHiII", body) == (0, 0, netlink.POD_LINK, 1, 1)
    assert b"veth" in body
    assert len(body) % 4 == 0
    assert len(netlink.route(5, ip)[2]) == 12 + 8 + 8
    assert len(netlink.neighbour(5, ip, b"123456")[2]) == 12 + 8 + 12


def test_frames_carry_values_and_descriptors(tmp_path) -> None:
    left, right = socket.socketpair()
    path = tmp_path / "file"
    path.write_text("content")
    with left, right, path.open() as file:
        wire.send(left, {"op": "x", "raw": b"\0" * 100_000, "n": [1, None, 2.5]}, [file.fileno()])
        value, descriptors = wire.receive(right)
        assert value == {"op": "x", "raw": b"\0" * 100_000, "n": [1, None, 2.5]}
        with open(descriptors[0]) as again:  # noqa: PTH123
            assert again.read() == "content"
        left.close()
        with pytest.raises(EOFError):
            wire.receive(right)


def test_sockets_in_deep_directories_can_be_reached(tmp_path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    fd, path = wire.short_path(str(deep), "sock")
    import os

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
    os.close(fd)
    assert (deep / "sock").exists()


def test_l0_links_mounts_below_the_root_and_makes_nothing_elsewhere(tmp_path) -> None:
    first, second, root = tmp_path / "first", tmp_path / "second", tmp_path / "root"
    for directory in (first, second, root):
        directory.mkdir()
    binds = [
        (str(first), "/etc/hosts", False), (str(first), "/data", False), (str(second), "/data/inner", False),
        (str(second), "/etc/hosts", False), (str(first), str(first), True),
    ]  # fmt: skip
    plain.place({"root": str(root), "binds": binds})  # type: ignore[arg-type]
    assert (root / "data").readlink() == first
    assert (root / "etc" / "hosts").readlink() == second, "the later mount lies above"
    assert not list(first.iterdir()), "nothing is made in a volume"
    assert sorted(path.name for path in root.iterdir()) == ["data", "etc", "tmp"]


def test_processes_know_themselves() -> None:
    import os

    assert processes.own_pid() == os.getpid()
    started = processes.start_time("self")
    assert processes.is_alive(os.getpid(), started)
    assert not processes.is_alive(os.getpid(), started + 1)
    assert not processes.is_alive(0, started)
    assert processes.start_time(2**22 + 1) == 0
