"""Signed requests to S3 and what speaks its language (AWS signature 4): listing a prefix, getting an object. Pure but for
the time of day, which signatures hold.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, urlencode, urlsplit
from xml.etree import ElementTree

from argosy.clock import SystemClock

_EMPTY = hashlib.sha256(b"").hexdigest()
_ALGORITHM = "AWS4-HMAC-SHA256"

Read = Callable[[str, dict[str, str]], bytes]


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket, addressed by path, and who asks. Without a key requests go unsigned, as public buckets take them."""

    endpoint: str
    name: str
    region: str
    key_id: str = ""
    secret: str = ""

    @classmethod
    def from_environment(cls, name: str, environ: Mapping[str, str]) -> Bucket:
        """As Kubeflow's initializers are told, or else as AWS' own programs are."""

        def first(*names: str) -> str:
            return next((environ[each] for each in names if environ.get(each)), "")

        region = first("REGION", "AWS_REGION", "AWS_DEFAULT_REGION") or "us-east-1"
        endpoint = first("ENDPOINT", "AWS_ENDPOINT_URL") or f"https://s3.{region}.amazonaws.com"
        key_id = first("ACCESS_KEY_ID", "AWS_ACCESS_KEY_ID")
        return cls(endpoint.rstrip("/"), name, region, key_id, first("SECRET_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY"))

    def keys(self, prefix: str, read: Read) -> Iterator[str]:
        """Every key below a prefix."""
        return (key for key, _ in self.listing(prefix, read))

    def listing(self, prefix: str, read: Read) -> Iterator[tuple[str, str]]:
        """Every key below a prefix, with the ETag of what it holds."""
        token = ""
        while True:
            query = {"list-type": "2", "prefix": prefix} | ({"continuation-token": token} if token else {})
            page = ElementTree.fromstring(read(*self.request("", query)))
            space = page.tag[: page.tag.index("}") + 1] if page.tag.startswith("{") else ""
            for entry in page.findall(f"{space}Contents"):
                yield entry.findtext(f"{space}Key") or "", entry.findtext(f"{space}ETag") or ""
            token = page.findtext(f"{space}NextContinuationToken") or ""
            if not token:
                return

    def request(
        self, key: str, query: Mapping[str, str] | None = None, now: datetime | None = None
    ) -> tuple[str, dict[str, str]]:
        """The URL and headers of a GET."""
        path = "/" + quote(f"{self.name}/{key}" if key else self.name)
        text = urlencode(sorted((query or {}).items()), quote_via=quote, safe="")
        url = f"{self.endpoint}{path}" + (f"?{text}" if text else "")
        if not self.key_id:
            return url, {}
        stamp = (now or SystemClock().now()).strftime("%Y%m%dT%H%M%SZ")
        headers = {"host": urlsplit(self.endpoint).netloc, "x-amz-content-sha256": _EMPTY, "x-amz-date": stamp}
        signed = ";".join(headers)
        lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
        canonical = "\n".join(["GET", path, text, lines, signed, _EMPTY])
        scope = f"{stamp[:8]}/{self.region}/s3/aws4_request"
        to_sign = "\n".join([_ALGORITHM, stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        secret = f"AWS4{self.secret}".encode()
        for part in scope.split("/"):
            secret = hmac.new(secret, part.encode(), hashlib.sha256).digest()
        signature = hmac.new(secret, to_sign.encode(), hashlib.sha256).hexdigest()
        headers["authorization"] = (
            f"{_ALGORITHM} Credential={self.key_id}/{scope}, SignedHeaders={signed}, Signature={signature}"
        )
        return url, headers
