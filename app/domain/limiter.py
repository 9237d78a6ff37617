"""A rate limiter with priorities, as a pure machine.

ccxt's own is one queue: a cancel behind 40 orders waits two seconds. Here what protects goes before what trades:
cancels first, then probes, then look-ups, then reads, then placements. The bucket is the usual one (`burst` tokens,
refilled at `per_s`); the last token is never given to a placement, so that a cancel never waits for a refill behind
one. When an exchange says "wait", nothing is granted until then.

The queue is bounded, and what cannot be granted before its deadline is turned away at once.
"""

from __future__ import annotations

from collections import deque
from enum import IntEnum
from typing import Generic, TypeVar

from attrs import define, field, frozen

T = TypeVar("T")


class Priority(IntEnum):
    """Which goes first; the smaller number."""

    CANCEL = 0
    PROBE = 1
    LOOK_UP = 2
    PLACE = 3
    READ = 4


@frozen(kw_only=True)
class RateLimit:
    """Requests an exchange takes from one account: on average, and at once."""

    per_s: float
    burst: int


@define
class Limiter(Generic[T]):
    """Grants in order of priority; first come first served within one."""

    limit: RateLimit
    max_queued: int = 1024
    _tokens: float = field(init=False)
    _at_s: float = field(init=False, default=0.0)
    _closed_until_s: float = field(init=False, default=0.0)
    _queues: dict[Priority, deque[tuple[T, float]]] = field(init=False)
    _queued: int = field(init=False, default=0)

    def __attrs_post_init__(self) -> None:
        self._tokens = float(self.limit.burst)
        self._queues = {priority: deque() for priority in Priority}

    def _refill(self, now_s: float) -> None:
        if now_s > self._at_s:
            self._tokens = min(float(self.limit.burst), self._tokens + (now_s - self._at_s) * self.limit.per_s)
            self._at_s = now_s

    def queued(self) -> int:
        """How many wait."""
        return self._queued

    def ask(self, item: T, priority: Priority, deadline_s: float, now_s: float) -> bool:
        """Queues an item. Returns False, and keeps nothing, when it could not be granted before its deadline."""
        self._refill(now_s)
        ahead = 0
        if self._queued:
            ahead = sum(len(queue) for level, queue in self._queues.items() if level <= priority)
        reserve = 1 if priority >= Priority.PLACE else 0
        lacking = max(0.0, ahead + 1 + reserve - self._tokens)
        wait_s = max(lacking / self.limit.per_s, self._closed_until_s - now_s)
        if now_s + wait_s > deadline_s or self._queued >= self.max_queued:
            return False
        self._queues[priority].append((item, deadline_s))
        self._queued += 1
        return True

    def granted(self, now_s: float) -> tuple[list[T], list[T]]:
        """What may go now, and what waited past its deadline and is turned away."""
        self._refill(now_s)
        go: list[T] = []
        late: list[T] = []
        if not self._queued:
            return go, late
        closed = now_s < self._closed_until_s
        for priority, queue in self._queues.items():
            reserve = 1.0 if priority >= Priority.PLACE and self.limit.burst > 1 else 0.0
            while queue:
                item, deadline_s = queue[0]
                if deadline_s <= now_s:
                    late.append(item)
                elif not closed and self._tokens >= 1.0 + reserve:
                    self._tokens -= 1.0
                    go.append(item)
                else:
                    break
                queue.popleft()
                self._queued -= 1
        return go, late

    def close_until(self, at_s: float) -> None:
        """The exchange asked for silence until then."""
        self._closed_until_s = max(self._closed_until_s, at_s)

    def next_s(self, now_s: float) -> float | None:
        """When something may be granted, or is to be turned away, next; None when nothing waits."""
        if not self._queued:
            return None
        self._refill(now_s)
        need = 2.0 if not any(self._queues[level] for level in Priority if level < Priority.PLACE) else 1.0
        need = min(need, float(self.limit.burst))
        granted_s = max(now_s + max(0.0, need - self._tokens) / self.limit.per_s, self._closed_until_s)
        return min([granted_s, *(queue[0][1] for queue in self._queues.values() if queue)])
