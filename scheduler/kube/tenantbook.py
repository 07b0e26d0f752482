"""Tenants from the API: one that is broken is left out, the others stay."""

import logging
from collections.abc import Callable, Mapping, Sequence

from scheduler.core.model.ids import TenantName
from scheduler.core.model.names import DEFRAG_MOVES, DEFRAG_UNTIL
from scheduler.core.model.stored import mapping
from scheduler.core.model.tenants import Tenant
from scheduler.kube.batches import Batch
from scheduler.kube.client import JSON
from scheduler.kube.shelf import Shelf, without_bookkeeping
from scheduler.kube.soundtenants import sound

log = logging.getLogger(__name__)


class TenantBook:
    """Sink of Tenants. Tells `tell` a set that is a tree, whenever it is another one.

    Of a tenant that can't be used as it is now the last version that could is kept; without one it
    is left out, and who is below it too.
    """

    def __init__(self, tell: Callable[[list[Tenant]], None]) -> None:
        self._tell = tell
        self._stored: Shelf[JSON] = Shelf(without_bookkeeping, lambda _key: None)
        # Statuses are written all the time, by ourselves: they change nothing of who shares.
        self._specs: Shelf[JSON] = Shelf(_spec, self._note)
        self._batch = Batch(self._changed)
        self._good: dict[TenantName, Tenant] = {}
        self._told = False
        self._problems: dict[TenantName, str] = {}

    @property
    def problems(self) -> Mapping[TenantName, str]:
        """What is wrong with each tenant that isn't used as it is, one sentence each."""
        return self._problems

    @property
    def stored(self) -> Mapping[str, JSON]:
        """The objects by name, without managedFields."""
        return self._stored.kept

    def replace(self, items: Sequence[JSON]) -> None:
        """Take the whole list in."""
        for shelf in (self._stored, self._specs):
            shelf.replace(items)
        # An empty list is news too: from now on it's known that there are none.
        self._note("")

    def see(self, event: str, item: JSON) -> None:
        """Take a change in."""
        for shelf in (self._stored, self._specs):
            shelf.see(event, item)

    async def told(self) -> None:
        """Wait until all that was seen is told."""
        await self._batch.told()

    def _note(self, _key: str) -> None:
        # The tenants are told all together, however many of them changed.
        self._batch.note("")

    def _changed(self, _keys: list[str]) -> None:
        found, problems = sound(self._specs.kept.values(), self._good)
        for name in problems.keys() - self._problems.keys():
            log.warning("%s", problems[name])
        self._problems = problems
        if self._told and found == self._good:
            return
        self._good, self._told = found, True
        self._tell(list(found.values()))


def _spec(item: JSON) -> JSON:
    """Of a Tenant, what `convert.tenant` reads."""
    metadata = item["metadata"]
    about = {key: metadata.get(key) for key in ("name", "creationTimestamp")}
    notes = mapping(metadata, "annotations")
    orders = {key: notes[key] for key in (DEFRAG_UNTIL, DEFRAG_MOVES) if key in notes}
    if orders:
        about["annotations"] = orders
    return {"metadata": about, "spec": item.get("spec")}
