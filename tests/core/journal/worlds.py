"""A small cluster whose rounds are kept, and to which anything may happen between them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import strategies as st

from scheduler.core.cycle.profile import Profile
from scheduler.core.cycle.run import run_cycle
from scheduler.core.fairness.tree import TenantTree
from scheduler.core.journal.inputs import Inputs
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.ledger.snapshot import Runs
from scheduler.core.model.gangs import Gang
from scheduler.core.model.ids import NodeName, PodUID, TenantName
from scheduler.core.model.nodes import Node
from scheduler.core.model.plans import Plan
from scheduler.core.model.pods import Pod
from scheduler.core.model.running import Memory
from scheduler.core.model.tenants import Tenant, user_part
from scheduler.core.packing.mix import Mix
from scheduler.core.packing.prices import Bids
from tests.support import builders
from tests.support.builders import place, pod, share, tenant

PATIENCE = 60.0

GANGS = st.sampled_from(
    [
        Gang("ns/g", 2),
        Gang("ns/g", 3),
        Gang("ns/other", 1, once=True),
        Gang("ns/none", 0, unknown="gone"),
    ]
)

Draw = Callable[[st.SearchStrategy[Any]], Any]


@dataclass
class World:
    """`rounds` has what each round saw and decided."""

    nodes: Iterable[Node]
    tenants: list[Tenant]
    profile: Profile
    waiting: dict[PodUID, Pod] = field(default_factory=dict)
    since: dict[PodUID, float] = field(default_factory=dict)
    ending: set[PodUID] = field(default_factory=set)
    memory: Memory = field(default_factory=Memory)
    now: float = 1000.0
    made: int = 0
    rounds: list[tuple[Inputs, Plan]] = field(default_factory=list)
    spent: frozenset[TenantName] = frozenset()

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.nodes)

    def step(self, what: str, number: int, draw: Draw) -> None:
        """Have something happen; `number` says to whom."""
        if what == "round":
            self.now += number / 8
            self.round(carry_out=number % 4 > 0)
        elif what == "arrive":
            for _ in range(1 + number % 4):
                self.made += 1
                arrived = draw(builders.pods(st.just(f"p{self.made}")))
                if number % 5 == 0:
                    arrived = replace(arrived, constraints=draw(builders.constraints()))
                if number % 4 == 0:
                    arrived = replace(arrived, gang=draw(GANGS))
                leaves = [each.name for each in self.tenants if each.user]
                if leaves and number % 3 == 0:
                    leaf = leaves[number % len(leaves)]
                    arrived = replace(arrived, tenant=leaf, user=user_part(leaf))
                self.waiting[arrived.uid] = arrived
        elif what in ("end", "ending", "odd claim"):
            self._claims(what, number)
        elif what == "tenants":
            self.made += 1
            late = tenant(f"late{self.made}", weight=number, by_user=number % 2 > 0)
            first, *others = self.tenants
            until, moves = self.now + number, (None, number)[number % 2]
            first = replace(first, defrag_until=until, defrag_moves=moves)
            users = (f"{late.name}/{user}" for user in ("", "jo")[: number % 4])
            tree = TenantTree([first, *others, late]).with_users(map(TenantName, users))
            self.tenants = list(tree.tenants.values())
            self.spent = frozenset(each.name for each in self.tenants[: number % 3])
        elif what == "mix":
            few = [share(100 + number % 800), *(each.request for each in self.waiting.values())]
            bids = [Bids(tuple((each, number * 1_000_000) for each in few[:2]))] * (number % 3)
            self.profile = replace(self.profile, mix=Mix(Mix.of(few).weights, bids))
        else:
            self._nodes(what, number, draw)

    def round(self, *, carry_out: bool = True) -> Plan:
        """Decide, and keep what was seen and decided."""
        owed = {each.name: self.now / (at + 3) for at, each in enumerate(self.tenants)}
        snapshot = self.ledger.snapshot(tenants=self.tenants, lags=owed)
        running = Runs(dict(self.ledger.holdings), dict(self.since), frozenset(self.ending))
        snapshot = replace(
            snapshot,
            memory=self.memory,
            running=running if self.waiting else (),
            spent=self.spent,
            leaving=self.made % 3,
        )
        pending = list(self.waiting.values())
        seen = Inputs.of(self.ledger, snapshot, pending, self.now, self.profile)
        plan = run_cycle(snapshot, pending, self.now, self.profile)
        self.rounds.append((seen, plan))
        self.memory = plan.memory
        if carry_out:
            self._carry_out(plan)
        return plan

    def _carry_out(self, plan: Plan) -> None:
        for at, admit in enumerate(plan.admits):
            del self.waiting[admit.pod.uid]
            if at % 3 == 2:
                self.ledger.reserve(admit.pod, admit.placement, expires=self.now + at)
            else:
                self.ledger.bind(admit.pod, admit.placement)
                self.since[admit.pod.uid] = self.now
        for evict in plan.evicts:
            self.ending.add(evict.pod.uid)

    def _claims(self, what: str, number: int) -> None:
        if what == "odd claim":
            # Of a device that its node doesn't have, or on a node that nobody knows.
            self.made += 1
            stranger = pod(f"s{self.made}", tenant="abc"[number % 3])
            self.ledger.bind(stranger, place(f"n{number % 7}", (number % 9, 500, 8_000)))
            return
        uids = sorted(self.ledger.holdings)
        if uids and what == "end":
            self.ledger.release(uids[number % len(uids)])
        elif uids:
            self.ending.add(uids[number % len(uids)])

    def _nodes(self, what: str, number: int, draw: Draw) -> None:
        names = list(self.ledger.columns.names)
        name = NodeName(f"new{number % 3}") if what == "node" else names[number % len(names)]
        if what in ("node", "ill"):
            self.ledger.put_nodes([draw(builders.nodes(name).flatmap(builders.labelled))])
        elif what == "no node":
            self.ledger.drop_node(name)
        elif what == "close":
            self.ledger.close_node(name, "a claim on it can't be understood")
        else:
            self.ledger.open_node(name)
