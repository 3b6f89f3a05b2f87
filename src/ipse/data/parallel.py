"""Threads that work through a stream in order, holding only a few items at a time."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def workers() -> int:
    """The number of processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def parallel(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Maps `work` over `items` in threads: results in order, and never more than two items per thread waiting."""
    pool = ThreadPoolExecutor(workers())
    waiting: deque[Future[R]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > 2 * workers():
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def blocks(
    items: Iterable[T], most: int, weight: Callable[[T], int] = lambda _: 0, heaviest: int = 1 << 23
) -> Iterator[list[T]]:
    """Cuts a stream into lists of at most `most` items that together weigh little more than `heaviest` (bytes)."""
    block: list[T] = []
    total = 0
    for item in items:
        block.append(item)
        total += weight(item)
        if len(block) == most or total >= heaviest:
            yield block
            block, total = [], 0
    if block:
        yield block
