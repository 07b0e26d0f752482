"""The mix of what people ask for, as it is counted."""

from scheduler.controller.mixer import KINDS_KEPT, Mixer
from tests.support.builders import share, whole


def test_a_few_more_of_many_leave_the_mix_as_it_is() -> None:
    mixer = Mixer()
    for _ in range(100):
        mixer.count(share(500))
    mix = mixer.mix
    for _ in range(4):
        mixer.count(whole())
        assert mixer.mix is mix
    mixer.count(whole())
    assert mixer.mix is not mix


def test_the_mix_is_the_same_object_until_something_is_counted() -> None:
    mixer = Mixer()
    empty = mixer.mix
    assert (empty.total, mixer.mix is empty) == (0, True)
    mixer.count(share(500))
    mix = mixer.mix
    assert mix is not empty
    assert mixer.mix is mix


def test_what_is_asked_for_often_weighs_more() -> None:
    mixer = Mixer()
    for request in (share(500), whole(), share(500)):
        mixer.count(request)
    assert dict(mixer.mix.weights) == {share(500): 2, whole(): 1}


def test_the_rarest_kinds_are_forgotten_first() -> None:
    mixer = Mixer()
    for _ in range(3):
        mixer.count(whole(8))
    for kind in range(2 * KINDS_KEPT):
        mixer.count(share(1, cpu_milli=kind))
    # All but so many single ones are forgotten in one go; what was asked for thrice is kept.
    assert mixer.mix.total <= KINDS_KEPT + 2
    assert dict(mixer.mix.weights)[whole(8)] == 3
