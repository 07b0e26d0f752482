"""Lines out of chunks: what a watch sends, however it was cut on its way."""

from collections.abc import AsyncGenerator, AsyncIterable


async def lines(chunks: AsyncIterable[bytes]) -> AsyncGenerator[bytes]:
    """Give every whole line, without its end and none that is empty; of any length.

    What follows the last line end is left out: the stream was cut within it.
    """
    begun: list[bytes] = []
    async for chunk in chunks:
        # Only the new chunk is searched, so that a line of megabytes costs its length once.
        first, *others = chunk.split(b"\n")
        begun.append(first)
        for other in others:
            if line := b"".join(begun):
                yield line
            begun = [other]
