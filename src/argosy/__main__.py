"""`python -m argosy` is the command `argosy`."""

from argosy.cli.main import main

main()
