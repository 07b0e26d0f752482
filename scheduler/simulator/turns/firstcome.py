"""First come, first served, whoever asks: what a cluster does that knows no tenants."""

from collections.abc import Iterable

from scheduler.core.cycle.profile import Profile
from scheduler.core.ledger.snapshot import Snapshot
from scheduler.core.model.plans import Plan
from scheduler.core.model.pods import Pod
from scheduler.simulator.turns.baseline import Places, begin


def first_come(snapshot: Snapshot, pending: Iterable[Pod], now: float, profile: Profile) -> Plan:
    """Give places in the order of (created, uid); later ones may pass one that fits nowhere.

    After `profile.lookahead` searches in vain the round ends. Nothing is reserved, nobody stopped.
    """
    this = begin(snapshot, pending, now, profile)
    places = Places(this)
    waiting = [pod for queue in this.queues.values() for pod in queue]
    for pod in sorted(waiting, key=lambda pod: (pod.created, pod.uid)):
        if places.misses.total() >= profile.lookahead:
            break
        places.admit(pod)
    return places.plan()
