"""The three fine-tuning variants, as values that both `finetune` and the manifests read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Variant:
    """One subject of Python's library, and how hard to learn it."""

    name: str
    packages: tuple[str, ...]
    rank: int
    lr: float


VARIANTS = {
    variant.name: variant
    for variant in (
        Variant("concurrency", ("asyncio", "concurrent", "multiprocessing", "queue", "sched", "threading"), 8, 4e-3),
        Variant(
            "internet",
            ("email", "ftplib", "html", "http", "imaplib", "mailbox", "smtplib", "socket", "socketserver", "ssl",
             "urllib", "wsgiref", "xmlrpc"),
            16,
            3e-3,
        ),
        Variant(
            "testing",
            ("ast", "bdb", "doctest", "inspect", "logging", "pdb", "timeit", "traceback", "unittest", "warnings"),
            4,
            6e-3,
        ),
    )
}  # fmt: skip
