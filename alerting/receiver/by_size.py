"""What a small body needs is done at once; what a large one needs, in a thread, so that nobody else waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

R = TypeVar("R")

# About ten alerts. Handing over to a thread and back costs more than reading so much.
SMALL_BYTES = 16 * 1024


async def by_size(work: Callable[[bytes], R], body: bytes) -> R:
    """What `work` returns, or raises, for the body."""
    if len(body) <= SMALL_BYTES:
        return work(body)
    return await asyncio.to_thread(work, body)
