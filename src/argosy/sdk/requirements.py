"""Which packages the code of a working directory needs: requirements.txt, a lock file or pyproject.toml, as plain lines.

Pure: texts in, lines out, in the form that both pip and uv read. The lines are what an environment's address is made of,
so comments, hashes and the order of a lock file do not matter.
"""

from __future__ import annotations

import posixpath
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from argosy.errors import UserError
from argosy.meta.json import Obj

SOURCES = ("requirements.txt", "pylock.toml", "uv.lock", "poetry.lock", "pyproject.toml")
"""In the order in which they are looked for: what a person wrote for this purpose before what a tool resolved."""
_KEPT_OPTIONS = ("--index-url", "--extra-index-url", "--find-links", "--pre", "--no-index", "--prefer-binary")
_SHORT = {"-i": "--index-url", "-f": "--find-links"}
_DEPTH_MAX = 10


@dataclass(frozen=True, slots=True)
class Requirements:
    """What to install; no lines where the code asks for nothing."""

    lines: tuple[str, ...] = ()
    source: str = ""
    """The file that they come from."""

    @property
    def text(self) -> str:
        """A requirements.txt of them."""
        return "".join(f"{line}\n" for line in self.lines)


def wanted_files(paths: Sequence[str], chosen: str = "") -> list[str]:
    """The files of a workspace whose texts `read` needs."""
    if chosen:
        return [path for path in paths if path == chosen or path.endswith((".txt", ".in", "pyproject.toml"))]
    return [path for path in paths if path in SOURCES or ("/" not in path and path.endswith((".txt", ".in")))]


def read(texts: Mapping[str, str], chosen: str = "") -> Requirements:
    """The requirements of a workspace: of the file `chosen`, else of the first of `SOURCES` that is there. `none` chooses
    nothing. Raises UserError that names the file and the line.
    """
    if chosen == "none":
        return Requirements()
    if chosen and chosen not in texts:
        raise UserError(f"there is no {chosen} in the working directory", "name a file of it with --requirements")
    source = chosen or next((name for name in SOURCES if name in texts), "")
    if not source:
        return Requirements()
    name = posixpath.basename(source)
    if name.endswith((".toml", ".lock")):
        document = _toml(texts[source], source)
        lines = _of_toml(name, document)
    else:
        lines = list(_of_text(texts, source, 0))
    return Requirements(tuple(dict.fromkeys(lines)), source)


def _toml(text: str, source: str) -> Obj:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{source} is not valid TOML: {error}", "mend it, or choose --requirements none") from None


def _of_toml(name: str, document: Obj) -> list[str]:
    if name == "uv.lock":
        return _of_uv(document)
    if name == "poetry.lock":
        return [_pinned(entry) for entry in document.get("package") or () if _is_main(entry)]
    if "packages" in document:  # PEP 751
        return [_pinned(entry) for entry in document["packages"]]
    return [str(line) for line in (document.get("project") or {}).get("dependencies") or ()]


def _is_main(entry: Obj) -> bool:
    groups = entry.get("groups")
    return not entry.get("optional") and (groups is None or "main" in groups) and entry.get("category") != "dev"


def _pinned(entry: Obj, marker: str = "") -> str:
    marker = marker or (entry.get("marker") or entry.get("markers") or "")
    line = f"{entry['name']}=={entry['version']}" if entry.get("version") else str(entry["name"])
    return f"{line} ; {marker}" if isinstance(marker, str) and marker else line


def _of_uv(document: Obj) -> list[str]:
    """What the project itself, without its development groups, needs: its closure over the locked packages."""
    packages: dict[str, list[Obj]] = {}
    for entry in document.get("package") or ():
        packages.setdefault(str(entry["name"]), []).append(entry)
    own = [entry for entries in packages.values() for entry in entries if {"virtual", "editable"} & _source(entry)]
    waiting = [edge for entry in own for edge in entry.get("dependencies") or ()]
    found: dict[str, str] = {}
    while waiting:
        edge = waiting.pop(0)
        for entry in packages.get(str(edge["name"]), ()):
            if "version" in edge and edge["version"] != entry.get("version"):
                continue
            line = _pinned(entry)
            known = found.get(line)
            marker = str(edge.get("marker") or "")
            if known is None:
                optional = entry.get("optional-dependencies") or {}
                waiting += entry.get("dependencies") or ()
                waiting += [more for extra in edge.get("extra") or () for more in optional.get(extra) or ()]
            if known is None or (known and not marker):
                found[line] = marker
            elif known and marker and marker not in known:
                found[line] = f"({known}) or ({marker})"
    return [f"{line} ; {marker}" if marker else line for line, marker in sorted(found.items())]


def _source(entry: Obj) -> set[str]:
    return set(entry.get("source") or ())


def _of_text(texts: Mapping[str, str], source: str, depth: int) -> Iterator[str]:
    joined = re.sub(r"\\\r?\n", " ", texts[source])
    for number, raw in enumerate(joined.splitlines(), 1):
        line = re.sub(r"(^|\s)#.*$", "", raw).strip()
        line = re.sub(r"\s+--hash[= ]\S+", "", line).strip()
        if line:
            yield from _of_line(texts, source, number, line, depth)


def _of_line(texts: Mapping[str, str], source: str, number: int, line: str, depth: int) -> Iterator[str]:
    option, _, value = line.replace("=", " ", 1).partition(" ") if line.startswith("-") else ("", "", line)
    option, value = _SHORT.get(option, option), value.strip()
    where = f"{source}, line {number}"
    if option in ("-r", "--requirement"):
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), value))
        if path not in texts or depth >= _DEPTH_MAX:
            raise UserError(f"{where} includes {value}, which is not in the working directory", "add it, or the lines")
        yield from _of_text(texts, path, depth + 1)
    elif option in ("-e", "--editable") or (not option and value.split("[")[0] in (".", "./")):
        if value.split("[")[0] not in (".", "./"):
            raise UserError(f"{where}: {line!r} is not the working directory itself", "import it from there instead")
        if "pyproject.toml" in texts:  # the code itself is on the path; what it needs is not
            yield from _of_toml("pyproject.toml", _toml(texts["pyproject.toml"], "pyproject.toml"))
    elif option in _KEPT_OPTIONS:
        yield f"{option}={value}" if value else option
    elif option == "--require-hashes":
        return
    elif option:
        raise UserError(f"{where}: the option {option} means nothing to a job", "take it out")
    elif re.match(r"\.{0,2}/", value) or " @ file:" in value:
        raise UserError(f"{where}: {line!r} is a path of this machine", "put the package into the working directory")
    else:
        yield re.sub(r"\s*;\s*", " ; ", re.sub(r"\s*(==|>=|<=|~=|!=|<|>|,)\s*", r"\1", value))
