"""Revisions and watches (pure) over SQLite (durable)."""
