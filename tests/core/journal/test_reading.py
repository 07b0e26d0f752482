"""Lines that aren't as they were written: what is refused, and in which words."""

import json
from typing import Any

import pytest

from scheduler.core.cycle.profile import Profile
from scheduler.core.journal.comparing import differences, replay
from scheduler.core.journal.reading import Reader
from scheduler.core.journal.writing import Recorder
from scheduler.core.model.errors import InvalidInput
from tests.core.journal.worlds import World
from tests.support.builders import node, pod, tenant, whole


def line() -> dict[str, Any]:
    """The line of a round that admits one pod, and holds another."""
    world = World([node("n1", 1), node("n2", 1)], [tenant("a")], Profile("best-fit"))
    for each in (pod("p1", created=1.0), pod("p2", whole(2), created=2.0)):
        world.waiting[each.uid] = each
    world.round()
    parsed: dict[str, Any] = json.loads(Recorder().line(*world.rounds[0]))
    return parsed


def changed(path: str, value: Any) -> dict[str, Any]:
    """The line with the value put at that path, such as "nodes.n1.cpu_milli"."""
    found: dict[str, Any] = line()
    part: Any = found
    *way, last = path.split(".")
    for key in way:
        part = part[int(key) if isinstance(part, list) else key]
    if isinstance(part, list):
        part[int(last)] = value
    else:
        part[last] = value
    return found


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        ("v", 2, "its format is 2, and only 1 is known"),
        ("whole", False, "the lines before it are missing"),
        ("at", "today", '"today" is no number'),
        ("pending.p1.colour", "red", 'Pod has no "colour"'),
        ("pending.p1", {"uid": "p1"}, 'Pod lacks "namespace"'),
        ("pending.p1.priority", True, '"True" is no int'),
        ("pending.p1.request.spreading", "sideways", '"sideways" is no Spreading'),
        ("tenants.0.weight", "1/0", '"1/0" is no fraction'),
        ("nodes", ["n1"], "it can't be understood"),
        ("holdings", {"p9": {"bound": True}}, 'Holding lacks "pod"'),
        ("admits.0.pod", "p9", "the plan names the pod p9, which isn't there"),
        ("holds.who", [[0, ["p9"]]], "it holds the pod p9, which isn't in line"),
        ("holds.who", [[7, ["p1"]]], "it can't be understood"),
        ("holds.who", [[0, [[0, 1]]]], "it can't be understood"),
        ("holds.why", [["Boredom", ""]], '"Boredom" is no Reason'),
        ("remains.width", [1], '"[1]" is no int'),
        ("profile.mix", [[{"devices": 1}]], "there must be 2 values, not 1"),
    ],
)
def test_what_is_no_round_is_refused(path: str, value: Any, complaint: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Reader().read(changed(path, value))
    assert complaint in str(caught.value)


def found(path: str, value: Any) -> dict[str, tuple[str, str]]:
    entry = Reader().read(changed(path, value))
    return {
        each.subject: (each.journaled, each.replayed)
        for each in differences(entry.plan, replay(entry.inputs))
    }


def test_the_line_as_it_is_gives_its_plan() -> None:
    assert found("v", 1) == {}


def test_a_changed_plan_is_told_by_pod() -> None:
    slot = {"index": 0, "uuid": "n2/0", "milli": 500, "memory_mib": 8000}
    assert found("admits.0.placement", {"node": "n2", "slots": [slot]}) == {
        "pod lab/p1": (
            "admitted to n2 (GPU 0, n2/0: 0.5 and 8000 MiB), else n2",
            "admitted to n1 (GPU 0, n1/0: 0.5 and 8000 MiB), else n2",
        )
    }
    (held,) = found("holds.why.0.1", "because").values()
    assert held[0] == "held: NeverFits: because"
    assert held[1].startswith("held: NeverFits: it asks for 2 GPUs")
    assert found("shares.a", "2/3") == {"share of a": ("2/3", "1/2")}
    assert found("leaves", {"blocked": {"p2": 1000.0}}) == {"blocked of p2": ("1000.0", "nothing")}


def test_changed_inputs_and_another_profile_are_told() -> None:
    assert found("nodes.n1.open", False)["pod lab/p1"][1].startswith("admitted to n2")
    more = found("pending.p1.request.milli", 1000)
    assert set(more) == {"pod lab/p1", "share of a", "demand of a"}
    assert found("admits", [])["pod lab/p1"][0] == "nothing"
