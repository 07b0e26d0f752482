"""A shelf for thousands of large objects: a list of them is looked at in many short turns."""

from collections.abc import Callable, Sequence

from scheduler.kube.batches import Batch
from scheduler.kube.client import JSON
from scheduler.kube.shelf import Kept, Shelf

MOST = 50
"""Objects looked at in one turn of the event loop."""


class SlowShelf(Shelf[Kept]):
    """What is seen is kept a little later; `told` says when. Of one object the newest counts."""

    def __init__(self, keep: Callable[[JSON], Kept | None], changed: Callable[[str], None]) -> None:
        super().__init__(keep, changed)
        self._seen: dict[str, JSON | None] = {}
        self._batch = Batch(self._look, most=MOST)

    def replace(self, items: Sequence[JSON]) -> None:
        """Take the whole list in: what isn't in it is gone."""
        there = {self._key(item): item for item in items}
        for key in (*self.kept.keys(), *self._seen.keys(), *there):
            self._note(key, there.get(key))

    def see(self, event: str, item: JSON) -> None:
        """Take a change in: ADDED, MODIFIED or DELETED."""
        self._note(self._key(item), None if event == "DELETED" else item)

    async def told(self) -> None:
        """Wait until all that was seen is kept, and told."""
        await self._batch.told()

    def _note(self, key: str, item: JSON | None) -> None:
        self._seen[key] = item
        self._batch.note(key)

    def _look(self, keys: list[str]) -> None:
        for key in keys:
            item = self._seen.pop(key)
            self._put(key, None if item is None else self._keep(item))
