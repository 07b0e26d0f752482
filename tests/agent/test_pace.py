"""When something is written: at once, gently, as a sign of life, or not at all."""

from dataclasses import replace

import pytest

from scheduler.agent.pace import NEVER, Written, due
from scheduler.agent.picture import Health, Picture
from scheduler.agent.use import Use
from scheduler.core.model.ids import DeviceUUID
from scheduler.device.driver import DeviceRecord
from scheduler.settings import Agent

SETTINGS = Agent()
CARD = DeviceRecord(0, DeviceUUID("GPU-0"), "T4", 16_384)
WELL = Health(True, "AllHealthy", "every device answers", 1.0)
BASE = Picture("mock", (), (CARD,), WELL, (Use(CARD.uuid, 1000, 0, 300),), used_at=100.0)
LATER = replace(BASE, used_at=105.0)
BUSIER = replace(LATER, use=(Use(CARD.uuid, 1000, 0, 900),))
BROKEN = replace(LATER, devices=(replace(CARD, healthy=False, fault="XID 48"),))


@pytest.mark.parametrize(
    ("picture", "spread", "at"),
    [
        pytest.param(BASE, 0.0, NEVER, id="the same measurement"),
        pytest.param(LATER, 0.0, 160.0, id="a sign of life after a minute"),
        pytest.param(LATER, 1.0, 145.0, id="or a little earlier, by chance"),
        pytest.param(BUSIER, 0.0, 115.0, id="other use after fifteen seconds"),
        pytest.param(BUSIER, 1.0, 118.75, id="or a little later, by chance"),
        pytest.param(BROKEN, 0.5, 0.0, id="a fault at once"),
        pytest.param(replace(LATER, serves=("mps",)), 0.5, 0.0, id="another way to limit at once"),
        pytest.param(replace(LATER, used_at=None, use=()), 0.5, 0.0, id="no use at once"),
    ],
)
def test_a_picture_is_due(picture: Picture, spread: float, at: float) -> None:
    assert due(picture, Written(BASE, 100.0, spread), settings=SETTINGS) == at


def test_the_first_picture_is_due_at_once() -> None:
    assert due(BASE, None, settings=SETTINGS) == 0.0
