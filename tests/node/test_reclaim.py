"""Real containers that don't want to end, stopped for a tenant that is due their GPU."""

from tests.support.controlplane.waiting import eventually, stays
from tests.support.node.release import FAST, Release
from tests.support.node.rooms import START_SECONDS, Room, RoomFor
from tests.support.node.workloads import job, pod, template

CARDS = 4
PATIENCE, BUDGET, GRACE, AGAIN = 3, 5, 4, 5
RECLAIMING = (
    *FAST,
    f"settings.reclaim.patience_seconds={PATIENCE}",
    "settings.reclaim.min_runtime_seconds=1",
    f"settings.reclaim.budget_seconds={BUDGET}",
    f"settings.reclaim.grace_seconds={GRACE}",
)
BOUND = PATIENCE + BUDGET + AGAIN + GRACE
STUBBORN = "trap '' TERM; while :; do sleep 1; done"
YEAR = 31_536_000
FORGIVING = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}


def clung_to(room: Room) -> None:
    """A Job on all cards, with all that it can do to keep them: a budget, grace, deaf ears."""
    pods = template(
        "greedy", "1", STUBBORN, terminationGracePeriodSeconds=YEAR, restartPolicy="Never"
    )
    body = job("greedy", pods, retries=0)
    body["spec"] |= {
        "parallelism": CARDS,
        "completions": CARDS,
        "podFailurePolicy": {"rules": [FORGIVING]},
    }
    room.create_of("batch/jobs", body)
    budget = {"minAvailable": CARDS, "selector": {"matchLabels": {"app": "greedy"}}}
    path = f"/apis/policy/v1/namespaces/{room.name}/poddisruptionbudgets"
    room.api.post(path, {"metadata": {"name": "never"}, "spec": budget})
    eventually(lambda: running(room) == CARDS, START_SECONDS, what="it has all cards")


def running(room: Room) -> int:
    return sum(each["status"].get("phase") == "Running" for each in room.pods("greedy"))


def test_nothing_that_a_tenant_does_keeps_its_pods_on_what_others_are_due(
    installed: Release, room_for: RoomFor
) -> None:
    installed.ensure(RECLAIMING)
    greedy, modest = room_for("greedy", weight=3), room_for("modest")
    clung_to(greedy)
    modest.create(pod("late", "1"))
    eventually(
        lambda: modest.phase("late") == "Running", BOUND + START_SECONDS, what="the late one runs"
    )
    assert modest.printed("late") == modest.devices("late") != ""
    # Its Job has not failed by that: the pod was made again, and waits.
    eventually(lambda: len(greedy.pods("greedy")) == CARDS, what="the Job made a pod again")
    stays(lambda: running(greedy) == CARDS - 1, 3 * PATIENCE, what="all stays as it is")
    made = greedy.api.get(f"/apis/batch/v1/namespaces/{greedy.name}/jobs/greedy")
    assert made["status"].get("failed", 0) == 0
    assert made["status"]["active"] == CARDS
