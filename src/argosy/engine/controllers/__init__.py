"""What Kubernetes itself reconciles: one folder a kind, and `registry.ALL` names them.

The composition root calls `run(client, settings, clock)`.
"""

from argosy.engine.controllers.registry import ALL
from argosy.engine.controllers.service import run
from argosy.engine.controllers.settings import ControllerSettings

__all__ = ["ALL", "ControllerSettings", "run"]
