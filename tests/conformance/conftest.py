"""The cluster that the conformance suite is held against: a fresh embedded engine, or with `--kubeconfig FILE` any other.

A test is a coroutine that is given `namespace`, a namespace of its own; what it needs of the cluster it says by
`pytest.mark.needs("pods", …)` and it is skipped, with what was found, where that is not so. All of them run on one loop.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "e2e"))

from engine_home import best_available, running_home

from argosy.client import kubeconfig as kubeconfigs
from argosy.errors import ApiError, UserError
from conformance.capabilities import Capabilities
from conformance.cluster import PATIENCE_SECONDS, Cluster, Namespace
from conformance.town import Town

_NODES = 2
_TEST_SECONDS = 600.0


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--kubeconfig", type=Path, metavar="FILE", help="run the conformance suite on this cluster, not on an engine"
    )
    parser.addoption("--patience", type=float, metavar="SECONDS", help="how long the cluster may take for anything")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """A coroutine is run on the session's loop."""
    if not inspect.iscoroutinefunction(pyfuncitem.function):
        return None
    wanted = inspect.signature(pyfuncitem.function).parameters
    given = {name: value for name, value in pyfuncitem.funcargs.items() if name in wanted}

    async def bounded() -> None:
        async with asyncio.timeout(_TEST_SECONDS):
            await pyfuncitem.function(**given)

    pyfuncitem.funcargs["loop"].run(bounded())
    return True


@pytest.fixture(scope="session")
def loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="session")
def kubeconfig(request: pytest.FixtureRequest) -> Iterator[Path]:
    """The file that leads to the cluster; for programs that are clients of their own, such as kubectl."""
    given = request.config.getoption("--kubeconfig", default=None)
    if given is not None:
        yield given.absolute()
        return
    for home in running_home(best_available(), "--nodes", str(_NODES)):
        yield home.path / "kubeconfig"


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest, loop: asyncio.Runner, kubeconfig: Path) -> Iterator[Cluster]:
    patience = request.config.getoption("--patience", default=None) or PATIENCE_SECONDS
    try:
        found = Cluster(kubeconfigs.load([kubeconfig]), kubeconfig, patience)
        loop.run(found.reachable())
    except (UserError, ApiError, ConnectionError) as error:
        pytest.exit(f"the cluster of {kubeconfig} cannot be used: {error}", returncode=2)
    try:
        yield found
    finally:
        loop.run(found.close())


@pytest.fixture(scope="session")
def capabilities(cluster: Cluster) -> Capabilities:
    return Capabilities(cluster)


@pytest.fixture(autouse=True)
def _needed(request: pytest.FixtureRequest, loop: asyncio.Runner, capabilities: Capabilities) -> None:
    for mark in request.node.iter_markers("needs"):
        for name in mark.args:
            if why := loop.run(capabilities.lacks(name)):
                pytest.skip(f"this cluster has no {name}: {why}")
        if mark.kwargs.get("only"):
            return  # what its module needs is not meant


@pytest.fixture
def namespace(loop: asyncio.Runner, cluster: Cluster, _needed: None) -> Iterator[Namespace]:
    """A namespace of the test's own, deleted with all that is in it."""
    made = loop.run(cluster.namespace())
    try:
        yield made
    finally:
        loop.run(made.delete())


@pytest.fixture
def town(namespace: Namespace, capabilities: Capabilities) -> Town:
    """The same namespace, with words for servers and those who ask them."""
    return Town(namespace, capabilities.lacks)
