"""What Prometheus reads: names, units, one value a series, nothing left of what is gone."""

import re
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from scheduler.core.model.budgets import Budget
from scheduler.core.model.fragments import Fragments
from scheduler.core.model.ids import NodeName, TenantName
from scheduler.core.model.plans import Lack
from scheduler.core.model.standing import BudgetStanding, Standing, Stray, UserStanding
from scheduler.core.model.tenants import Brought
from scheduler.core.model.verdicts import Reason, Verdict
from scheduler.telemetry.agentcatalogue import AGENT_CATALOGUE
from scheduler.telemetry.catalogue import CATALOGUE, Kind, Spec
from scheduler.telemetry.metrics import Metrics
from scheduler.telemetry.reference import page
from tests.support.builders import pod
from tests.support.standings import Story, device, piece, tenant, waiting

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "metrics.md"
VISION = TenantName("vision")
BASE_UNITS = {"gpus", "gpu_seconds", "seconds", "ratio", "pods"}


def _used() -> Metrics:
    metrics = Metrics()
    metrics.observe_wait(VISION, 7.0, turn=7.0)
    metrics.count_decision("hold", "NoRoom")
    metrics.observe_hold("NoRoom", 5.0)
    metrics.observe_loss(pod("p", tenant=VISION), 60.0)
    metrics.observe_request("filter", 0.003)
    metrics.observe_admission("mutate", 0.001)
    metrics.observe_lag(0.001)
    metrics.set_acts(acts=True)
    metrics.observe_cycle("allocate", 0.02)
    return metrics


def _families(text: bytes) -> dict[str, Metric]:
    """What is ours: process_* is the library's."""
    families = text_string_to_metric_families(text.decode())
    return {each.name: each for each in families if not each.name.startswith("process_")}


def _value(text: bytes, name: str, **labels: str) -> float:
    found = [
        sample.value
        for family in _families(text).values()
        for sample in family.samples
        if sample.name == name and sample.labels == labels
    ]
    (value,) = found
    return value


def _has(text: bytes, word: str) -> bool:
    return word in text.decode()


def test_everything_that_is_served_is_in_the_catalogue_and_the_other_way_round() -> None:
    lack = Lack(Reason.NO_ROOM, (), 1, 1000)
    month = BudgetStanding(Budget(Fraction(10)), 3600.0, 0.0, 86_400.0)
    seen = Story().at(60.0)
    owner = replace(seen.tenants[0], contributed=True, brought=Brought(4000, ill=1000, away=8000))
    tenants = (owner, *seen.tenants[1:], tenant("budgeted", budget=month))
    seen = replace(seen, lacks=(lack,), tenants=tenants)
    served = _families(_used().exposition(seen))
    catalogued = {spec.name.removesuffix("_total"): spec for spec in CATALOGUE}
    assert served.keys() == catalogued.keys()
    for name, family in served.items():
        assert family.type == catalogued[name].kind
        assert family.documentation == catalogued[name].help
        assert family.samples, f"{name} has no series, so its labels are not tested"
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(catalogued[name].labels)


def test_samples_carry_no_name_that_is_not_documented() -> None:
    text = _used().exposition(Story().at(60.0))
    names = set(re.findall(r"^([a-z_]+)", text.decode(), re.MULTILINE))
    allowed = {spec.name + suffix for spec in CATALOGUE for suffix in _suffixes(spec)}
    assert {name for name in names if not name.startswith("process_")} <= allowed


def _suffixes(spec: Spec) -> tuple[str, ...]:
    return ("_bucket", "_sum", "_count") if spec.kind is Kind.HISTOGRAM else ("",)


@pytest.mark.parametrize("spec", CATALOGUE, ids=lambda spec: spec.name)
def test_names_follow_the_rules_of_prometheus(spec: Spec) -> None:
    assert re.fullmatch(r"equipoise_[a-z]+(_[a-z]+)*", spec.name)
    assert spec.name.endswith("_total") == (spec.kind is Kind.COUNTER)
    assert bool(spec.buckets) == (spec.kind is Kind.HISTOGRAM)
    assert list(spec.buckets) == sorted(set(spec.buckets))
    assert spec.help.endswith((".", '".'))
    assert str(spec.kind) not in spec.name.split("_"), "the name must not repeat the type"
    assert not re.search(r"milli|_ms\b|minutes|percent|mib|[A-Z]", spec.name), "no base unit"
    if spec.unit:
        assert spec.unit in BASE_UNITS
        assert spec.unit in spec.name.split("_", 1)[1]
    for label in spec.labels:
        assert re.fullmatch(r"[a-z]+", label)
        assert label not in {"le", "quantile", "job", "instance"}


def test_each_series_has_one_value() -> None:
    text = _used().exposition(Story().at(60.0)).decode()
    series = Counter(
        line.rsplit(" ", 1)[0] for line in text.splitlines() if not line.startswith("#")
    )
    assert [name for name, count in series.items() if count > 1] == []


def test_a_tenant_that_is_gone_leaves_no_series_behind() -> None:
    metrics = _used()
    both = Standing(at=0.0, tenants=(tenant("vision"), tenant("speech")))
    assert _has(metrics.exposition(both), '"vision"')
    after = metrics.exposition(replace(both, tenants=both.tenants[1:]))
    assert not _has(after, '"vision"')
    assert _has(after, '"speech"')


def test_a_tenant_that_comes_back_starts_its_waits_anew() -> None:
    metrics = _used()
    present = Standing(at=0.0, tenants=(tenant("vision"),))
    metrics.exposition(Standing(at=0.0))
    metrics.observe_wait(VISION, 3.0, turn=3.0)
    text = metrics.exposition(present)
    assert _value(text, "equipoise_tenant_wait_seconds_count", tenant="vision") == 1


def test_a_gpu_that_is_gone_leaves_no_series_behind() -> None:
    metrics = Metrics()
    two = Standing(at=0.0, devices=(device("GPU-a"), device("GPU-b", index=1)))
    assert _has(metrics.exposition(two), "GPU-a")
    assert not _has(metrics.exposition(replace(two, devices=two.devices[1:])), "GPU-a")


def test_only_a_tenant_with_a_limit_has_a_series_for_it() -> None:
    standing = Standing(
        at=0.0, tenants=(tenant("vision", limit=Fraction(5, 2)), tenant("speech", limit=None))
    )
    limits = _families(Metrics().exposition(standing))["equipoise_tenant_limit_gpus"].samples
    assert [(sample.labels["tenant"], sample.value) for sample in limits] == [("vision", 2.5)]


def test_a_budget_and_what_is_used_of_it_are_in_gpu_seconds() -> None:
    budget = BudgetStanding(Budget(Fraction(5, 2)), 1800.5, 0.0, 86_400.0)
    standing = Standing(at=0.0, tenants=(tenant("vision", budget=budget), tenant("speech")))
    text = Metrics().exposition(standing)
    assert _value(text, "equipoise_tenant_budget_gpu_seconds", tenant="vision") == 9000.0
    assert _value(text, "equipoise_tenant_budget_used_gpu_seconds", tenant="vision") == 1800.5
    assert not _has(text, 'budget_gpu_seconds{tenant="speech"}')


def test_users_are_no_labels() -> None:
    who = UserStanding(VISION, "somebody", Fraction(1), Fraction(1), Fraction(1), 1.0, 1, 1)
    metrics = Metrics()
    metrics.observe_loss(pod("p", tenant="vision/somebody", user="somebody"), 60.0)
    waits = waiting(user="somebody")
    standing = Standing(at=0.0, tenants=(tenant("vision"),), users=(who,), waiting=(waits,))
    text = metrics.exposition(standing)
    assert not _has(text, "somebody")
    assert _value(text, "equipoise_evicted_gpu_seconds_total", tenant="vision") == 60.0


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("allocated_ratio", 0.75),
        ("utilization_ratio", 0.421),
        ("memory_used_ratio", 0.25),
    ],
)
def test_ratios_of_a_gpu_are_parts_of_that_gpu(name: str, want: float) -> None:
    card = device(
        "GPU-a",
        milli=400,
        load=421,
        foreign_mib=0,
        used_mib=20480,
        slices=(piece(milli=200), piece(milli=100, bound=False)),
    )
    text = Metrics().exposition(Standing(at=0.0, devices=(card,)))
    labels = {"node": "gpu-1", "device": "0", "uuid": "GPU-a", "model": "A100-SXM4-80GB"}
    assert _value(text, f"equipoise_gpu_{name}", **labels) == want


def test_gauges_of_the_cluster_are_in_gpus() -> None:
    standing = Standing(
        at=0.0,
        jain=0.5,
        free_milli=1250,
        fragments=Fragments(devices=250, cpu=100),
        oversold_milli=1000,
    )
    text = Metrics().exposition(standing)
    assert _value(text, "equipoise_fairness_jain_index") == 0.5
    assert _value(text, "equipoise_free_gpus") == 1.25
    causes = {"devices": 0.25, "cpu": 0.1, "model": 0.0, "none": 0.0}
    for cause, amount in causes.items():
        assert _value(text, "equipoise_fragmented_gpus", cause=cause) == amount
    assert _value(text, "equipoise_oversold_gpus") == 1


def test_where_a_tenant_stands_in_the_tree_is_told_in_labels() -> None:
    standing = Standing(
        at=0.0, tenants=(tenant("lab", leaf=False), tenant("vision", parent=TenantName("lab")))
    )
    text = Metrics().exposition(standing)
    assert _value(text, "equipoise_tenant_info", tenant="lab", parent="", leaf="false") == 1
    assert _value(text, "equipoise_tenant_info", tenant="vision", parent="lab", leaf="true") == 1


def test_counters_and_histograms_go_on_from_scrape_to_scrape() -> None:
    metrics, standing = _used(), Standing(at=0.0, tenants=(tenant("vision"),))
    metrics.exposition(standing)
    metrics.count_decision("hold", "NoRoom", by=4)
    metrics.observe_request("filter", 0.02)
    text = metrics.exposition(standing)
    assert _value(text, "equipoise_decisions_total", outcome="hold", reason="NoRoom") == 5
    assert _value(text, "equipoise_extender_request_seconds_count", verb="filter") == 2
    assert _value(text, "equipoise_tenant_wait_seconds_sum", tenant="vision") == 7


def test_two_sets_of_metrics_in_one_process_do_not_meet() -> None:
    _used()
    text = Metrics().exposition(Standing(at=0.0))
    assert _value(text, "equipoise_decisions_total", outcome="hold", reason="NoRoom") == 0


def test_what_may_happen_is_counted_from_zero() -> None:
    text = Metrics().exposition(Standing(at=0.0))
    for labels in ({"outcome": "evict", "reason": "Stuck"}, {"outcome": "admit", "reason": ""}):
        assert _value(text, "equipoise_decisions_total", **labels) == 0
    for verb in ("filter", "prioritize", "preempt", "bind"):
        assert _value(text, "equipoise_extender_request_seconds_count", verb=verb) == 0


def test_who_waits_is_told_by_reason_and_for_how_long_at_most() -> None:
    pods = (
        waiting("vision/a", since=70.0),
        waiting("vision/b", since=40.0, verdict=Verdict(Reason.NO_ROOM)),
        waiting("vision/c", since=90.0, verdict=Verdict(Reason.NO_ROOM)),
    )
    text = Metrics().exposition(Standing(at=100.0, waiting=pods))
    of = partial(_value, text, "equipoise_waiting_pods", tenant="vision")
    assert (of(reason="WaitsForTurn"), of(reason="NoRoom")) == (1, 2)
    assert _value(text, "equipoise_tenant_longest_wait_seconds", tenant="vision") == 60


def test_what_no_node_can_take_is_told_by_shape_of_node() -> None:
    lacks = (
        Lack(Reason.NEVER_FITS, ("A100", "H100"), 4, 8000),
        Lack(Reason.NO_ROOM, (), 1, 250),
    )
    text = Metrics().exposition(Standing(at=0.0, lacks=lacks))
    of = partial(_value, text, "equipoise_unplaceable_gpus")
    assert of(reason="NeverFits", models="A100|H100", cards="4") == 8
    assert of(reason="NoRoom", models="any", cards="1") == 0.25


def test_the_process_tells_its_own_memory() -> None:
    assert _has(Metrics().exposition(Standing(at=0.0)), "process_resident_memory_bytes ")


def test_a_name_made_to_break_the_format_is_escaped() -> None:
    name = 'a"} 1\nequipoise_oversold_gpus 99 \\'
    text = Metrics().exposition(Standing(at=0.0, tenants=(tenant(name),)))
    assert _value(text, "equipoise_oversold_gpus") == 0
    assert _value(text, "equipoise_tenant_pending_pods", tenant=name) == 2


def test_the_reference_page_is_what_the_code_says() -> None:
    assert REFERENCE.read_text(encoding="utf-8") == page(), "run: make docs"


def test_the_reference_page_names_every_metric_and_asks_only_for_those_that_exist() -> None:
    names = {spec.name for spec in (*CATALOGUE, *AGENT_CATALOGUE)}
    asked = set(re.findall(r"equipoise_[a-z_]+", page()))
    assert {name.removesuffix("_bucket") for name in asked} == names


def test_what_an_owner_brought_is_told_by_its_state_and_of_others_not_at_all() -> None:
    owner = tenant("vision", contributed=True, brought=Brought(6500, ill=500, away=1000))
    standing = Standing(
        at=0.0,
        tenants=(owner, tenant("speech")),
        devices=(device("GPU-a", owner=TenantName("nobody")), device("GPU-b", node=NodeName("n"))),
        strays=(Stray(NodeName("gpu-1"), TenantName("nobody")),),
    )
    found = _families(Metrics().exposition(standing))
    brought = found["equipoise_tenant_brought_gpus"].samples
    assert [(each.labels["tenant"], each.labels["state"], each.value) for each in brought] == [
        ("vision", "counted", 6.5),
        ("vision", "ill", 0.5),
        ("vision", "away", 1.0),
    ]
    assert [each.value for each in found["equipoise_ownerless_gpus"].samples] == [1.0]
