"""What the verbs print with, and the option that says how."""

from __future__ import annotations

from typing import Annotated

import typer

from argosy.cli.printing import Format, Progress, note, print_facts, print_json, print_table, progress, say

__all__ = ["Format", "Output", "Progress", "note", "print_facts", "print_json", "print_table", "progress", "say"]

Output = Annotated[Format, typer.Option("--output", "-o", help="How to print the result.", show_default=False)]
