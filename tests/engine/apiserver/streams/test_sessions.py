import pytest

from argosy.engine.apiserver.streams import sessions
from argosy.errors import NotFound
from argosy.meta.json import decode


def test_exit_codes_are_told_as_kubernetes_does():
    assert sessions.ended(0) == {"metadata": {}, "status": "Success"}
    status = sessions.ended(3)
    assert (status["status"], status["reason"]) == ("Failure", "NonZeroExitCode")
    assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]
    assert sessions.in_words(sessions.ended(0)) == ""
    assert "exit code 3" in sessions.in_words(status)


def test_failures_are_told_as_a_status():
    assert sessions.failed(NotFound("gone"))["reason"] == "NotFound"
    assert sessions.failed(OSError("broken"))["message"].endswith("error executing command in container: broken")


@pytest.mark.parametrize(
    ("said", "size"),
    [
        (b'{"Width":80,"Height":24}', (24, 80)),
        (b'{"Width":0,"Height":24}', None),
        (b'{"Width":70000,"Height":24}', None),
        (b'{"Width":"a","Height":24}', None),
        (b"[]", None),
        (b"{", None),
    ],
)
def test_window_sizes(said, size):
    assert sessions.window(said, decode) == size
