"""Tenants from the API: whatever somebody writes, the others keep their shares."""

from fractions import Fraction
from typing import Any

import pytest

from scheduler.core.fairness.tree import TenantTree
from scheduler.core.model.ids import TenantName
from scheduler.core.model.tenants import Tenant
from scheduler.kube.tenantbook import TenantBook
from tests.kube.stored import JSON, NOW, tenant_json

Sets = list[dict[str, Tenant]]


def _book() -> tuple[TenantBook, Sets]:
    told: Sets = []

    def tell(tenants: list[Tenant]) -> None:
        # Whoever is told makes a tree of them, and that must never fail.
        TenantTree(tenants)
        told.append({tenant.name: tenant for tenant in tenants})

    return TenantBook(tell), told


async def _after(book: TenantBook, *changes: JSON) -> None:
    for change in changes:
        book.see("MODIFIED", change)
    await book.told()


async def test_tenants_are_told_all_together_and_once() -> None:
    book, told = _book()
    book.replace([tenant_json("top"), tenant_json("a", "top", guarantee=2)])
    book.see("ADDED", tenant_json("b", "top"))
    await book.told()
    ((top, *_),) = [list(told[0])]
    assert (len(told), sorted(told[0]), top) == (1, ["a", "b", "top"], "top")
    assert not book.problems


async def test_an_empty_list_is_told_and_what_changes_nothing_is_not() -> None:
    book, told = _book()
    book.replace([])
    await book.told()
    assert told == [{}]
    book.replace([tenant_json("a")])
    await book.told()
    status = tenant_json("a") | {"status": {"pendingPods": 3}}
    await _after(book, status)
    assert len(told) == 2
    assert book.stored["a"]["status"] == {"pendingPods": 3}


async def test_a_tenant_that_can_not_be_read_counts_as_it_did_before() -> None:
    book, told = _book()
    book.replace([tenant_json("a", guarantee=2), tenant_json("b")])
    await book.told()
    await _after(book, tenant_json("a", guarantee="much"), tenant_json("c"))
    assert told[-1]["a"].guarantee == 2
    assert "c" in told[-1]
    assert 'tenant "a": guarantee: "much"' in book.problems[TenantName("a")]
    await _after(book, tenant_json("a", guarantee=3))
    assert told[-1]["a"].guarantee == 3
    assert not book.problems


async def test_an_order_is_told_and_one_that_can_not_be_read_costs_nobody_its_tenant() -> None:
    book, told = _book()
    book.replace([tenant_json("a", guarantee=2)])
    await book.told()
    for text, until in (("2027-01-15T08:00:00Z", NOW), ("soon", 0.0)):
        ordered = tenant_json("a", guarantee=3)
        ordered["metadata"]["annotations"] = {"equipoise.dev/defrag-until": text, "other": text}
        await _after(book, ordered)
        assert (told[-1]["a"].defrag_until, told[-1]["a"].guarantee) == (until, Fraction(3))
    assert 'defrag-until is "soon"' in book.problems[TenantName("a")]
    await _after(book, tenant_json("a", guarantee=3))
    assert not book.problems


async def test_a_tenant_that_never_could_be_read_is_left_out_with_all_below_it() -> None:
    book, told = _book()
    book.replace(
        [tenant_json("top", weight=-1), tenant_json("a", "top"), tenant_json("b"), tenant_json("c")]
    )
    await book.told()
    assert sorted(told[0]) == ["b", "c"]
    assert dict(book.problems) == {
        "top": 'tenant "top": weight: "-1" must not be below 0',
        "a": 'tenant "a": its parent "top" is left out; correct that one first',
    }


async def test_a_tenant_whose_parent_does_not_exist_is_left_out_until_it_does() -> None:
    book, told = _book()
    book.replace([tenant_json("a", "top"), tenant_json("b")])
    await book.told()
    assert sorted(told[-1]) == ["b"]
    assert 'its parent "top" does not exist' in book.problems[TenantName("a")]
    await _after(book, tenant_json("top"))
    assert (sorted(told[-1]), dict(book.problems)) == (["a", "b", "top"], {})


async def test_a_cycle_is_broken_where_it_was_closed() -> None:
    book, told = _book()
    book.replace([tenant_json("a"), tenant_json("b", "a"), tenant_json("c", "b")])
    await book.told()
    await _after(book, tenant_json("a", "c", weight=9), tenant_json("d"))
    assert sorted(told[-1]) == ["a", "b", "c", "d"]
    assert told[-1]["a"] == Tenant(TenantName("a"))
    assert list(book.problems) == ["a"]
    assert "it is above itself (a → c → b → a)" in book.problems[TenantName("a")]


async def test_of_a_cycle_that_always_was_one_nobody_is_taken_in() -> None:
    book, told = _book()
    book.replace(
        [tenant_json("a", "b"), tenant_json("b", "a"), tenant_json("c", "b"), tenant_json("d")]
    )
    await book.told()
    assert sorted(told[-1]) == ["d"]
    assert sorted(book.problems) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "first", [[("a", "b"), ("b", "c")], [("a", "a")], [("a", "gone"), ("b", "a")]], ids=str
)
async def test_whatever_comes_next_is_taken_in(first: list[tuple[str, str]]) -> None:
    book, told = _book()
    changes: list[Any] = [tenant_json(name, parent) for name, parent in first]
    book.replace([tenant_json(name) for name in ("a", "b", "c")])
    await book.told()
    await _after(book, *changes)
    await _after(book, tenant_json("c", "a"))
    await _after(book, *(tenant_json(name) for name in ("a", "b", "c")))
    assert sorted(told[-1]) == ["a", "b", "c"]
    assert not book.problems


async def test_a_tenant_that_is_deleted_is_gone() -> None:
    book, told = _book()
    book.replace([tenant_json("a"), tenant_json("b")])
    await book.told()
    book.see("DELETED", tenant_json("a"))
    await book.told()
    assert sorted(told[-1]) == ["b"]
