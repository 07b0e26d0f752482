"""The mix of what people ask for, as it is counted."""

from scheduler.core.packing.mixer import KINDS_KEPT, Mixer
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


MEMORY = 500
"""Half of what is remembered."""


def test_what_was_asked_for_long_ago_is_forgotten() -> None:
    mixer = Mixer(remembered=2 * MEMORY)
    for request in (whole(), share(500)):
        for _ in range(2 * MEMORY):
            mixer.count(request)
    assert mixer.seen == 4 * MEMORY
    weights = dict(mixer.mix.weights)
    # Those of the first kind count half three times: once for themselves, twice for the others.
    assert weights == {whole(): MEMORY // 4, share(500): MEMORY * 3 // 4}


def test_a_mix_that_is_full_still_follows() -> None:
    mixer = Mixer(remembered=2 * MEMORY)
    for _ in range(2 * MEMORY):
        mixer.count(whole())
    before = mixer.mix
    for _ in range(MEMORY // 10):
        mixer.count(share(500))
    assert mixer.mix is not before
    assert share(500) in dict(mixer.mix.weights)


def test_prices_are_old_once_so_much_more_was_asked_for() -> None:
    mixer = Mixer(price_news=0.5)
    assert not mixer.prices_are_old
    for _ in range(100):
        mixer.count(whole())
    assert mixer.prices_are_old
    assert dict(mixer.to_be_priced().weights) == {whole(): 100}
    for number in range(50):
        assert not mixer.prices_are_old, number
        mixer.count(whole())
    assert mixer.prices_are_old
