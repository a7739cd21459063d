"""Reads the image catalogue: the user's `images.yaml` before the one that comes with Argosy.

Read again when the user's file changes, so that mapping an image mends a pod that waits for it.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from argosy.engine.node.images.resolve import Catalogue, CatalogueError, read
from argosy.meta.json import Obj

_OWN = Path(__file__).with_name("catalogue.yaml")


class CatalogueFiles:
    """The catalogue as the files say now."""

    def __init__(self, user_file: Path) -> None:
        self.user_file = user_file
        self._own: Obj | None = None
        self._catalogue: Catalogue | None = None
        self._stamp: tuple[int, int] | None = None

    def current(self) -> Catalogue:
        """The catalogue. Raises CatalogueError with the file's name and what is wrong with it."""
        stamp = self._stamp_now()
        if self._catalogue is None or stamp != self._stamp:
            if self._own is None:
                self._own = _load(_OWN)
            documents = [_load(self.user_file)] if stamp is not None else []
            try:
                self._catalogue = read(*documents, self._own)
            except CatalogueError as error:
                raise CatalogueError(f"{self.user_file}: {error}") from None
            self._stamp = stamp
        return self._catalogue

    def _stamp_now(self) -> tuple[int, int] | None:
        try:
            found = self.user_file.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size


def _load(path: Path) -> Obj:
    try:
        loaded = yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        first = str(error).replace("\n", " ")
        raise CatalogueError(f"{path} is not YAML: {first}") from None
    except OSError as error:
        raise CatalogueError(f"{path} cannot be read: {error.strerror}") from None
    if not isinstance(loaded, dict):
        raise CatalogueError(f"{path} must be a mapping with `environments` and `images`")
    return loaded
