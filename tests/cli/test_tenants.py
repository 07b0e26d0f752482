"""What `tenants`, `top` and `whatif --without-node` say of machines that have owners."""

import json
from typing import Any

import pytest

from scheduler.cli.look import Look, still_parts
from scheduler.cli.main import run
from scheduler.cli.tenants import show_tenants
from scheduler.cli.top import show_top
from scheduler.cli.withdrawing import show_withdrawal
from scheduler.core.model.errors import InvalidInput
from scheduler.core.model.ids import NodeName
from scheduler.core.model.names import OWNER_LABEL
from scheduler.core.model.nodes import Node
from scheduler.settings import Settings
from tests.cli.test_explain import nothing_to_read
from tests.support.builders import device, node, place, pod, tenant, whole


def owned(name: str, owner: str, cards: Any = 2) -> Node:
    return node(name, cards, labels={OWNER_LABEL: owner})


@pytest.fixture
def seen() -> Look:
    parts = still_parts(Settings(), nothing_to_read)
    half_sick = [device("n1/0"), device("n1/1", healthy=False)]
    parts.controller.put_nodes(
        [owned("n1", "lab", half_sick), owned("n2", "vision"), owned("n3", "nobody"), node("n4", 1)]
    )
    parts.controller.set_tenants(
        [tenant("lab", contributed=True), tenant("vision", contributed=True), tenant("guest")]
    )
    borrowed = pod("borrowed", whole(), "guest", owner="job")
    parts.controller.bound(borrowed, place("n1", (0, 1000, 16_000)))
    parts.controller.runs(borrowed, 1.0)
    return Look(parts, Settings(), 10_000.0, {}, "ns")


def test_tenants_shows_the_guarantee_of_now_and_what_it_comes_from(
    seen: Look, capsys: pytest.CaptureFixture[str]
) -> None:
    show_tenants(seen, as_json=False)
    said = " ".join(capsys.readouterr().out.split())
    assert "lab 1 of 2 brought 1 –" in said
    assert "vision 2 brought 1 –" in said
    assert "guest 0 1 –" in said
    assert 'Node n3 names the owner "nobody", which is no tenant, so it counts for nobody' in said
    show_tenants(seen, as_json=True)
    data = json.loads(capsys.readouterr().out)
    lab = data["tenants"][1]
    assert (lab["name"], lab["guarantee"], lab["contributed"]) == ("lab", 1.0, True)
    assert lab["brought"] == {"milli": 1.0, "ill": 1.0, "away": 0.0}
    assert data["strays"] == [{"node": "n3", "owner": "nobody"}]


def test_top_says_whose_each_machine_is(seen: Look, capsys: pytest.CaptureFixture[str]) -> None:
    show_top(seen, as_json=False)
    said = capsys.readouterr().out
    assert "n1 (lab's)" in said
    assert "n4 (" not in said
    assert 'names the owner "nobody"' in said
    show_top(seen, as_json=True)
    devices = json.loads(capsys.readouterr().out)["devices"]
    assert {each["node"]: each["owner"] for each in devices} == {
        "n1": "lab",
        "n2": "vision",
        "n3": "nobody",
        "n4": None,
    }


def test_an_owner_is_told_whom_it_hits_to_take_its_machine_away(
    seen: Look, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show_withdrawal(seen, [NodeName("n1")], as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "Without n1 (of lab):",
        "The guarantee of lab would go from 1 to 0 GPUs.",
        "lab/borrowed (1 GPU, tenant guest) would end there: made again, it would have another "
        "place at once.",
    ]
    assert show_withdrawal(seen, [NodeName("n1")], as_json=True)
    data = json.loads(capsys.readouterr().out)
    assert data["without"] == {"n1": "lab"}
    assert data["guarantees"] == {"lab": {"before": 1.0, "after": 0.0}}
    assert [each["pod"] for each in data["end"]] == ["lab/borrowed"]
    assert data["stopped"] == []
    assert not show_withdrawal(seen, [NodeName("n4")], as_json=False)
    assert "Nobody is hit" in capsys.readouterr().out


@pytest.mark.parametrize("options", [[], ["-f", "pod.yaml", "--without-node", "n1"]])
def test_whatif_takes_a_file_or_nodes(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["whatif", *options]) == 2
    assert "give either -f FILE or --without-node NODE" in capsys.readouterr().err


def test_a_node_that_is_not_there_is_bad_input(seen: Look) -> None:
    with pytest.raises(InvalidInput, match="there is no node n9; `equipoise top` lists those"):
        seen.without([NodeName("n9")])


def test_of_a_tenant_that_is_shared_by_user_both_are_named(
    seen: Look, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = seen.parts
    parts.controller.set_tenants(
        [tenant("lab", contributed=True), tenant("vision"), tenant("guest", by_user=True)]
    )
    jos = pod("jos", whole(), "guest/jo", user="jo")
    parts.controller.bound(jos, place("n2", (0, 1000, 16_000)))
    assert show_withdrawal(seen, [NodeName("n2")], as_json=False)
    assert "lab/jos (1 GPU, user jo of tenant guest) would end" in capsys.readouterr().out
    assert show_withdrawal(seen, [NodeName("n2")], as_json=True)
    (end,) = json.loads(capsys.readouterr().out)["end"]
    assert (end["pod"], end["tenant"], end["user"]) == ("lab/jos", "guest", "jo")
