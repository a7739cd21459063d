"""Services, DNS, names and Ingress: rules are pure, appliers act. `run` is all of it."""

from argosy.engine.network.hosts import host_names, hosts_table
from argosy.engine.network.run import run
from argosy.engine.network.settings import NetworkSettings

__all__ = ["NetworkSettings", "host_names", "hosts_table", "run"]
