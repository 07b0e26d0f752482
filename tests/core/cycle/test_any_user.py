"""What holds of every reclaim where a tenant is shared by user, whatever runs and waits."""

from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.core.fairness.tree import TenantTree
from scheduler.core.model.ids import TenantName
from scheduler.core.model.pods import Pod
from scheduler.core.model.tenants import Tenant, tenant_part, user_part
from scheduler.core.model.verdicts import Reason
from tests.core.cycle.stopping import PATIENCE, Stage
from tests.support.builders import node, pod, share, tenant, whole

TEAM = TenantName("team")
LEAVES = [*(TenantName(f"team/{user}") for user in ("", "a", "b", "c")), TenantName("other")]
REQUESTS = st.sampled_from([share(250), share(500), whole(), whole(2)])


@st.composite
def tenants(draw: st.DrawFn) -> list[Tenant]:
    some = st.sampled_from([0, 0, 1, 2])
    team = tenant("team", by_user=True, guarantee=draw(some), weight=draw(st.sampled_from([1, 3])))
    other = tenant("other", guarantee=draw(some), created=1.0)
    return list(TenantTree([team, other]).with_users(LEAVES).tenants.values())


@st.composite
def pods(draw: st.DrawFn, prefix: str, most: int) -> list[Pod]:
    leaves = [draw(st.sampled_from(LEAVES)) for _ in range(draw(st.integers(1, most)))]
    return [
        pod(
            f"{prefix}{number}",
            draw(REQUESTS),
            leaf,
            created=float(number),
            priority=draw(st.sampled_from([0, 0, 10])),
            user=user_part(leaf),
        )
        for number, leaf in enumerate(leaves)
    ]


def milli(stage: Stage, tree: TenantTree) -> dict[TenantName, int]:
    return tree.roll_up({name: held.milli for name, held in stage.ledger.held.items()}, 0)


@settings(max_examples=80, deadline=None)
@given(known=tenants(), running=pods("r", 8), waiting=pods("w", 8))
def test_users_take_from_others_what_their_tenant_is_due_and_from_each_other_their_parts(
    known: list[Tenant], running: list[Pod], waiting: list[Pod]
) -> None:
    stage, tree = Stage([node("n", 3), node("m", 2)], known), TenantTree(known)
    for each in running:
        if stage.fits(each):
            stage.run(each)
    stage.waiting = list(waiting)
    for _ in range(30):
        stage.now += PATIENCE
        before = milli(stage, tree)
        plan = stage.round()
        for admit in plan.admits:
            # They have their places before anybody is stopped.
            tree.charge(before, admit.pod.tenant, admit.placement.milli)
        takers = {each.taker.uid for each in plan.evicts if each.taker is not None}
        if len(takers) != 1:
            continue
        for evict in plan.evicts:
            assert evict.taker is not None
            giver, taker = evict.pod.tenant, evict.taker.tenant
            if giver == taker:
                assert evict.verdict.reason is Reason.PREEMPTED
                continue
            # Whoever gives has too much where the two meet, and whoever takes too little.
            me, it = taker, giver
            if tenant_part(giver) != tenant_part(taker):
                me, it = tenant_part(taker), tenant_part(giver)
            assert before[me] < plan.shares[me] * 1000
            assert before[it] > plan.shares[it] * 1000
    count = len(stage.evicted)
    assert count <= 4 * (len(running) + len(waiting))
