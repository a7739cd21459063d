"""Everything that runs in the holder process and its children; imports only the lightest of the standard library.

The holder is started bare (`python -I -S`), lives as long as the pods do, and is forked for every container, so each
import here costs start-up time once and memory per container. That is also why these modules use `os.path` and plain
dicts where the rest of Argosy uses `pathlib` and dataclasses.
"""
