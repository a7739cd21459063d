"""The demo's training programs: a small language model from text to chat app, each step one program for one pod.

Run as `python -m argosy.programs.demo.NAME`. They are written the way people write PyTorch: plain scripts that read the
environment which any Kubernetes training operator sets, and know nothing of Argosy.
"""
