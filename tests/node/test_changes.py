"""Other values, an upgrade, an end: what runs goes on, and nothing stays behind our gate."""

from tests.support.controlplane.api import JSON
from tests.support.controlplane.waiting import eventually, stays
from tests.support.node.layout import NODE
from tests.support.node.release import AGENTS, DRIVERLESS, FAST, Release
from tests.support.node.rooms import START_SECONDS, Room
from tests.support.node.workloads import deployment, template


def one(room: Room, app: str, phase: str) -> JSON | None:
    """Return the one pod of an app if it is in that phase."""
    pods = room.pods(app)
    if len(pods) != 1 or pods[0]["status"].get("phase") != phase:
        return None
    return pods[0]


def running_and_waiting(room: Room) -> tuple[JSON, JSON]:
    """A pod that runs, and one that waits for more than is there."""
    room.create_of("apps/deployments", deployment("web", 1, template("web", "0.5")))
    runs = eventually(lambda: one(room, "web", "Running"), START_SECONDS, what="web runs")
    room.create_of("apps/deployments", deployment("large", 1, template("large", "4")))
    waits = eventually(lambda: one(room, "large", "Pending"), what="large is there")
    return runs, waits


def same(now: JSON | None, before: JSON) -> bool:
    """Whether it is the same pod, in the same container."""
    fields = ("containerID", "restartCount", "state")
    return (
        now is not None
        and now["metadata"]["uid"] == before["metadata"]["uid"]
        and [[each.get(field) for field in fields] for each in now["status"]["containerStatuses"]]
        == [[each.get(field) for field in fields] for each in before["status"]["containerStatuses"]]
    )


def test_an_agent_without_a_driver_says_so_once_and_goes_on(room: Room, release: Release) -> None:
    runs, waits = running_and_waiting(room)
    release.install(DRIVERLESS)
    (agent,) = release.pods("agent", AGENTS)
    name = agent["metadata"]["name"]

    def said() -> list[str]:
        logs = release.machine.plane.kubectl("logs", "--namespace", AGENTS, name)
        return [line for line in logs.splitlines() if "driver" in line]

    eventually(said, what="it has said something of a driver")
    stays(lambda: len(said()) == 1, 20, what=f"it says it once: {said()}")
    assert said()[0].endswith("libnvidia-ml.so.1 is not found; install the driver")
    (agent,) = release.pods("agent", AGENTS)
    assert [each["restartCount"] for each in agent["status"]["containerStatuses"]] == [0]
    assert same(one(room, "web", "Running"), runs)
    assert room.uid(waits["metadata"]["name"]) == waits["metadata"]["uid"]
    assert room.holds(runs["metadata"]["name"]) == 500


def test_after_an_uninstall_what_runs_goes_on_and_what_waited_starts_without_us(
    room: Room, release: Release
) -> None:
    runs, waits = running_and_waiting(room)
    release.uninstall()
    # Its rights go with the release, a moment before its last pod does.
    release.machine.plane.audit.mark()
    freed = eventually(lambda: one(room, "large", "Running"), 60, what="what waited runs")
    assert freed["metadata"]["uid"] != waits["metadata"]["uid"]
    assert "schedulingGates" not in freed["spec"]
    assert freed["spec"]["schedulerName"] == "default-scheduler"
    assert same(one(room, "web", "Running"), runs)
    assert room.api.find(f"/apis/equipoise.dev/v1alpha1/gpunodes/{NODE}") is not None
    release.install(FAST)
    assert room.holds(runs["metadata"]["name"]) == 500
    assert same(one(room, "web", "Running"), runs)
