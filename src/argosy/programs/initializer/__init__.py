"""Fetches a TrainJob's data set or model before training: what Kubeflow's initializer images do."""
