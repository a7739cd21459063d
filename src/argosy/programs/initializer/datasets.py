"""The init container of jobs that ask for data sets, and the sidecar that holds what they read: `datasets.pyz [hold]`.

It travels as an archive in a ConfigMap and runs in the job's own image, which needs Python 3.11 and nothing of this project.
In: `DATASETS` (lines of NAME=URI), `DATASETS_PLACE`, `DATASETS_CACHE` (a shared directory, optional) with `DATASETS_CACHE_BYTES`,
and the credentials that `fetch` and `s3` name. Out: `DATASETS_PLACE/NAME`, `versions.json` there, and the versions as the
termination message, where the operator finds them. It exits with 3 where no other try helps.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from argosy.clock import SystemClock
from argosy.programs import pod
from argosy.programs.initializer import cache, fetch, versions

HOPELESS = 3
VERSIONS, _KEYS = "versions.json", ".keys.json"


def main() -> None:
    """The container."""
    place = pod.path(Path(os.environ["DATASETS_PLACE"]))
    if sys.argv[1:] == ["hold"]:
        _hold(place)
        return
    wanted = [line.partition("=")[::2] for line in os.environ["DATASETS"].splitlines() if line.strip()]
    for name in os.environ.get("DATASETS_MOUNTED", "").split():
        (place / name).mkdir(exist_ok=True)  # nobody can make the mount's place in what is mounted read-only
    found: dict[str, str] = {}
    for name, uri in wanted:
        try:
            found[name] = bring(place, name, uri, os.environ)
        except fetch.Refused as error:
            pod.give_up(f"the data set {name} ({uri}) cannot be had: {error}", HOPELESS)
        except (fetch.FetchError, OSError) as error:
            pod.give_up(f"the data set {name} ({uri}) could not be fetched: {error}")
        print(f"data set {name}: {uri} {found[name]}", flush=True)
    (place / VERSIONS).write_text(json.dumps(found))
    pod.leave_word(json.dumps({"datasets": found}))


def bring(place: Path, name: str, uri: str, environ: Mapping[str, str]) -> str:
    """Have the data set at `place/name`; its version. Raises FetchError and OSError."""
    version = versions.version(uri, environ)
    wish = fetch.Wish(uri, "dataset", revision=version.partition("commit:")[2])
    shared = environ.get("DATASETS_CACHE", "")
    if not shared:
        fetch.into(place / name, wish, environ)
        return version or _content(place / name)
    key = hashlib.sha256(f"{uri}\0{version}".encode()).hexdigest()[:32]

    def fill(directory: Path) -> None:
        fetch.into(directory, wish, environ)

    limit, now = int(environ.get("DATASETS_CACHE_BYTES") or 0), SystemClock().now().timestamp()
    entry = cache.use(pod.path(Path(shared)), key, fill, now=now, limit=limit)
    link = place / name
    link.unlink(missing_ok=True)
    link.symlink_to(entry)
    _note(place, key)
    return version or _content(entry)


def _note(place: Path, key: str) -> None:
    noted = place / _KEYS
    keys = json.loads(noted.read_text()) if noted.exists() else []
    noted.write_text(json.dumps(sorted({*keys, key})))


def _hold(place: Path) -> None:
    noted = place / _KEYS
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    cache.hold(pod.path(Path(os.environ["DATASETS_CACHE"])), json.loads(noted.read_text()) if noted.exists() else [])
    signal.sigwait(ends)


def _content(directory: Path) -> str:
    """The digest of what came, where the server tells no version."""
    digest = hashlib.sha256()
    for path in sorted(each for each in directory.rglob("*") if each.is_file() and each.name != fetch.NOTE):
        with path.open("rb") as file:
            digest.update(
                f"{path.relative_to(directory)}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode()
            )
    return f"sha256:{digest.hexdigest()[:32]}"


if __name__ == "__main__":
    main()
