"""The file that says who the tenants are and which part of the work is whose."""

from fractions import Fraction
from pathlib import Path

import pytest

from scheduler.core.model.errors import InvalidFile
from scheduler.simulator.turns.tenantsfile import read_plan

EXAMPLE = Path(__file__).resolve().parents[2] / "scenarios" / "large-and-small.yaml"
ONE = "tenants: [{name: a, work: 1}]\n"


def test_the_example_has_one_large_tenant_and_twenty_small_ones() -> None:
    plan = read_plan(EXAMPLE)
    assert [(size.name, size.count, size.work) for size in plan.sizes] == [
        ("large", 1, 0.6),
        ("small", 20, 0.02),
    ]
    assert plan.load == 1.1
    tenants = plan.tenants
    assert [tenant.name for tenant in tenants[:3]] == ["large", "small-0", "small-1"]
    assert len(tenants) == 21
    # The first in the file are the oldest, so that ties are broken in its order.
    assert [tenant.created for tenant in tenants] == sorted({each.created for each in tenants})


def test_amounts_are_what_is_written(tmp_path: Path) -> None:
    file = tmp_path / "tenants.yaml"
    file.write_text("tenants: [{name: a, work: 0.5, weight: 0.1, guarantee: 2.5, count: 2}]")
    assert {(each.weight, each.guarantee) for each in read_plan(file).tenants} == {
        (Fraction(1, 10), Fraction(5, 2))
    }


def test_a_guarantee_may_be_what_the_tenants_own(tmp_path: Path) -> None:
    file = tmp_path / "tenants.yaml"
    file.write_text("tenants: [{name: a, work: 0.5, count: 2, guarantee: contributed, owns: 0.25}]")
    plan = read_plan(file)
    assert all(each.contributed and not each.guarantee for each in plan.tenants)
    assert plan.sizes[0].owns == 0.25


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the file must hold names and values"),
        ("- a", "the file must hold names and values"),
        ("tenants: [", ":1: is no YAML"),
        ("load: 1.1", "tenants must be a list of at least one"),
        ("tenants: []", "tenants must be a list of at least one"),
        ("tenants: [a]", "tenants, entry 1 must hold names and values"),
        ("tenants: [{work: 1}]", "tenants, entry 1: name must be a text"),
        ("tenants: [{name: a}]", 'tenant "a": work is missing'),
        ("tenants: [{name: a, work: 1, wieght: 2}]", "do you mean weight?"),
        (ONE + "lod: 2", 'there is no "lod"; do you mean load?'),
        ("tenants: [{name: a, work: much}]", 'tenant "a": work is "much"; write a number'),
        ("tenants: [{name: a, work: true}]", "write a number"),
        ("tenants: [{name: a, work: .nan}]", "write a number"),
        ("tenants: [{name: a, work: 0.5}]", "add up to 0.5; they must make 1"),
        ("tenants: [{name: a, work: 0}]", "above 0 and at most 1"),
        ("tenants: [{name: a, work: 0.5, count: 1.5}]", "count must be a whole number"),
        ("tenants: [{name: a, work: 0.5}, {name: a, work: 0.5}]", '"a" is there twice'),
        ("tenants: [{name: a, count: 2, work: 0.4}, {name: a-1, work: 0.2}]", '"a-1" is there'),
        ("tenants: [{name: a, work: 1, weight: 0}]", "none is due anything"),
        ("tenants: [{name: a, work: 1, guarantee: contributed}]", "owns is missing"),
        ("tenants: [{name: a, work: 1, guarantee: mine, owns: 1}]", 'guarantee is "mine"; write a'),
        ("tenants: [{name: a, work: 0.5, count: 2, owns: 0.6}]", "add up to 1.2; they must make 1"),
        ("tenants: [{name: a, work: 1, contributed: true}]", 'there is no "contributed"'),
        (ONE + "load: 0", "load is 0; it must be above 0"),
        (ONE + "nodes: 2", "nodes is 2; it must be above 0 and at most 1"),
        (ONE + "skip: 1", "at most 0.99"),
        (ONE + "days: -1", "days is -1"),
    ],
)
def test_what_is_wrong_is_told_with_the_file(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "tenants.yaml"
    file.write_text(text)
    with pytest.raises(InvalidFile) as raised:
        read_plan(file)
    assert str(raised.value).startswith(str(file))
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidFile, match="name a YAML file"):
        read_plan(tmp_path / "gone.yaml")
