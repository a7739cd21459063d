"""Images as environments: which environment a reference stands for (`resolve`), and how it comes to be (`builder`)."""

from argosy.engine.node.images.builder import Images

__all__ = ["Images"]
