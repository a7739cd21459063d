"""Names: what Kubernetes accepts as a name, a label or a key, and its words for what it does not.

Each check returns the complaints about a value, none when it is good; `meta.rules` turns them into causes. The words
are part of the API: people and scripts search for them.
"""

from __future__ import annotations

import re
from functools import lru_cache

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_WILDCARD = rf"\*\.{_SUBDOMAIN}"
_HTTP_PATH = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"
_UNDERSCORED = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SEARCHED = rf"{_UNDERSCORED}(\.{_UNDERSCORED})*"
_LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE = rf"({_QUALIFIED})?"
_CONFIG_KEY = "[-._a-zA-Z0-9]+"
_HTTP_HEADER = "[-A-Za-z0-9]+"
_ENV_RELAXED = "[ -<>-~]+"

_compiled = {
    pattern: re.compile(pattern)
    for pattern in (
        _LABEL, _SUBDOMAIN, _WILDCARD, _SEARCHED, _LABEL_1035, _QUALIFIED, _VALUE, _CONFIG_KEY, _HTTP_HEADER, _ENV_RELAXED,
    )
}  # fmt: skip

EMPTY = "must be non-empty"


def regex_message(message: str, pattern: str, *examples: str) -> str:
    """`message (e.g. 'a',  or 'b', regex used for validation is '…')`, exactly as Kubernetes joins them."""
    if not examples:
        return f"{message} (regex used for validation is '{pattern}')"
    joined = " or ".join(f"'{example}', " for example in examples)
    return f"{message} (e.g. {joined}regex used for validation is '{pattern}')"


def too_long(limit: int, unit: str = "characters") -> str:
    """The complaint about a value over `limit`; Kubernetes counts the values of labels in bytes."""
    return f"must be no more than {limit} {unit}"


def out_of_range(low: int, high: int) -> str:
    """The complaint about a number outside low..high."""
    return f"must be between {low} and {high}, inclusive"


_SUBDOMAIN_MESSAGE = regex_message(
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and"
    " end with an alphanumeric character",
    _SUBDOMAIN,
    "example.com",
)
_LABEL_MESSAGE = regex_message(
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with"
    " an alphanumeric character",
    _LABEL,
    "my-name",
    "123-abc",
)
_LABEL_1035_MESSAGE = regex_message(
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character,"
    " and end with an alphanumeric character",
    _LABEL_1035,
    "my-name",
    "abc-123",
)
_QUALIFIED_MESSAGE = regex_message(
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
    _QUALIFIED,
    "MyName",
    "my.name",
    "123-abc",
)
_SEARCHED_MESSAGE = regex_message(
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start"
    " and end with an alphanumeric character",
    _SEARCHED,
    "example.com",
)
_WILDCARD_MESSAGE = regex_message(
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower"
    " case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
    _WILDCARD,
    "*.example.com",
)
_VALUE_MESSAGE = regex_message(
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and"
    " end with an alphanumeric character",
    _VALUE,
    "MyValue",
    "my_value",
    "12345",
)


def _check(value: str, limit: int, pattern: str, message: str, unit: str = "characters") -> list[str]:
    fits = _compiled[pattern].fullmatch(value) is not None
    if fits and len(value) <= limit:  # every pattern is of ASCII alone
        return []
    found: list[str] = []
    if len(value.encode()) > limit:
        found.append(too_long(limit, unit))
    if not fits:
        found.append(message)
    return found


def subdomain(value: str) -> list[str]:
    """A DNS-1123 subdomain, as most objects' names are."""
    return _check(value, 253, _SUBDOMAIN, _SUBDOMAIN_MESSAGE)


def searched(value: str) -> list[str]:
    """A domain that resolvers search: a subdomain that may also have underscores."""
    return _check(value, 253, _SEARCHED, _SEARCHED_MESSAGE)


def prefix(value: str) -> str:
    """A name that may be the beginning of one, as one that is whole."""
    return f"{value[:-1]}a" if value.endswith("-") else value


def wildcard(value: str) -> list[str]:
    """A DNS-1123 subdomain below a `*.`."""
    return _check(value, 253, _WILDCARD, _WILDCARD_MESSAGE)


def http_path(value: str) -> list[str]:
    """The path of a URL, without what has to be quoted in it."""
    return [] if re.fullmatch(_HTTP_PATH, value) else [regex_message("Invalid path", _HTTP_PATH)]


def label(value: str) -> list[str]:
    """A DNS-1123 label, as the names of namespaces, containers and volumes are."""
    found = _check(value, 63, _LABEL, _LABEL_MESSAGE)
    if found and found[-1] is _LABEL_MESSAGE and _compiled[_SUBDOMAIN].fullmatch(value):
        found[-1] = "must not contain dots"
    return found


def label_1035(value: str) -> list[str]:
    """A DNS-1035 label: starts with a letter."""
    return _check(value, 63, _LABEL_1035, _LABEL_1035_MESSAGE)


def label_value(value: str) -> list[str]:
    """What a label may be set to."""
    return _check(value, 63, _VALUE, _VALUE_MESSAGE, "bytes")


def path_segment(value: str) -> list[str]:
    """A name that need only fit into a URL, as those of roles."""
    if value in (".", ".."):
        return [f"may not be '{value}'"]
    return [f"may not contain '{part}'" for part in ("/", "%") if part in value]


def qualified(value: str) -> list[str]:
    """A label key: `name` or `prefix.example.com/name`."""
    return list(_qualified(value))


@lru_cache(maxsize=1024)
def _qualified(value: str) -> tuple[str, ...]:
    """Remembered, for a cluster uses few keys and writes them with every object."""
    found: list[str] = []
    parts = value.split("/")
    if len(parts) == 2:
        prefix, name = parts
        if not prefix:
            found.append(f"prefix part {EMPTY}")
        else:
            found += [f"prefix part {complaint.replace('characters', 'bytes', complaint.startswith('must be no more'))}"
                      for complaint in subdomain(prefix)]  # fmt: skip
    elif len(parts) == 1:
        name = value
    else:
        message = regex_message(
            "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an"
            " alphanumeric character",
            _QUALIFIED,
            "MyName",
            "my.name",
            "123-abc",
        )
        return (f"{message} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",)
    if not name:
        found.append(f"name part {EMPTY}")
    elif len(name) > 63:
        found.append(f"name part {too_long(63, 'bytes')}")
    if _compiled[_QUALIFIED].fullmatch(name) is None:
        found.append(f"name part {_QUALIFIED_MESSAGE}")
    return tuple(found)


_CONFIG_KEY_MESSAGE = regex_message(
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
    _CONFIG_KEY,
    "key.name",
    "KEY_NAME",
    "key-name",
)


def config_key(value: str) -> list[str]:
    """A key of a ConfigMap's or Secret's data."""
    found = _check(value, 253, _CONFIG_KEY, _CONFIG_KEY_MESSAGE)
    if value[:1] != ".":
        return found
    if value == ".":
        found.append("must not be '.'")
    elif value == "..":
        found.append("must not be '..'")
    elif value.startswith(".."):
        found.append("must not start with '..'")
    return found


def env_name(value: str) -> list[str]:
    """The name of an environment variable."""
    if not value:
        return ["environment variable name " + EMPTY]
    if _compiled[_ENV_RELAXED].fullmatch(value) is None:
        return [
            regex_message(
                "a valid environment variable name must consist only of printable ASCII characters other than '='",
                "^[ -<>-~]+$",
            )
        ]
    return []


def http_header(value: str) -> list[str]:
    """The name of an HTTP header."""
    if _compiled[_HTTP_HEADER].fullmatch(value) is None:
        message = "a valid HTTP header must consist of alphanumeric characters or '-'"
        return [regex_message(message, _HTTP_HEADER, "X-Header-Name")]
    return []


def port_name(value: str) -> list[str]:
    """The name of a container's or Service's port."""
    found: list[str] = []
    if len(value) > 15:
        found.append("must be no more than 15 characters")
    if re.fullmatch("[-a-z0-9]+", value) is None:
        found.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if re.search("[a-z]", value) is None:
        found.append("must contain at least one letter (a-z)")
    if "--" in value:
        found.append("must not contain consecutive hyphens")
    if value and (value[0] == "-" or value[-1] == "-"):
        found.append("must not begin or end with a hyphen")
    return found


def port_number(value: int) -> list[str]:
    """A port that something can listen on."""
    return [] if 1 <= value <= 65535 else [out_of_range(1, 65535)]
