"""From a storage URI to files in a directory. Called by `__main__`; each scheme has a function.

Files come under a name of their own and are put in place when they are whole, and the note of what was fetched is written
last: an initializer that was killed begins again, one that finished has nothing to do.
"""

from __future__ import annotations

import json
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import BinaryIO, cast
from urllib.parse import unquote, urlsplit

from argosy.programs import pod
from argosy.programs.initializer import s3

NOTE = ".fetched.json"
SECONDS = 60
"""Without a byte for so long, a server counts as gone."""


_HOPELESS = (401, 403, 404, 410)


class FetchError(Exception):
    """One sentence with the next step."""


class Refused(FetchError):
    """No other try helps: it is not there, or the credentials are wrong."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What to fetch."""

    uri: str
    what: str
    """`dataset` or `model`."""
    ignored: tuple[str, ...] = ()
    """Patterns of names that are left out."""
    revision: str = ""
    """The commit on the Hub; empty for the newest."""


def into(place: Path, wish: Wish, environ: Mapping[str, str]) -> int:
    """Fetch into a directory; how many files, 0 when they are there already. Raises FetchError or OSError."""
    note = place / NOTE
    said = {"uri": wish.uri, "ignored": list(wish.ignored)}
    if note.exists() and json.loads(note.read_text()) == said:
        return 0
    place.mkdir(parents=True, exist_ok=True)
    parts = urlsplit(wish.uri)
    match parts.scheme:
        case "file":
            count = _copy(place, pod.path(unquote(parts.path)), wish.ignored)
        case "http" | "https":
            count = _download(place, [(Path(unquote(parts.path)).name or "data", wish.uri, {})])
        case "s3":
            count = _bucket(place, wish, environ)
        case "hf":
            count = _hub(place, wish, environ)
        case scheme:
            raise Refused(f"the scheme {scheme or 'of this URI'} is not known; use hf://, s3://, https:// or file://")
    if not count:
        raise Refused("nothing is there under that name; check the path and IGNORE_PATTERNS")
    note.write_text(json.dumps(said))
    return count


def _copy(place: Path, source: Path, ignored: tuple[str, ...]) -> int:
    if not source.exists():
        raise Refused(f"{source} does not exist in this container; mount it with a runtime patch")
    files = [source] if source.is_file() else sorted(path for path in source.rglob("*") if path.is_file())
    base = source.parent if source.is_file() else source
    count = 0
    for path in files:
        name = path.relative_to(base)
        if _wanted(str(name), ignored):
            with path.open("rb") as reading:
                _put(place / name, reading)
            count += 1
    return count


def _bucket(place: Path, wish: Wish, environ: Mapping[str, str]) -> int:
    parts = urlsplit(wish.uri)
    bucket = s3.Bucket.from_environment(parts.netloc, environ)
    prefix = parts.path.lstrip("/")
    requests = []
    for key in bucket.keys(prefix, read):
        name = key[len(prefix) :].lstrip("/") or Path(key).name
        if _wanted(name, wish.ignored) and not key.endswith("/"):
            requests.append((name, *bucket.request(key)))
    return _download(place, requests)


def _hub(place: Path, wish: Wish, environ: Mapping[str, str]) -> int:
    """The Hub has a client of its own, which the training images bring."""
    repository, below = hub_name(wish.uri)
    try:
        from huggingface_hub import snapshot_download  # noqa: PLC0415 - not in every image
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError  # noqa: PLC0415
    except ImportError:
        raise Refused("this image lacks huggingface_hub; use one that has it, or another scheme") from None
    try:
        snapshot_download(
            repo_id=repository,
            repo_type=wish.what,
            revision=wish.revision or None,
            local_dir=place,
            token=environ.get("ACCESS_TOKEN") or environ.get("HF_TOKEN") or None,
            allow_patterns=[below, f"{below}/*"] if below else None,
            ignore_patterns=list(wish.ignored) or None,
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, ValueError) as error:
        raise FetchError(f"{str(error).splitlines()[0]}; check the name and ACCESS_TOKEN") from error
    return sum(path.is_file() for path in place.rglob("*") if ".cache" not in path.parts)


def hub_name(uri: str) -> tuple[str, str]:
    """(repository, path in it) of `hf://owner/name[/path]`; `datasets/` in front is understood. Raises FetchError."""
    parts = [part for part in uri.removeprefix("hf://").removeprefix("datasets/").split("/") if part]
    if len(parts) < 2:
        raise Refused("a repository on the Hub is hf://owner/name")
    return "/".join(parts[:2]), "/".join(parts[2:])


def _download(place: Path, requests: Iterable[tuple[str, str, dict[str, str]]]) -> int:
    count = 0
    for name, url, headers in requests:
        with _open(url, headers) as reading:
            _put(place / name, reading, getattr(reading, "headers", {}).get("Content-Length"))
        count += 1
    return count


def read(url: str, headers: dict[str, str]) -> bytes:
    """The body of a GET. Raises FetchError."""
    with _open(url, headers) as reading:
        return reading.read()


def _open(url: str, headers: dict[str, str]) -> BinaryIO:
    try:
        return cast("BinaryIO", urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=SECONDS))
    except urllib.error.HTTPError as error:
        raise refused(error) from None
    except urllib.error.URLError as error:
        raise FetchError(f"the server cannot be reached: {error.reason}") from None


def refused(error: urllib.error.HTTPError) -> FetchError:
    """What a server's answer means for whoever waits."""
    kind = Refused if error.code in _HOPELESS else FetchError
    return kind(f"the server answered {error.code} {error.reason}; check the name and the credentials")


def _put(target: Path, reading: BinaryIO, length: str | None = None) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.partial")
    with partial.open("wb") as writing:
        shutil.copyfileobj(reading, writing, 1 << 20)
        came = writing.tell()
    if length is not None and length.isdigit() and came != int(length):
        partial.unlink()
        raise FetchError(f"the server sent {came} of {length} bytes of {target.name}")
    partial.replace(target)


def _wanted(name: str, ignored: tuple[str, ...]) -> bool:
    return not any(fnmatch(name, pattern) or fnmatch(Path(name).name, pattern) for pattern in ignored)
