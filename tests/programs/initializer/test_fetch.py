"""Fetching a data set: from a directory, over HTTP, out of a bucket; whole or not at all, and once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from argosy.programs.initializer import fetch, s3
from argosy.programs.initializer.fetch import FetchError, Wish

_PAGE = """<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
<Contents><Key>{}</Key></Contents>{}</ListBucketResult>"""
_MORE = "<NextContinuationToken>more</NextContinuationToken>"


@pytest.fixture
def server() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """A server of three objects, and what it was asked."""
    asked: list[tuple[str, str]] = []

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers.get("authorization", "")))
            objects = {"/data/text.txt": b"text", "/bucket/set/a.json": b"{}", "/bucket/set/b/c.json": b"[]"}
            if self.path.startswith("/bucket?"):
                later = "continuation-token" in self.path
                body = _PAGE.format("set/b/c.json" if later else "set/a.json", "" if later else _MORE).encode()
            else:
                body = objects.get(self.path, b"")
            self.send_response(200 if body else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    made = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{made.server_port}", asked
    made.shutdown()
    made.server_close()


def files(place: Path) -> dict[str, str]:
    return {
        str(path.relative_to(place)): path.read_text()
        for path in sorted(place.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


def test_a_directory_is_copied_once(tmp_path: Path) -> None:
    source, place = tmp_path / "source", tmp_path / "place"
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "a.json").write_text("{}")
    (source / "weights.bin").write_text("heavy")
    wish = Wish(f"file://{source}", "model", ("*.bin",))
    assert fetch.into(place, wish, {}) == 1
    assert files(place) == {"deep/a.json": "{}"}
    assert fetch.into(place, wish, {}) == 0
    assert fetch.into(place, Wish(wish.uri, "model"), {}) == 2


def test_a_file_comes_over_http(tmp_path: Path, server: tuple[str, list[tuple[str, str]]]) -> None:
    assert fetch.into(tmp_path, Wish(f"{server[0]}/data/text.txt", "dataset"), {}) == 1
    assert files(tmp_path) == {"text.txt": "text"}


def test_a_bucket_is_listed_page_by_page_with_signed_requests(
    tmp_path: Path, server: tuple[str, list[tuple[str, str]]]
) -> None:
    environ = {"ENDPOINT": server[0], "ACCESS_KEY_ID": "me", "SECRET_ACCESS_KEY": "secret", "REGION": "eu"}
    assert fetch.into(tmp_path, Wish("s3://bucket/set", "dataset"), environ) == 2
    assert files(tmp_path) == {"a.json": "{}", "b/c.json": "[]"}
    assert all("Credential=me/" in authorization and "/eu/s3/" in authorization for _, authorization in server[1])


def test_a_signature_is_the_one_of_amazons_own_example() -> None:
    bucket = s3.Bucket(
        "https://examplebucket.s3.amazonaws.com", "", "us-east-1",
        "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    )  # fmt: skip
    query = {"max-keys": "2", "prefix": "J"}
    url, headers = bucket.request("", query, datetime(2013, 5, 24, tzinfo=UTC))
    assert url == "https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J"
    assert headers["authorization"].endswith("34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("ftp://x/y", "the scheme ftp is not known"),
        ("file:///does/not/exist", "does not exist in this container"),
        ("hf://alone", "hf://owner/name"),
        ("http://127.0.0.1:1/x", "cannot be reached"),
    ],
)
def test_what_cannot_be_fetched_is_said(tmp_path: Path, uri: str, says: str) -> None:
    with pytest.raises(FetchError, match=says):
        fetch.into(tmp_path, Wish(uri, "dataset"), {})


def test_what_is_missing_is_said(tmp_path: Path, server: tuple[str, list[tuple[str, str]]]) -> None:
    with pytest.raises(FetchError, match="404"):
        fetch.into(tmp_path, Wish(f"{server[0]}/nothing", "dataset"), {})


def test_a_repository_may_have_a_path() -> None:
    assert fetch.hub_name("hf://tatsu-lab/alpaca") == ("tatsu-lab/alpaca", "")
    assert fetch.hub_name("hf://datasets/a/b/data/x.parquet") == ("a/b", "data/x.parquet")
