"""Overdue: pods that have run for as long as they, or their tenants, may are stopped.

So others know when it is their turn at the latest; their owners make them again, behind who waits.
"""

from scheduler.core.cycle.rounds import Round
from scheduler.core.model.durations import format_duration
from scheduler.core.model.plans import Evict
from scheduler.core.model.running import Running
from scheduler.core.model.tenants import tenant_part
from scheduler.core.model.verdicts import Reason, Verdict


def overdue(this: Round) -> None:
    """Stop whoever has run out of time, whether anybody waits or not."""
    if not this.snapshot.limited:
        return
    for each in this.snapshot.running:
        most = this.max_runtime(each.pod)
        if most is not None and not each.ending and this.now - each.since >= most:
            verdict = Verdict(Reason.MAX_RUNTIME, f"{format_duration(most)}; {_by(this, each)}")
            this.evicts.append(Evict(each.pod, None, verdict))


def _by(this: Round, each: Running) -> str:
    if each.pod.max_runtime == this.max_runtime(each.pod):
        return "it asks for no more"
    return f"{tenant_part(each.pod.tenant)} has no more"
