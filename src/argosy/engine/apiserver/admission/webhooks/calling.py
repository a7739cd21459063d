"""How a webhook is asked."""

from __future__ import annotations

from argosy.engine.apiserver.admission.webhooks.hooks import Hook
from argosy.engine.apiserver.api import Api
from argosy.engine.apiserver.outbound import Unanswered, ask
from argosy.errors import ArgosyError


class NotCalled(ArgosyError):
    """A webhook could not be asked, or said nothing that means anything."""

    def __init__(self, hook: Hook, why: str) -> None:
        super().__init__(f'failed calling webhook "{hook.name}": {why}')


async def post(api: Api, hook: Hook, review: bytes) -> bytes:
    """The webhook's answer to a review. Raises NotCalled."""
    try:
        return await ask(api, hook.spec.get("clientConfig") or {}, hook.timeout_seconds, review)
    except Unanswered as error:
        raise NotCalled(hook, f"failed to call webhook: {error}") from None
