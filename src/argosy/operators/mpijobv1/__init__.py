"""`kubeflow.org/v1 MPIJob`, training-operator's: the launcher reaches its workers through the API, without SSH.

`operators.mpijob` offers it, beside the other version of the same kind.
"""
