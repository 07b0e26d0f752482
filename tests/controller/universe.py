"""A cluster in which anything may fail: an API server, kube-scheduler, a rival, and Equipoise.

What is true is what the API server stores; everything else is told of it, late or never.
"""

import copy
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from scheduler import settings
from scheduler.controller.feed import Feed
from scheduler.controller.planner import Planner
from scheduler.core.cycle.standing import oversold_milli
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model import assignment, names
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.errors import AlreadyAssigned, BindRefused, NotLeading, ReleaseRefused
from scheduler.core.model.ids import NodeName, PodUID, TenantName
from scheduler.core.model.placements import Placement, Slot
from scheduler.core.model.plans import Admit, Hold
from scheduler.core.model.podreader import gates_of, pinned_to
from scheduler.core.model.pods import Pod, PodRef
from scheduler.core.model.verdicts import Verdict
from scheduler.extender.service import ExtenderService
from scheduler.extender.wire import BindingArgs, FilterArgs
from tests.controller.hands import Eyes, controller
from tests.support.builders import device, node, tenant
from tests.support.extenders import ManualClock, pod_json

JSON = dict[str, Any]

NODES = (node("n1", 3), node("n2", 2))
STUCK_SECONDS = 60.0
ON_ITS_WAY = (False, False, True)
TURNED_DOWN = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}


class Api:
    """Pods by UID, each with a version. Writes end as the next of `fates` says, "ok" if nothing.

    "refused": nothing stored. "down": nothing stored, no answer. "lost": stored, no answer. "told":
    the watch is quicker than the answer. "gone": somebody deletes the pod first. "deposed": another
    replica acts from now on, nothing is sent. "retired": it does from after the write.
    """

    def __init__(self) -> None:
        self.pods: dict[str, JSON] = {}
        self.told: list[tuple[str, JSON]] = []
        self.fates: list[str] = []
        self.struck: dict[str, int] = {}
        self._version = 0
        self.number = 0

    def create(
        self, fraction: str, owner: str, *, namespace: str = "lab", gated: bool = True
    ) -> str:
        self.number += 1
        uid = f"p{self.number}"
        pod = pod_json(uid, fraction)
        pod["metadata"] |= {"namespace": namespace}
        if owner:
            pod["metadata"]["ownerReferences"] = [{"uid": owner, "controller": True}]
        if gated:
            pod["spec"]["schedulingGates"] = [{"name": names.GATE}]
        self._store("ADDED", uid, pod)
        return uid

    def change(self, uid: str) -> JSON:
        return copy.deepcopy(self.pods[uid])

    def write(self, uid: str, pod: JSON) -> None:
        self._store("MODIFIED", uid, pod)

    def delete(self, uid: str) -> None:
        pod = self.pods.pop(uid)
        self.told.append(("DELETED", pod))

    def is_placed(self, uid: str) -> bool:
        return "nodeName" in self.pods[uid]["spec"]

    def bound(self) -> dict[str, Placement]:
        """What bound pods that aren't finished say: the truth about who holds what."""
        found: dict[str, Placement] = {}
        for uid, pod in self.pods.items():
            if "nodeName" in pod["spec"] and pod["status"]["phase"] != "Succeeded":
                placement = assignment.decode(pod["metadata"]["annotations"])
                assert placement is not None, "it was bound without us"
                found[uid] = placement
        return found

    def sold(self) -> Counter[str]:
        """Milli-GPU of each device, counted from the pods alone."""
        sold: Counter[str] = Counter()
        for placement in self.bound().values():
            for slot in placement.slots:
                sold[slot.uuid] += slot.milli
        return sold

    def _store(self, event: str, uid: str, pod: JSON) -> None:
        self._version += 1
        pod["metadata"]["resourceVersion"] = str(self._version)
        self.pods[uid] = pod
        self.told.append((event, pod))


class Universe:
    """Equipoise, with the real feed, planner and extender, on such an API server.

    Its watch may be cut (`outage`); while it stands by, a rival binds pods on its own account.
    """

    def __init__(self) -> None:
        self.api, self.clock, self.eyes = Api(), ManualClock(), Eyes()
        self.outage = False
        self.tenants: dict[str, str] = {}
        self.ledger = Ledger(NODES)
        self.controller = controller(
            self.ledger,
            [tenant("lab"), tenant("moved"), tenant("other", weight=2)],
            clock=self.clock,
            hands=self,
            eyes=self.eyes,
            settings=settings.Settings(kube=settings.Kube(stuck_seconds=STUCK_SECONDS)),
        )
        planner = Planner(
            self.ledger,
            policy="fgd",
            tree=lambda: self.controller.caps,
            mix=lambda: self.controller.mixer.mix,
        )
        self.feed = Feed(self.controller, self.ledger, planner, tenant_of=self._tenant)
        self.extender = ExtenderService(
            self.ledger,
            plan=planner,
            binder=self,
            clock=self.clock,
            settings=settings.Extender(),
            tenant_of=self._tenant,
        )

    def _tenant(self, namespace: str, user: str) -> TenantName:
        tenant = TenantName(self.tenants.get(namespace, namespace))
        return self.controller.tree.leaf_of(tenant, user)

    # --------------------------------------------------------------- what carries out: an Applier

    async def release(self, admit: Admit) -> bool:
        uid, fate = admit.pod.uid, self._before(admit.pod.uid)
        if uid not in self.api.pods:
            return False
        pod = self.api.change(uid)
        if names.GATE not in gates_of(pod):
            return True
        if fate == "refused":
            raise ReleaseRefused("it changed")
        if fate != "down":
            self._check_pin(pod, pinned=admit.pod.pinnable)
            _ungate(pod, admit.nodes, pinned=admit.pod.pinnable)
            self.api.write(uid, pod)
        self._after(fate)
        return True

    async def stop(self, pod: Pod, why: Verdict, *, past_budgets: bool) -> bool:
        fate = self._before(pod.uid)
        if fate != "refused" and pod.uid in self.api.pods:
            self.api.delete(pod.uid)
        self._after(fate)
        return fate != "refused"

    def _before(self, uid: PodUID) -> str:
        fate = self.api.fates.pop(0) if self.api.fates else "ok"
        if fate == "gone" and uid in self.api.pods and not self.api.is_placed(uid):
            self.api.delete(uid)
        if fate == "deposed":
            self.controller.set_active(False)
        if not self.controller.active:
            raise NotLeading("another replica may act by now")
        return fate

    def _after(self, fate: str) -> None:
        if fate == "told":
            self.tell()
        elif fate == "retired":
            self.controller.set_active(False)
        elif fate in ("lost", "down"):
            raise ConnectionError(fate)

    def _check_pin(self, pod: JSON, *, pinned: bool) -> None:
        """What an owner made after one of its pods was evicted is never pinned."""
        owner = (pod["metadata"].get("ownerReferences") or [{"uid": ""}])[0]["uid"]
        number = int(pod["metadata"]["name"].removeprefix("p"))
        assert not pinned or number <= self.api.struck.get(owner, number)

    async def hold(self, hold: Hold) -> None:
        """Nobody reads it here."""

    async def warn(self, pod: Pod, verdict: Verdict) -> None:
        """Nobody reads it here."""

    async def remind(self, pod: Pod, node: NodeName) -> None:
        """It is looked at again and again here."""

    async def make_way(self, running: Pod, waiting: Pod) -> bool:
        """There are no Deployments here."""
        return False

    async def evict(self, pod: Pod, why: Verdict) -> bool:
        fate = self._before(pod.uid)
        there = self.api.pods.get(pod.uid)
        if there is None:
            return True
        if "nodeName" in there["spec"] or fate == "refused":
            return False
        if fate != "down":
            owner = there["metadata"]["ownerReferences"][0]["uid"]
            self.api.struck.setdefault(owner, self.api.number)
            self.api.delete(pod.uid)
            fraction = there["metadata"]["annotations"][names.GPU_FRACTION]
            self.api.create(fraction, owner, namespace=there["metadata"]["namespace"])
        self._after(fate)
        return True

    # ------------------------------------------------------------------- what binds: a Binder

    async def bind(self, pod: PodRef, node: NodeName, annotations: Mapping[str, str]) -> None:
        fate = self._before(pod.uid)
        if fate == "down":
            raise ConnectionError(fate)
        if pod.uid not in self.api.pods:
            raise BindRefused("it is gone")
        stored = self.api.change(pod.uid)
        if there := stored["spec"].get("nodeName"):
            raise AlreadyAssigned(NodeName(there), stored["metadata"]["annotations"])
        if gates_of(stored) or fate == "refused":
            raise BindRefused("it is gated")
        _put_on(stored, node, annotations)
        self.api.write(pod.uid, stored)
        self._after(fate)

    # ----------------------------------------------------------------------------- what happens

    def tell(self) -> None:
        """The watch tells what it has not told yet, if it isn't cut."""
        if not self.outage:
            told, self.api.told = self.api.told, []
            for event, pod in told:
                self.feed.see(event, pod)

    def reconnect(self) -> None:
        """The watch is there again, and begins with a list."""
        self.outage = False
        self.api.told.clear()
        self.feed.replace(list(self.api.pods.values()))

    async def schedule(self, uid: str) -> None:
        """kube-scheduler looks at a pod: filter, then bind, or it turns the pod down."""
        pod = self.api.pods[uid]
        offered = [NodeName(n) for n in pinned_to(pod) or [each.name for each in NODES]]
        left = self.extender.filter(FilterArgs(pod, offered)).names
        if not left:
            changed = self.api.change(uid)
            changed["status"]["conditions"] = [TURNED_DOWN]
            if changed["status"] != pod["status"]:
                self.api.write(uid, changed)
            return
        metadata = pod["metadata"]
        args = BindingArgs(metadata["namespace"], metadata["name"], PodUID(uid), left[0])
        await self.extender.bind(args)

    def rival(self, uid: str) -> None:
        """Another replica releases and binds a pod, where the API server's pods leave room."""
        pod, sold = self.api.change(uid), self.api.sold()
        milli = int(float(pod["metadata"]["annotations"][names.GPU_FRACTION]) * MILLI)
        # The last device first: never where this replica would look first.
        for each in reversed(NODES):
            for index in reversed(range(len(each.devices))):
                card = each.devices[index]
                if sold[card.uuid] + milli <= MILLI:
                    memory = card.memory_mib * milli // MILLI
                    placement = Placement(each.name, (Slot(index, card.uuid, milli, memory),))
                    if names.GATE in gates_of(pod):
                        _ungate(pod, (each.name,), pinned=True)
                    _put_on(pod, each.name, assignment.encode(placement))
                    self.api.write(uid, pod)
                    return

    def ill(self, *, healthy: bool) -> None:
        """A device fails or is mended."""
        cards = [device("n2/0"), device("n2/1", healthy=healthy)]
        self.controller.put_nodes([node("n2", cards)])

    def on_their_way(self) -> Iterator[str]:
        """Pods that kube-scheduler may look at."""
        for uid, pod in self.api.pods.items():
            if not gates_of(pod) and "nodeName" not in pod["spec"]:
                yield uid

    # ------------------------------------------------------------------------------- what must be

    def check(self) -> None:
        """Nothing is sold twice, whatever was told; in step, the ledger is the fold over pods."""
        over = {uuid: milli for uuid, milli in self.api.sold().items() if milli > MILLI}
        assert not over, "sold twice"
        if self.outage or self.api.told:
            return
        holdings = self.ledger.holdings
        truth = self.api.bound()
        # Pods that came and went in an outage, known to the extender alone, are forgotten later.
        ghosts = holdings.keys() - self.api.pods.keys()
        assert not any(self.feed.pod(uid) for uid in ghosts)
        bound = {uid: each.placement for uid, each in holdings.items() if each.bound}
        assert {uid: at for uid, at in bound.items() if uid not in ghosts} == truth
        if self.controller.active:
            assert oversold_milli(self.ledger.columns) == 0
        known = {uid for uid, pod in self.api.pods.items() if pod["status"]["phase"] != "Succeeded"}
        assert holdings.keys() - ghosts <= known
        for uid in known - truth.keys():
            self._check_place_of(PodUID(uid))

    def _check_place_of(self, uid: PodUID) -> None:
        # Nobody but this needs to see how far a pod is.
        state = self.controller._state
        places = (uid in state.queue.pods, uid in state.departures, uid in state.journeys)
        gated = names.GATE in gates_of(self.api.pods[uid])
        assert places in ([(True, False, False), (False, True, False)] if gated else [ON_ITS_WAY])


def _ungate(pod: JSON, nodes: tuple[NodeName, ...], *, pinned: bool) -> None:
    del pod["spec"]["schedulingGates"]
    if not pinned:
        pod["status"]["nominatedNodeName"] = nodes[0]
        return
    terms = [
        {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [name]}]}
        for name in nodes
    ]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    pod["spec"]["affinity"] = {"nodeAffinity": required}


def _put_on(pod: JSON, node: NodeName, annotations: Mapping[str, str]) -> None:
    pod["spec"]["nodeName"] = node
    pod["metadata"]["annotations"] |= annotations
