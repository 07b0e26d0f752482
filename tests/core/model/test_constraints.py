"""Which nodes a pod may go to: kube-scheduler's answers, case by case, and against another reader.

The cases are those of k8s.io/component-helpers nodeaffinity and k8s.io/api toleration_test.
"""

import pytest
from hypothesis import given

from scheduler.core.model.constraints import (
    NO_CONSTRAINTS,
    Constraints,
    Requirement,
    Taint,
    Term,
    Toleration,
)
from scheduler.core.model.nodes import Node
from tests.support import builders
from tests.support.builders import affine, line, node, only

NODE = node("n1", labels={"zone": "a", "size": "10", "empty": "", "word": "ten"})


@pytest.mark.parametrize(
    ("requirement", "holds"),
    [
        (line("zone", "In", "a", "b"), True),
        (line("zone", "In", "b"), False),
        (line("rack", "In", "a"), False),
        (line("empty", "In", ""), True),
        (line("zone", "In"), False),
        (line("zone", "NotIn", "b"), True),
        (line("zone", "NotIn", "a"), False),
        (line("rack", "NotIn", "a"), True),
        (line("rack", "NotIn"), False),
        (line("zone", "Exists"), True),
        (line("empty", "Exists"), True),
        (line("rack", "Exists"), False),
        (line("zone", "Exists", "a"), False),
        (line("rack", "DoesNotExist"), True),
        (line("zone", "DoesNotExist"), False),
        (line("rack", "DoesNotExist", "a"), False),
        (line("size", "Gt", "9"), True),
        (line("size", "Gt", "10"), False),
        (line("size", "Lt", "11"), True),
        (line("size", "Lt", "10"), False),
        (line("size", "Gt", "009"), True),
        (line("rack", "Gt", "0"), False),
        (line("rack", "Lt", "0"), False),
        (line("word", "Gt", "1"), False),
        (line("size", "Gt", "few"), False),
        (line("size", "Gt", "1", "2"), False),
        (line("size", "Gt"), False),
        (line("size", "Lt", str(2**63)), False),
        (line("size", "Lt", str(2**63 - 1)), True),
        (line("size", "Gt", "-1"), False),  # no label value begins with a minus
        (line("zone", "NotIn", "b", "no such value!"), False),
        (line("zone", "In", "a", "x" * 64), False),
        (line("zone", "Near", "a"), False),
        (line("zone", "", "a"), False),
    ],
)
def test_lines_about_labels(requirement: Requirement, holds: bool) -> None:
    assert affine(Term((requirement,))).allow(NODE) == holds


@pytest.mark.parametrize(
    ("requirement", "holds"),
    [
        (line("metadata.name", "In", "n1"), True),
        (line("metadata.name", "In", "n2"), False),
        (line("metadata.name", "In", "n1", "n2"), False),
        (line("metadata.name", "In"), False),
        (line("metadata.name", "NotIn", "n2"), True),
        (line("metadata.name", "NotIn", "n1"), False),
        (line("metadata.name", "Exists"), False),
        (line("spec.name", "In", "n1"), False),
        (line("spec.name", "NotIn", "n1"), True),
    ],
)
def test_lines_about_fields(requirement: Requirement, holds: bool) -> None:
    assert affine(Term(fields=(requirement,))).allow(NODE) == holds


def test_of_a_group_one_term_is_enough_and_in_a_term_every_line_counts() -> None:
    near, far = line("zone", "In", "a"), line("zone", "In", "b")
    assert affine(Term((far,)), Term((near,))).allow(NODE)
    assert not affine(Term((far,)), Term((far,))).allow(NODE)
    assert not affine(Term((near, far))).allow(NODE)
    assert not affine(Term((near,), (line("metadata.name", "In", "n2"),))).allow(NODE)


def test_of_groups_every_one_must_hold() -> None:
    near, far = (Term((line("zone", "In", "a"),)),), (Term((line("zone", "In", "b"),)),)
    assert Constraints(terms=(near, near)).allow(NODE)
    assert not Constraints(terms=(near, far)).allow(NODE)


def test_a_term_without_lines_and_a_group_without_terms_take_no_node() -> None:
    assert not affine(Term()).allow(NODE)
    assert not affine().allow(NODE)
    assert affine(Term(), Term((line("zone", "Exists"),))).allow(NODE)


def test_a_node_selector_asks_for_every_label_as_it_is() -> None:
    assert only(zone="a", size="10").allow(NODE)
    assert not only(zone="a", size="010").allow(NODE)
    assert not only(zone="a", rack="1").allow(NODE)
    assert not only(rack="").allow(NODE)


A = Taint("team", "a", "NoSchedule")


@pytest.mark.parametrize(
    ("taint", "toleration", "allowed"),
    [
        (A, None, False),
        (Taint("team", "a", "NoExecute"), None, False),
        (Taint("team", "a", "PreferNoSchedule"), None, True),
        (A, Toleration("team", "Equal", "a", "NoSchedule"), True),
        (A, Toleration("team", "", "a", "NoSchedule"), True),
        (A, Toleration("team", "Equal", "a"), True),
        (A, Toleration("team", "Equal", "b"), False),
        (A, Toleration("team", "Equal", "a", "NoExecute"), False),
        (A, Toleration("crew", "Equal", "a"), False),
        (A, Toleration("team", "Exists"), True),
        (A, Toleration("team", "Exists", "", "NoSchedule"), True),
        (A, Toleration("team", "Exists", "", "NoExecute"), False),
        (A, Toleration("", "Exists"), True),
        (A, Toleration("", "Exists", "", "NoExecute"), False),
        (
            A,
            Toleration("", "Equal", "a"),
            True,
        ),  # refused by the API server, tolerated all the same
        (Taint("team", "5", "NoSchedule"), Toleration("team", "Gt", "1"), False),
        (Taint("team", "", "NoSchedule"), Toleration("team"), True),
    ],
)
def test_taints_and_tolerations(taint: Taint, toleration: Toleration | None, allowed: bool) -> None:
    constraints = Constraints(tolerations=() if toleration is None else (toleration,))
    assert constraints.allow(node("n1", taints=(taint,))) == allowed


def test_every_taint_needs_a_toleration_of_its_own_or_one_for_all() -> None:
    tainted = node("n1", taints=(A, Taint("gpu", "", "NoExecute")))
    both = (Toleration("team", "Exists"), Toleration("gpu", "Exists"))
    assert only(tolerations=both).allow(tainted)
    assert not only(tolerations=both[:1]).allow(tainted)
    assert only(tolerations=[Toleration("", "Exists")]).allow(tainted)


def test_what_keeps_a_pod_off_is_said_in_a_few_words() -> None:
    tainted = node("n1", labels={"zone": "a"}, taints=(Taint("x", "", "PreferNoSchedule"), A))
    assert only(zone="b").objection(tainted) == "its nodeSelector asks for zone=b"
    assert "node affinity" in affine(Term((line("zone", "In", "b"),))).objection(tainted)
    assert NO_CONSTRAINTS.objection(tainted) == "it doesn't tolerate the taint team=a:NoSchedule"
    assert NO_CONSTRAINTS.objection(node("n2")) == ""


def test_states_of_the_moment_are_told_from_taints_that_stay() -> None:
    ill = node("n1", taints=(Taint("node.kubernetes.io/not-ready"), Taint("gpu")))
    assert NO_CONSTRAINTS.objection(ill).endswith("node.kubernetes.io/not-ready:NoSchedule")
    assert NO_CONSTRAINTS.objection(ill, passing=False).endswith("gpu:NoSchedule")


def test_equal_constraints_are_one_key_and_nodes_can_be_keys_too() -> None:
    kinds = {only(zone="a"): 1, only(zone="b"): 2}
    assert kinds[Constraints((("zone", "a"),))] == 1
    assert len({node("n1", labels={"a": "b"}), node("n1", labels={"a": "b"})}) == 1


# ------------------------------------------------------------ another reader of the same rules


def integer(text: str) -> int | None:
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not digits or not all(c in "0123456789" for c in digits):
        return None
    return int(text) if -(2**63) <= int(text) < 2**63 else None


def label_value(text: str) -> bool:
    plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    inside = all(c in plain + "-_." for c in text)
    return not text or (len(text) < 64 and inside and text[0] in plain and text[-1] in plain)


def naive_line(req: Requirement, labels: dict[str, str]) -> bool:
    if not all(label_value(value) for value in req.values):
        return False
    there = req.key in labels
    if req.operator == "In":
        return there and labels[req.key] in req.values
    if req.operator == "NotIn":
        return bool(req.values) and not (there and labels[req.key] in req.values)
    if req.operator in ("Exists", "DoesNotExist"):
        return not req.values and there == (req.operator == "Exists")
    if req.operator not in ("Gt", "Lt") or len(req.values) != 1 or not there:
        return False
    mine, other = integer(labels[req.key]), integer(req.values[0])
    if mine is None or other is None:
        return False
    return mine > other if req.operator == "Gt" else mine < other


def naive_field(req: Requirement, name: str) -> bool:
    found = {"metadata.name": name}.get(req.key, "")
    if req.operator not in ("In", "NotIn") or len(req.values) != 1:
        return False
    return (found in req.values) is (req.operator == "In")


def naive_term(term: Term, node: Node) -> bool:
    empty = len(term.labels) + len(term.fields) == 0
    lines = [naive_line(req, dict(node.labels)) for req in term.labels]
    return not empty and all(lines) and all(naive_field(req, node.name) for req in term.fields)


def naive_bears(toleration: Toleration, taint: Taint) -> bool:
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    if toleration.operator == "Exists":
        return True
    return toleration.operator in ("", "Equal") and toleration.value == taint.value


def naive_allow(constraints: Constraints, node: Node) -> bool:
    for taint in node.taints:
        if taint.effect == "PreferNoSchedule":
            continue
        if not any(naive_bears(each, taint) for each in constraints.tolerations):
            return False
    if any(node.labels.get(key) != value for key, value in constraints.selector):
        return False
    return all(any(naive_term(term, node) for term in group) for group in constraints.terms)


@given(builders.constraints(), builders.nodes("n1", most=0).flatmap(builders.labelled))
def test_any_constraints_and_any_node(constraints: Constraints, node: Node) -> None:
    assert constraints.allow(node) == naive_allow(constraints, node)
    assert (constraints.objection(node) == "") == naive_allow(constraints, node)
