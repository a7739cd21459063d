"""What a container is promised, at every level: its process, its output, its end, its place."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

from argosy.engine.node.runtime.spec import Level, Limits, Mount
from argosy.errors import NotFound

SLEEP = ("sleep", "600")


def test_runs_and_ends_with_its_code(bench):
    pod = bench.pod()

    async def scenario(runtime):
        await runtime.create_pod(pod)
        await runtime.create_pod(pod)  # idempotent
        run = await runtime.start_container(bench.container(pod, "sh", "-c", "echo out; echo err >&2; exit 3"))
        assert run.id == f"{pod.uid}/main/0"
        return await runtime.wait(run.id)

    ended = bench.run(scenario)
    assert (ended.code, ended.signal, ended.reason) == (3, 0, "")
    assert ended.started_at <= ended.finished_at
    assert bench.output(pod) == "out\n"
    assert bench.output(pod, stream="stderr") == "err\n"


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not here")
def test_a_login_shell_keeps_the_path_to_the_images_programs(bench):
    if bench.level is Level.L0:
        pytest.skip("at L0 /etc is the machine's")
    pod = bench.pod()

    async def scenario(runtime):
        await runtime.create_pod(pod)
        env = {"PATH": "/image/bin:/usr/bin:/bin"}
        run = await runtime.start_container(bench.container(pod, "bash", "-lc", "echo $PATH", env=env))
        await runtime.wait(run.id)

    bench.run(scenario)
    assert bench.output(pod) == "/image/bin:/usr/bin:/bin\n"


def test_a_signal_reaches_the_command(bench):
    pod = bench.pod()

    async def scenario(runtime):
        await runtime.create_pod(pod)
        program = 'trap "echo got it; exit 7" TERM; echo ready; while :; do sleep 0.01; done'
        polite = await runtime.start_container(bench.container(pod, "sh", "-c", program, name="polite"))
        plain = await runtime.start_container(bench.container(pod, *SLEEP, name="plain"))
        await bench.until_logged(pod, "ready", "polite")
        await runtime.signal(polite.id, signal.SIGTERM)
        await runtime.signal(plain.id, signal.SIGTERM)
        ends = await runtime.wait(polite.id), await runtime.wait(plain.id)
        await runtime.signal(plain.id, signal.SIGTERM)  # it has ended: nothing happens
        return ends

    polite, plain = bench.run(scenario)
    assert polite.code == 7
    assert bench.output(pod, "polite").endswith("got it\n")
    assert (plain.code, plain.signal) == (143, 15)


def test_sigkill_takes_everything_with_it(bench):
    pod = bench.pod()

    async def scenario(runtime):
        await runtime.create_pod(pod)
        program = "setsid sleep 600 & (sleep 600 & sleep 600) & echo ready; wait"
        run = await runtime.start_container(bench.container(pod, "sh", "-c", program))
        await bench.until_logged(pod, "ready")
        await runtime.signal(run.id, signal.SIGKILL)
        return run.pid, await runtime.wait(run.id)

    pid, ended = bench.run(scenario)
    assert (ended.code, ended.signal, ended.reason) == (137, 9, "")
    assert not Path(f"/proc/{pid}/root").exists()


def test_what_cannot_be_executed_ends_at_once_with_the_reason(bench):
    pod = bench.pod()
    (pod.directory / "data").mkdir()

    async def scenario(runtime):
        await runtime.create_pod(pod)
        missing = await runtime.start_container(bench.container(pod, "no-such-program", name="a"))
        script = await runtime.start_container(bench.container(pod, "/usr", name="b"))
        bound = await runtime.start_container(
            bench.container(pod, *SLEEP, name="c", read_only_paths=(Path("/no/such/place"),))
        )
        assert await runtime.wait(missing.id) == missing.exit
        return missing.exit, script.exit, bound.exit

    missing, script, bound = bench.run(scenario)
    assert (missing.code, missing.reason) == (128, "StartError")
    assert missing.message == 'exec: "no-such-program": executable file not found in $PATH'
    assert script.message == 'exec: "/usr": permission denied'
    if bench.level is not Level.L0:
        assert bound.message == "cannot bind /no/such/place: No such file or directory"


def test_environment_directory_and_hostname(bench):
    pod = bench.pod()

    async def scenario(runtime):
        spec = bench.container(pod, "sh", "-c", "echo $GREETING; pwd; hostname; echo $HOSTNAME", env={"GREETING": "hi"})
        return await bench.play(runtime, spec)

    greeting, directory, hostname, variable = bench.run(scenario).split("\n")[:4]
    assert greeting == "hi"
    assert variable == pod.hostname
    if bench.level is not Level.L0:
        assert (directory, hostname) == ("/", pod.hostname)


def test_a_working_directory_that_is_not_there_is_made(apart):
    pod = apart.pod()
    output = apart.run(lambda runtime: apart.play(runtime, apart.container(pod, "pwd", working_dir="/work/here")))
    assert output == "/work/here\n"


def test_volumes_are_where_they_should_be(bench, tmp_path):
    pod = bench.pod()
    volume, config = tmp_path / "volume", tmp_path / "config"
    volume.mkdir()
    config.write_text("set = true\n")
    program = "cat /data/config; echo $FILE > $FILE; echo x >> /data/config || echo refused; pwd"
    mounts = (Mount(volume, "/data/volume"), Mount(config, "/data/config", read_only=True))
    spec = bench.container(
        pod, "sh", "-c", program, mounts=mounts, env={"FILE": "/data/volume/file"}, working_dir="/data/volume"
    )
    seen = volume if bench.level is Level.L0 else "/data/volume"
    output = bench.run(lambda runtime: bench.play(runtime, spec))
    assert output == f"set = true\nrefused\n{seen}\n"
    assert (volume / "file").read_text() == f"{seen}/file\n"
    assert config.read_text() == "set = true\n"
    assert not Path("/data").exists(), "nothing is left on the host"


def test_two_pods_have_different_volumes_at_one_path_even_where_the_host_has_it(bench, tmp_path):
    """At L0 nothing can be mounted, so each is led to its own."""

    async def scenario(runtime):
        specs = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "file").write_text(name)
            mounts = (Mount(tmp_path / name, "/usr/share/doc"), Mount(tmp_path / name, "/srv/models"))
            program = "cat /usr/share/doc/file /srv/models/file"
            specs.append(bench.container(bench.pod(), "sh", "-c", program, mounts=mounts))
        return await asyncio.gather(*(bench.play(runtime, spec) for spec in specs))

    assert bench.run(scenario) == ["oneone\n", "twotwo\n"]


def test_temporary_files_go_with_the_run(bench):
    pod = bench.pod()
    mark = f"argosy-test-{os.getpid()}"

    async def scenario(runtime):
        await runtime.create_pod(pod)
        run = await runtime.start_container(bench.container(pod, "sh", "-c", f"touch /tmp/{mark}; sleep 600"))
        while (await runtime.exec(run.id, ["test", "-e", f"/tmp/{mark}"])).code:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        return Path("/tmp", mark).exists()

    assert not bench.run(scenario)


def test_the_termination_message_comes_back(apart):
    pod = apart.pod()

    async def scenario(runtime):
        await apart.play(runtime, apart.container(pod, "sh", "-c", "echo goodbye > /dev/termination-log"))
        return (pod.directory / "runtime" / "main-0.termination").read_text()

    assert apart.run(scenario) == "goodbye\n"


def test_a_name_of_the_hosts_file_has_all_of_its_addresses(apart):
    pod = apart.pod()

    async def scenario(runtime):
        await runtime.create_pod(pod)
        run = await runtime.start_container(apart.container(pod, *SLEEP))
        pod.etc_hosts.write_text("10.0.0.1\tdb\n10.0.0.2\tdb web\n")
        return (await runtime.exec(run.id, ["getent", "ahostsv4", "db"])).output.decode()

    said = apart.run(scenario)
    assert {line.split()[0] for line in said.splitlines()} == {"10.0.0.1", "10.0.0.2"}


def test_hosts_and_resolver_are_the_pods_own(apart):
    pod = apart.pod()

    async def scenario(runtime):
        await runtime.create_pod(pod)
        run = await runtime.start_container(apart.container(pod, *SLEEP))
        before = (await runtime.exec(run.id, ["cat", "/etc/hosts"])).output.decode()
        pod.etc_hosts.write_text("10.0.0.1 changed\n")  # rewritten in place, as the agent does
        after = (await runtime.exec(run.id, ["cat", "/etc/hosts"])).output.decode()
        resolver = (await runtime.exec(run.id, ["cat", "/etc/resolv.conf"])).output.decode()
        return before, after, resolver

    before, after, resolver = apart.run(scenario)
    assert pod.name in before
    assert after == "10.0.0.1 changed\n"
    if apart.level is Level.L2:
        assert resolver == "nameserver 10.96.0.10\n"


def test_the_root_is_writable_or_not(apart):
    first, second = apart.pod(), apart.pod()
    program = "for d in / /etc /tmp /var/lib /root /opt; do touch $d/f && echo $d; done; touch /usr/f || echo no /usr"

    async def scenario(runtime):
        writable = await apart.play(runtime, apart.container(first, "sh", "-c", program))
        read_only = await apart.play(runtime, apart.container(second, "sh", "-c", program, read_only_root=True))
        return writable, read_only

    writable, read_only = apart.run(scenario)
    assert writable.split("\n")[:-1] == ["/", "/etc", "/tmp", "/var/lib", "/root", "/opt", "no /usr"]
    assert read_only == "no /usr\n"


@pytest.mark.parametrize("uid", [1000, 65534])
def test_runs_as_the_user_asked_for(apart, uid):
    pod = apart.pod()
    spec = apart.container(
        pod, "sh", "-c", "id -u; id -g; id -un; touch /tmp/f && ls -ln /tmp/f | cut -d' ' -f3", run_as_user=uid,
        run_as_group=3000,
    )  # fmt: skip
    user, group, name, owner = apart.run(lambda runtime: apart.play(runtime, spec)).split("\n")[:4]
    assert (user, group, owner) == (str(uid), "3000", str(uid))
    assert name == ("user" if uid == 1000 else "nobody")


def test_orphans_are_reaped(bench):
    pod = bench.pod()
    program = "(sh -c 'sleep 0.05 & echo $!' &) ; sleep 600"

    async def scenario(runtime):
        await runtime.create_pod(pod)
        run = await runtime.start_container(bench.container(pod, "sh", "-c", program))
        await bench.until_logged(pod, "\n")
        orphan = bench.output(pod).strip()
        for _ in range(200):
            result = await runtime.exec(run.id, ["sh", "-c", f"test -e /proc/{orphan}/stat"])
            if result.code == 1:
                return True
        return False

    assert bench.run(scenario)


def test_exec(bench):
    pod = bench.pod()

    async def scenario(runtime):
        await runtime.create_pod(pod)
        run = await runtime.start_container(bench.container(pod, *SLEEP, env={"COLOUR": "red"}))
        said = await runtime.exec(run.id, ["sh", "-c", "echo $COLOUR; echo also >&2; exit 4"])
        missing = await runtime.exec(run.id, ["no-such-program"])
        slow = await runtime.exec(run.id, ["sh", "-c", "echo started; sleep 600"], timeout_seconds=0.2)
        much = await runtime.exec(run.id, ["sh", "-c", "yes | head -c 200000"])
        with pytest.raises(NotFound):
            await runtime.exec("nobody/main/0", ["true"])
        await runtime.signal(run.id, signal.SIGKILL)
        await runtime.wait(run.id)
        with pytest.raises(NotFound):
            await runtime.exec(run.id, ["true"])
        return said, missing, slow, much

    said, missing, slow, much = bench.run(scenario)
    assert (said.code, said.output, said.timed_out) == (4, b"red\nalso\n", False)
    assert missing.code == 126
    assert b"executable file not found" in missing.output
    assert (slow.timed_out, slow.output) == (True, b"started\n")
    assert len(much.output) == 64 * 1024


def test_exec_stream_with_pipes_and_with_a_terminal(bench):
    pod = bench.pod()

    async def read_all(fd: int) -> bytes:
        loop = asyncio.get_running_loop()
        data = b""
        while True:
            arrived = asyncio.Event()
            loop.add_reader(fd, arrived.set)
            await arrived.wait()
            loop.remove_reader(fd)
            try:
                chunk = os.read(fd, 4096)
            except OSError:
                return data
            if not chunk:
                return data
            data += chunk

    async def scenario(runtime):
        await runtime.create_pod(pod)
        run = await runtime.start_container(bench.container(pod, *SLEEP))
        stream = await runtime.exec_stream(run.id, ["sh", "-c", "cat; echo err >&2; exit 5"], stdin=True)
        os.write(stream.stdin, b"typed")
        stream.close_stdin()
        piped = await read_all(stream.stdout), await read_all(stream.stderr), await stream.wait()
        stream.close()
        program = "test -t 0 && read line && echo $line-$(stty size) && exit 6"
        stream = await runtime.exec_stream(run.id, ["sh", "-c", program], tty=True, stdin=True)
        stream.resize(40, 100)
        os.write(stream.stdin, b"hello\n")
        shown = await read_all(stream.stdout), await stream.wait()
        stream.close()
        stream = await runtime.exec_stream(run.id, ["sleep", "600"])
        stream.close()  # hanging up ends the command
        return piped, shown

    piped, shown = bench.run(scenario)
    assert piped == (b"typed", b"err\n", 5)
    assert b"hello-40 100" in shown[0]
    assert shown[1] == 6


def test_standard_input_and_terminal_of_a_container(bench):
    pod = bench.pod()

    async def scenario(runtime):
        await runtime.create_pod(pod)
        program = "read line; echo got $line; test -t 1 && echo terminal"
        for name, tty in (("pipe", False), ("terminal", True)):
            run = await runtime.start_container(
                bench.container(pod, "sh", "-c", program, name=name, stdin=True, tty=tty)
            )
            fd = runtime.open_stdin(run.id)
            os.write(fd, b"a line\n")
            os.close(fd)
            await runtime.wait(run.id)

    bench.run(scenario)
    assert bench.output(pod, "pipe") == "got a line\n"
    assert "got a line\r\nterminal" in bench.output(pod, "terminal")


def test_standard_input_ends_when_the_engine_says_so(bench):
    pod = bench.pod()

    async def scenario(runtime):
        await runtime.create_pod(pod)
        run = await runtime.start_container(bench.container(pod, "sh", "-c", "cat; echo end", stdin=True))
        for text in (b"one\n", b"two\n"):  # it outlives the first who feeds it
            fd = runtime.open_stdin(run.id)
            os.write(fd, text)
            os.close(fd)
        runtime.end_stdin(run.id)
        return await runtime.wait(run.id)

    assert bench.run(scenario).code == 0
    assert bench.output(pod) == "one\ntwo\nend\n"


def test_the_terminal_of_a_container_has_a_size(bench):
    pod = bench.pod()

    async def scenario(runtime):
        await runtime.create_pod(pod)
        run = await runtime.start_container(
            bench.container(pod, "sh", "-c", "read line; stty size", stdin=True, tty=True)
        )
        runtime.resize(run.id, 40, 100)
        fd = runtime.open_stdin(run.id)
        os.write(fd, b"\n")
        os.close(fd)
        await runtime.wait(run.id)

    bench.run(scenario)
    assert "40 100" in bench.output(pod)


def test_much_output_is_rotated(bench):
    pod = bench.pod()
    spec = bench.container(pod, "sh", "-c", "yes 0123456789 | head -n 20000", log_bytes_max=100_000)
    bench.run(lambda runtime: bench.play(runtime, spec))
    path = bench.log_path(pod)
    assert path.stat().st_size <= 100_000 + 65536 * 6
    assert path.with_name("0.log.1").exists()
    assert path.read_text().endswith(" stdout F 0123456789\n")


def test_usage_is_measured(bench):
    pod = bench.pod()
    program = "data = bytearray(50_000_000)\nprint('ready', flush=True)\nwhile True: pass"

    async def scenario(runtime):
        await runtime.create_pod(pod)
        run = await runtime.start_container(bench.python(pod, program))
        await bench.until_logged(pod, "ready")
        used = await runtime.usage(run.id)
        while used.cpu_seconds < 0.1:
            await asyncio.sleep(0.01)
            used = await runtime.usage(run.id)
        await runtime.signal(run.id, signal.SIGKILL)
        await runtime.wait(run.id)
        return used, await runtime.usage(run.id)

    used, after = bench.run(scenario)
    assert 50_000_000 < used.memory_bytes < 120_000_000
    assert after is None


def test_memory_is_watched_where_the_kernel_does_not(bench):
    pod = bench.pod()
    program = "import signal\nkept = [bytearray(80_000_000)]\nsignal.pause()"

    async def scenario(runtime):
        assert "memory" not in runtime.enforces
        await runtime.create_pod(pod)
        run = await runtime.start_container(bench.python(pod, program, limits=Limits(memory_bytes=40_000_000)))
        return await runtime.wait(run.id)

    ended = bench.run(scenario)
    assert (ended.code, ended.signal, ended.reason) == (137, 9, "OOMKilled")


def test_processor_limit_narrows_the_processors(bench):
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one processor")
    pod = bench.pod()
    spec = bench.python(pod, "import os; print(len(os.sched_getaffinity(0)))", limits=Limits(cpu_millis=500))
    assert bench.run(lambda runtime: bench.play(runtime, spec)) == "1\n"


def test_many_at_once(bench):
    pods = [bench.pod() for _ in range(12)]

    async def scenario(runtime):
        return await asyncio.gather(*(bench.play(runtime, bench.container(pod, "echo", pod.name)) for pod in pods))

    assert bench.run(scenario) == [f"{pod.name}\n" for pod in pods]


def test_the_interpreter_of_the_tests_runs_inside(bench):
    pod = bench.pod()
    output = bench.run(lambda runtime: bench.play(runtime, bench.python(pod, "import sys; print(sys.version)")))
    assert output.replace("\n", " ").strip() == sys.version.replace("\n", " ")


def test_a_volume_can_lie_where_the_host_has_nothing(apart, tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "page").write_text("hello from a volume")
    (tmp_path / "one").write_text("a single file")
    mounts = (
        Mount(tmp_path / "site", "/usr/share/argosy-test/html", read_only=True),
        Mount(tmp_path / "one", "/usr/src/argosy-test/conf/one.conf"),
    )
    program = "cat /usr/share/argosy-test/html/page /usr/src/argosy-test/conf/one.conf; ls /usr/bin/env; touch /usr/x || echo no"

    async def scenario(runtime):
        return await apart.play(runtime, apart.container(apart.pod(), "sh", "-c", program, mounts=mounts))

    assert apart.run(scenario) == "hello from a volumea single file/usr/bin/env\nno\n"


def test_a_container_that_restarts_for_ever_does_not_pile_up(bench):
    pod = bench.pod()

    async def scenario(runtime):
        await runtime.create_pod(pod)
        for attempt in range(5):
            run = await runtime.start_container(bench.container(pod, "true", attempt=attempt))
            await runtime.wait(run.id)
        return [run.attempt for run in await runtime.adopt() if run.pod_uid == pod.uid]

    assert bench.run(scenario) == [3, 4]
    assert bench.log_path(pod, attempt=4).exists()


def test_who_is_spoken_to_sees_a_question_before_its_line_ends(bench):
    pod = bench.pod()

    async def scenario(runtime):
        await runtime.create_pod(pod)
        asks = bench.container(pod, "sh", "-c", "printf 'name? '; exec sleep 600", stdin=True)
        await runtime.start_container(asks)
        await bench.until_logged(pod, "stdout P name? ")

    bench.run(scenario)
