"""The labels that a job's pods and Services carry; tools select by them."""

from __future__ import annotations

from argosy.operators.settings import PREFIX

_PREFIX = "training.kubeflow.org/"
LABEL_OPERATOR = f"{_PREFIX}operator-name"
LABEL_JOB = f"{_PREFIX}job-name"
LABEL_TYPE = f"{_PREFIX}replica-type"
LABEL_INDEX = f"{_PREFIX}replica-index"
LABEL_ROLE = f"{_PREFIX}job-role"
LABEL_EPOCH = f"{PREFIX}restart-epoch"
LABEL_SIZE = f"{PREFIX}gang-size"
