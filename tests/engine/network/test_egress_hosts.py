"""Lists of hosts, and what clients ask a proxy for."""

import pytest

from argosy.engine.network.egress_hosts import ANNOTATION, allowances, plain
from argosy.engine.network.egress_proxy import _asked, _Refused


def namespace(text):
    return {"metadata": {"name": "n", "annotations": {ANNOTATION: text}}}


@pytest.mark.parametrize(
    ("listed", "host", "port", "allowed"),
    [
        ("pypi.org", "pypi.org", 443, True),
        ("pypi.org", "PyPI.org.", 80, True),
        ("pypi.org", "pypi.org", 8443, False),
        ("pypi.org", "evil-pypi.org", 443, False),
        ("pypi.org", "files.pypi.org", 443, False),
        ("*.hf.co", "cdn.eu.hf.co", 443, True),
        ("*.hf.co", "hf.co", 443, False),
        ("a.test, b.test:8443", "b.test", 8443, True),
        ("a.test\nb.test:8443", "b.test", 443, False),
        ("c.test:*", "c.test", 22, True),
        ("*", "anything.test", 443, True),
        ("*", "anything.test", 22, False),
        ("*:*", "anything.test", 22, True),
        ("", "a.test", 443, False),
        ("a.test:https", "a.test", 443, False),
    ],
)
def test_who_is_on_the_list(listed, host, port, allowed):
    found = allowances(namespace(listed))
    assert found is not None
    assert any(each.covers(plain(host), port) for each in found) is allowed


def test_without_a_list():
    assert allowances({"metadata": {"name": "n"}}) is None


def test_what_is_asked_for():
    assert _asked(b"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n") == ("a.test", 443, b"")
    head = b"GET http://a.test:81/p?q=1 HTTP/1.1\r\nHost: a.test:81\r\nProxy-Authorization: x\r\nConnection: keep-alive\r\n\r\n"
    sent = b"GET /p?q=1 HTTP/1.1\r\nHost: a.test:81\r\nConnection: close\r\n\r\n"
    assert _asked(head) == ("a.test", 81, sent)
    for bad in (
        b"GET / HTTP/1.1\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"CONNECT a.test HTTP/1.1\r\n\r\n",
        b"GET \xff HTTP/1.1\r\n\r\n",
    ):
        with pytest.raises(_Refused):
            _asked(bad)
