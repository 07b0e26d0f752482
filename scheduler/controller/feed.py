"""From a watch on pods to controller and ledger: what each pod means for who holds what."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from scheduler.controller import podjson
from scheduler.controller.closures import Closures
from scheduler.controller.controller import Controller
from scheduler.controller.gangsource import ByWords, GangSource
from scheduler.controller.journeys import Journey
from scheduler.controller.planner import Planner
from scheduler.controller.reminders import Reminders
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model import assignment, names, podstate
from scheduler.core.model.errors import InvalidInput
from scheduler.core.model.ids import NodeName, PodUID, TenantName
from scheduler.core.model.placements import Placement
from scheduler.core.model.podreader import PodJSON, TenantOf, VolumesOf, gates_of, read_pod
from scheduler.core.model.pods import Pod
from scheduler.core.model.requests import Request
from scheduler.core.model.stored import mapping

UNSEEN_SECONDS = 60.0
"""So long after a list the watch may still tell of a pod that the extender knew before it did."""

AT_ONCE = 50
"""Places looked for before others on the event loop have their turn."""

UsesNvidia = Callable[[NodeName, PodUID, bool], None]
"""Told of pods that hold a card by nvidia.com/gpu, past us; False once they no longer do."""

Claim = Callable[[Pod, PodJSON], bool]
"""Gives a pod the place that was kept for it while it was created; False: there is none."""


def _no_claims(_pod: Pod, _stored: PodJSON) -> bool:
    return False


@dataclass(slots=True)
class _Known:
    """What was made of a pod. `version` is that of its JSON, `generation` that of its spec.

    `settled`: it is bound, and what it holds is booked. `strange_on`: where it holds a card past
    us.
    """

    version: object = None
    generation: object = None
    settled: bool = False
    strange_on: NodeName | None = None


class Feed:
    """Told of every pod as it is after a write; `replace` takes all that there are.

    Most news is of pods that run, written by their kubelets: it costs a look at its version.
    """

    def __init__(
        self,
        controller: Controller,
        ledger: Ledger,
        planner: Planner,
        *,
        tenant_of: TenantOf,
        volumes_of: VolumesOf | None = None,
        uses_nvidia: UsesNvidia | None = None,
        claim: Claim = _no_claims,
        gangs: GangSource | None = None,
    ) -> None:
        self._controller, self._ledger, self._planner = controller, ledger, planner
        self._tenant_of, self._volumes_of = tenant_of, volumes_of
        self._uses_nvidia, self._claim = uses_nvidia, claim
        self._gangs = ByWords() if gangs is None else gangs
        self._closures, self._reminders = Closures(ledger), Reminders(ledger, planner)
        self._known: dict[PodUID, _Known] = {}
        self._stored: dict[PodUID, PodJSON] = {}
        # They have succeeded, and nobody knows yet what gang they were of.
        self._ended: dict[PodUID, PodJSON] = {}
        self._tenants: dict[str, TenantName] = {}
        self._unseen: list[PodUID] = []
        self._unseen_until = 0.0
        controller.prepare_rounds(self.reserve_again)

    def replace(self, pods: Iterable[PodJSON]) -> None:
        """Take these as all the pods that there are."""
        for _ in self.replacing(pods):
            pass

    def replacing(self, pods: Iterable[PodJSON]) -> Iterator[None]:
        """Do the same pod by pod, so that others may have their turn in between.

        Bound ones first, then those that are gone: a pod on its way must not be given again what a
        bound one holds, but may have what is free. So nothing is sold twice in between, either.
        It keeps no pod that it is through with: all of them let go at once would take long.
        """
        there: set[PodUID] = set()
        unbound: deque[PodJSON] = deque()
        for pod in pods:
            uid = podjson.uid_of(pod)
            there.add(uid)
            if mapping(pod, "spec").get("nodeName"):
                self._see(uid, pod)
            else:
                unbound.append(pod)
            yield
        for uid in [uid for uid in (*self._known, *self._ended) if uid not in there]:
            self._ended.pop(uid, None)
            self._gone(uid)
            yield
        while unbound:
            pod = unbound.popleft()
            self._see(podjson.uid_of(pod), pod)
            yield
        # Booked by the extender for pods that no list or watch has told of: those that are newer
        # than the list will be told of, the others came and went while nothing was.
        self._unseen = [uid for uid in self._ledger.holdings if uid not in self._known]
        # One that decides nothing loses nothing if it is told of them later.
        patience = UNSEEN_SECONDS if self._controller.active else 0.0
        self._unseen_until = self._controller.clock.now() + patience
        self._drop_unseen()

    def see(self, event: str, pod: PodJSON) -> None:
        """Take note of a pod. `event` is ADDED, MODIFIED or DELETED."""
        if event == "DELETED":
            self._ended.pop(podjson.uid_of(pod), None)
            self._gone(podjson.uid_of(pod))
        else:
            self._see(podjson.uid_of(pod), pod)

    def pod(self, uid: PodUID) -> PodJSON | None:
        """Return a pod of ours that is not bound, as it was seen last; None for others."""
        return self._stored.get(uid)

    def retell(self, namespace: str) -> None:
        """Read the pods of a namespace again: its tenant, or what its volumes ask, has changed."""
        before = self._tenants.get(namespace)
        for uid, stored in list(self._stored.items()):
            if mapping(stored, "metadata").get("namespace") == namespace:
                self._unbound(uid, stored)
        if before is not None and before != self._tenant(namespace):
            self._move(namespace)

    def retell_gangs(self, uids: Collection[PodUID]) -> None:
        """The gangs of these pods may be others from now on: an object says something else."""
        for uid in uids:
            stored = self._stored.get(uid)
            if uid in self._ended:
                self._note_success(uid, self._ended.pop(uid))
                self._forget_gang(uid)
            elif stored is not None:
                self._unbound(uid, stored)
            else:
                self._regroup(uid)

    def retell_shared(self) -> None:
        """Read the pods of namespaces again whose tenant is shared in another way from now on."""
        for namespace, before in list(self._tenants.items()):
            if before != self._tenant_of(namespace, ""):
                self.retell(namespace)

    async def reserve_again(self) -> None:
        """Find a place for pods that were released and have none: they go before all that wait.

        And have kube-scheduler look again at those that it turned down, where there is room now.
        """
        self._drop_unseen()
        for number, journey in enumerate(self._controller.astray(), start=1):
            self._reserve(journey)
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
        now = self._controller.clock.now()
        for reminder in self._reminders.due(self._controller.homeless(), now):
            if reminder is not None:
                self._controller.remind(*reminder)
            # Each is looked for on all nodes.
            await asyncio.sleep(0)

    # --------------------------------------------------------------------------------- one pod

    def _see(self, uid: PodUID, pod: PodJSON) -> None:
        metadata, known = mapping(pod, "metadata"), self._known.get(uid)
        version = metadata.get("resourceVersion")
        if known is not None and version is not None and known.version == version:
            return
        if podstate.runs_no_more(pod):
            self._note_success(uid, pod)
            self._gone(uid)
            return
        node = mapping(pod, "spec").get("nodeName")
        if not node and not _is_ours(pod):
            # Another scheduler's, or nobody's: it counts once it has a node.
            self._gone(uid)
            return
        if known is None:
            known = self._known[uid] = _Known()
        known.version = version
        if not node:
            self._wished(uid, podjson.slim(pod))
            return
        if not known.settled or known.generation != metadata.get("generation"):
            self._stored.pop(uid, None)
            known.generation = metadata.get("generation")
            known.settled = self._bound(known, pod, NodeName(str(node)))
            holding = self._ledger.holdings.get(uid)
            if holding is not None:
                self._controller.runs(holding.pod, podstate.bound_at(pod))
        ends = podstate.ends_at(pod)
        if ends is not None:
            self._controller.ends(uid, ends)

    def _note_success(self, uid: PodUID, pod: PodJSON) -> None:
        if not podstate.succeeded(pod) or not self._may_be_of_a_gang(pod):
            return
        read = self._read(pod)
        if read.gang is None:
            return
        if read.gang.unknown:
            self._gangs.note(uid, pod)
            self._ended[uid] = podjson.slim(pod)
        else:
            self._controller.finished(read)

    def _may_be_of_a_gang(self, pod: PodJSON) -> bool:
        """Look before it is read: of most pods that have ended nothing more has to be known."""
        try:
            return _is_ours(pod) and self._gangs.gang_of(pod) is not None
        except InvalidInput:
            return False

    def _note_gang(self, pod: Pod, stored: PodJSON) -> None:
        """Have the object that its gang is by looked up: of pods that want a GPU, and no others."""
        if pod.request.devices:
            self._gangs.note(pod.uid, stored)
        else:
            self._gangs.forget(pod.uid)

    def _forget_gang(self, uid: PodUID) -> None:
        if uid not in self._ended:
            self._gangs.forget(uid)

    def _regroup(self, uid: PodUID) -> None:
        """Have a pod that runs be of the gang that it is of now.

        One that grows is not broken: those that come are to start together, who runs goes on.
        """
        holding, gang = self._ledger.holdings.get(uid), self._gangs.gang(uid)
        if holding is None or not holding.bound or not holding.pod.request.devices:
            return
        before = holding.pod.gang
        if gang is not None and gang.unknown:
            # What its object said last stays true of who runs.
            return
        if gang is not None and before is not None and before.size and gang.name == before.name:
            gang = replace(gang, size=min(gang.size, before.size))
        if gang != before:
            self._controller.bound(replace(holding.pod, gang=gang), holding.placement)

    def _gone(self, uid: PodUID) -> None:
        known = self._known.pop(uid, None)
        self._stored.pop(uid, None)
        self._forget_gang(uid)
        if known is not None:
            self._closures.open(uid)
            if known.strange_on is not None and self._uses_nvidia is not None:
                self._uses_nvidia(known.strange_on, uid, False)
        if known is not None or uid in self._ledger.holdings:
            self._controller.gone(uid)

    def _wished(self, uid: PodUID, pod: PodJSON) -> None:
        before, self._stored[uid] = self._stored.get(uid), pod
        gated = names.GATE in gates_of(pod)
        if not gated or before is None or not podjson.same_wish(before, pod):
            self._unbound(uid, pod)

    def _unbound(self, uid: PodUID, pod: PodJSON) -> None:
        read = self._read(pod)
        self._note_gang(read, pod)
        if names.GATE in gates_of(pod):
            self._controller.add(_checked(read, pod), podstate.owner_of(pod))
            return
        if not read.request.devices:
            # kube-scheduler needs no help with it.
            self._controller.ungated(uid)
            return
        nodes, pinned = podjson.released_to(pod)
        turned_down = podjson.turned_down(pod)
        journey = Journey(read, nodes, pinned, podstate.owner_of(pod), turned_down)
        self._controller.on_its_way(journey)
        homeless = nodes and uid not in self._ledger.holdings
        if homeless and self._controller.active and not self._claim(read, pod):
            self._reserve(journey)

    def _reserve(self, journey: Journey) -> None:
        """Reserve a place for a pod on its way, or the one that it has for as long as it takes."""
        pod, holding = journey.pod, self._ledger.holdings.get(journey.pod.uid)
        if holding is not None:
            self._controller.reserve(holding.pod, holding.placement)
            return
        place = self._planner(pod, journey.nodes)
        if isinstance(place, Placement):
            self._controller.reserve(pod, place)
        else:
            self._controller.lost(pod, place)

    def _bound(self, known: _Known, stored: PodJSON, node: NodeName) -> bool:
        """Book what a pod with a node holds; whether that could be understood."""
        pod = self._read(stored)
        self._note_gang(pod, stored)
        if known.strange_on is None and self._uses_nvidia and podjson.takes_nvidia(stored):
            known.strange_on = node
            self._uses_nvidia(node, pod.uid, True)
        before = self._ledger.holdings.get(pod.uid)
        if before is not None and before.bound:
            # The answer to its bind came before this, or its containers were resized since.
            now = replace(before.pod, tenant=pod.tenant, request=pod.request)
            self._controller.bound(now, before.placement)
            return True
        try:
            placement = assignment.decode(mapping(mapping(stored, "metadata"), "annotations"))
        except InvalidInput as problem:
            self._close(pod, node, f"pod {pod.key}: {problem}")
            return False
        # A bound pod without an assignment holds nothing.
        placement = placement or Placement(node)
        if placement.node != node:
            self._close(pod, node, f"pod {pod.key} was assigned to {placement.node} but runs here")
            return False
        self._closures.open(pod.uid)
        self._controller.bound(pod, placement)
        return True

    def _close(self, pod: Pod, node: NodeName, why: str) -> None:
        # What can't be understood may hold anything: the node takes no new pod.
        self._controller.ungated(pod.uid)
        self._closures.close(pod.uid, node, why)

    def _drop_unseen(self) -> None:
        """Forget pods that came and went while nobody watched."""
        if self._unseen and self._controller.clock.now() >= self._unseen_until:
            for uid in self._unseen:
                if uid not in self._known:
                    self._controller.gone(uid)
            self._unseen = []

    def _move(self, namespace: str) -> None:
        """Have the tenant that the namespace belongs to now hold what its pods hold."""
        for holding in list(self._ledger.holdings.values()):
            pod = holding.pod
            if holding.bound and pod.namespace == namespace:
                now = replace(pod, tenant=self._tenant(namespace, pod.user))
                self._controller.bound(now, holding.placement)

    def _tenant(self, namespace: str, user: str = "") -> TenantName:
        # Of those who name no user: that it is shared by user shows in it.
        self._tenants[namespace] = self._tenant_of(namespace, "")
        return self._tenant_of(namespace, user)

    def _read(self, stored: PodJSON) -> Pod:
        return read_pod(stored, self._tenant, self._volumes_of, self._gangs.gang_of)


def _is_ours(pod: PodJSON) -> bool:
    ours = mapping(pod, "spec").get("schedulerName") == names.SCHEDULER_NAME
    return ours or names.GATE in gates_of(pod)


def _checked(pod: Pod, stored: PodJSON) -> Pod:
    """A pod with our gate that another scheduler would bind can't be helped, and is told so."""
    name = mapping(stored, "spec").get("schedulerName")
    if pod.problem or name == names.SCHEDULER_NAME:
        return pod
    beside = Request(cpu_milli=pod.request.cpu_milli, ram_mib=pod.request.ram_mib)
    problem = f'its schedulerName is "{name}"; make it again with "{names.SCHEDULER_NAME}"'
    return replace(pod, request=beside, problem=problem)
