"""Tenants for these tests: short builders, and random trees with their demand."""

from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from scheduler.core.fairness.tree import TenantTree
from scheduler.core.model.ids import TenantName
from scheduler.core.model.tenants import Tenant

Demand = dict[TenantName, Fraction]


def tenant(name: str, parent: str | None = None, **amounts: Any) -> Tenant:
    return Tenant(TenantName(name), None if parent is None else TenantName(parent), **amounts)


def gpus(**amounts: str | int) -> Demand:
    return {TenantName(name): Fraction(amount) for name, amount in amounts.items()}


def quantities(most: int = 12) -> st.SearchStrategy[Fraction]:
    """Amounts as people write them, and some that no decimal can."""
    return st.one_of(
        st.integers(0, most).map(Fraction),
        st.integers(0, most * 1000).map(lambda milli: Fraction(milli, 1000)),
        st.fractions(0, most, max_denominator=60),
    )


@st.composite
def tenant_lists(draw: st.DrawFn, largest: int = 9) -> list[Tenant]:
    tenants: list[Tenant] = []
    for number in range(draw(st.integers(1, largest))):
        above = draw(st.sampled_from([None, None, *(each.name for each in tenants)]))
        tenants.append(
            Tenant(
                name=TenantName(f"t{number}"),
                parent=above,
                guarantee=draw(st.one_of(st.just(Fraction(0)), quantities(6))),
                weight=draw(st.one_of(st.just(Fraction(1)), quantities(90))),
                limit=draw(st.one_of(st.none(), quantities())),
                priority=draw(st.sampled_from([100, 100, 100, 50, 200])),
                created=draw(st.sampled_from([0.0, 1.0, 2.0])),
            )
        )
    return tenants


@st.composite
def divisions(draw: st.DrawFn) -> tuple[TenantTree, Fraction, Demand]:
    """A tree, what there is to divide, and what each leaf wants."""
    tree = TenantTree(draw(tenant_lists()))
    return tree, draw(quantities(20)), {leaf: draw(quantities()) for leaf in tree.leaves}
