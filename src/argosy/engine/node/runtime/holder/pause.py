"""The first process of a pod whose containers share their processes (`shareProcessNamespace`).

Forked off the holder into a new pid namespace, which ends with it. It is confined like any container and executes
`sleep`: whatever a container may do to it by way of its pid, there is nothing to be won.
"""

from __future__ import annotations

import os
import signal
import socket

from argosy.engine.node.runtime.holder import confine, launch, processes, rootfs, syscalls, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from argosy.engine.node.runtime.holder.order import Confinement, PauseOrder

_CONFINEMENT: Confinement = {
    "env": {}, "cwd": "/", "uid": None, "gid": None, "groups": [], "capabilities": [], "cgroups": [], "cpus": [],
    "rules": None, "scope": 0, "host_pids": False, "layer": "", "places": {},
}  # fmt: skip


def run(place: launch.Place, order: PauseOrder, line: socket.socket) -> NoReturn:
    """In the child. Answers pid and start time, then becomes `sleep`. Never returns."""
    try:
        pid = processes.own_pid()
        started = processes.start_time("self")
        with open(order["record"], "w", encoding="ascii") as file:
            file.write(f"{pid} {started}")
        os.setsid()
        for fd in place.namespaces:
            syscalls.setns(fd)
        launch.close_others([line.fileno()])
        assert place.host is not None, "without namespaces there is nothing to share"
        many_ids = place.host.many_ids
        rootfs.enter(place.host, rootfs.Layout(order["root"], [], own_network=place.level == "L2"))
        confine.reset_signals()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # which outlives exec: the kernel reaps the pod's orphans
        wire.send(line, {"pid": pid, "start_time": started})
        confine.become_command(["sleep", "infinity"], _CONFINEMENT, many_ids=many_ids, processes_are_apart=True)
    except BaseException as error:
        launch.answer_failure(line, error)
    os._exit(1)
