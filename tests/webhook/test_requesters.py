"""Whose pod it is: which creators become a label, and how a name is made to fit one."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.model import names
from scheduler.webhook.mutation import Rules
from scheduler.webhook.requesters import LONGEST, label_of, requester
from scheduler.webhook.review import mutating, validating
from tests.webhook.pods import F, Pod, patched, pod_of, request_of

RULES = Rules(label_users=True)
JO = {"username": "jo"}
CONTROLLER = {"username": "system:serviceaccount:kube-system:job-controller"}
ROBOT = {"username": "system:serviceaccount:lab:robot"}
OWNED = [{"kind": "Job", "name": "train", "controller": True}]


def owned(user: dict[str, Any], owners: list[dict[str, Any]]) -> Pod:
    pod = pod_of({F: "0.5"})
    pod["metadata"]["ownerReferences"] = owners
    return {"userInfo": user, "object": pod}


@pytest.mark.parametrize(
    ("review", "label"),
    [
        pytest.param(owned(JO, []), "jo", id="a person"),
        pytest.param(owned(JO, OWNED), "jo", id="a person who says that a Job made it"),
        pytest.param(owned(CONTROLLER, OWNED), None, id="a controller"),
        pytest.param(
            owned(ROBOT, [{"kind": "ConfigMap", "name": "c"}]),
            "system-serviceaccount-lab-robot-69cf6a58",
            id="an account of its own, owned by no controller",
        ),
        pytest.param(owned({}, []), None, id="nobody knows"),
    ],
)
def test_who_creates_a_pod_is_whose_it_is(review: Pod, label: str | None) -> None:
    assert requester(review) == label


@pytest.mark.parametrize("name", ["jo", "Jo.Doe_2", "a" * 63])
def test_a_name_that_may_be_a_label_stays_as_it_is(name: str) -> None:
    assert label_of(name) == name


@pytest.mark.parametrize(
    ("one", "other"), [("jo@example.org", "jo-example.org"), ("a" * 64, "a" * 65), ("@", "#")]
)
def test_other_names_are_told_apart(one: str, other: str) -> None:
    assert label_of(one) != label_of(other)
    assert label_of(one) == label_of(one)


@given(st.text(min_size=1))
def test_what_comes_of_any_name_is_a_label(name: str) -> None:
    label = label_of(name)
    assert len(label) <= LONGEST
    assert re.fullmatch(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?", label, re.ASCII)


def labelled(rules: Rules, claims: str | None, **review: Any) -> str | None:
    pod = pod_of({F: "0.5"})
    if claims is not None:
        pod["metadata"]["labels"] = {names.USER_LABEL: claims, "app": "x"}
    found = patched(pod, mutating(request_of(pod, **review), rules, tenants=True).patch)
    assert claims is None or found["metadata"]["labels"]["app"] == "x"
    label = found["metadata"].get("labels", {}).get(names.USER_LABEL)
    # What another webhook makes of it later is refused.
    again = validating(request_of(found, **review), rules, tenants=True)
    assert again.allowed
    return None if label is None else str(label)


@pytest.mark.parametrize("claims", [None, "jo", "somebody-else"])
def test_a_person_s_pod_is_labelled_whatever_it_says(claims: str | None) -> None:
    assert labelled(RULES, claims, userInfo=JO) == "jo"


@pytest.mark.parametrize("claims", [None, "somebody"])
def test_without_the_setting_a_label_stays_as_it_is(claims: str | None) -> None:
    assert labelled(Rules(), claims, userInfo=JO) == claims


def test_a_pod_without_a_request_is_not_labelled() -> None:
    answer = mutating(request_of(pod_of(), userInfo=JO), RULES, tenants=True)
    assert all("labels" not in op["path"] for op in answer.patch)


def test_another_webhook_that_changes_it_is_found_out() -> None:
    pod = pod_of({F: "0.5"})
    found = patched(pod, mutating(request_of(pod, userInfo=JO), RULES, tenants=True).patch)
    found["metadata"]["labels"][names.USER_LABEL] = "al"
    answer = validating(request_of(found, userInfo=JO), RULES, tenants=True)
    assert "equipoise.dev~1user" in answer.message
