"""Who waits, why, and since when it is its turn."""

from scheduler.controller.queue import Queue, Rivals, first_of
from scheduler.controller.queue import waiting as listed
from scheduler.core.model.plans import Hold
from scheduler.core.model.pods import Pod
from scheduler.core.model.standing import Waiting
from scheduler.core.model.verdicts import Reason, Verdict
from tests.support.builders import pod


def queue(*pods: Pod) -> Queue:
    made = Queue()
    for each in pods:
        made.put(each)
    return made


def note_first(waiting: Queue, now: float) -> None:
    waiting.note_first(first_of(waiting.pods.values()), now)


def judged(waiting: Queue) -> list[Waiting]:
    return listed((waiting.pods[uid], verdict) for uid, verdict in waiting.verdicts.items())


def test_the_first_of_a_tenant_is_next_since_it_was_noted() -> None:
    old, young, other = pod("p"), pod("q", created=5.0), pod("r", tenant="b")
    waiting = queue(young, old, other)
    note_first(waiting, 10.0)
    note_first(waiting, 12.0)
    assert waiting.next_since(old, 20.0) == 10.0
    assert waiting.next_since(other, 20.0) == 10.0
    assert waiting.next_since(young, 20.0) == 20.0


def test_whoever_moves_up_is_next_from_then_on() -> None:
    old, young = pod("p"), pod("q", created=5.0)
    waiting = queue(old, young)
    note_first(waiting, 10.0)
    waiting.drop(old.uid)
    note_first(waiting, 15.0)
    assert waiting.next_since(young, 20.0) == 15.0


def test_a_more_important_pod_takes_the_place_and_gives_it_back_anew() -> None:
    first, urgent = pod("p"), pod("q", created=5.0, priority=9)
    waiting = queue(first)
    note_first(waiting, 1.0)
    waiting.put(urgent)
    note_first(waiting, 2.0)
    assert waiting.next_since(urgent, 9.0) == 2.0
    waiting.drop(urgent.uid)
    note_first(waiting, 3.0)
    assert waiting.next_since(first, 9.0) == 3.0


def test_a_tenant_whose_pods_are_all_gone_has_no_first() -> None:
    waiting = queue(pod("p"))
    note_first(waiting, 1.0)
    waiting.drop(pod("p").uid)
    note_first(waiting, 2.0)
    waiting.put(pod("p"))
    assert waiting.next_since(pod("p"), 7.0) == 7.0


def test_only_a_new_reason_is_news_but_numbers_are_kept_up_to_date() -> None:
    waiting = queue(pod("p"))
    assert waiting.judge(Hold(pod("p"), Verdict(Reason.NO_ROOM, "needs 1, best has 0.5")))
    assert not waiting.judge(Hold(pod("p"), Verdict(Reason.NO_ROOM, "needs 1, best has 0.7")))
    assert judged(waiting)[0].verdict.detail == "needs 1, best has 0.7"
    assert waiting.judge(Hold(pod("p"), Verdict(Reason.OVER_LIMIT)))


def test_a_verdict_on_a_pod_that_left_is_nobodys() -> None:
    waiting = queue(pod("p"))
    waiting.drop(pod("p").uid)
    assert not waiting.judge(Hold(pod("p"), Verdict(Reason.NO_ROOM)))
    assert judged(waiting) == []


def test_a_pod_that_comes_back_is_judged_anew() -> None:
    waiting, hold = queue(pod("p")), Hold(pod("p"), Verdict(Reason.NO_ROOM))
    waiting.judge(hold)
    assert waiting.drop(pod("p").uid) == pod("p")
    assert waiting.drop(pod("p").uid) is None
    waiting.put(pod("p"))
    assert waiting.judge(hold)


def test_those_who_wait_longest_are_listed_first() -> None:
    pods = [pod("q", created=3.0), pod("p", created=3.0), pod("r", created=1.0)]
    waiting = queue(*pods, pod("unjudged"))
    for each in pods:
        waiting.judge(Hold(each, Verdict(Reason.NO_ROOM)))
    assert [(each.pod, each.request) for each in judged(waiting)] == [
        ("lab/r", "0.5 GPU"),
        ("lab/p", "0.5 GPU"),
        ("lab/q", "0.5 GPU"),
    ]


def test_who_would_take_no_gpu_is_nobodys_rival() -> None:
    waiting = queue()
    assert waiting.rivals == Rivals(all=False, tenants=frozenset())
    waiting.put(pod("p"))
    assert waiting.rivals.all
    waiting.judge(Hold(pod("p"), Verdict(Reason.NEVER_FITS)))
    assert waiting.rivals == Rivals(all=False, tenants=frozenset())
    waiting.judge(Hold(pod("p"), Verdict(Reason.OVER_LIMIT)))
    assert waiting.rivals == Rivals(all=False, tenants=frozenset({pod("p").tenant}))
    waiting.judge(Hold(pod("p"), Verdict(Reason.NO_ROOM)))
    assert waiting.rivals.all
    waiting.drop(pod("p").uid)
    assert not waiting.rivals.all


def test_that_its_turn_comes_soon_is_noted_told_nobody_and_replaces_no_reason() -> None:
    waiting, soon = queue(pod("p"), pod("q")), Verdict(Reason.IN_LINE)
    full = Verdict(Reason.NO_ROOM, "few are free")
    assert not waiting.judge(Hold(pod("p"), soon))
    assert waiting.judge(Hold(pod("q"), full))
    assert not waiting.judge(Hold(pod("q"), soon))
    assert waiting.verdicts == {"p": soon, "q": full}
    assert not waiting.judge(Hold(pod("q"), full))
    assert waiting.judge(Hold(pod("p"), full))


def test_who_could_not_start_before_is_known_to_be_in_line_now() -> None:
    waiting = queue(pod("p"))
    waiting.judge(Hold(pod("p"), Verdict(Reason.OVER_LIMIT)))
    assert not waiting.rivals.all
    assert not waiting.judge(Hold(pod("p"), Verdict(Reason.IN_LINE)))
    assert waiting.verdicts[pod("p").uid].reason == Reason.IN_LINE
    assert waiting.rivals.all
