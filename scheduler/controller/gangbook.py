"""Members of gangs that are through with their work: the ledger knows only of those that hold."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from scheduler.core.ledger.holdings import Holding
from scheduler.core.model.gangs import Gathered
from scheduler.core.model.ids import PodUID
from scheduler.core.model.pods import Pod


class GangBook:
    """Told of members that have succeeded. They count until nobody of their gang is left.

    Their pods may be deleted before: a Job's are, some time after it has ended.
    """

    def __init__(self) -> None:
        # By gang: each member, and its owner; None for one that was seen to run.
        self._finished: dict[str, dict[PodUID, str | None]] = {}

    def finished(self, gang: str, uid: PodUID, owner: str, *, seen: bool) -> None:
        """A member has succeeded. One that wasn't `seen` to run may be of an earlier run.

        It counts as long as pods of the same owner are there.
        """
        members = self._finished.setdefault(gang, {})
        if seen or uid not in members:
            members[uid] = None if seen else owner

    def gathered(
        self,
        placed: Mapping[str, Gathered],
        pending: Iterable[Pod],
        holdings: Mapping[PodUID, Holding],
    ) -> Mapping[str, Gathered]:
        """Return `placed`, by gang, with those that have finished."""
        if not self._finished:
            return placed
        owners = {name: {holdings[u].pod.owner for u in g.placed} for name, g in placed.items()}
        for pod in pending:
            if pod.gang is not None:
                owners.setdefault(pod.gang.name, set()).add(pod.owner)
        for name in self._finished.keys() - owners.keys():
            del self._finished[name]
        found = dict(placed)
        for name, members in self._finished.items():
            count = sum(owner is None or owner in owners[name] for owner in members.values())
            found[name] = replace(found.get(name, Gathered()), finished=count)
        return found
