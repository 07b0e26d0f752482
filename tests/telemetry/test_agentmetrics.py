"""An agent's metrics: names, units, and that nothing is left of what is gone."""

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from scheduler.telemetry.agentcatalogue import AGENT_CATALOGUE
from scheduler.telemetry.agentmetrics import AgentMetrics, Gpu, Measured, PodMemory
from scheduler.telemetry.catalogue import CATALOGUE, Kind
from scheduler.telemetry.reference import page

GPU = Gpu(0, "GPU-0", "T4", healthy=True, memory_mib=16_384, used_mib=10, foreign_mib=0)
SLICE = Gpu(1, "MIG-1", "A30-1g.6gb", healthy=False, memory_mib=5_952)
POD = PodMemory("lab", "p", "GPU-0", 4096, 5000)


def families(measured: Measured, metrics: AgentMetrics | None = None) -> dict[str, Metric]:
    text = (metrics or AgentMetrics()).exposition(measured).decode()
    found = text_string_to_metric_families(text)
    return {each.name: each for each in found if not each.name.startswith("process_")}


def test_everything_that_is_served_is_in_the_catalogue_and_the_other_way_round() -> None:
    served = families(Measured("n1", (GPU, SLICE), (POD,), 7.0))
    catalogued = {spec.name.removesuffix("_total"): spec for spec in AGENT_CATALOGUE}
    assert served.keys() == catalogued.keys()
    for name, family in served.items():
        assert (family.type, family.documentation) == (catalogued[name].kind, catalogued[name].help)
        for sample in family.samples:
            assert set(sample.labels) == set(catalogued[name].labels)


def test_names_end_in_their_base_unit_and_are_nobody_elses() -> None:
    names = [spec.name for spec in (*CATALOGUE, *AGENT_CATALOGUE)]
    assert len(names) == len(set(names))
    for spec in AGENT_CATALOGUE:
        assert spec.name.startswith("equipoise_agent_")
        assert spec.unit in ("", "bytes", "ratio", "seconds")
        assert spec.name.endswith("_total" if spec.kind is Kind.COUNTER else spec.unit)


def test_what_is_not_known_has_no_series() -> None:
    served = families(Measured("n1", (SLICE,)))
    assert [sample.value for sample in served["equipoise_agent_gpu_healthy"].samples] == [0.0]
    for name in ("gpu_utilization_ratio", "gpu_memory_used_bytes", "gpu_memory_foreign_bytes"):
        assert served[f"equipoise_agent_{name}"].samples == []


def test_what_is_gone_leaves_no_series_and_counters_go_on() -> None:
    metrics = AgentMetrics()
    metrics.count_write("failed")
    families(Measured("n1", (GPU,), (POD,)), metrics)
    metrics.count_write("failed")
    served = families(Measured("n1"), metrics)
    assert served["equipoise_agent_pod_memory_used_bytes"].samples == []
    counts = {
        each.labels["outcome"]: each.value for each in served["equipoise_agent_writes"].samples
    }
    assert counts == {"written": 0, "failed": 2}


def test_the_reference_page_has_each_of_them() -> None:
    text = page()
    for spec in AGENT_CATALOGUE:
        assert f"| `{spec.name}` | {spec.kind} |" in text
