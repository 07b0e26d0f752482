"""The one patch of a release: it takes our gate off and pins, and changes nothing else."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.model.constraintreader import read_terms
from scheduler.core.model.constraints import Term
from scheduler.core.model.errors import ReleaseRefused
from scheduler.core.model.ids import NodeName
from scheduler.kube.client import Patch
from scheduler.kube.release import nominate_patch, release_patch, ungate_patch
from tests.kube.stored import JSON, gated_json

A, B, C = (NodeName(name) for name in "abc")
LABELS = {A: {"zone": "1", "size": "s"}, B: {"zone": "1"}, C: {"zone": "2"}}


def _allow(term: Term, node: NodeName) -> bool:
    return term.holds(LABELS[node], node)


def _zone(*zones: str) -> JSON:
    return {"matchExpressions": [{"key": "zone", "operator": "In", "values": list(zones)}]}


def _name(node: str) -> JSON:
    return {"key": "metadata.name", "operator": "In", "values": [node]}


def _pod(*terms: JSON) -> JSON:
    if not terms:
        return gated_json("p")
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [*terms]}}
    return gated_json("p", affinity={"nodeAffinity": required})


def _terms(pod: JSON, *nodes: NodeName) -> Sequence[JSON]:
    _, body = release_patch(pod, nodes, allow=_allow)
    affinity = body["spec"]["affinity"]["nodeAffinity"]
    terms: Sequence[JSON] = affinity["requiredDuringSchedulingIgnoredDuringExecution"][
        "nodeSelectorTerms"
    ]
    return terms


def _take(terms: Sequence[JSON]) -> list[str]:
    read = read_terms({"nodeSelectorTerms": list(terms)})
    return [node for node in LABELS if any(_allow(term, node) for term in read)]


def test_a_release_is_one_patch_of_the_pod_that_was_looked_at() -> None:
    kind, body = release_patch(_pod(), [A], allow=_allow)
    assert kind is Patch.STRATEGIC
    assert body["metadata"] == {"uid": "p", "resourceVersion": "7"}
    assert body["spec"]["schedulingGates"] == [
        {"name": "equipoise.dev/fair-share", "$patch": "delete"}
    ]


def test_without_terms_of_its_own_each_candidate_is_a_term() -> None:
    assert _terms(_pod(), B, A) == [{"matchFields": [_name("b")]}, {"matchFields": [_name("a")]}]


def test_a_term_of_its_own_gains_the_planned_node_and_keeps_its_lines() -> None:
    pod = _pod({**_zone("1"), "matchFields": [_name("a")]}, _zone("1"))
    first, second = _terms(pod, A, B)
    assert first == {**_zone("1"), "matchFields": [_name("a")]}
    assert second == {**_zone("1"), "matchFields": [_name("b")]}


def test_each_term_gains_a_node_that_it_takes() -> None:
    assert _take(_terms(_pod(_zone("2"), _zone("1")), A, C)) == ["a", "c"]
    assert _take(_terms(_pod(_zone("1", "2"), _zone("2"), _zone("1")), A, B, C)) == ["a", "b", "c"]


def test_a_term_that_takes_no_candidate_holds_nowhere() -> None:
    terms = _terms(_pod(_zone("2"), _zone("1")), A, B)
    assert terms[0] == {**_zone("2"), "matchFields": [_name("a")]}
    assert _take(terms) == ["a"]


def test_a_term_without_lines_holds_nowhere_and_gains_none() -> None:
    assert _terms(_pod({}, _zone("1")), A) == [{}, {**_zone("1"), "matchFields": [_name("a")]}]


@pytest.mark.parametrize("terms", [[_zone("2")], [{}], [{"matchFields": [_name("b")]}]], ids=str)
def test_a_pod_whose_terms_do_not_take_the_planned_node_is_not_released(terms: list[JSON]) -> None:
    with pytest.raises(ReleaseRefused, match="takes node a"):
        release_patch(_pod(*terms), [A, C], allow=_allow)


def test_a_pod_that_is_not_pinned_is_nominated_and_ungated() -> None:
    kind, body = nominate_patch(_pod(), A)
    assert kind is Patch.MERGE
    assert body["status"] == {"nominatedNodeName": "a"}
    _, ungated = ungate_patch(_pod())
    assert list(ungated["spec"]) == ["schedulingGates"]
    assert body["metadata"] == ungated["metadata"]


TERMS = st.sampled_from(
    [_zone("1"), _zone("2"), _zone("1", "2"), _zone("9"), {}, {"matchFields": [_name("b")]}]
)


@given(st.lists(TERMS, max_size=4), st.permutations([A, B, C]), st.integers(1, 3))
def test_a_pin_takes_the_planned_node_and_none_but_candidates_that_the_pod_took_before(
    own: list[JSON], order: list[NodeName], count: int
) -> None:
    nodes = order[:count]
    before = _take(own) if own else list(LABELS)
    if nodes[0] not in before:
        with pytest.raises(ReleaseRefused):
            release_patch(_pod(*own), nodes, allow=_allow)
        return
    pinned = _terms(_pod(*own), *nodes)
    assert nodes[0] in _take(pinned)
    assert set(_take(pinned)) <= set(before) & set(nodes)
    if own:
        # As the API server wants it: no term more or less, and each only gains lines.
        assert [_without_names(term) for term in pinned] == [_without_names(term) for term in own]


def _without_names(term: JSON) -> JSON:
    return {key: lines for key, lines in term.items() if key != "matchFields"}
