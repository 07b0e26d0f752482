"""Whole lists, in pages that are small enough to be read without holding up others."""

import asyncio
from collections.abc import Mapping

import orjson

from scheduler.kube.client import JSON, Client
from scheduler.kube.errors import Gone

FIRST_PAGE = 100
"""Objects in the first page, whose size isn't known yet."""

PAGE_BYTES = 2**20
"""What one page is to have: some 10 ms to read, and nothing else runs meanwhile."""

_SMALLEST, _TRIES = 10, 3


async def list_all(
    client: Client, path: str, params: Mapping[str, str] | None = None, *, page: int = 500
) -> tuple[list[JSON], str]:
    """Return all objects as they are at one moment, and the version of that moment.

    At most `page` of them a request, fewer if they are large. Raises what Client.get raises.
    """
    for _ in range(_TRIES - 1):
        try:
            return await _pages(client, path, params or {}, page)
        except Gone:
            # The pages took longer than the server remembers: from the beginning.
            continue
    return await _pages(client, path, params or {}, page)


async def _pages(
    client: Client, path: str, params: Mapping[str, str], page: int
) -> tuple[list[JSON], str]:
    found: list[JSON] = []
    limit, after = min(page, FIRST_PAGE), ""
    while True:
        # Without resourceVersion: what the server answers is what is stored now.
        asked = {**params, "limit": str(limit), **({"continue": after} if after else {})}
        body = await client.read(path, asked)
        answer = orjson.loads(body)
        items, about = answer.get("items") or [], answer.get("metadata") or {}
        found += items
        await asyncio.sleep(0)
        after = about.get("continue") or ""
        if not after:
            return found, str(about.get("resourceVersion") or "")
        limit = max(_SMALLEST, min(page, PAGE_BYTES * len(items) // len(body)))
