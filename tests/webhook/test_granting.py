"""A pod with a place at once: pinned and without our gate, and never by its own word."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given

from scheduler.core.model import names
from scheduler.core.model.errors import InvalidRequest
from scheduler.core.model.ids import NodeName
from scheduler.core.model.plans import Grant
from scheduler.core.model.podreader import gates_of, pinned_to
from scheduler.webhook import review
from scheduler.webhook.mutation import TOLERATION, Rules, mutate
from tests.webhook.pods import F, Pod, box, patched, pod_of, request_of
from tests.webhook.test_any_pod import PODS, RULES

PLAIN = Rules()
ZONE = {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}
PREFERRED = [{"weight": 1, "preference": ZONE}]


@dataclass
class Places:
    """Gives everybody the same place under another token; remembers who asked and gave back."""

    asked: list[Any] = field(default_factory=list)
    back: list[str] = field(default_factory=list)

    def grant(self, pod: Any) -> Grant | None:
        self.asked.append(pod)
        return Grant(f"word-{len(self.asked)}", (NodeName("n1"), NodeName("n2")))

    def take_back(self, token: str, _pod: Any) -> bool:
        self.back.append(token)
        return True


def granted(pod: Pod, places: Places | None = None) -> Pod:
    return patched(pod, mutate(pod, PLAIN, places or Places()).ops)


def test_it_is_pinned_and_carries_the_word_instead_of_a_gate() -> None:
    done = granted(pod_of({F: "0.5"}))
    assert (gates_of(done), pinned_to(done)) == ((), ("n1", "n2"))
    assert done["metadata"]["annotations"][names.GRANTED] == "word-1"


@pytest.mark.parametrize(
    "affinity",
    [
        {},
        {"nodeAffinity": {}},
        {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": PREFERRED}},
        {"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
    ],
)
def test_what_it_prefers_stays(affinity: Pod) -> None:
    done = granted(pod_of({F: "0.5"}, affinity=affinity))
    assert pinned_to(done) == ("n1", "n2")
    for kind, held in affinity.items():
        assert held.items() <= done["spec"]["affinity"][kind].items()


def test_it_is_asked_for_with_what_the_pod_will_tolerate() -> None:
    places = Places()
    granted(pod_of({F: "0.5"}, tolerations=[{"key": "k"}]), places)
    assert places.asked[0]["spec"]["tolerations"] == [{"key": "k"}, TOLERATION]


BEHIND_A_GATE = {
    "terms of its own": {
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [ZONE]}
            }
        }
    },
    "somebody else's gate": {"schedulingGates": [{"name": "x/y"}]},
    "our gate already": {"schedulingGates": [{"name": names.GATE}]},
}


@pytest.mark.parametrize("spec", BEHIND_A_GATE.values(), ids=BEHIND_A_GATE.keys())
def test_some_always_wait_for_a_round(spec: Pod) -> None:
    places = Places()
    done = granted(pod_of({F: "0.5"}, **spec), places)
    assert names.GATE in gates_of(done)
    assert places.asked == []


def test_a_pod_without_a_request_takes_none() -> None:
    places = Places()
    granted(pod_of(), places)
    assert places.asked == []
    done = granted(pod_of({names.GRANTED: "word"}), places)
    assert names.GRANTED not in done["metadata"]["annotations"]


@given(pod=PODS, rules=RULES)
def test_the_check_lets_it_pass(pod: Pod, rules: Rules) -> None:
    try:
        done = patched(pod, mutate(pod, rules, Places(), user="dev").ops)
    except InvalidRequest:
        return
    assert review.validating(request_of(done), rules, tenants=True).allowed


@given(pod=PODS, rules=RULES)
def test_a_second_look_gives_the_place_back_and_decides_anew(pod: Pod, rules: Rules) -> None:
    """Another webhook changed the pod, or it is another pod by now."""
    places = Places()
    try:
        done = patched(pod, mutate(pod, rules, places).ops)
    except InvalidRequest:
        return
    token = done["metadata"].get("annotations", {}).get(names.GRANTED)
    again = patched(done, mutate(done, rules, places).ops)
    if token is None:
        assert places.back == []
        return
    assert places.back == [token]
    assert again["metadata"]["annotations"][names.GRANTED] == "word-2"
    del done["metadata"]["annotations"][names.GRANTED]
    del again["metadata"]["annotations"][names.GRANTED]
    assert again == done


@given(pod=PODS, rules=RULES)
def test_where_no_place_is_given_it_becomes_a_pod_that_waits(pod: Pod, rules: Rules) -> None:
    """It comes from another replica, or from the pod's author."""
    try:
        waits = patched(pod, mutate(pod, rules).ops)
    except InvalidRequest:
        return
    done = patched(pod, mutate(pod, rules, Places()).ops)
    again = patched(done, mutate(done, rules).ops)
    assert gates_of(again) == gates_of(waits)
    assert names.GRANTED not in again["metadata"].get("annotations", {})
    assert pinned_to(again) == ()


def test_a_dry_run_takes_no_place() -> None:
    places = Places()
    asked = request_of(pod_of({F: "0.5"}), dryRun=True)
    answer = review.mutating(asked, PLAIN, tenants=True, places=places)
    assert names.GATE in gates_of(patched(pod_of({F: "0.5"}), answer.patch))
    assert places.asked == []


def test_the_namespace_is_the_reviews() -> None:
    places = Places()
    pod = pod_of({F: "0.5"})
    del pod["metadata"]["namespace"]
    review.mutating(request_of(pod), PLAIN, tenants=True, places=places)
    assert places.asked[0]["metadata"]["namespace"] == "lab"


def test_a_pod_that_is_refused_takes_none() -> None:
    places = Places()
    seeing = {"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}
    with pytest.raises(InvalidRequest, match="leave it out"):
        mutate(pod_of({F: "0.5"}, box(env=[seeing])), PLAIN, places)
    assert places.asked == []
