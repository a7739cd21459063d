"""The program that brings data sets, as the archive that travels: versions, a shared cache, and reasons."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from argosy.programs.initializer import bundle


@pytest.fixture
def server() -> Iterator[tuple[str, dict[str, tuple[int, str, bytes]], list[str]]]:
    """What it answers by path (status, ETag, body), and the paths that were fetched."""
    pages: dict[str, tuple[int, str, bytes]] = {}
    fetched: list[str] = []

    class Answers(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._say(body=False)

        def do_GET(self) -> None:
            fetched.append(self.path)
            self._say(body=True)

        def _say(self, *, body: bool) -> None:
            status, tag, content = pages.get(self.path, (404, "", b""))
            self.send_response(status)
            if tag:
                self.send_header("ETag", f'"{tag}"')
            self.send_header("Content-Length", str(len(content) + (7 if tag == "cut" else 0)))
            self.end_headers()
            if body:
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    made = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{made.server_port}", pages, fetched
    made.shutdown()
    made.server_close()


def bring(tmp_path: Path, pod: str, wanted: str, **more: str) -> subprocess.CompletedProcess[str]:
    archive, place = tmp_path / "datasets.pyz", tmp_path / pod
    archive.write_bytes(bundle.archive())
    place.mkdir(exist_ok=True)
    environ = {"PATH": os.environ["PATH"], "DATASETS": wanted, "DATASETS_PLACE": str(place), **more}
    return subprocess.run(
        [sys.executable, "-I", str(archive)], env=environ, capture_output=True, text=True, timeout=30, check=False
    )


def test_pods_share_what_one_has_fetched_until_there_is_another_version(server, tmp_path: Path) -> None:
    url, pages, fetched = server
    pages["/a.txt"] = (200, "v1", b"one")
    shared = {"DATASETS_CACHE": str(tmp_path / "cache")}
    for pod in ("a", "b"):
        done = bring(tmp_path, pod, f"text={url}/a.txt", **shared)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / pod / "text" / "a.txt").read_text() == "one"
    assert fetched == ["/a.txt"]
    assert json.loads((tmp_path / "b" / "versions.json").read_text()) == {"text": "etag:v1"}
    pages["/a.txt"] = (200, "v2", b"two")
    assert bring(tmp_path, "c", f"text={url}/a.txt", **shared).returncode == 0
    assert (tmp_path / "c" / "text" / "a.txt").read_text() == "two"
    assert (tmp_path / "a" / "text" / "a.txt").read_text() == "one", "a version stays as it is"


def test_without_a_cache_it_lies_in_the_pod(server, tmp_path: Path) -> None:
    url, pages, _ = server
    pages["/a.txt"] = (200, "", b"one")
    assert bring(tmp_path, "a", f"text={url}/a.txt").returncode == 0
    version = json.loads((tmp_path / "a" / "versions.json").read_text())["text"]
    assert version.startswith("sha256:")
    assert not (tmp_path / "a" / "text").is_symlink()


@pytest.mark.parametrize(
    ("status", "tag", "code", "said"),
    [
        (404, "", 3, "cannot be had: the server answered 404 Not Found; check the name and the credentials"),
        (403, "", 3, "cannot be had: the server answered 403 Forbidden"),
        (503, "", 1, "could not be fetched: the server answered 503 Service Unavailable"),
        (200, "cut", 1, "could not be fetched: the server sent 4 of 11 bytes of a.txt"),
    ],
)
def test_what_cannot_be_had_is_said_in_a_sentence(server, tmp_path: Path, status: int, tag: str, code: int, said: str):
    url, pages, _ = server
    pages["/a.txt"] = (status, tag, b"data")
    done = bring(tmp_path, "a", f"text={url}/a.txt", DATASETS_CACHE=str(tmp_path / "cache"))
    assert done.returncode == code
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert [path for path in (tmp_path / "cache").glob("*") if path.is_dir()] == []


def test_a_server_that_is_away_is_tried_again_later(tmp_path: Path) -> None:
    done = bring(tmp_path, "a", "text=http://127.0.0.1:9/a")
    assert done.returncode == 1
    assert "the server cannot be reached" in done.stderr
