"""Objects that say how many pods start together, looked up while there are pods of them.

One by one, and only those: nobody lists all Jobs of a cluster for the few that are gangs.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field

from scheduler.clock import Clock
from scheduler.core.model.errors import InvalidRequest
from scheduler.core.model.gangowners import Membership, ObjectRef, Owners
from scheduler.core.model.gangreader import gang_of, membership, resolve
from scheduler.core.model.gangs import Gang
from scheduler.core.model.gangshapes import Shape
from scheduler.core.model.ids import PodUID
from scheduler.core.model.stored import Stored, mapping
from scheduler.kube.client import JSON, Client
from scheduler.kube.errors import ApiError, Forbidden, NotFound, Unreachable
from scheduler.kube.resources import Resource

AT_ONCE, TOLD_AT_ONCE = 8, 50
"""So many objects are read side by side; of so many pods is told in one go."""

PER_SECOND = 10.0
"""Where there are many, so many a second are read again: what the API server won't notice."""

SOON_SECONDS, RETRY_SECONDS = 0.5, 5.0
"""Pods of one object come many at a time; one that isn't there may come still."""

Read = Callable[[ObjectRef], Awaitable[JSON]]
"""Reads an object; raises as Client.get."""


def reading(client: Client) -> Read:
    """Return what reads objects of the client's cluster."""

    async def read(ref: ObjectRef) -> JSON:
        group, _, version = ref.api_version.rpartition("/")
        resource = Resource(group, version, ref.resource, ref.kind, namespaced=True)
        return await client.get(resource.path(ref.name, ref.namespace))

    return read


@dataclass(slots=True)
class _Looked:
    """What one object said last, the pods that are of it, and when it is due again (seconds)."""

    says: Shape | str
    due: float
    users: set[PodUID] = field(default_factory=set)


class OwnerBook:
    """Tells gangs of pods. `moved` is told the pods whose gang may be another from now on."""

    def __init__(
        self,
        owners: Owners,
        read: Read,
        *,
        moved: Callable[[Collection[PodUID]], None],
        clock: Clock,
        seconds: float,
    ) -> None:
        self._owners, self._read, self._moved = owners, read, moved
        self._clock, self._seconds = clock, seconds
        self._looked: dict[ObjectRef, _Looked] = {}
        self._members: dict[PodUID, Membership] = {}
        self._unanswered: set[ObjectRef] = set()
        # The latest time (seconds) at which one is to be read again.
        self._slot = 0.0
        self._news, self._answered = asyncio.Event(), asyncio.Event()

    def gang_of(self, pod: Stored) -> Gang | None:
        """Return what a pod starts together with; None: with nothing. Raises InvalidRequest."""
        return gang_of(pod, self._owners, self._says)

    def gang(self, uid: PodUID) -> Gang | None:
        """Return the same for a pod that was noted to be of an object."""
        found = self._members.get(uid)
        return None if found is None else resolve(found, self._says(found.ref))

    def note(self, uid: PodUID, pod: Stored) -> None:
        """Have the object looked up that the pod's gang is by, if any, as long as it is there."""
        try:
            found = membership(pod, self._owners)
        except InvalidRequest:
            found = None
        if not isinstance(found, Membership):
            self.forget(uid)
            return
        before = self._members.get(uid)
        if before is None or before.ref != found.ref:
            self.forget(uid)
            self._look_soon(found.ref, uid)
        self._members[uid] = found

    def forget(self, uid: PodUID) -> None:
        """A pod is gone: what it was of may have become smaller."""
        found = self._members.pop(uid, None)
        looked = None if found is None else self._looked.get(found.ref)
        if found is None or looked is None:
            return
        looked.users.discard(uid)
        if not looked.users:
            del self._looked[found.ref]
            self._answer(found.ref)
        else:
            self._hasten(looked)

    async def told(self) -> None:
        """Wait until all were asked for that pods are of by now; `run` must be under way."""
        asked = set(self._unanswered)
        while asked & self._unanswered:
            self._answered.clear()
            await self._answered.wait()

    async def run(self) -> None:
        """Look them up as they are due, for ever."""
        while True:
            now = self._clock.now()
            due = [ref for ref, looked in self._looked.items() if looked.due <= now]
            # Pods of those that weren't read yet can't start.
            due.sort(key=lambda ref: ref not in self._unanswered)
            await asyncio.gather(*map(self._look, due[:AT_ONCE]))
            if len(due) <= AT_ONCE:
                await self._until_due()

    async def _until_due(self) -> None:
        self._news.clear()
        due = min((looked.due for looked in self._looked.values()), default=None)
        seconds = None if due is None else due - self._clock.now()
        # Not asyncio.wait_for: in Python 3.11 it may swallow the cancellation that ends us.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()

    async def _look(self, ref: ObjectRef) -> None:
        looked = self._looked.get(ref)
        if looked is None:
            return
        # Whoever comes from here on may have been made by a newer one than is answered.
        looked.due = self._next_slot()
        says = await self._ask(ref, looked)
        if self._looked.get(ref) is not looked:
            # All its pods went meanwhile; those that came since have it read once more.
            return
        if isinstance(says, str):
            looked.due = min(looked.due, self._retry())
        changed, looked.says = says != looked.says, says
        if changed:
            await self._tell(looked.users)
        self._answer(ref)

    async def _tell(self, users: Collection[PodUID]) -> None:
        """Tell of pods, a few at a time, so that others on the event loop have their turn."""
        left = tuple(users)
        for start in range(0, len(left), TOLD_AT_ONCE):
            self._moved([uid for uid in left[start : start + TOLD_AT_ONCE] if uid in users])
            await asyncio.sleep(0)

    def _next_slot(self) -> float:
        """Return when to look again: after a while, one after the other."""
        self._slot = max(self._clock.now() + self._seconds, self._slot + 1 / PER_SECOND)
        return self._slot

    def _retry(self) -> float:
        """Return when to ask again for what could not be read: sooner if they are few."""
        return self._clock.now() + max(RETRY_SECONDS, len(self._looked) / PER_SECOND)

    async def _ask(self, ref: ObjectRef, looked: _Looked) -> Shape | str:
        try:
            found = await self._read(ref)
            if ref.uid and mapping(found, "metadata").get("uid") != ref.uid:
                return _gone(ref)
            return self._owners.shape_of(ref)(found)
        except NotFound:
            return _gone(ref)
        except Forbidden:
            return (
                f"this account may not read {ref.resource} of {ref.api_version}, and {ref} says "
                "how large it is; let it get them"
            )
        except InvalidRequest as problem:
            return f"{ref} {problem}"
        except (ApiError, Unreachable):
            known = looked.says
            return known if isinstance(known, Shape) else f"{ref} can't be read now; wait"

    def _says(self, ref: ObjectRef) -> Shape | str:
        looked = self._looked.get(ref)
        return _unread(ref) if looked is None else looked.says

    def _look_soon(self, ref: ObjectRef, uid: PodUID) -> None:
        looked = self._looked.get(ref)
        if looked is None:
            looked = self._looked[ref] = _Looked(_unread(ref), self._clock.now())
            self._unanswered.add(ref)
        else:
            self._hasten(looked)
        looked.users.add(uid)
        self._news.set()

    def _hasten(self, looked: _Looked) -> None:
        looked.due = min(looked.due, self._clock.now() + SOON_SECONDS)
        self._news.set()

    def _answer(self, ref: ObjectRef) -> None:
        self._unanswered.discard(ref)
        self._answered.set()


def _unread(ref: ObjectRef) -> str:
    return f"{ref} is being read; wait"


def _gone(ref: ObjectRef) -> str:
    return f"there is no {ref} in {ref.namespace}; create it"
