"""Objects by collection, namespace and name; one version counter; and the past, until compacted."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tests.support.apiserver import refusals

JSON = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Key:
    """Where an object lies. `collection` is the path of the list over all namespaces."""

    collection: str
    namespace: str
    name: str

    @property
    def plural(self) -> str:
        """Its resource, as refusals name it: `pods`, `tenants.equipoise.dev`."""
        _, root, *rest = self.collection.split("/")
        return f"{rest[-1]}.{rest[0]}" if root == "apis" else rest[-1]


@dataclass(frozen=True, slots=True)
class Change:
    """One write; `before` is None for a new object, and the event type of a deletion DELETED."""

    version: int
    type: str
    key: Key
    item: JSON
    before: JSON | None


class Store:
    """All objects. What is handed out is shared and never changed, only replaced."""

    def __init__(self) -> None:
        self.version = 100
        # Changes up to this version are forgotten.
        self.compacted = 100
        self.objects: dict[Key, JSON] = {}
        self.changes: list[Change] = []
        self.listeners: list[Callable[[Change], None]] = []
        self._uids = 0

    def items(self, collection: str, namespace: str | None) -> Iterator[JSON]:
        for key in sorted(self.objects, key=lambda key: (key.namespace, key.name)):
            if key.collection == collection and namespace in {None, key.namespace}:
                yield self.objects[key]

    def get(self, key: Key) -> JSON:
        found = self.objects.get(key)
        if found is None:
            raise refusals.not_found(key.plural, key.name)
        return found

    def create(self, key: Key, item: JSON) -> JSON:
        if key in self.objects:
            raise refusals.exists(key.plural, key.name)
        new = copy.deepcopy(item)
        self._uids += 1
        about = new.setdefault("metadata", {})
        about.update(name=key.name)
        if key.namespace:
            about["namespace"] = key.namespace
        # A test may seed an object with the UID and the age that it wants.
        about.setdefault("uid", f"00000000-0000-4000-8000-{self._uids:012d}")
        about.setdefault("creationTimestamp", now())
        about.setdefault("generation", 1)
        return self._write("ADDED", key, new)

    def update(self, key: Key, item: JSON) -> JSON:
        """Store a new version, unless nothing but its version differs."""
        old, new = self.get(key), copy.deepcopy(item)
        for name in ("uid", "creationTimestamp", "generation", "resourceVersion"):
            new["metadata"][name] = old["metadata"][name]
        if new == old:
            return old
        if new.get("spec") != old.get("spec"):
            new["metadata"]["generation"] += 1
        return self._write("MODIFIED", key, new)

    def remove(self, key: Key) -> JSON:
        new = copy.deepcopy(self.get(key))
        return self._write("DELETED", key, new)

    def since(self, version: int) -> list[Change]:
        """Raise Refused, 410, if some of them are forgotten."""
        if version < self.compacted:
            raise refusals.expired(f"too old resource version: {version} ({self.compacted})")
        return [change for change in self.changes if change.version > version]

    def compact(self) -> None:
        """Forget the past; the next version is one that no watch has seen."""
        self.version += 1
        self.compacted = self.version
        self.changes.clear()

    def _write(self, kind: str, key: Key, new: JSON) -> JSON:
        self.version += 1
        new["metadata"]["resourceVersion"] = str(self.version)
        before = self.objects.pop(key, None)
        if kind != "DELETED":
            self.objects[key] = new
        change = Change(self.version, kind, key, new, before)
        self.changes.append(change)
        for listener in list(self.listeners):
            listener(change)
        return new


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
