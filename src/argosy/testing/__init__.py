"""Public test kit: a cluster in a fixture, simulated time, faults, checkers. Nothing in the product imports it."""
