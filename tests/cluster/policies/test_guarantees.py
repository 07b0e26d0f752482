"""What a tenant's guarantee may be: a number of GPUs, or the word that makes it follow nodes."""

from typing import Any

import pytest

from scheduler.kube.convert import tenant
from tests.cluster.policies.people import DRY, People, refusal
from tests.support.controlplane.api import JSON

VERSION = "equipoise.dev/v1alpha1"
TENANTS = f"/apis/{VERSION}/tenants"

NEITHER = 'is neither a number nor the word "contributed"; write a number of GPUs without quotes'
GPUS = "is out of bounds; write a number of GPUs from 0 to 1000000"
TOO_FINE = "is finer than 0.001; use three decimals at most"
ABOVE = "is above spec.limit; lower the guarantee or raise the limit"


def body(**spec: Any) -> JSON:
    return {"apiVersion": VERSION, "kind": "Tenant", "metadata": {"name": "g"}, "spec": spec}


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({"guarantee": "2"}, NEITHER),
        ({"guarantee": "Contributed"}, NEITHER),
        ({"guarantee": True}, NEITHER),
        ({"guarantee": [8]}, NEITHER),
        ({"guarantee": {"gpus": 8}}, NEITHER),
        ({"guarantee": -0.5}, GPUS),
        ({"guarantee": 1e18}, GPUS),
        ({"guarantee": 0.0005}, TOO_FINE),
        ({"guarantee": 2.00049}, TOO_FINE),
        ({"guarantee": 3, "limit": 2}, ABOVE),
        ({"guarantee": 0.001, "limit": 0}, ABOVE),
    ],
    ids=str,
)
def test_a_guarantee_is_refused_with_a_sentence(people: People, spec: JSON, sentence: str) -> None:
    said = refusal(lambda: people["admin"].post(TENANTS, body(**spec), DRY))
    assert said.startswith(f"spec.guarantee {sentence}")


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"guarantee": 3},
        {"guarantee": 0.29, "limit": 0.29},
        {"guarantee": 1_000_000},
        {"guarantee": "contributed"},
        {"guarantee": "contributed", "limit": 2.5},
        {"guarantee": 0, "limit": 0},
    ],
    ids=str,
)
def test_what_may_be_stored_is_what_equipoise_reads(people: People, spec: JSON) -> None:
    read = tenant(people["admin"].post(TENANTS, body(**spec), DRY))
    assert read.contributed is (spec.get("guarantee") == "contributed")
    assert float(read.guarantee) == (0 if read.contributed else spec.get("guarantee", 0))


def test_every_thousandth_is_a_number_of_gpus(people: People) -> None:
    for thousandths in [*range(1, 200), *range(999_999_001, 1_000_000_000, 97_000)]:
        people["admin"].post(TENANTS, body(guarantee=thousandths / 1000), DRY)
