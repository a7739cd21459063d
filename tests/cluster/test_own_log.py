"""The engine's own log is bounded, whoever writes to it, and what was written last is kept."""

import logging
import subprocess
import sys

from argosy.cluster.own_log import Bounded, bound

PROGRAM = """
import logging, pathlib, subprocess, sys
from argosy.cluster.own_log import Bounded
logging.basicConfig(level=logging.INFO, handlers=[Bounded(pathlib.Path(sys.argv[1]), 10_000)])
child = subprocess.Popen(["sh", "-c", "read word; echo $word >&2"], stdin=subprocess.PIPE)
for number in range(3000):
    logging.info("line %05d", number)
child.communicate(b"from the child")
"""


def test_two_files_hold_the_newest_lines_and_children_go_on_writing(tmp_path):
    log = tmp_path / "engine.log"
    for _ in range(2):  # the second engine appends to what the first left
        with log.open("ab") as stream:
            subprocess.run([sys.executable, "-c", PROGRAM, str(log)], stderr=stream, check=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["engine.log", "engine.log.1"]
    both = (tmp_path / "engine.log.1").read_text() + log.read_text()
    assert "line 02999\nfrom the child\n" in both
    assert "\0" not in both
    assert 10_000 < len(both) < 21_000


def test_a_log_that_grew_beyond_measure_keeps_its_end(tmp_path):
    log = tmp_path / "engine.log"
    log.write_bytes(b"old\n" * 100_000 + b"the end\n")
    bound(log, 1000)
    assert log.read_bytes() == b""
    kept = (tmp_path / "engine.log.1").read_bytes()
    assert (len(kept), kept.endswith(b"the end\n")) == (1000, True)


def test_a_terminal_is_not_a_log(tmp_path, capsys):
    log = tmp_path / "engine.log"
    log.write_text("another's " * 1000)
    handler = Bounded(log, 10)
    handler.emit(logging.LogRecord("n", logging.INFO, "p", 1, "said", (), None))
    assert log.stat().st_size > 10
    assert "said" in capsys.readouterr().err
