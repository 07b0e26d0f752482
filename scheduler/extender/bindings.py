"""Bindings under way: one task a pod, which ends its bookkeeping whoever still listens."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from scheduler.clock import Clock
from scheduler.core.ledger.holdings import Holding
from scheduler.core.model import assignment
from scheduler.core.model.errors import AlreadyAssigned, BindRefused, InvalidInput, LedgerError
from scheduler.core.model.ids import PodUID
from scheduler.core.model.placements import Placement
from scheduler.core.model.pods import PodRef
from scheduler.extender.binder import Binder
from scheduler.extender.plain import PlainPods
from scheduler.extender.reservations import Reservations
from scheduler.extender.wire import BindingArgs

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Flight:
    args: BindingArgs
    task: asyncio.Task[str]


class Bindings:
    """Writes Bindings of reserved pods, and of plain ones, at most `seconds` each."""

    def __init__(
        self,
        reservations: Reservations,
        plain: PlainPods,
        binder: Binder,
        *,
        clock: Clock,
        seconds: float,
    ) -> None:
        self._reservations, self._plain, self._binder = reservations, plain, binder
        self._clock, self._seconds = clock, seconds
        self._flights: dict[PodUID, _Flight] = {}

    async def bind(self, args: BindingArgs) -> str:
        """Bind, or wait for the bind of the same pod under way; "" or what is wrong."""
        flight = self._flights.get(args.uid)
        if flight is None:
            answer = self._start(args)
            if isinstance(answer, str):
                return answer
            flight = self._flights[args.uid] = _Flight(args, answer)
            answer.add_done_callback(lambda _: self._flights.pop(args.uid))
        elif flight.args != args:
            return f"pod {args.key} is being bound to {flight.args.node} as {flight.args.key}; wait"
        # A caller that hangs up must not take the outcome with it.
        return await asyncio.shield(flight.task)

    def _start(self, args: BindingArgs) -> str | asyncio.Task[str]:
        holding = self._reservations.get(args.uid)
        if holding is None:
            return self._start_plain(args)
        if problem := _mismatch(args, holding):
            return problem
        if holding.bound:
            return ""
        try:
            annotations = assignment.encode(holding.placement)
            self._reservations.pin(holding)
        except (InvalidInput, LedgerError) as problem_there:
            return f"{problem_there}; filter the pod again"
        return self._fly(args, holding, annotations)

    def _start_plain(self, args: BindingArgs) -> str | asyncio.Task[str]:
        if self._plain.get(args.uid) != args.key:
            return f"pod {args.key} has no place yet; filter it again"
        return self._fly(args, None, {})

    def _fly(
        self, args: BindingArgs, holding: Holding | None, annotations: Mapping[str, str]
    ) -> asyncio.Task[str]:
        flight = self._flight(args, holding, annotations)
        return asyncio.create_task(flight, name=f"bind {args.key}")

    async def _flight(
        self, args: BindingArgs, holding: Holding | None, annotations: Mapping[str, str]
    ) -> str:
        outcome: BaseException | None = None
        try:
            # The event loop's time, not the clock's: the other side answers in real time.
            async with asyncio.timeout(self._seconds):
                pod = PodRef(args.namespace, args.name, args.uid)
                await self._binder.bind(pod, args.node, annotations)
        except Exception as problem:
            outcome = problem
        except BaseException as problem:
            self._landed(args, holding, problem)
            raise
        return self._landed(args, holding, outcome)

    def _landed(
        self, args: BindingArgs, holding: Holding | None, outcome: BaseException | None
    ) -> str:
        """Book the outcome, in one step with the end of the flight."""
        if holding is None:
            return _plain_answer(args, outcome)
        match outcome:
            case None:
                self._reservations.bound(holding)
                return ""
            case BindRefused():
                self._reservations.refused(holding)
                return f"pod {args.key} was not bound: {outcome}"
            case AlreadyAssigned():
                same = self._reservations.elsewhere(holding, outcome, self._clock.now())
                return "" if same else f"pod {args.key} is bound to {outcome.node} otherwise"
        if self._reservations.unknown(holding, self._clock.now()):
            return ""
        return _unknown(args, outcome)


def _mismatch(args: BindingArgs, holding: Holding) -> str:
    if holding.pod.key != args.key:
        return f"pod {args.key} has the UID of {holding.pod.key}; filter it again"
    if holding.placement.node != args.node:
        state = "is bound to" if holding.bound else "has its place on"
        return f"pod {args.key} {state} {holding.placement.node}, not {args.node}; filter it again"
    return ""


def _plain_answer(args: BindingArgs, outcome: BaseException | None) -> str:
    match outcome:
        case None:
            return ""
        case BindRefused():
            return f"pod {args.key} was not bound: {outcome}"
        case AlreadyAssigned():
            there = outcome.node == args.node and not _assigned(outcome)
            return "" if there else f"pod {args.key} is bound to {outcome.node} otherwise"
    return _unknown(args, outcome)


def _assigned(found: AlreadyAssigned) -> bool:
    try:
        placement: Placement | None = assignment.decode(found.annotations)
    except InvalidInput:
        return True
    return placement is not None


def _unknown(args: BindingArgs, outcome: BaseException) -> str:
    what = "took too long" if isinstance(outcome, TimeoutError) else type(outcome).__name__
    log.warning("bind of %s to %s: outcome unknown", args.key, args.node, exc_info=outcome)
    return f"whether pod {args.key} was bound to {args.node} is not known ({what}); bind it again"
