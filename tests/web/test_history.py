"""The past that the charts show: bounded, thinned out, with gaps where a tenant wasn't there."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.model.ids import TenantName
from scheduler.core.model.standing import Standing
from scheduler.web.history import History
from tests.support.standings import tenant


def _filled(seconds: int, *, samples: int) -> History:
    history = History(samples)
    for at in range(seconds):
        history.record(Standing(at=float(at), tenants=(tenant("vision"),), jain=0.9))
    return history


@given(st.integers(0, 400), st.integers(4, 40))
def test_the_past_is_bounded_and_evenly_spaced_and_reaches_back(seconds: int, samples: int) -> None:
    past = _filled(seconds, samples=samples).past()
    assert len(past["at"]) <= samples
    gaps = {later - earlier for earlier, later in zip(past["at"], past["at"][1:], strict=False)}
    assert gaps <= {past["step"]}
    if seconds:
        assert past["at"][0] <= past["step"]
        assert past["at"][-1] > seconds - 1 - past["step"]


@given(st.integers(1, 200), st.integers(4, 20))
def test_all_lists_are_as_long_as_the_times(seconds: int, samples: int) -> None:
    past = _filled(seconds, samples=samples).past()
    lengths = {len(past["jain"]), len(past["free"]), len(past["fragmented"])}
    for track in past["tenants"]:
        lengths |= {len(track["due"]), len(track["got"])}
    assert lengths == {len(past["at"])}


def test_when_it_is_full_every_second_moment_is_kept() -> None:
    history = _filled(8, samples=8)
    assert history.past()["step"] == 1
    history.record(Standing(at=8.0))
    assert history.past()["at"] == [1, 3, 5, 7]
    assert history.past()["step"] == 2
    history.record(Standing(at=9.0))
    assert history.past()["at"] == [1, 3, 5, 7, 9]


def test_a_tenant_that_comes_later_has_no_past_before() -> None:
    history = History()
    history.record(Standing(at=0.0, tenants=(tenant("vision"),)))
    history.record(Standing(at=1.0, tenants=(tenant("vision"), tenant("speech"))))
    history.record(Standing(at=2.0, tenants=(tenant("speech", fair_share=Fraction(1, 3)),)))
    tracks = {track["name"]: track for track in history.past()["tenants"]}
    assert tracks["vision"]["due"] == [2.0, 2.0, None]
    assert tracks["speech"]["due"] == [None, 2.0, 0.333]
    assert tracks["speech"]["got"] == [None, 1.5, 1.5]


def test_a_tenant_of_whom_nothing_is_left_is_forgotten() -> None:
    history = History(4)
    history.record(Standing(at=0.0, tenants=(tenant("vision"),)))
    for at in range(1, 40):
        history.record(Standing(at=float(at), tenants=(tenant("speech"),)))
    assert [track["name"] for track in history.past()["tenants"]] == ["speech"]


def test_only_tenants_that_have_pods_are_kept() -> None:
    history = History()
    leaf = tenant("vision", parent=TenantName("lab"))
    history.record(Standing(at=0.0, tenants=(tenant("lab", leaf=False), leaf)))
    assert [track["name"] for track in history.past()["tenants"]] == ["vision"]


@pytest.mark.parametrize("at", [0.0, 0.5, -10.0])
def test_a_moment_too_soon_or_too_late_is_left_out(at: float) -> None:
    history = History()
    history.record(Standing(at=0.0))
    history.record(Standing(at=at))
    assert len(history) == 1


def test_what_is_new_since_a_moment_can_be_asked_for() -> None:
    history = _filled(10, samples=20)
    past = history.past(6.0)
    assert past["at"] == [7, 8, 9]
    assert past["tenants"][0]["got"] == [1.5, 1.5, 1.5]
    assert history.past(9.0)["at"] == []
