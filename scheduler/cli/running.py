"""Work beside a block: it ends with the block, and a crash of it ends the block."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

Work = Callable[[], Coroutine[Any, Any, None]]
"""Work that isn't begun: whoever ends before it is begun leaves nothing unawaited."""


@contextlib.asynccontextmanager
async def running(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run beside the block, and end with it; a crash in one of them ends the block."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in work]
            yield
            for task in tasks:
                task.cancel()
    except BaseExceptionGroup as several:
        # Mostly it is one, and who started us knows it by its own type.
        if len(several.exceptions) == 1:
            raise several.exceptions[0] from None
        raise
