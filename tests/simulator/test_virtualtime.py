"""Virtual time: what sleeps costs nothing, and order is that of the clock."""

import asyncio
import threading

import pytest

from scheduler.simulator.virtualtime import EPOCH, LoopClock, VirtualLoop, run


def test_sleeping_moves_the_clock_by_what_was_slept() -> None:
    async def main() -> tuple[float, float]:
        clock = LoopClock()
        before = clock.now()
        await clock.sleep(86_400.0 * 30)
        return before, clock.now() - before

    before, slept = run(main())
    assert before == EPOCH
    assert slept == pytest.approx(86_400.0 * 30)


def test_sleepers_wake_in_the_order_of_their_times() -> None:
    async def main() -> list[float]:
        woken: list[float] = []

        async def sleep(seconds: float) -> None:
            await asyncio.sleep(seconds)
            woken.append(asyncio.get_running_loop().time())

        await asyncio.gather(*map(sleep, (3.0, 0.001, 2.0, 0.0, 1000.0)))
        return woken

    assert run(main()) == pytest.approx([0.0, 0.001, 2.0, 3.0, 1000.0])


def test_time_stands_still_while_anybody_can_go_on() -> None:
    async def main() -> float:
        asyncio.get_running_loop().call_later(1.0, lambda: None)
        for _ in range(1000):
            await asyncio.sleep(0)
        return asyncio.get_running_loop().time()

    assert run(main()) == 0.0


def test_a_timeout_ends_what_takes_longer() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5.0):
                await asyncio.Event().wait()
        return asyncio.get_running_loop().time()

    assert run(main()) == pytest.approx(5.0)


def test_each_run_begins_at_the_same_moment() -> None:
    async def main() -> float:
        await asyncio.sleep(7.0)
        return LoopClock().now()

    assert run(main()) == run(main()) == EPOCH + 7.0


def test_with_nothing_but_a_thread_to_wait_for_it_waits() -> None:
    loop, woken = VirtualLoop(), threading.Event()

    async def main() -> bool:
        done = asyncio.Event()

        def work() -> None:
            woken.set()
            loop.call_soon_threadsafe(done.set)

        threading.Thread(target=work).start()
        return await done.wait()

    try:
        assert loop.run_until_complete(main())
    finally:
        loop.close()
    assert woken.is_set()
