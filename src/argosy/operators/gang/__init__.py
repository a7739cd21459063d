"""What all `kubeflow.org/v1` training kinds share: a gang of pods that start, restart and end together.

A kind is a `Framework` (`framework.py`): its names, its replica types and a few functions. Everything else, from the pods
to the order of conditions, is here and the same for all of them.
"""
