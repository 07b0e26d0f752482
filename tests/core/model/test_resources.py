"""Resources of containers: whole GPUs, CPU and memory as Kubernetes counts them."""

from typing import Any

import pytest

from scheduler.core.model import names
from scheduler.core.model.errors import InvalidRequest
from scheduler.core.model.requestreader import parse_request
from tests.core.model.pod_json import container, gpus, limited, pod_of

F, KAI_M = names.GPU_FRACTION, names.KAI_MEMORY


@pytest.mark.parametrize(
    ("containers", "devices"),
    [
        ([gpus("1")], 1),
        ([gpus(2)], 2),
        ([gpus("0")], 0),
        ([gpus("1"), gpus("2")], 3),
        ([limited(cpu="1")], 0),
    ],
)
def test_plain_gpus_are_whole_ones(containers: list[Any], devices: int) -> None:
    asked = parse_request(pod_of(containers=containers))
    assert (asked.devices, asked.milli) == (devices, 1000 if devices else 0)


def test_plain_gpus_of_init_containers_count_as_kubernetes_counts_them() -> None:
    sidecar = {**gpus("1"), "restartPolicy": "Always"}
    assert parse_request(pod_of(initContainers=[gpus("3")], containers=[gpus("1")])).devices == 3
    assert parse_request(pod_of(initContainers=[sidecar], containers=[gpus("1")])).devices == 2


@pytest.mark.parametrize(
    ("notes", "number", "says"),
    [
        ({F: "0.5"}, "1", "keep one of them"),
        ({KAI_M: "4096"}, "1", "keep one of them"),
        ({}, "1500m", "must be a whole number"),
        ({}, "-1", "must not be negative"),
        ({}, "one", "is not a quantity"),
        ({}, "200", "ask for 128 at most"),
    ],
)
def test_plain_gpus_that_can_not_be_granted(notes: Any, number: str, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        parse_request(pod_of(notes, containers=[gpus(number)]))


@pytest.mark.parametrize(
    ("cpu", "milli"),
    [
        ("100m", 100),
        ("0.1", 100),
        (0.1, 100),
        (2, 2000),
        ("1e3", 1_000_000),
        ("1E3", 1_000_000),
        ("2k", 2_000_000),
        ("500u", 1),
        ("1500000n", 2),
        ("0.0001", 1),
        ("+1", 1000),
        ("1.", 1000),
        (None, 0),
    ],
)
def test_cpu_is_counted_in_milli_rounded_up(cpu: object, milli: int) -> None:
    assert parse_request(pod_of(containers=[container(cpu=cpu)])).cpu_milli == milli


@pytest.mark.parametrize(
    ("memory", "mib"),
    # 128974848 = 123 · 2^20; 129 · 10^6 ÷ 2^20 = 123.02, rounded up.
    [("128974848", 123), ("129e6", 124), ("129M", 124), ("123Mi", 123), ("1m", 1), ("2Gi", 2048)],
)
def test_memory_is_counted_in_mib_rounded_up(memory: str, mib: int) -> None:
    assert parse_request(pod_of(containers=[container(memory=memory)])).ram_mib == mib


@pytest.mark.parametrize("cpu", ["", "a lot", "1.5.2", "NaN", "1e400", "1mm", True, [], {}, "m"])
def test_what_is_no_quantity_is_told(cpu: object) -> None:
    with pytest.raises(InvalidRequest, match=r"cpu: .* is not a quantity"):
        parse_request(pod_of(containers=[container(cpu=cpu)]))


@pytest.mark.parametrize(
    ("resource", "amount", "says"),
    [
        ("cpu", "-1", "must not be negative"),
        ("cpu", "9E", "more cpu than any node has"),
        ("memory", "1e30", "more memory than any node has"),
    ],
)
def test_amounts_that_no_node_could_have_are_told(resource: str, amount: str, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        parse_request(pod_of(containers=[container(**{resource: amount})]))


def test_a_missing_request_is_the_limit() -> None:
    assert parse_request(pod_of(containers=[limited(cpu="3")])).cpu_milli == 3000
    both = {"resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "3"}}}
    assert parse_request(pod_of(containers=[both])).cpu_milli == 1000


def test_init_containers_run_before_and_sidecars_beside_the_containers() -> None:
    # sidecar 1 runs throughout; init 5 runs beside it: max(1 + 5, 1 + 2 + 2) = 6, and 0.5 overhead.
    spec = {
        "initContainers": [{**container(cpu="1"), "restartPolicy": "Always"}, container(cpu="5")],
        "containers": [container(cpu="2"), container(cpu="2")],
        "overhead": {"cpu": "500m"},
    }
    assert parse_request(pod_of(**spec)).cpu_milli == 6500
    # An init container that ends before the sidecar starts: max(5, 1 + 2 + 2) = 5.
    spec["initContainers"] = list(reversed(spec["initContainers"]))  # type: ignore[call-overload]
    assert parse_request(pod_of(**spec)).cpu_milli == 5500


def test_a_request_of_the_pod_as_a_whole_stands_instead_of_its_containers() -> None:
    spec = {
        "resources": {"requests": {"cpu": "3"}},
        "containers": [container(cpu="1", memory="1Gi")],
        "overhead": {"cpu": "1"},
    }
    asked = parse_request(pod_of(**spec))
    assert (asked.cpu_milli, asked.ram_mib) == (4000, 1024)
