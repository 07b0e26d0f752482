"""What goes wrong on the way to the fake API server, for the requests that a test names."""

import asyncio
from dataclasses import dataclass, field


@dataclass(slots=True)
class Fault:
    """Meets the next `times` requests with that verb and `path` in their path, after `skip` others.

    With a `status` the request is answered so, else its connection is dropped; `processed` says
    that it is carried out first. A fault with a `gate` lets the request through once that opens.
    """

    status: int | None = None
    retry_after: float = 0
    processed: bool = False
    verb: str = ""
    path: str = ""
    times: int = 1
    skip: int = 0
    gate: "Gate | None" = None


@dataclass(slots=True)
class Gate:
    """Holds requests: `reached` is set when one is there, and `open` lets them all through."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    _open: asyncio.Event = field(default_factory=asyncio.Event)

    def open(self) -> None:
        self._open.set()

    async def pass_through(self) -> None:
        self.reached.set()
        await self._open.wait()


class Faults:
    """All that are still to come; the first that fits is taken."""

    def __init__(self) -> None:
        self.waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        self.waiting.append(fault)

    def take(self, verb: str, path: str) -> Fault | None:
        for fault in self.waiting:
            if fault.verb in {"", verb} and fault.path in path:
                if fault.skip > 0:
                    fault.skip -= 1
                    return None
                fault.times -= 1
                if fault.times <= 0:
                    self.waiting.remove(fault)
                return fault
        return None
