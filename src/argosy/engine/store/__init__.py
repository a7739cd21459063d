"""Revisions and watches (pure) over SQLite (durable)."""

from argosy.engine.store.records import Change, Mismatch, Op, Put, Record, Remove, StoreFailed
from argosy.engine.store.store import Store
from argosy.engine.store.watch import Watch

__all__ = ["Change", "Mismatch", "Op", "Put", "Record", "Remove", "Store", "StoreFailed", "Watch"]
