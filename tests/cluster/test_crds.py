"""Tenants and GPUNodes as the API server keeps them: what it refuses, fills in and prints."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest

from scheduler.core.model.budgets import Budget
from scheduler.kube.convert import tenant
from tests.support.controlplane.api import JSON, Api, Refused
from tests.support.controlplane.layout import BASE
from tests.support.controlplane.plane import ControlPlane
from tests.support.controlplane.waiting import eventually

VERSION = "equipoise.dev/v1alpha1"
TENANTS, GPUNODES = (f"/apis/{VERSION}/{kind}" for kind in ("tenants", "gpunodes"))
SINCE = "2026-01-02T03:04:05Z"
DRY = {"dryRun": "All"}

TOO_FINE = "is finer than 0.001; use three decimals at most"
GPUS = "must be a number of GPUs from 0 to 1000000"
NUMBER = "must be a number from 0 to 1000000"
HOURS = "must be a number of GPU-hours above 0, of 1000000000 at most"
WHOLE = "must be a whole number from -1000000 to 1000000"
NO_NAME = "parent must be the name of a tenant: lower-case letters, digits, dashes and dots"


@pytest.fixture(scope="module", autouse=True)
def crds(plane: ControlPlane, swept: None) -> None:
    plane.apply(BASE / "crds")
    for path in (TENANTS, GPUNODES):
        eventually(lambda path=path: _served(plane.api, path), what=f"{path} is served")  # type: ignore[misc]


@pytest.fixture
def made(api: Api) -> Iterator[list[str]]:
    """Paths of objects that go when the test ends."""
    paths: list[str] = []
    yield paths
    for path in paths:
        api.delete(path)


def _served(api: Api, path: str) -> bool:
    try:
        return api.items(path) is not None
    except Refused:
        return False


def body(name: str = "a", **spec: Any) -> JSON:
    return {"apiVersion": VERSION, "kind": "Tenant", "metadata": {"name": name}, "spec": spec}


def condition(kind: str, status: str, reason: str, message: str = "") -> JSON:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": SINCE,
    }


def device(uuid: str = "GPU-1", **fields: Any) -> JSON:
    plain = {"index": 0, "uuid": uuid, "model": "T4", "memoryMiB": 16_000, "healthy": True}
    return {**plain, **fields}


# -------------------------------------------------------------------------------------- tenants


@pytest.mark.parametrize(
    ("spec", "field", "sentence"),
    [
        ({"parent": "a"}, "parent", "a tenant can't be its own parent; name another tenant"),
        ({"parent": "No Such"}, "parent", NO_NAME),
        ({"parent": ""}, "parent", NO_NAME),
        ({"limit": 0.1234}, "limit", TOO_FINE),
        ({"limit": -1}, "limit", GPUS),
        ({"limit": 1e18}, "limit", GPUS),
        ({"limit": "2"}, "limit", "must be of type number"),
        ({"maxRuntime": "long"}, "maxRuntime", "must be a duration such as"),
        ({"maxRuntime": "0h"}, "maxRuntime", "must be a duration such as"),
        ({"maxRuntime": "1.5h"}, "maxRuntime", "must be a duration such as"),
        ({"shareByUser": "yes"}, "shareByUser", "must be of type boolean"),
        ({"budget": {"gpuHours": 0}}, "budget.gpuHours", HOURS),
        ({"budget": {"gpuHours": -1}}, "budget.gpuHours", HOURS),
        ({"weight": -1}, "weight", NUMBER),
        ({"weight": 0.0001}, "weight", TOO_FINE),
        ({"priority": 1_000_001}, "priority", WHOLE),
        ({"priority": 1.5}, "priority", "must be of type integer"),
    ],
    ids=str,
)
def test_a_tenant_is_refused_with_a_sentence(
    api: Api, spec: JSON, field: str, sentence: str
) -> None:
    with pytest.raises(Refused) as caught:
        api.post(TENANTS, body(**spec), DRY)
    assert caught.value.status == 422
    assert f"spec.{field}: Invalid value" in caught.value.message
    assert sentence in caught.value.message


@pytest.mark.parametrize(
    ("budget", "sentence"),
    [
        ({"period": "Day"}, "spec.budget.gpuHours: Required value"),
        ({"gpuHours": 1, "period": "720h"}, "spec.budget.period: Unsupported value"),
    ],
    ids=str,
)
def test_a_budget_is_hours_in_a_period_of_the_calendar(
    api: Api, budget: JSON, sentence: str
) -> None:
    with pytest.raises(Refused, match=sentence):
        api.post(TENANTS, body(budget=budget), DRY)


def test_a_budget_is_a_month_s_unless_it_says_otherwise(api: Api) -> None:
    stored = api.post(TENANTS, body(budget={"gpuHours": 2.5}), DRY)
    read = tenant(stored).budget
    assert (stored["spec"]["budget"]["period"], read) == ("Month", Budget(Fraction(5, 2)))


def test_a_tenants_name_fits_a_label(api: Api) -> None:
    api.post(TENANTS, body("a" * 63), DRY)
    with pytest.raises(Refused, match="63 characters at most, because namespaces carry it"):
        api.post(TENANTS, body("a" * 64), DRY)


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"guarantee": 0.001, "weight": 0, "limit": 0.001, "priority": -5},
        {"guarantee": 0.29, "weight": 1.005, "limit": 999_999.999},
        {"guarantee": 4.35, "limit": 4.35, "parent": "team.one-2"},
        {"limit": 0},
        {"maxRuntime": "9999d99999h999999m99999999s"},
        {"maxRuntime": "1h30m"},
        {"shareByUser": True},
        {"budget": {"gpuHours": 0.001}},
        {"budget": {"gpuHours": 1_000_000_000, "period": "Week"}},
        {"guarantee": 1_000_000, "limit": 1_000_000},
        {"guarantee": "contributed", "limit": 2},
    ],
    ids=str,
)
def test_what_is_stored_is_what_equipoise_reads(api: Api, spec: JSON) -> None:
    stored = api.post(TENANTS, body(**spec), DRY)
    read = tenant(stored)
    assert (read.parent, read.priority) == (spec.get("parent"), spec.get("priority", 100))
    assert read.contributed is (spec.get("guarantee") == "contributed")
    assert read.contributed or float(read.guarantee) == spec.get("guarantee", 0)
    assert float(read.weight) == spec.get("weight", 1)
    assert (read.limit is None) == ("limit" not in spec)


def test_every_thousandth_is_a_number_of_gpus(api: Api) -> None:
    """The rule counts with floating point; decimals that people write are all within it."""
    for thousandths in [*range(1, 200), *range(999_999_001, 1_000_000_000, 97)]:
        api.post(TENANTS, body(limit=thousandths / 1000), DRY)


def test_defaults_are_stored(api: Api) -> None:
    whole = {"guarantee": 0, "weight": 1, "priority": 100}
    assert api.post(TENANTS, body(), DRY)["spec"] == whole
    without: JSON = {"apiVersion": VERSION, "kind": "Tenant", "metadata": {"name": "a"}}
    assert api.post(TENANTS, without, DRY)["spec"] == whole


def test_the_default_tenant_is_a_good_one(plane: ControlPlane) -> None:
    plane.apply(BASE / "tenants.yaml")
    assert tenant(plane.api.get(f"{TENANTS}/default")).parent is None


def test_only_the_status_subresource_writes_a_status(api: Api, made: list[str]) -> None:
    stored = api.post(TENANTS, {**body(), "status": {"pendingPods": 3}})
    made.append(f"{TENANTS}/a")
    assert "status" not in stored
    patched = api.patch(f"{TENANTS}/a/status", {"status": {"pendingPods": 3}, "spec": {"limit": 1}})
    assert patched["status"] == {"pendingPods": 3}
    assert "limit" not in patched["spec"]


def test_kubectl_tells_the_tenants_story(plane: ControlPlane, api: Api, made: list[str]) -> None:
    api.post(TENANTS, body("lab", guarantee=2.5, weight=3, limit=8, parent="school"))
    made.append(f"{TENANTS}/lab")
    status = {
        "guaranteeGPUs": 2.5,
        "missingGPUs": 0,
        "fairShareGPUs": 4.125,
        "allocatedGPUs": 3,
        "demandGPUs": 7.5,
        "pendingPods": 9,
        "runningPods": 6,
        "lag": {
            "gpuSeconds": -12.5,
            "slope": 0.25,
            "at": SINCE,
            "users": [
                {"name": "", "gpuSeconds": -1.5, "slope": 0.5},
                {"name": "jo", "gpuSeconds": 1.5, "slope": -0.5},
            ],
        },
        "budget": {"gpuSeconds": 7200.5, "slope": 2, "at": SINCE, "since": SINCE},
        "conditions": [condition("Valid", "True", "Valid"), condition("Served", "True", "Served")],
    }
    api.patch(f"{TENANTS}/lab/status", {"status": status})
    header, row = plane.kubectl("get", "tenants", "lab").splitlines()
    assert header.split() == [
        *("NAME", "PARENT", "GUARANTEE", "WEIGHT", "LIMIT", "DUE", "HAS", "WANTS", "WAITING"),
        *("SERVED", "AGE"),
    ]
    assert row.split()[:-1] == ["lab", "school", "2.5", "3", "8", "4.125", "3", "7.5", "9", "True"]
    wide = plane.kubectl("get", "tn", "lab", "-o", "wide").splitlines()
    assert wide[0].split()[10:] == [
        *("GUARANTEED", "MISSING", "PRIORITY", "RUNNING", "WHY", "MESSAGE", "AGE")
    ]
    assert wide[1].split()[10:15] == ["2.5", "0", "100", "6", "Served"]


def test_kubectl_explains_the_fields(plane: ControlPlane) -> None:
    said = plane.kubectl("explain", "tenants.spec.guarantee")
    assert "before anyone gets surplus" in said


# ------------------------------------------------------------------------------------- gpunodes


def report(api: Api, name: str, manager: str, **status: Any) -> JSON:
    head = {"apiVersion": VERSION, "kind": "GPUNode", "metadata": {"name": name}}
    return api.apply(f"{GPUNODES}/{name}/status", {**head, "status": status}, manager=manager)


@pytest.fixture
def gpunode(api: Api, made: list[str]) -> str:
    head = {"apiVersion": VERSION, "kind": "GPUNode", "metadata": {"name": "gpu-0"}}
    api.post(GPUNODES, head)
    made.append(f"{GPUNODES}/gpu-0")
    return "gpu-0"


def test_agent_and_scheduler_each_keep_their_part(api: Api, gpunode: str) -> None:
    healthy = condition("Healthy", "True", "AllHealthy")
    takes = condition("TakesPods", "True", "Open")
    two = [device("GPU-1"), device("GPU-2", index=1)]
    report(api, gpunode, "equipoise-agent", devices=two, conditions=[healthy], driver="615.1")
    report(api, gpunode, "equipoise", allocatedMilli=500, freeMilli=1500, conditions=[takes])
    left = report(api, gpunode, "equipoise-agent", devices=two[1:], conditions=[healthy])["status"]
    assert [each["uuid"] for each in left["devices"]] == ["GPU-2"]
    assert "driver" not in left
    assert (left["allocatedMilli"], left["freeMilli"]) == (500, 1500)
    assert {each["type"] for each in left["conditions"]} == {"Healthy", "TakesPods"}


def test_a_device_counts_as_a_whole_gpu_unless_it_says_otherwise(api: Api, gpunode: str) -> None:
    [stored] = report(api, gpunode, "x", devices=[device()])["status"]["devices"]
    assert (stored["milli"], stored["mig"]) == (1000, False)


@pytest.mark.parametrize(
    "status",
    [
        {"devices": [device(), device()]},
        {"devices": [device("GPU-1,GPU-2")]},
        {"devices": [device("")]},
        {"devices": [device(milli=0)]},
        {"devices": [device(milli=1001)]},
        {"devices": [device(memoryMiB=-1)]},
        {"devices": [device(index=-1)]},
        {"devices": [{"uuid": "GPU-1", "index": 0, "model": "T4", "memoryMiB": 1}]},
        {"use": [{"uuid": "GPU-1", "loadPermille": 1001}]},
        {"use": [{"uuid": "GPU-1", "usedMiB": -1}]},
        {"use": [{"usedMiB": 1}]},
        {"usedAt": "yesterday"},
        {"allocatedMilli": -1},
        {"serves": ["everything"]},
        {"conditions": [{"type": "Healthy", "status": "Maybe"}]},
    ],
    ids=str,
)
def test_a_status_that_makes_no_sense_is_refused(api: Api, gpunode: str, status: JSON) -> None:
    with pytest.raises(Refused) as caught:
        api.patch(f"{GPUNODES}/{gpunode}/status", {"status": status})
    assert caught.value.status == 422


def test_kubectl_tells_the_gpus_story(plane: ControlPlane, api: Api, gpunode: str) -> None:
    report(
        api,
        gpunode,
        "x",
        driver="615.1",
        usedAt=SINCE,
        serves=["cdi", "driver-limits", "mps"],
        summary={"gpus": 8, "healthy": 7, "model": "H100"},
        allocatedMilli=5250,
        freeMilli=1750,
        conditions=[condition("TakesPods", "False", "Cordoned", "it is cordoned; uncordon it")],
    )
    header, row = plane.kubectl("get", "gpunodes").splitlines()
    assert header.split() == [
        *("NAME", "GPUS", "HEALTHY", "MODEL", "MILLI-HELD", "MILLI-FREE", "TAKES-PODS", "WHY"),
        "AGE",
    ]
    assert row.split()[:-1] == ["gpu-0", "8", "7", "H100", "5250", "1750", "False", "Cordoned"]
    wide = plane.kubectl("get", "gn", "-o", "wide")
    assert "it is cordoned; uncordon it" in wide
    assert "615.1" in wide


def test_one_word_lists_all_that_is_ours(plane: ControlPlane, gpunode: str) -> None:
    assert f"gpunode.equipoise.dev/{gpunode}" in plane.kubectl("get", "equipoise")
