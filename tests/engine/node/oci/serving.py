"""A registry on loopback for tests: the pull half of the distribution API, with logins and every kind of trouble."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from .making import Made, digest


class Registry:
    """What the server has and how it behaves; a test changes it while it serves."""

    def __init__(self) -> None:
        self.manifests: dict[tuple[str, str], tuple[str, bytes]] = {}
        self.blobs: dict[str, bytes] = {}
        self.asked: Counter[str] = Counter()
        """Requests by method and path."""
        self.sent = 0
        """Bytes of blobs."""
        self.ranges: list[str] = []
        self.login: tuple[str, str] | None = None
        self.scheme = "bearer"
        self.status: dict[str, int] = {}
        """What to answer instead, by a part of the path."""
        self.break_after: list[int] = []
        """After how many bytes to hang up, for the next blobs."""
        self.redirect = ""
        """Where blobs are said to be."""
        self.authorizations: list[str] = []
        self.gate = threading.Event()
        """Blobs wait for it."""
        self.gate.set()
        self.waiting = threading.Event()
        """Set when a blob is being waited for."""
        self.host = ""

    def push(self, repository: str, tag: str, made: Made) -> str:
        """Have an image; the reference for it."""
        self.blobs |= made.blobs
        for name, content in made.blobs.items():
            kind = _type_of(content)
            if kind:
                self.manifests[repository, name] = (kind, content)
        self.manifests[repository, tag] = self.manifests[repository, made.digest]
        return f"{self.host}/{repository}:{tag}"


def _type_of(content: bytes) -> str:
    try:
        return str(json.loads(content).get("mediaType") or "")
    except ValueError:
        return ""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    registry: Registry

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        registry, parts = self.registry, urlsplit(self.path)
        registry.asked[f"{self.command} {parts.path}"] += 1
        registry.authorizations.append(self.headers.get("Authorization") or "")
        for part, status in registry.status.items():
            if part in self.path:
                self._answer(status, json.dumps({"errors": [{"code": "TROUBLE", "message": "so it is"}]}).encode())
                return
        if parts.path == "/token":
            self._token(parse_qs(parts.query))
        elif parts.path.startswith("/storage/"):
            self._blob(parts.path.removeprefix("/storage/"))
        elif not self._may():
            kind = (
                f'Bearer realm="http://{registry.host}/token",service="test"'
                if registry.scheme == "bearer"
                else 'Basic realm="x"'
            )
            body = json.dumps({"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}).encode()
            self._answer(401, body, {"WWW-Authenticate": kind})
        else:
            self._serve(parts.path.removeprefix("/v2/"))

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        ok = form["refresh_token"] == ["stands-for-me"] and form["grant_type"] == ["refresh_token"]
        self._answer(200 if ok else 401, json.dumps({"access_token": "granted"}).encode())

    def _serve(self, path: str) -> None:
        registry = self.registry
        repository, _, rest = path.partition("/manifests/")
        if rest:
            found = registry.manifests.get((repository, rest))
            if found is None:
                body = json.dumps({"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}).encode()
                self._answer(404, body)
            else:
                told = {"Content-Type": found[0], "Docker-Content-Digest": digest(found[1])}
                self._answer(200, found[1], told)
            return
        name = path.partition("/blobs/")[2]
        if registry.redirect:
            self._answer(307, b"", {"Location": f"{registry.redirect}/storage/{name}"})
        else:
            self._blob(name)

    def _blob(self, name: str) -> None:
        registry = self.registry
        content = registry.blobs.get(name)
        if content is None:
            self._answer(404, b"{}")
            return
        if not _type_of(content) and b"rootfs" not in content:
            registry.waiting.set()
            registry.gate.wait(30)
        start, status, told = 0, 200, {}
        asked = self.headers.get("Range")
        if asked:
            registry.ranges.append(asked)
            start, status = int(asked.removeprefix("bytes=").rstrip("-")), 206
            told = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        body = content[start:]
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for key, value in told.items():
            self.send_header(key, value)
        self.end_headers()
        if registry.break_after and b"rootfs" not in content:
            body = body[: registry.break_after.pop(0)]
            self.close_connection = True
        registry.sent += len(body)
        self.wfile.write(body)

    def _may(self) -> bool:
        login, given = self.registry.login, self.headers.get("Authorization") or ""
        if login is None:
            return True
        return given == ("Bearer granted" if self.registry.scheme == "bearer" else _basic(login))

    def _token(self, query: dict[str, list[str]]) -> None:
        given, login = self.headers.get("Authorization") or "", self.registry.login
        assert query["service"] == ["test"]
        assert query["scope"][0].startswith("repository:")
        if given and (login is None or given != _basic(login)):
            self._answer(401, b"{}")
        else:
            self._answer(200, json.dumps({"token": "granted" if given else "nobody"}).encode())

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _basic(login: tuple[str, str]) -> str:
    return "Basic " + base64.b64encode(":".join(login).encode()).decode()


@contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[Registry]:
    """A registry at `registry.host`."""
    registry = Registry()
    handler = type("Handler", (_Handler,), {"registry": registry})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        registry.host = f"127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield registry
        finally:
            registry.gate.set()
            server.shutdown()
            thread.join()
