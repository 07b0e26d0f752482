"""From the chart and the image of the release before to these: what was there goes on.

What an uninstall leaves is looked at in test_changes.py.
"""

import shutil
from pathlib import Path

import pytest

from tests.node.test_changes import one, running_and_waiting, same
from tests.support.controlplane.waiting import eventually, stays
from tests.support.node.layout import BUILD
from tests.support.node.release import CHART, FORMER, TAG, Release
from tests.support.node.rooms import Room, RoomFor

TENANTS = "/apis/equipoise.dev/v1alpha1/tenants"
FORMER_CHART = BUILD / "former-chart"

pytestmark = pytest.mark.skipif(
    not FORMER_CHART.exists(),
    reason="git knows of no commit before this one, as in a shallow clone",
)


@pytest.fixture
def former(installed: Release) -> Release:
    """The release of before, freshly installed."""
    installed.machine.containerd.load("former")
    assert installed.refusals() == []
    installed.uninstall()
    # Its rights went with it, a moment before its last pod did.
    installed.machine.plane.audit.mark()
    installed.install(FORMER, chart=FORMER_CHART)
    return installed


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    """This chart, whose tenants have one field more."""
    chart = shutil.copytree(CHART, tmp_path / "equipoise")
    definition = chart / "templates" / "crds" / "tenants.yaml"
    text = definition.read_text(encoding="utf-8")
    properties = "              properties:\n"
    assert properties in text
    field = f"{properties}                motto: {{type: string}}\n"
    definition.write_text(text.replace(properties, field, 1), encoding="utf-8")
    return chart


def test_an_upgrade_leaves_what_runs_and_what_waits(
    former: Release, room_for: RoomFor, newer: Path
) -> None:
    room = room_for("research", weight=2)
    runs, waits = running_and_waiting(room)
    name, waiting = runs["metadata"]["name"], waits["metadata"]["name"]
    former.machine.api.patch(f"{TENANTS}/research", {"spec": {"weight": 5}})
    before = _uids(former)
    printed = room.printed(name)

    _upgrade(former, newer)

    eventually(lambda: not before & _uids(former), what="the pods of before are gone")
    assert same(one(room, "web", "Running"), runs)
    assert room.holds(name) == 500
    assert room.printed(name) == printed == room.devices(name)
    stays(lambda: _waits(room, waiting, waits["metadata"]["uid"]), 3, what="it waits on")
    # What admins wrote stays, and what is new can be written.
    assert former.machine.api.get(f"{TENANTS}/research")["spec"]["weight"] == 5
    kept = former.machine.api.patch(f"{TENANTS}/research", {"spec": {"motto": "Fair is fair."}})
    assert kept["spec"]["motto"] == "Fair is fair."
    # And it works: who waits gets the room as soon as it is there.
    room.api.patch(
        f"/apis/apps/v1/namespaces/{room.name}/deployments/web/scale", {"spec": {"replicas": 0}}
    )
    eventually(lambda: one(room, "large", "Running"), 60, what="what waited runs")
    assert room.uid(waiting) == waits["metadata"]["uid"]


def _upgrade(release: Release, chart: Path) -> None:
    """By the line of docs/operations/upgrade.md; our images differ by their tag alone."""
    told = ("--reset-then-reuse-values", "--wait", "--timeout=180s")
    release.helm("upgrade", "equipoise", str(chart), *told, "--set", f"image.tag={TAG}")


def _waits(room: Room, name: str, uid: str) -> bool:
    pod = room.get(name)
    return bool(pod["metadata"]["uid"] == uid and pod["spec"].get("schedulingGates"))


def _uids(release: Release) -> set[str]:
    return {each["metadata"]["uid"] for each in release.pods("scheduler")}
