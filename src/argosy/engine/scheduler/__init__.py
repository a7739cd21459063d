"""Snapshot, filters, scores: pure; loop.py acts."""
