"""Many runs side by side, in as many processes as there are cores."""

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import active_children, get_context
from typing import TypeVar

Task = TypeVar("Task")
Run = TypeVar("Run")


def side_by_side(
    execute: Callable[[Task], Run], tasks: Sequence[Task], *, jobs: int
) -> Iterator[tuple[int, Run]]:
    """Execute every task in at most `jobs` processes; yield its number and its run when done."""
    if min(jobs, len(tasks)) <= 1:
        yield from ((number, execute(task)) for number, task in enumerate(tasks))
        return
    # Forking would copy the threads that draw the progress bar in a state nobody knows.
    with ProcessPoolExecutor(
        max_workers=min(jobs, len(tasks)),
        mp_context=get_context("spawn"),
        initializer=_leave_interrupts_to_the_parent,
    ) as pool:
        try:
            numbers = {pool.submit(execute, task): number for number, task in enumerate(tasks)}
            for future in as_completed(numbers):
                yield numbers[future], future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in active_children():
                worker.terminate()
            raise


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
