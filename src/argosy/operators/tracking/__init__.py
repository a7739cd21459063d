"""What the cluster's MLflow is told of training jobs: how their runs ended, and the models that came of them.

For every kind that trains, beside the kind's own operator and without a word from the training program. Nothing here can
make a job fail: what MLflow does not take is an Event, and is tried again.
"""
