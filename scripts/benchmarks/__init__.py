"""What `scripts/bench.py` measures: a module per question, `figures` for the table, `ground` and `engines` to stand on."""
