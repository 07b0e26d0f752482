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
from scheduler.core.ledger.holdings import Holding
from scheduler.core.model import names, podstate
from scheduler.core.model.errors import InvalidInput, LedgerError
from scheduler.core.model.gangreader import GangOf, gang_by_words
from scheduler.core.model.ids import PodUID, TenantName
from scheduler.core.model.plans import Admit, Grant
from scheduler.core.model.podreader import PodJSON, TenantOf, VolumesOf, read_pod
from scheduler.core.model.pods import Pod
from scheduler.core.model.stored import mapping
from scheduler.core.model.tenants import tenant_part

ROUND_SECONDS = 1.0
"""While places are kept a round comes so often: many come at once, and some end in vain."""

MOST = 256
"""So many places are kept for one tenant at once: more creations are hardly under way."""

PENALTY_SECONDS = 60.0
"""So long a tenant gets none after one ended in vain, as its creations seem to be refused."""

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
        gang_of: GangOf = gang_by_words,
    ) -> None:
        self._state, self._find, self._seconds, self._may = state, find, seconds, may
        self._tenant_of, self._volumes_of, self._gang_of = tenant_of, volumes_of, gang_of
        self._watcher = watcher
        self._timer: asyncio.TimerHandle | None = None
        self._open: dict[str, tuple[TenantName, float]] = {}
        self._paying: dict[TenantName, float] = {}

    def grant(self, pod: PodJSON) -> Grant | None:
        """Keep a place for a pod that is being created; None: it has to wait for a round."""
        state = self._state
        # Most of a busy cluster's pods are told at once.
        if self._seconds is None or not self._may() or not state.calm:
            return None
        token = secrets.token_hex(8)
        wish = self._read(pod, _uid(token))
        if wish is None or not self._may_have_one(wish, podstate.owner_of(pod)):
            return None
        found = self._find(wish)
        if found is None:
            return None
        until = wish.created + self._seconds
        try:
            with state.change():
                state.ledger.reserve(wish, found.placement, expires=until)
        except LedgerError:
            return None
        self._open[token] = tenant_part(wish.tenant), until
        self._ask_for_round()
        return Grant(token, found.nodes)

    def take_back(self, token: str, pod: PodJSON) -> bool:
        """Free the place of a pod that is looked at again: it is decided about anew."""
        namespace = mapping(pod, "metadata").get("namespace")
        kept = self._kept(token)
        if kept is not None and kept.pod.namespace == namespace:
            self._open.pop(token, None)
            self._state.free(kept.pod.uid)
        return True

    def claim(self, pod: Pod, stored: PodJSON, expires: float | None = None) -> bool:
        """Give the pod the place that was kept for it, until it `expires`; whether there is one."""
        state = self._state
        token = str(mapping(mapping(stored, "metadata"), "annotations").get(names.GRANTED, ""))
        kept = self._kept(token)
        if kept is None or not state.active or kept.pod.namespace != pod.namespace:
            return False
        self._open.pop(token, None)
        with state.change():
            claimed = state.ledger.hand_over(kept.pod.uid, pod, expires=expires)
            if not claimed:
                # It came as another than was asked for, and finds a place of its own.
                state.ledger.release(kept.pod.uid)
        if claimed:
            state.mixer.count(pod.request)
            self._watcher.count_decision("admit")
        return claimed

    def _kept(self, token: str) -> Holding | None:
        return self._state.ledger.holdings.get(_uid(token))

    def _may_have_one(self, wish: Pod, owner: str) -> bool:
        sound = wish.pinnable and not wish.problem and not wish.foreign_gates
        if wish.gang is not None:
            # It starts together with others, which may not be there yet.
            return False
        struck = self._state.strikes.has_struck(owner)
        return sound and not struck and self._is_sparing(wish) and self._state.is_next(wish.tenant)

    def _is_sparing(self, wish: Pod) -> bool:
        """Whether the tenant has few places open, and none of them ended in vain lately."""
        now, tenant = wish.created, tenant_part(wish.tenant)
        while self._open:
            oldest, (other, until) = next(iter(self._open.items()))
            if until > now:
                break
            del self._open[oldest]
            self._paying[other] = until + PENALTY_SECONDS
        if self._paying.get(tenant, 0.0) > now:
            return False
        return sum(other == tenant for other, _ in self._open.values()) < MOST

    def _read(self, stored: PodJSON, uid: str) -> Pod | None:
        metadata = mapping(stored, "metadata")
        name = metadata.get("name") or metadata.get("generateName")
        named = {**metadata, "uid": uid, "name": name}
        try:
            wish = {**stored, "metadata": named}
            pod = read_pod(wish, self._tenant_of, self._volumes_of, self._gang_of)
        except InvalidInput:
            return None
        return replace(pod, created=self._state.clock.now())

    def _ask_for_round(self) -> None:
        """What its tenant is due grows with what it wants, and a place ends, in a round only."""
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(ROUND_SECONDS, self._have_round)

    def _have_round(self) -> None:
        self._timer = None
        self._state.news.set()
        now = self._state.clock.now()
        if any(until > now for _, until in self._open.values()):
            self._ask_for_round()


def _uid(token: str) -> PodUID:
    return PodUID(PREFIX + token)
