"""What `ssh`, `sshd` and `kubectl exec` are told on their command lines. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

PORT = 2222
"""Where a worker listens unless told otherwise: an ordinary user may, and the images of mpi-operator do so."""
_SSH_VALUES = frozenset("BbcDEeFIiJLlmOoPpQRSWw")
_SSHD_VALUES = frozenset("CcEfghkoPpu")


class Misused(ValueError):
    """The command line makes no sense; the message says why."""


@dataclass(frozen=True, slots=True)
class Call:
    """One command for one host."""

    host: str
    command: str
    port: int = PORT
    key: str = ""
    """The file named with `-i`."""


@dataclass(frozen=True, slots=True)
class Service:
    """How to listen."""

    port: int = PORT
    key: str = ""


@dataclass(frozen=True, slots=True)
class Exec:
    """`kubectl exec`."""

    pod: str
    command: tuple[str, ...]
    container: str = ""
    namespace: str = ""


def ssh(words: Sequence[str]) -> Call:
    """`ssh [options] [user@]host command …`, where the command's words are joined by blanks. Raises Misused."""
    options, rest = _options(words, _SSH_VALUES)
    if len(rest) < 2:
        raise Misused("usage: ssh [options] host command …: this stand-in opens no terminal, give it a command")
    host = rest[0].rpartition("@")[2]
    return Call(host, " ".join(rest[1:]), _port(options, "Port"), options.get("i", ""))


def sshd(words: Sequence[str]) -> Service:
    """`sshd [options]`; configuration files are not read. Raises Misused."""
    options, _ = _options(words, _SSHD_VALUES)
    return Service(_port(options, "Port"), options.get("h", ""))


def kubectl(words: Sequence[str]) -> Exec:
    """`kubectl exec POD [--container NAME] [--namespace NAME] -- command …`. Raises Misused."""
    usage = "usage: kubectl exec POD [--container NAME] [--namespace NAME] -- command …"
    if not words or words[0] != "exec" or "--" not in words:
        raise Misused(usage)
    cut = list(words).index("--")
    pod, options, pending = "", {"container": "", "namespace": ""}, ""
    for word in words[1:cut]:
        name, equals, value = word.lstrip("-").partition("=")
        name = {"c": "container", "n": "namespace"}.get(name, name)
        if pending:
            options[pending], pending = word, ""
        elif word.startswith("-") and name in options:
            options[name], pending = value, "" if equals else name
        elif word.startswith("-"):
            continue
        else:
            pod = word.removeprefix("pod/")
    command = tuple(words[cut + 1 :])
    if not pod or not command:
        raise Misused(usage)
    return Exec(pod, command, options["container"], options["namespace"])


def _options(words: Sequence[str], with_value: frozenset[str]) -> tuple[dict[str, str], list[str]]:
    """The single-letter options up to the first word that is none, `-o Name=value` among them by name; and the rest."""
    options: dict[str, str] = {}
    remaining = list(words)
    while remaining and remaining[0].startswith("-") and remaining[0] != "-":
        letters = remaining.pop(0)[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter not in with_value:
                continue
            value, letters = letters or (remaining.pop(0) if remaining else ""), ""
            if letter == "o":
                name, _, value = value.replace(" ", "=", 1).partition("=")
                options[name] = value
            else:
                options[letter] = value
    return options, remaining


def _port(options: dict[str, str], name: str) -> int:
    text = options.get("p") or options.get(name) or str(PORT)
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise Misused(f"{text!r} is no port: give a number from 1 to 65535")
    return int(text)
