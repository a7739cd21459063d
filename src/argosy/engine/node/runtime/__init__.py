"""Isolation: how a container becomes a process. `spec` is the interface; everything else carries it out."""
