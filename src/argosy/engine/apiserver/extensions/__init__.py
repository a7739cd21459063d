"""API servers of others, which an APIService puts under this one: metrics adapters above all.

`remotes` knows which group versions are theirs and what they serve, `conditions` says how they fare (pure), `forward` hands
requests over. `app` asks here before it looks for a kind of its own.
"""

from __future__ import annotations

from argosy.engine.apiserver.extensions.forward import forward
from argosy.engine.apiserver.extensions.remotes import Remote, Remotes

__all__ = ["Remote", "Remotes", "forward"]
