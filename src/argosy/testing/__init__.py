"""Public test kit: a cluster in a fixture, virtual time, simulated containers, faults. Nothing in the product imports it."""
