"""The verbs of the Kubernetes API, one file each; `app` calls them with a `Call` and renders their `Answer`."""
