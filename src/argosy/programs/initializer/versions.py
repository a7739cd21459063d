"""Which version of a data set a URI means now: an ETag, a commit, a digest of what is listed. Called by `datasets`.

It names the entry of the cache and goes into the run's lineage, so that two runs on different data are told apart.
"""

from __future__ import annotations

import hashlib
import json
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from argosy.programs import pod
from argosy.programs.initializer import fetch, s3

_HUB = "https://huggingface.co"
_NO_HEAD = (400, 405, 501)


def version(uri: str, environ: Mapping[str, str]) -> str:
    """`etag:…`, `commit:…`, `listing:…` or `modified:…`; empty where a server tells none. Raises FetchError."""
    parts = urlsplit(uri)
    match parts.scheme:
        case "http" | "https":
            return _of_page(uri)
        case "s3":
            return _of_bucket(parts.netloc, parts.path.lstrip("/"), environ)
        case "hf":
            return _of_hub(uri, environ)
        case "file":
            return _of_files(Path(unquote(parts.path)))
    return ""


def _of_page(uri: str) -> str:
    try:
        with urllib.request.urlopen(urllib.request.Request(uri, method="HEAD"), timeout=fetch.SECONDS) as answer:
            tag, modified = answer.headers.get("ETag", ""), answer.headers.get("Last-Modified", "")
    except urllib.error.HTTPError as error:
        if error.code in _NO_HEAD:
            return ""
        raise fetch.refused(error) from None
    except (urllib.error.URLError, OSError) as error:
        raise fetch.FetchError(f"the server cannot be reached: {getattr(error, 'reason', error)}") from None
    if tag:
        return "etag:" + str(tag).removeprefix("W/").strip('"')
    return "modified:" + str(modified).replace(" ", "_") if modified else ""


def _of_bucket(name: str, prefix: str, environ: Mapping[str, str]) -> str:
    listed = s3.Bucket.from_environment(name, environ).listing(prefix, fetch.read)
    return _digest(f"{key} {tag}" for key, tag in listed)


def _of_hub(uri: str, environ: Mapping[str, str]) -> str:
    repository, _ = fetch.hub_name(uri)
    hub = environ.get("HF_ENDPOINT") or _HUB
    token = environ.get("ACCESS_TOKEN") or environ.get("HF_TOKEN")
    headers = {"authorization": f"Bearer {token}"} if token else {}
    said = fetch.read(f"{hub.rstrip('/')}/api/datasets/{quote(repository)}/revision/main", headers)
    try:
        return f"commit:{json.loads(said)['sha']}"
    except (ValueError, KeyError, TypeError):
        raise fetch.FetchError(f"{hub} does not answer as the Hub does") from None


def _of_files(path: Path) -> str:
    named, path = path, pod.path(path)
    if not path.exists():
        raise fetch.Refused(f"{named} does not exist in this container; mount what holds it")
    files = [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())
    return _digest(f"{file} {(stat := file.stat()).st_size} {stat.st_mtime_ns}" for file in files)


def _digest(lines: Iterable[str]) -> str:
    return "listing:" + hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:32]
