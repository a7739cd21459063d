"""The Kubernetes API: one file a verb."""
