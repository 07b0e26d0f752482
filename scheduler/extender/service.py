"""What the extender answers, without HTTP: filter, prioritize, preempt, bind.

Filter reserves before anything is awaited, so that the next pod's filter, which comes before this
pod's bind, sees the place taken.
"""

from collections.abc import Callable, Sequence

from scheduler import settings as options
from scheduler.clock import Clock
from scheduler.core.ledger.holdings import Holding
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.model.gangreader import GangOf, gang_by_words
from scheduler.core.model.ids import NodeName
from scheduler.core.model.placements import Placement
from scheduler.core.model.podreader import PodJSON, TenantOf
from scheduler.core.model.pods import Pod
from scheduler.core.model.verdicts import SENTENCES, Reason, Verdict
from scheduler.extender import wire
from scheduler.extender.binder import Binder
from scheduler.extender.bindings import Bindings
from scheduler.extender.plain import PlainPods
from scheduler.extender.reservations import Reservations
from scheduler.extender.wire import BindingArgs, FilterArgs, FilterResult, PreemptionArgs

Planner = Callable[[Pod, Sequence[NodeName]], Placement | Verdict]
"""Looks for the best place of a pod among nodes that the ledger knows, and checks limits.

Books nothing. A reservation that the pod has elsewhere still stands in the ledger meanwhile.
"""

Claim = Callable[[Pod, PodJSON, float], bool]
"""Gives a pod the place that was kept for it while it was created, until then (seconds).

False: there is none.
"""

BEST, OTHER = 10, 0
"""Scores: kube-scheduler multiplies them by the extender's weight."""

# kube-scheduler tries a pod again whenever the text changes: these never carry a number.
NO_INVENTORY = "no GPU inventory for this node yet: is the Equipoise agent running there?"
BOUND_ELSEWHERE = "the pod is bound to another node already"
BEING_BOUND = "the pod is being bound to another node"


def _no_claims(_pod: Pod, _stored: PodJSON, _until: float) -> bool:
    return False


class ExtenderService:
    """Answers kube-scheduler. All but `bind` is synchronous: one step of the event loop."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        plan: Planner,
        binder: Binder,
        clock: Clock,
        settings: options.Extender,
        tenant_of: TenantOf,
        claim: Claim = _no_claims,
        gang_of: GangOf = gang_by_words,
    ) -> None:
        self._ledger, self._plan, self._clock = ledger, plan, clock
        self._tenant_of, self._claim, self._gang_of = tenant_of, claim, gang_of
        self._seconds = settings.reservation_seconds
        self._plain = PlainPods()
        self._reservations = Reservations(ledger, settings.reservation_seconds)
        self._bindings = Bindings(
            self._reservations, self._plain, binder, clock=clock, seconds=settings.bind_seconds
        )

    def filter(self, args: FilterArgs) -> FilterResult:
        """Choose the pod's node among those offered, and reserve it; or say why there is none.

        Raises WireError for a pod that isn't one.
        """
        pod = wire.decode_pod(args.pod, self._tenant_of, self._gang_of)
        now = self._clock.now()
        self._reservations.expire(now)
        holding = self._reservations.get(pod.uid)
        if holding is None and self._claim(pod, args.pod, now + self._seconds):
            # kube-scheduler may hear of a new pod before we do; once we have, nothing limits it.
            holding = self._reservations.get(pod.uid)
        if holding is not None and (fixed := self._fixed(holding, args.names)):
            return fixed
        if pod.problem:
            sentence = SENTENCES[Reason.INVALID_REQUEST]
            return _none_of(args.names, f"{sentence}: {pod.problem}")
        if holding is not None and self._still_good(pod, holding, args.names):
            self._reservations.prolong(holding, now)
            return FilterResult([holding.placement.node])
        if holding is None and not pod.request.devices:
            self._plain.add(pod.uid, pod.key)
            return FilterResult(args.names)
        return self._planned(pod, args.names, now)

    def prioritize(self, args: FilterArgs) -> list[tuple[NodeName, int]]:
        """Score the nodes: the one that the pod has its place on before all others."""
        holding = self._reservations.get(wire.uid_of(args.pod))
        planned = None if holding is None else holding.placement.node
        return [(name, BEST if name == planned else OTHER) for name in args.names]

    def preempt(self, args: PreemptionArgs) -> None:
        """Name no candidates: killing a pod of another tenant is the controller's to decide."""

    async def bind(self, args: BindingArgs) -> str:
        """Bind the pod to its place; return "" or one sentence that says what is wrong."""
        return await self._bindings.bind(args)

    def _fixed(self, holding: Holding, names: Sequence[NodeName]) -> FilterResult | None:
        """Answer for a pod whose place can't change any more."""
        if not holding.bound and not self._reservations.pinned(holding.pod.uid):
            return None
        if holding.placement.node in names:
            return FilterResult([holding.placement.node])
        return _none_of(names, BOUND_ELSEWHERE if holding.bound else BEING_BOUND)

    def _still_good(self, pod: Pod, holding: Holding, names: Sequence[NodeName]) -> bool:
        same = holding.pod.key == pod.key and holding.pod.request == pod.request
        offered = same and holding.placement.node in names
        return offered and self._reservations.stands(holding)

    def _planned(self, pod: Pod, names: Sequence[NodeName], now: float) -> FilterResult:
        known = list(filter(self._ledger.nodes.__contains__, names))
        if not known:
            return _none_of(names, NO_INVENTORY)
        outcome = self._plan(pod, known)
        if isinstance(outcome, Placement):
            self._reservations.book(pod, outcome, now)
            return FilterResult([outcome.node])
        reasons = dict.fromkeys(names, NO_INVENTORY)
        reasons.update(dict.fromkeys(known, outcome.stable))
        return FilterResult(failed=reasons)


def _none_of(names: Sequence[NodeName], text: str) -> FilterResult:
    return FilterResult(failed=dict.fromkeys(names, text))
