"""PersistentVolume: its phase (`plan`), and the removal of data that nobody claims any more (`loop`)."""

from argosy.engine.controllers.volume.plan import claim_key, plan
from argosy.intent import Operator, Related
from argosy.kinds import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM
from argosy.meta.objects import key_of

OPERATOR = Operator(
    kind=PERSISTENT_VOLUME,
    related=(
        Related(
            PERSISTENT_VOLUME_CLAIM,
            lambda volume, claim: claim_key(volume) == key_of(claim),
            subject_keys=lambda volume: (str(claim_key(volume)),),
            object_keys=lambda claim: (str(key_of(claim)),),
        ),
    ),
    plan=plan,
    name="persistentvolume-controller",
)
