"""What `tenants`, `explain` and `whatif` say of users and budgets, of a cluster as it is stored."""

import time
from typing import Any

import pytest

from scheduler.cli.explain import sentences
from scheduler.cli.look import Look, still_parts
from scheduler.cli.tenants import data, rows, user_data
from scheduler.core.model import names
from scheduler.core.model.budgets import Period, start_of
from scheduler.kube.times import stamp
from scheduler.settings import Settings
from tests.cli.test_explain import nothing_to_read
from tests.support.builders import node

JSON = dict[str, Any]
NOW = time.time()
MONTH = stamp(start_of(Period.MONTH, NOW))
"""A look goes by the clock."""


def tenant_json(name: str, *, used: float = 0.0, **spec: Any) -> JSON:
    budget = {"gpuSeconds": used, "slope": 0, "at": MONTH, "since": MONTH}
    status = {"budget": budget} if used else {}
    return {"metadata": {"name": name, "uid": name}, "spec": spec, "status": status}


def waiting(name: str, namespace: str, user: str | None, at: int) -> JSON:
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": name,
            "creationTimestamp": f"2026-11-29T10:00:{at:02}Z",
            "annotations": {names.GPU_FRACTION: "1"},
            "labels": {} if user is None else {names.USER_LABEL: user},
        },
        "spec": {
            "schedulerName": names.SCHEDULER_NAME,
            "schedulingGates": [{"name": names.GATE}],
            "containers": [{"name": "main"}],
        },
    }


@pytest.fixture
async def seen() -> Look:
    """Two GPUs; a team whose users wait, and a tenant that has used up its budget."""
    parts = still_parts(Settings(), nothing_to_read)
    parts.ledger.put_nodes([node("n", 2)])
    spender = tenant_json("spender", used=7200.0, budget={"gpuHours": 2, "period": "Month"})
    parts.tenants.replace([tenant_json("team", shareByUser=True), spender])
    await parts.tenants.told()
    labels = {"team": "team", "spender": "spender"}
    parts.namespaces.replace(
        [
            {"metadata": {"name": name, "labels": {names.TENANT_LABEL: whose}}}
            for name, whose in labels.items()
        ]
    )
    pods = [
        *(waiting(f"greedy-{number}", "team", "greedy", number) for number in range(4)),
        waiting("jo-0", "team", "jo", 50),
        waiting("plain", "team", None, 55),
        waiting("s-0", "spender", None, 0),
    ]
    parts.feed.replace(pods)
    parts.restore_lags(NOW)
    keyed = {f"{pod['metadata']['namespace']}/{pod['metadata']['name']}": pod for pod in pods}
    return Look(parts, Settings(), NOW, keyed, "team")


async def test_tenants_shows_users_below_their_tenant_and_how_much_of_a_budget_is_used(
    seen: Look,
) -> None:
    standing = seen.standing(seen.decide())
    shown = {row[0].strip(): row[1:] for row in rows(standing)}
    assert set(shown) == {
        "team",
        *("greedy (of team)", "jo (of team)", "(no user) (of team)"),
        "spender",
    }
    # Due, has, wants, owed, waiting; a user has neither guarantee nor weight nor limit.
    assert shown["jo (of team)"][:3] == ("", "", "")
    due = {name: row[3] for name, row in shown.items()}
    assert due["greedy (of team)"] == due["jo (of team)"] == due["(no user) (of team)"]
    assert (due["team"], due["spender"], shown["spender"][-1]) == ("2", "0", "100 % used")
    (spender,) = [data(each) for each in standing.tenants if each.name == "spender"]
    assert spender["budget"]["used_gpu_hours"] == 2.0
    assert {user_data(each)["name"] for each in standing.users} == {"greedy", "jo", ""}


async def test_explain_says_whose_a_pod_is_and_why_it_waits(seen: Look) -> None:
    said = " ".join(sentences(seen, "team/greedy-3"))
    assert "as user greedy of tenant team." in said
    assert "of its user:" in said
    assert "greedy is due 0.66" in said
    said = " ".join(sentences(seen, "spender/s-0"))
    assert "its tenant has used up a budget, and gets what nobody else asks for" in said
