"""A registry as a source: the pull half of the OCI distribution API, with token or basic authentication.

Blocking, over urllib, which honours the proxies of the environment. Plain HTTP is spoken to this machine itself and to
registries of which `images.yaml` says so, nowhere else, whatever a redirect or a challenge asks for. A blob that breaks off
is taken up where it ended, also by the next try.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import IO, Any

from argosy.engine.node.images.resolve import ImageError
from argosy.engine.node.oci import credentials as asked
from argosy.engine.node.oci import manifest
from argosy.engine.node.oci.credentials import Credential
from argosy.engine.node.oci.manifest import Descriptor
from argosy.engine.node.oci.reference import DOCKER_HUB, Remote, is_loopback
from argosy.engine.node.oci.source import Document, Telling

TIMEOUT_SECONDS = 30.0
TRIES = 4
_PAUSE_SECONDS = 0.5
_CHUNK = 1 << 18
_ACCEPT = ", ".join((*manifest.INDEXES, *manifest.MANIFESTS))
_BROKEN = (http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError)


class Unreachable(ImageError):
    """The registry did not answer, or not as it should: it may at the next try."""


@dataclass(frozen=True, slots=True)
class Hosts:
    """What `images.yaml` says of registries."""

    plain_http: frozenset[str] = frozenset()
    """Those that may be asked without TLS."""
    tls: frozenset[str] = frozenset()
    """Those that are asked with TLS although they are on loopback."""
    ca_files: Mapping[str, str] | None = None
    """Certificates to trust, by registry."""


class RegistrySource:
    """One image of a registry, as who has these credentials may pull it."""

    def __init__(self, target: Remote, credentials: Sequence[Credential], hosts: Hosts) -> None:
        self._target = target
        self._hosts = hosts
        self._credentials = list(credentials)
        self._authorization = ""
        self._host = "registry-1.docker.io" if target.registry == DOCKER_HUB else target.registry
        self.is_plain = self._may_be_plain(self._host)
        self._base = f"{'http' if self.is_plain else 'https'}://{self._host}/v2/{target.repository}"
        self._opener = self._make_opener()

    def digest(self) -> str:
        """What the tag leads to now, without fetching it where the registry tells."""
        if self._target.digest:
            return self._target.digest
        with self._ask("HEAD", f"{self._base}/manifests/{self._target.version}") as answer:
            told = answer.headers.get("Docker-Content-Digest")
        return str(told) if told else self.manifest().digest

    def manifest(self, digest: str = "") -> Document:
        """The image's document, or the one of a digest. Raises ImageError, OSError."""
        wanted = digest or self._target.digest
        content, media_type = self._read(f"{self._base}/manifests/{wanted or self._target.tag}")
        found = wanted or f"sha256:{hashlib.sha256(content).hexdigest()}"
        return Document(manifest.verified(content, found, "manifest"), media_type, found)

    def small(self, blob: Descriptor) -> bytes:
        """A blob of a few kilobytes. Raises ImageError, OSError."""
        content, _ = self._read(f"{self._base}/blobs/{blob.digest}")
        return manifest.verified(content, blob.digest, "image's configuration")

    def fetch(self, blob: Descriptor, place: Path, told: Telling) -> Path:
        """Download a blob to `place`, going on where an earlier try ended. Raises ImageError, OSError."""
        tries = 0
        while True:
            before = _size(place)
            try:
                self._fetch_rest(blob, place, told)
                break
            except (*_BROKEN, Unreachable) as error:
                tries = 1 if _size(place) > before else tries + 1
                if tries >= TRIES:
                    raise error if isinstance(error, Unreachable) else self.unreachable(error) from None
                told.check()
                time.sleep(_PAUSE_SECONDS * tries)
        algorithm = blob.digest.partition(":")[0]
        with place.open("rb") as file:
            found = f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"
        if found != blob.digest:
            place.unlink()
            raise ImageError(f"{self._host} sent a layer that is not what its digest {blob.digest} says")
        return place

    def _fetch_rest(self, blob: Descriptor, place: Path, told: Telling) -> None:
        there = _size(place)
        if there > blob.size:
            place.unlink()
            there = 0
        if there == blob.size and place.exists():
            return
        headers = {"Range": f"bytes={there}-"} if there else {}
        with self._ask("GET", f"{self._base}/blobs/{blob.digest}", headers) as answer:
            goes_on = answer.status == 206 and str(answer.headers.get("Content-Range")).startswith(f"bytes {there}-")
            with place.open("ab" if there and goes_on else "wb") as file:
                while chunk := answer.read(_CHUNK):
                    file.write(chunk)
                    if file.tell() > blob.size:
                        raise ImageError(
                            f"{self._host} sends more of the layer {blob.digest} than its {blob.size} bytes"
                        )
                    told.more(len(chunk))
        if _size(place) < blob.size:
            raise http.client.IncompleteRead(b"")

    # -- asking

    def _ask(self, method: str, url: str, headers: Mapping[str, str] | None = None) -> Any:
        """One request, answered as whoever we can be. The answer is closed by the caller. Raises ImageError."""
        waiting: list[Credential | None] = [*self._credentials, None]
        while True:
            request = urllib.request.Request(url, method=method, headers={"Accept": _ACCEPT, **(headers or {})})
            if self._authorization:  # not sent along to where the registry keeps its blobs
                request.add_unredirected_header("Authorization", self._authorization)
            try:
                return self._opener.open(request, timeout=TIMEOUT_SECONDS)
            except urllib.error.HTTPError as error:
                with error:
                    refused = self._refused(error.code, _said(error))
                header = error.headers.get("WWW-Authenticate", "")
                if error.code not in {401, 403} or not header:
                    raise refused from None
                self._introduce(asked.challenge(header), waiting, refused)
            except urllib.error.URLError as error:
                raise self.unreachable(error.reason) from None
            except _BROKEN as error:
                raise self.unreachable(error) from None

    def _introduce(self, challenge: asked.Challenge, waiting: list[Credential | None], refused: ImageError) -> None:
        """Become the next of those who wait. Raises ImageError when nobody is left."""
        while waiting:
            try:
                self._authorization = self._authorize(challenge, waiting.pop(0), refused)
            except ImageError:
                if not waiting:
                    raise
            else:
                return
        raise refused

    def _read(self, url: str) -> tuple[bytes, str]:
        """A document and its type."""
        with self._ask("GET", url) as answer:
            try:
                return answer.read(manifest.DOCUMENT_BYTES_MAX + 1), str(answer.headers.get("Content-Type") or "")
            except _BROKEN as error:
                raise self.unreachable(error) from None

    def _authorize(self, challenge: asked.Challenge, who: Credential | None, refused: ImageError) -> str:
        """What to put into the Authorization header. Raises ImageError."""
        if challenge.scheme == "basic":
            if who is None:
                raise refused
            return who.basic
        realm = challenge.parameters.get("realm", "")
        if challenge.scheme != "bearer" or not realm:
            raise ImageError(
                f"{self._host} asks for authentication by {challenge.scheme or 'nothing'}, which is not known here"
            )
        self._check_plain(realm)
        query = {"service": challenge.parameters["service"]} if "service" in challenge.parameters else {}
        query["scope"] = challenge.parameters.get("scope") or f"repository:{self._target.repository}:pull"
        try:
            with self._opener.open(_token_request(realm, query, who), timeout=TIMEOUT_SECONDS) as answer:
                told = manifest.document(answer.read(manifest.DOCUMENT_BYTES_MAX), f"token of {realm}")
        except urllib.error.HTTPError as error:
            with error:
                raise self._refused(error.code, _said(error)) from None
        except urllib.error.URLError as error:
            raise self.unreachable(error.reason) from None
        except _BROKEN as error:
            raise self.unreachable(error) from None
        token = str(told.get("token") or told.get("access_token") or "")
        return f"Bearer {token}"

    def _refused(self, code: int, said: str) -> ImageError:
        name = f"{self._target.registry}/{self._target.repository}:{self._target.version}"
        detail = f": {said}" if said else ""
        if code in {401, 403}:
            have = "does not accept the imagePullSecrets of the pod" if self._credentials else "wants to know who pulls"
            text = (
                f"{name}: {code} {http.client.responses.get(code, '')}{detail}; {self._host} {have}, "
                "or has no such repository"
            )
        elif code == 404:
            text = f"{name}: 404 Not Found{detail}; {self._host} has no such image"
        elif code == 429:
            text = f"{name}: 429 Too Many Requests{detail}; {self._host} limits how much is pulled"
        elif code >= 500:
            return Unreachable(f"{name}: {self._host} answers {code} {http.client.responses.get(code, '')}{detail}")
        else:
            text = f"{name}: {self._host} answers {code} {http.client.responses.get(code, '')}{detail}"
        return ImageError(text)

    def unreachable(self, reason: object) -> ImageError:
        """Why the registry did not answer, with the next step."""
        if isinstance(reason, ssl.SSLError):
            said = getattr(reason, "reason", "") or reason
            return ImageError(
                f"{self._host} cannot be asked over TLS: {said}; a registry without TLS, or with an "
                f"authority of its own, is described in images.yaml: registries: {{{self._host}: {{plain_http: true}}}}"
            )
        if isinstance(reason, socket.gaierror):
            return Unreachable(f"{self._host}: no such host ({reason.strerror})")
        told = (
            reason.strerror if isinstance(reason, OSError) and reason.strerror else str(reason) or type(reason).__name__
        )
        return Unreachable(f"{self._host} cannot be reached: {told}")

    # -- the way there

    def _may_be_plain(self, host: str) -> bool:
        return host in self._hosts.plain_http or (is_loopback(host) and host not in self._hosts.tls)

    def _check_plain(self, url: str) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme != "https" and not (
            parts.scheme == "http" and self._may_be_plain(parts.netloc.rpartition("@")[2])
        ):
            raise ImageError(f"{self._host} leads to {parts.scheme}://{parts.netloc}, which is not protected by TLS")

    def _make_opener(self) -> urllib.request.OpenerDirector:
        check = self._check_plain

        class Redirects(urllib.request.HTTPRedirectHandler):
            """Follows a registry to its storage, and never out of TLS."""

            def redirect_request(
                self,
                req: urllib.request.Request,
                fp: IO[bytes],
                code: int,
                msg: str,
                headers: Message[str, str],
                newurl: str,
            ) -> urllib.request.Request | None:
                check(newurl)
                return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]

        handlers: list[urllib.request.BaseHandler] = [Redirects()]
        if is_loopback(self._host):
            handlers.append(urllib.request.ProxyHandler({}))
        ca_file = (self._hosts.ca_files or {}).get(self._target.registry)
        if ca_file:
            try:
                context = ssl.create_default_context(cafile=ca_file)
            except (OSError, ssl.SSLError) as error:
                raise ImageError(f"the ca_file {ca_file} of {self._target.registry} cannot be read: {error}") from None
            handlers.append(urllib.request.HTTPSHandler(context=context))
        return urllib.request.build_opener(*handlers)


def _token_request(realm: str, query: Mapping[str, str], who: Credential | None) -> urllib.request.Request:
    if who is not None and who.identity_token:
        form = {**query, "grant_type": "refresh_token", "refresh_token": who.identity_token, "client_id": "argosy"}
        return urllib.request.Request(realm, data=urllib.parse.urlencode(form).encode(), method="POST")
    url = f"{realm}{'&' if '?' in realm else '?'}{urllib.parse.urlencode(query)}"
    request = urllib.request.Request(url)
    if who is not None:
        request.add_unredirected_header("Authorization", who.basic)
    return request


def _said(error: urllib.error.HTTPError) -> str:
    """What a registry says about its refusal, in a few words."""
    try:
        errors = json.loads(error.read(65536)).get("errors")
        return "; ".join(f"{e.get('code', '')} {e.get('message', '')}".strip() for e in errors)[:300]
    except (ValueError, AttributeError, TypeError, OSError, http.client.HTTPException):
        return ""


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
