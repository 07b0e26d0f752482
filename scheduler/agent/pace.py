"""When a picture is due to be written: at once if devices changed, gently if only their use did."""

from dataclasses import dataclass

from scheduler.agent.picture import Picture
from scheduler.agent.use import moved
from scheduler.settings import Agent

NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Written:
    """The picture that is published, and when it was written (seconds since the epoch).

    `spread`, drawn in [0, 1) for each write, keeps thousands of agents out of step.
    """

    picture: Picture
    at: float
    spread: float = 0.0


def due(picture: Picture, written: Written | None, *, settings: Agent) -> float:
    """Return when the picture is to be written, in seconds since the epoch; NEVER if it isn't.

    Without news nothing is written; a new measurement of the same is news once a minute.
    """
    if written is None or picture.lasting != written.picture.lasting:
        return 0.0
    if picture.used_at == written.picture.used_at:
        return NEVER
    if moved(written.picture.use, picture.use, settings=settings):
        return written.at + settings.use_seconds * (1 + written.spread / 4)
    return written.at + settings.heartbeat_seconds * (1 - written.spread / 4)
