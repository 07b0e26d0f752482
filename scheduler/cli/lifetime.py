"""What commands that run until they are told to end have in common."""

import asyncio
import logging
import signal
import sys

FORMAT = "%(asctime)s %(levelname).1s %(name)s: %(message)s"

CHATTY = ("httpx", "uvicorn")
"""Each request, and each of our servers, would be some lines."""

log = logging.getLogger(__name__)


def log_to_stderr(level: str = "info") -> None:
    """Have everything logged, one line each."""
    log_to(logging.StreamHandler(sys.stderr), level)


def log_to(handler: logging.Handler, level: str = "info") -> None:
    """Have everything logged by that handler, one line each."""
    logging.basicConfig(level=level.upper(), format=FORMAT, handlers=[handler])
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)


class Ending:
    """Made in the event loop: from then on SIGTERM and SIGINT end nothing by themselves."""

    def __init__(self) -> None:
        self._told = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._told.set)

    async def told(self) -> None:
        """Wait until one of them came."""
        await self._told.wait()
        log.info("told to end")
