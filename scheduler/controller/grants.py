"""Places given to pods while they are being created, as long as nobody waits.

Such a pod has neither UID nor name yet, so its place is kept under a token that it carries, until
it is seen, or for some seconds: it may be refused by others after us. Where nobody waits, a round
would give it a place as well, and nobody is passed over.
"""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import replace

from scheduler.controller.ports import Watcher
from scheduler.controller.state import State
from scheduler.core.model import names, podstate
from scheduler.core.model.errors import InvalidInput, LedgerError
from scheduler.core.model.ids import PodUID
from scheduler.core.model.plans import Admit, Grant
from scheduler.core.model.podreader import PodJSON, TenantOf, VolumesOf, read_pod
from scheduler.core.model.pods import Pod
from scheduler.core.model.stored import mapping

ROUND_SECONDS = 1.0
"""So long after a place was given a round looks at what everybody holds: many come at once."""

PREFIX = "granted-"
"""Of the UIDs under which places are kept; those of pods are hexadecimal."""

Find = Callable[[Pod], Admit | None]
"""Finds the best place of all, and nodes beside it, within the tenant's limits; books nothing."""


class Grants:
    """Gives places, each for `seconds` unless its pod comes; None: gives none."""

    def __init__(
        self,
        state: State,
        find: Find,
        *,
        seconds: float | None,
        may: Callable[[], bool],
        watcher: Watcher,
        tenant_of: TenantOf,
        volumes_of: VolumesOf | None = None,
    ) -> None:
        self._state, self._find, self._seconds, self._may = state, find, seconds, may
        self._tenant_of, self._volumes_of, self._watcher = tenant_of, volumes_of, watcher
        self._timer: asyncio.TimerHandle | None = None

    def grant(self, pod: PodJSON) -> Grant | None:
        """Keep a place for a pod that is being created; None: it has to wait for a round."""
        state = self._state
        # Most of a busy cluster's pods are told at once.
        if self._seconds is None or not self._may() or state.queue.rivals.all:
            return None
        token = secrets.token_hex(8)
        wish = self._read(pod, _uid(token))
        if wish is None or not self._may_have_one(wish, podstate.owner_of(pod)):
            return None
        found = self._find(wish)
        if found is None:
            return None
        try:
            with state.change():
                until = wish.created + self._seconds
                state.ledger.reserve(wish, found.placement, expires=until)
        except LedgerError:
            return None
        self._ask_for_round()
        return Grant(token, found.nodes)

    def stands(self, token: str) -> bool:
        """Whether a place is kept under the token."""
        return _uid(token) in self._state.ledger.holdings

    def claim(self, pod: Pod, stored: PodJSON) -> bool:
        """Give the pod the place that was kept for it; whether there is one."""
        state = self._state
        token = mapping(mapping(stored, "metadata"), "annotations").get(names.GRANTED)
        if token is None or not state.active:
            return False
        with state.change():
            claimed = state.ledger.hand_over(_uid(str(token)), pod)
        if claimed:
            state.mixer.count(pod.request)
            self._watcher.count_decision("admit")
        return claimed

    def _may_have_one(self, wish: Pod, owner: str) -> bool:
        sound = wish.pinnable and not wish.problem and not wish.foreign_gates
        struck = self._state.strikes.has_struck(owner)
        return sound and not struck and self._state.is_next(wish.tenant)

    def _read(self, stored: PodJSON, uid: str) -> Pod | None:
        metadata = mapping(stored, "metadata")
        name = metadata.get("name") or metadata.get("generateName")
        named = {**metadata, "uid": uid, "name": name}
        try:
            pod = read_pod({**stored, "metadata": named}, self._tenant_of, self._volumes_of)
        except InvalidInput:
            return None
        return replace(pod, created=self._state.clock.now())

    def _ask_for_round(self) -> None:
        """What the pod's tenant is due grows with what it wants, once a round has looked."""
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(ROUND_SECONDS, self._have_round)

    def _have_round(self) -> None:
        self._timer = None
        self._state.news.set()


def _uid(token: str) -> PodUID:
    return PodUID(PREFIX + token)
