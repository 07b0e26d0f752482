"""The pods of a node, as its watch tells of them."""

import logging

import pytest

from scheduler.agent.pods import Guests
from scheduler.core.model.ids import DeviceUUID, PodUID
from tests.agent.fakes import NODE, pod_json


def guests() -> Guests:
    made = Guests(NODE)
    made.replace([pod_json("a", ("GPU-0", 100), ("GPU-1", 200)), pod_json("b", ("GPU-1", 50))])
    return made


def test_pods_that_hold_devices_are_kept_with_what_they_were_promised() -> None:
    made = guests()
    assert set(made.by_uid) == {"a", "b"}
    assert [(slot.uuid, slot.memory_mib) for slot in made.by_uid[PodUID("a")].slots] == [
        ("GPU-0", 100),
        ("GPU-1", 200),
    ]
    assert made.held() == frozenset({DeviceUUID("GPU-0"), DeviceUUID("GPU-1")})


def test_before_the_first_list_nobody_knows_what_is_held() -> None:
    made = Guests(NODE)
    assert (made.listed, made.held()) == (False, None)
    made.replace([])
    assert (made.listed, made.held()) == (True, frozenset())


def test_a_new_list_forgets_who_is_not_in_it() -> None:
    made = guests()
    made.replace([pod_json("b", ("GPU-1", 50))])
    assert set(made.by_uid) == {"b"}


@pytest.mark.parametrize(
    ("event", "pod"),
    [
        ("DELETED", pod_json("a", ("GPU-0", 100))),
        ("MODIFIED", pod_json("a", ("GPU-0", 100), phase="Succeeded")),
        ("MODIFIED", pod_json("a", ("GPU-0", 100), phase="Failed")),
        ("MODIFIED", pod_json("a", ("GPU-0", 100), node="another")),
        ("MODIFIED", pod_json("a")),
    ],
    ids=["deleted", "succeeded", "failed", "assigned elsewhere", "without a share"],
)
def test_who_holds_nothing_here_is_no_guest(event: str, pod: dict[str, object]) -> None:
    made = guests()
    made.see(event, pod)
    assert set(made.by_uid) == {"b"}


def test_a_pod_that_was_asked_to_go_still_holds_its_devices() -> None:
    made = guests()
    leaving = pod_json("a", ("GPU-0", 100))
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    made.see("MODIFIED", leaving)
    assert [guest.ending for guest in made.by_uid.values()] == [True, False]


def test_an_assignment_that_cannot_be_read_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    made, broken = guests(), pod_json("a")
    broken["metadata"]["annotations"] = {
        "equipoise.dev/assignment": "{",
        "equipoise.dev/devices": "",
    }
    with caplog.at_level(logging.WARNING):
        made.see("MODIFIED", broken)
        made.see("MODIFIED", broken)
    assert set(made.by_uid) == {"b"}
    assert [record.getMessage().startswith("pod lab/a: ") for record in caplog.records] == [True]
