"""The operator of RayClusters: what it owns, and where the token of a new cluster comes from."""

from __future__ import annotations

import secrets
from functools import partial

from argosy.intent import Fetch, Operator
from argosy.meta.json import Obj, dig
from argosy.operators.raycluster.plan import OWNED, plan
from argosy.operators.raycluster.schema import RAY_CLUSTER
from argosy.operators.settings import OperatorSettings

_A_DAY = 86400.0


def operator(settings: OperatorSettings) -> Operator:
    """The operator under these settings."""
    return Operator(
        kind=RAY_CLUSTER,
        plan=partial(plan, settings=settings),
        owns=OWNED,
        probe=_token,
        probe_every_seconds=_A_DAY,
        name="raycluster-controller",
    )


async def _token(fetch: Fetch, subject: Obj) -> Obj:
    """A token nobody can guess, for a cluster that asks for one; a plan, which leaves nothing to chance, uses it once."""
    wanted = dig(subject, "spec", "authOptions", "mode") == "token"
    return {"token": secrets.token_urlsafe(32)} if wanted else {}
