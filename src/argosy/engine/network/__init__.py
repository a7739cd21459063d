"""Services, DNS, names, Ingress and NetworkPolicies: rules are pure, appliers act. `run` is all of it."""

from argosy.engine.network.enforcement import PodGate
from argosy.engine.network.hosts import host_names, hosts_table
from argosy.engine.network.run import run
from argosy.engine.network.settings import NetworkSettings

__all__ = ["NetworkSettings", "PodGate", "host_names", "hosts_table", "run"]
