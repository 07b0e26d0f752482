"""Whatever fails at whatever moment: nothing is oversold, nothing is lost, it settles by itself."""

import contextlib
from collections.abc import Callable, Iterator

import pytest

from tests.cluster.ledgers import reserved
from tests.cluster.pods import Room, pod
from tests.support.controlplane.api import Api, Refused
from tests.support.controlplane.auditor import Auditor
from tests.support.controlplane.installed import Installation
from tests.support.controlplane.plane import ControlPlane
from tests.support.controlplane.proxy import Fault, Proxy, Request, lose_after, lose_before, nth
from tests.support.controlplane.waiting import eventually

PODS = 3
SETTLED_SECONDS = 60.0

NOMINATES: Callable[[Request], bool] = lambda request: request.nominates  # noqa: E731
RELEASES: Callable[[Request], bool] = lambda request: request.releases  # noqa: E731
BINDS: Callable[[Request], bool] = lambda request: request.binds  # noqa: E731


@pytest.fixture(scope="module")
def proxy(plane: ControlPlane) -> Iterator[Proxy]:
    made = Proxy(plane)
    yield made
    made.close()


@pytest.fixture(scope="module")
def installed(plane: ControlPlane, proxy: Proxy) -> Iterator[Installation]:
    ours = Installation(plane)
    ours.apply()
    plane.nodes(1, gpus=2, prefix="faults-")
    ours.start("faults", server=proxy.url)
    yield ours
    ours.close()


@pytest.fixture
def auditor(plane: ControlPlane) -> Iterator[Auditor]:
    with contextlib.closing(Auditor(plane.kubeconfig())) as made:
        made.start()
        yield made


@pytest.fixture
def room(api: Api, namespace: str, installed: Installation, proxy: Proxy) -> Iterator[Room]:
    eventually(lambda: installed.replicas["faults"].ready, 30, what="serve is ready")
    yield Room(api, namespace)
    proxy.choose = lambda _request: None


def start(room: Room, count: int = PODS) -> None:
    for number in range(count):
        room.create_patiently(pod(f"p{number}", "0.5", owner=room.owner()))


def settled(room: Room, auditor: Auditor, count: int = PODS) -> None:
    eventually(lambda: room.all_run(count), SETTLED_SECONDS, what="all pods run")
    auditor.caught_up()
    assert auditor.problems() == []


@pytest.mark.parametrize("number", range(1, PODS + 1))
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("among", [RELEASES, BINDS], ids=["release", "bind"])
def test_serve_killed_at_any_write_loses_and_oversells_nothing(
    room: Room,
    installed: Installation,
    proxy: Proxy,
    auditor: Auditor,
    among: Callable[[Request], bool],
    when: str,
    number: int,
) -> None:
    kill = installed.replicas["faults"].kill_serve
    fault = lose_before(kill) if when == "before" else lose_after(kill)
    proxy.choose = nth(number, fault, among)
    start(room)
    settled(room, auditor)


@pytest.mark.parametrize(
    ("among", "fault"),
    [(NOMINATES, lose_after), (RELEASES, lose_before)],
    ids=["after-the-first", "before-the-second"],
)
def test_serve_killed_between_the_two_writes_of_a_release_without_a_pin(
    room: Room,
    installed: Installation,
    proxy: Proxy,
    auditor: Auditor,
    among: Callable[[Request], bool],
    fault: Callable[[Callable[[], None]], Fault],
) -> None:
    proxy.choose = nth(1, fault(installed.replicas["faults"].kill_serve), among)
    for number in range(PODS):
        room.create_patiently(pod(f"p{number}", "0.5"))
    settled(room, auditor)
    assert not any("affinity" in each["spec"] for each in room.api.items(room.path))


@pytest.mark.parametrize("owned", [True, False], ids=["pinned", "nominated"])
def test_over_a_restart_a_released_pod_has_its_place_before_others_are_planned(
    room: Room, installed: Installation, auditor: Auditor, owned: bool
) -> None:
    replica, first = installed.replicas["faults"], f"{room.namespace}/first"
    replica.stop_scheduler()
    try:
        room.create(pod("first", "2", owner=room.owner() if owned else None))
        eventually(lambda: not room.gated("first"), what="it is released")
        room.create(pod("second", "1", owner=room.owner()))
        eventually(lambda: room.waits("second"), what="the other one is told why it waits")
        starts = replica.containers["serve"].starts
        replica.kill_serve()
        eventually(lambda: replica.containers["serve"].starts > starts and replica.ready, 30)
        eventually(lambda: reserved(installed, "faults") == {first}, what="its place is reserved")
    finally:
        replica.continue_scheduler()
    eventually(lambda: room.runs("first"), 30, what="it runs")
    assert room.gated("second")
    room.delete("first")
    settled(room, auditor, 1)


@pytest.mark.parametrize("status", [409, 429, 500])
@pytest.mark.parametrize("among", [RELEASES, BINDS], ids=["release", "bind"])
def test_answers_that_say_no_are_got_over(
    room: Room,
    proxy: Proxy,
    auditor: Auditor,
    among: Callable[[Request], bool],
    status: int,
) -> None:
    retry_after = 1 if status == 429 else None
    proxy.choose = nth(1, Fault(status=status, retry_after=retry_after), among)
    start(room)
    settled(room, auditor)


@pytest.mark.parametrize("among", [RELEASES, BINDS], ids=["release", "bind"])
def test_a_write_whose_answer_is_lost_is_not_done_twice(
    room: Room, proxy: Proxy, auditor: Auditor, among: Callable[[Request], bool]
) -> None:
    proxy.choose = nth(2, lose_after(), among)
    start(room)
    settled(room, auditor)


def test_an_api_server_that_goes_away_and_comes_back(
    room: Room, plane: ControlPlane, auditor: Auditor
) -> None:
    start(room, 2)
    settled(room, auditor, 2)
    plane.restart_apiserver(kill=True)
    room.create_patiently(pod("late", "0.5", owner=room.owner()))
    settled(room, auditor, 3)


def test_a_kube_scheduler_that_starts_again(
    room: Room, installed: Installation, auditor: Auditor
) -> None:
    start(room, 2)
    installed.replicas["faults"].kill_scheduler()
    room.create_patiently(pod("late", "0.5", owner=room.owner()))
    settled(room, auditor, 3)


def test_with_the_webhook_down_pods_of_ours_are_refused_and_others_are_not(
    room: Room, installed: Installation
) -> None:
    installed.replicas["faults"].stop_serve()
    try:
        with pytest.raises(Refused, match="webhook"):
            room.create(pod("ours", "0.5"))
        plain = {"metadata": {"name": "other"}, "spec": pod("x", "1")["spec"]}
        assert room.create(plain)["spec"]["schedulerName"] == "default-scheduler"
    finally:
        installed.replicas["faults"].continue_serve()
