"""Who waits, why, and since when it is its turn."""

from scheduler.controller.queue import Queue
from scheduler.core.model.plans import Hold
from scheduler.core.model.pods import Pod
from scheduler.core.model.verdicts import Reason, Verdict
from tests.support.builders import pod


def queue(*pods: Pod) -> Queue:
    made = Queue()
    for each in pods:
        made.put(each)
    return made


def test_the_first_of_a_tenant_is_next_since_it_was_noted() -> None:
    old, young, other = pod("p"), pod("q", created=5.0), pod("r", tenant="b")
    waiting = queue(young, old, other)
    waiting.note_first(10.0)
    waiting.note_first(12.0)
    assert waiting.next_since(old, 20.0) == 10.0
    assert waiting.next_since(other, 20.0) == 10.0
    assert waiting.next_since(young, 20.0) == 20.0


def test_whoever_moves_up_is_next_from_then_on() -> None:
    old, young = pod("p"), pod("q", created=5.0)
    waiting = queue(old, young)
    waiting.note_first(10.0)
    waiting.drop(old.uid)
    waiting.note_first(15.0)
    assert waiting.next_since(young, 20.0) == 15.0


def test_a_more_important_pod_takes_the_place_and_gives_it_back_anew() -> None:
    first, urgent = pod("p"), pod("q", created=5.0, priority=9)
    waiting = queue(first)
    waiting.note_first(1.0)
    waiting.put(urgent)
    waiting.note_first(2.0)
    assert waiting.next_since(urgent, 9.0) == 2.0
    waiting.drop(urgent.uid)
    waiting.note_first(3.0)
    assert waiting.next_since(first, 9.0) == 3.0


def test_a_tenant_whose_pods_are_all_gone_has_no_first() -> None:
    waiting = queue(pod("p"))
    waiting.note_first(1.0)
    waiting.drop(pod("p").uid)
    waiting.note_first(2.0)
    waiting.put(pod("p"))
    assert waiting.next_since(pod("p"), 7.0) == 7.0


def test_only_a_new_reason_is_news_but_numbers_are_kept_up_to_date() -> None:
    waiting = queue(pod("p"))
    news = [Hold(pod("p"), Verdict(Reason.NO_ROOM, "needs 1, best has 0.5"))]
    assert waiting.judge(news) == news
    again = [Hold(pod("p"), Verdict(Reason.NO_ROOM, "needs 1, best has 0.7"))]
    assert waiting.judge(again) == []
    assert waiting.waiting()[0].verdict.detail == "needs 1, best has 0.7"
    other = [Hold(pod("p"), Verdict(Reason.OVER_LIMIT))]
    assert waiting.judge(other) == other


def test_a_verdict_on_a_pod_that_left_is_nobodys() -> None:
    waiting = queue(pod("p"))
    waiting.drop(pod("p").uid)
    assert waiting.judge([Hold(pod("p"), Verdict(Reason.NO_ROOM))]) == []
    assert waiting.waiting() == []


def test_a_pod_that_comes_back_is_judged_anew() -> None:
    waiting, hold = queue(pod("p")), Hold(pod("p"), Verdict(Reason.NO_ROOM))
    waiting.judge([hold])
    assert waiting.drop(pod("p").uid) == pod("p")
    assert waiting.drop(pod("p").uid) is None
    waiting.put(pod("p"))
    assert waiting.judge([hold]) == [hold]


def test_those_who_wait_longest_are_listed_first() -> None:
    pods = [pod("q", created=3.0), pod("p", created=3.0), pod("r", created=1.0)]
    waiting = queue(*pods, pod("unjudged"))
    waiting.judge([Hold(each, Verdict(Reason.NO_ROOM)) for each in pods])
    assert [(each.pod, each.request) for each in waiting.waiting()] == [
        ("lab/r", "0.5 GPU"),
        ("lab/p", "0.5 GPU"),
        ("lab/q", "0.5 GPU"),
    ]
