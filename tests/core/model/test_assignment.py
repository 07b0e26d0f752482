"""Assignments survive the way through the API server, and nothing half understood passes."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.model import assignment, names
from scheduler.core.model.errors import InvalidInput
from scheduler.core.model.ids import DeviceUUID, NodeName
from scheduler.core.model.placements import Placement, Slot

UUIDS = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=","), min_size=1
)
SLOTS = st.builds(
    Slot,
    index=st.integers(0, 127),
    uuid=UUIDS.map(DeviceUUID),
    milli=st.integers(1, 1000),
    memory_mib=st.integers(0, 2**20),
)
PLACEMENTS = st.builds(
    Placement,
    node=st.text(min_size=1).filter(lambda t: t.isprintable()).map(NodeName),
    slots=st.lists(
        SLOTS, max_size=16, unique_by=(lambda s: s.index, lambda s: s.uuid)
    ).map(tuple),
)  # fmt: skip
GOOD = Placement(
    NodeName("n1"),
    (Slot(0, DeviceUUID("GPU-a"), 250, 4096), Slot(3, DeviceUUID("GPU-d"), 250, 4096)),
)


@given(PLACEMENTS)
def test_what_is_written_is_read_back(placement: Placement) -> None:
    ordered = replace(placement, slots=tuple(sorted(placement.slots, key=lambda s: s.index)))
    expected = ordered if placement.slots else None
    assert assignment.decode(assignment.encode(placement)) == expected


def test_the_words_on_the_pod_are_these() -> None:
    assert assignment.encode(GOOD) == {
        "equipoise.dev/devices": "GPU-a,GPU-d",
        "equipoise.dev/assignment": (
            '{"version":1,"node":"n1","slots":[[0,"GPU-a",250,4096],[3,"GPU-d",250,4096]]}'
        ),
    }


def test_other_annotations_are_no_assignment() -> None:
    assert assignment.decode({"equipoise.dev/gpu-fraction": "0.5"}) is None


BODY = {"version": 1, "node": "n1", "slots": [[0, "GPU-a", 250, 4096]]}


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "must be JSON"),
        ("[" * 100_000, "must be JSON"),
        ("[]", "JSON object"),
        (json.dumps({**BODY, "version": 2}), "version"),
        (json.dumps({**BODY, "version": True}), "version"),
        (json.dumps({**BODY, "node": 5}), "a node"),
        (json.dumps({**BODY, "node": ""}), "name"),
        (json.dumps({**BODY, "slots": []}), "at least one slot"),
        (json.dumps({**BODY, "slots": [[0, "GPU-a", 250]]}), "[index, uuid, milli, MiB]"),
        (json.dumps({**BODY, "slots": [[0, "GPU-a", 250.0, 4096]]}), "whole numbers"),
        (json.dumps({**BODY, "slots": [[True, "GPU-a", 250, 4096]]}), "whole numbers"),
        (json.dumps({**BODY, "slots": [[-1, "GPU-a", 250, 4096]]}), "at least 0"),
        (json.dumps({**BODY, "slots": [[0, "GPU-a", 0, 4096]]}), "above 0"),
        (json.dumps({**BODY, "slots": [[0, "GPU-a", 10**30, 1]]}), "above 0"),
        (json.dumps({**BODY, "slots": [[0, "a,b", 250, 4096]]}), "comma"),
        (json.dumps({**BODY, "slots": [[0, "a", 1, 1], [1, "a", 1, 1]]}), "of its own"),
        (json.dumps({**BODY, "slots": [[1, "a", 1, 1], [0, "b", 1, 1]]}), "order"),
        (" " * 300_000, "too large"),
    ],
)
def test_what_cannot_be_understood_in_full_is_refused(text: str, word: str) -> None:
    with pytest.raises(InvalidInput) as problem:
        assignment.decode({names.ASSIGNMENT: text, names.DEVICES: "GPU-a"})
    assert word in str(problem.value)


@pytest.mark.parametrize(
    "annotations",
    [
        {names.DEVICES: "GPU-a"},
        {names.ASSIGNMENT: json.dumps(BODY)},
        {names.ASSIGNMENT: json.dumps(BODY), names.DEVICES: "GPU-b"},
    ],
)
def test_two_annotations_that_disagree_are_refused(annotations: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        assignment.decode(annotations)


def test_an_assignment_that_takes_too_much_room_is_not_written() -> None:
    slots = tuple(Slot(i, DeviceUUID(f"{i}" + "x" * 400), 1000, 1) for i in range(128))
    with pytest.raises(InvalidInput, match="fewer devices"):
        assignment.encode(Placement(NodeName("n1"), slots))
