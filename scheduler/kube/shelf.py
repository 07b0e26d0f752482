"""What is kept of objects that are listed and watched: only what matters of each, by key."""

from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

from scheduler.kube.client import JSON

Kept = TypeVar("Kept")


class Shelf(Generic[Kept]):
    """A Sink. `keep` takes from an object what matters of it; None keeps nothing.

    `changed` is told the key whenever what is kept under it is there, other or gone: a heartbeat
    that changes nothing of it is no news.
    """

    def __init__(
        self,
        keep: Callable[[JSON], Kept | None],
        changed: Callable[[str], None],
        *,
        key: Callable[[JSON], str] | None = None,
    ) -> None:
        self._keep, self._changed = keep, changed
        self._key = key or name_of
        self._kept: dict[str, Kept] = {}

    @property
    def kept(self) -> Mapping[str, Kept]:
        """What is there now."""
        return self._kept

    def replace(self, items: Sequence[JSON]) -> None:
        """Take the whole list in: what isn't in it is gone."""
        there = set()
        for item in items:
            there.add(self._key(item))
            self.see("ADDED", item)
        for key in self._kept.keys() - there:
            self._put(key, None)

    def see(self, event: str, item: JSON) -> None:
        """Take a change in: ADDED, MODIFIED or DELETED."""
        self._put(self._key(item), None if event == "DELETED" else self._keep(item))

    def _put(self, key: str, kept: Kept | None) -> None:
        if self._kept.get(key) == kept:
            return
        if kept is None:
            del self._kept[key]
        else:
            self._kept[key] = kept
        self._changed(key)


def name_of(item: JSON) -> str:
    """Return the name of an object that is in no namespace."""
    return str(item["metadata"]["name"])


def key_of(item: JSON) -> str:
    """Return namespace/name of an object that is in one."""
    return f"{item['metadata']['namespace']}/{item['metadata']['name']}"


def without_bookkeeping(item: JSON) -> JSON:
    """Return an object without managedFields and version: what nobody here reads."""
    metadata = dict(item["metadata"])
    metadata.pop("managedFields", None)
    metadata.pop("resourceVersion", None)
    return {**item, "metadata": metadata}
