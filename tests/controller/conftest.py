"""A controller of two plain tenants on one node of two devices, and the hands around it."""

import logging

import pytest

from scheduler.controller.controller import Controller
from scheduler.core.ledger.ledger import Ledger
from tests.controller.hands import Eyes, Hands, controller
from tests.support.builders import node, tenant
from tests.support.extenders import ManualClock


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """What is logged on purpose, as errors mostly, isn't shown."""
    caplog.set_level(logging.CRITICAL)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def eyes() -> Eyes:
    return Eyes()


@pytest.fixture
def ledger() -> Ledger:
    return Ledger([node("n1", 2)])


@pytest.fixture
def made(ledger: Ledger, clock: ManualClock, hands: Hands, eyes: Eyes) -> Controller:
    return controller(ledger, [tenant("a"), tenant("b")], clock=clock, hands=hands, eyes=eyes)
