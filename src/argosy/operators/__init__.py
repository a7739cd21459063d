"""The ecosystem's kinds; they run on any cluster. One folder a kind, and one line in `ALL`."""

from __future__ import annotations
