"""Job: runs pods until enough of them have succeeded."""

from argosy.engine.controllers.job.plan import plan
from argosy.intent import Operator
from argosy.kinds import JOB, POD

OPERATOR = Operator(kind=JOB, owns=(POD,), plan=plan)
