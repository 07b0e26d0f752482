"""Bid prices of a live cluster, worked out beside the event loop as what is asked for grows."""

import asyncio
import logging

from scheduler.clock import Clock
from scheduler.core.ledger.ledger import Ledger
from scheduler.core.packing.mixer import Mixer
from scheduler.pricing.fitting import fit

EVERY_SECONDS = 10.0
"""So often it is looked whether prices are still those of what people ask for."""

RESIZED = 0.25
"""How much larger or smaller the cluster must be before prices are old."""

log = logging.getLogger(__name__)


class Pricer:
    """Keeps the mixer's bids up to date."""

    def __init__(self, mixer: Mixer, ledger: Ledger, *, clock: Clock) -> None:
        self._mixer, self._ledger, self._clock = mixer, ledger, clock
        self._capacity = 0

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await self._clock.sleep(EVERY_SECONDS)
            await self.look()

    async def look(self) -> bool:
        """Work prices out if there is news; whether there are new ones."""
        ledger = self._ledger
        capacity = int(ledger.columns.cap.sum())
        resized = abs(capacity - self._capacity) > RESIZED * self._capacity
        if not self._mixer.prices_are_old and not resized:
            return False
        mix, self._capacity = self._mixer.to_be_priced(), capacity
        # A copy: others go on booking meanwhile.
        columns = ledger.columns.copy()
        try:
            bids = await asyncio.to_thread(fit, columns, dict(mix.weights))
        except Exception:
            # Prices that are a little old do no harm; a crash here would end everything.
            log.exception("prices could not be worked out; those from before count on")
            return False
        self._mixer.price(bids)
        log.info("prices of %d kinds of requests are worked out anew", len(mix.weights))
        return True
