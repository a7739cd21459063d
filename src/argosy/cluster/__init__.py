"""The composition root: the embedded engine and the remote operators, each one readable list of services."""
