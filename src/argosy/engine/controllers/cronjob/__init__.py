"""CronJob: makes Jobs at the times of a schedule."""

from argosy.engine.controllers.cronjob.plan import plan
from argosy.intent import Operator
from argosy.kinds import CRON_JOB, JOB

OPERATOR = Operator(kind=CRON_JOB, owns=(JOB,), plan=plan)
