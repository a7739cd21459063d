"""Argosy takes a large language model through its whole life on Kubernetes.

One package, two homes: an embedded engine that speaks the Kubernetes API on one machine, and the same operators,
command line and SDK against any real cluster. ARCHITECTURE.md is the map of the packages below.
"""

__version__ = "0.1.0"
