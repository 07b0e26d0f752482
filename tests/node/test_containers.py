"""What containers see: exactly the GPUs that the ledger gave to their pod."""

from tests.support.node.rooms import Room
from tests.support.node.workloads import SHOW_AND_WAIT, container, pod


def test_ten_pods_see_the_gpus_that_the_ledger_gave_them(room: Room) -> None:
    fractions = ("0.25", "0.5", "0.25", "0.3", "0.1", "0.7", "0.2", "0.4", "0.15", "0.5")
    names = [f"share-{number}" for number in range(len(fractions))]
    for name, fraction in zip(names, fractions, strict=True):
        room.create(pod(name, fraction))
    room.running(*names)
    ledger = room.ledger()
    for name, fraction in zip(names, fractions, strict=True):
        held = ledger[name]
        assert room.printed(name) == room.devices(name) == ",".join(held)
        assert sum(held.values()) == round(float(fraction) * 1000)


def test_a_pod_on_two_gpus_sees_both(room: Room) -> None:
    room.create(pod("pair", "2"))
    room.running("pair")
    seen = room.printed("pair").split(",")
    assert len(seen) == 2
    assert set(seen) == set(room.ledger()["pair"])


def test_of_two_containers_only_the_chosen_one_sees_the_gpu(room: Room) -> None:
    body = pod("two", "0.5")
    body["spec"]["containers"].insert(0, container(SHOW_AND_WAIT, name="sidecar"))
    body["metadata"]["annotations"]["equipoise.dev/gpu-containers"] = "main"
    room.create(body)
    room.running("two")
    (uuid,) = room.ledger()["two"]
    assert room.printed("two", "main") == uuid
    assert room.printed("two", "sidecar") == "void"


def test_a_pod_without_a_share_sees_no_gpu(room: Room) -> None:
    body = pod("plain", "0.5")
    del body["metadata"]["annotations"]
    room.create(body)
    room.running("plain")
    assert room.printed("plain") == "void"
    assert "plain" not in room.ledger()
