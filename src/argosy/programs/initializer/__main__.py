"""`python -m argosy.programs.initializer dataset|model`: the only command of the initializer containers.

In: `STORAGE_URI` (hf://, s3://, http://, https:// or file://), `IGNORE_PATTERNS` (comma separated), `ACCESS_TOKEN` for the
Hub, `ENDPOINT`, `ACCESS_KEY_ID`, `SECRET_ACCESS_KEY` and `REGION` for S3. Out: the files below /workspace/dataset or
/workspace/model, and a note beside them of where they came from: what is there already is not fetched again.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from argosy.programs import pod
from argosy.programs.initializer import fetch

_PLACES = {"dataset": "/workspace/dataset", "model": "/workspace/model"}
_HEAVY = "*.msgpack,*.h5,*.bin,*.pt,*.pth"
"""What a model's repository holds twice; not fetched unless `IGNORE_PATTERNS` says otherwise."""


def main() -> None:
    """The container."""
    what = sys.argv[1] if len(sys.argv) > 1 else ""
    if what not in _PLACES:
        pod.give_up("initializer: say `dataset` or `model`")
    uri = os.environ.get("STORAGE_URI", "")
    if not uri:
        print(f"STORAGE_URI is empty: there is no {what} to fetch", flush=True)
        return
    ignored = os.environ.get("IGNORE_PATTERNS", _HEAVY if what == "model" else "")
    wish = fetch.Wish(uri, what, tuple(filter(None, ignored.split(","))))
    try:
        count = fetch.into(pod.path(Path(_PLACES[what])), wish, os.environ)
    except (fetch.FetchError, OSError) as error:
        pod.give_up(f"the {what} {uri} could not be fetched: {error}")
    print(f"{what} {uri}: {count} files in {_PLACES[what]}" if count else f"{what} {uri}: here already", flush=True)


if __name__ == "__main__":
    main()
