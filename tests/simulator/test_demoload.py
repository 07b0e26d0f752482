"""The demo's load: the same for the same seed, all of it readable, and none of it too early."""

from fractions import Fraction

import pytest

from scheduler.core.model.ids import TenantName
from scheduler.core.model.podreader import read_pod
from scheduler.simulator.demoload import (
    LARGE,
    LONG_SECONDS,
    SECONDS,
    SMALL,
    again,
    arrivals,
    tenants,
)


def test_the_small_ones_weigh_as_much_together_as_the_large_one() -> None:
    large, *small = tenants()
    assert large.name == LARGE
    assert [each.name for each in small] == list(SMALL)
    assert sum((each.weight for each in small), Fraction(0)) == large.weight


def test_a_seed_gives_the_same_load_and_another_seed_another() -> None:
    assert arrivals(30.0, seed=3) == arrivals(30.0, seed=3)
    assert arrivals(30.0, seed=3) != arrivals(30.0, seed=4)


@pytest.mark.parametrize("seconds", [1.0, 2.0, 40.0, 300.0])
def test_everybody_comes_in_time_and_in_order(seconds: float) -> None:
    load = arrivals(seconds, seed=1)
    times = [each.at for each in load]
    assert times == sorted(times)
    assert 0 <= times[0] <= times[-1] < seconds
    first = {each.pod["metadata"]["namespace"]: each.at for each in reversed(load)}
    assert set(first) == {LARGE, *SMALL}
    assert first[LARGE] == 0.0
    assert all(0 < first[name] <= seconds / 2 for name in SMALL)


def test_every_pod_can_be_read_and_says_how_long_it_runs() -> None:
    load = arrivals(40.0, seed=2)
    keys = set()
    for each in load:
        metadata = each.pod["metadata"]
        pod = read_pod(
            {**each.pod, "metadata": {**metadata, "uid": "u"}}, lambda name, _user: TenantName(name)
        )
        assert (pod.problem, pod.tenant) == ("", metadata["namespace"])
        assert pod.request.devices
        runs = float(metadata["annotations"][SECONDS])
        assert runs >= LONG_SECONDS[0] if pod.name.startswith("long-") else 2.0 <= runs <= 8.0
        keys.add(pod.key)
    assert len(keys) == len(load)


def test_what_is_made_again_has_a_name_of_its_own_and_is_else_the_same() -> None:
    first = arrivals(10.0, seed=1)[0].pod
    once, twice = again(first, 1), again(first, 2)
    names = {each["metadata"].pop("name") for each in (once, twice)}
    assert len(names | {first["metadata"]["name"]}) == 3
    assert once == twice
    assert {**once["metadata"], "name": first["metadata"]["name"]} == first["metadata"]


def test_fractions_memory_and_several_devices_are_all_among_it() -> None:
    asked = {
        tuple(sorted(set(each.pod["metadata"]["annotations"]) - {SECONDS}))
        for each in arrivals(100.0, seed=1)
    }
    assert {len(notes) for notes in asked} == {1, 2}
    assert {note.partition("/")[2] for notes in asked for note in notes} == {
        "gpu-fraction", "gpu-memory", "gpu-count", "gpu-models",
    }  # fmt: skip
