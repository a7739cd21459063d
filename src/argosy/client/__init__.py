"""How Argosy speaks to a Kubernetes API server, whichever it is.

`requests` holds the values, `transport` the shape of what carries them (`http`, `inprocess`), `client` the verbs.
"""
