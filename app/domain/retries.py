"""When a placement is tried again: after proof that it did not execute, a few times, and not where trading is lost.

Nothing ambiguous comes here: what nobody can know is asked after, not placed again. What did not execute is tried again
on the same exchange, `max_retry_attempts` times in all and `retry_delay` apart, spread a little, so that many that were
turned away together do not come back together; later, where the exchange asks for more time. The tries are counted for
each order on each exchange, however many requests there are for it.

From the moment the detector calls the exchange down there is no further try: what waits is the failover's, and goes
where trading goes, within its deadline. Should the same exchange be called well again first, it is as good as another:
what waited goes there, and its tries are counted anew. What is under way is left alone.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field, frozen

from messages.orders import LegView, OrderKey

SPREAD = 0.2
"""The share by which a wait is shorter or longer than `delay_s`."""


def middle() -> float:
    """No spread at all: for who has nothing to draw from."""
    return 0.5


@frozen(kw_only=True)
class RetryPolicy:
    """How often, and how far apart.

    Attributes:
        attempts: Tries of one order on one exchange.
        delay_s: Between them.
        jitter: A number between 0 and 1, drawn anew each time.
    """

    attempts: int
    delay_s: float
    jitter: Callable[[], float] = middle

    def wait_s(self, asked_s: float = 0.0, *, most_s: float | None = None) -> float:
        """From a failed try to the next one.

        Args:
            asked_s: What the exchange asked for: never less than that.
            most_s: Instead of a longer delay.
        """
        delay_s = self.delay_s if most_s is None else min(self.delay_s, most_s)
        spread = SPREAD * (2.0 * self.jitter() - 1.0)
        return max(delay_s * (1.0 + spread), asked_s + delay_s * max(0.0, spread))


@define
class _Tries:
    requests: int = 0
    exchange: str = ""
    attempt: tuple[int, int] = (0, 0)
    failed: int = 0
    next_s: float = 0.0


@define
class Retries:
    """Of one session.

    Attributes:
        down: The exchange in use, once the detector has called it down; None while it has not.
    """

    policy: RetryPolicy
    down: str | None = field(init=False, default=None)
    _tries: dict[OrderKey, _Tries] = field(init=False, factory=dict)

    def asked(self, key: OrderKey) -> None:
        """A request to place the order begins."""
        self._tries.setdefault(key, _Tries()).requests += 1

    def dropped(self, key: OrderKey) -> None:
        """One ends; after the last, the owner who asks again has all tries again."""
        tries = self._tries.get(key)
        if tries is not None:
            tries.requests -= 1
            if tries.requests <= 0:
                del self._tries[key]

    def failed(self, key: OrderKey, leg: LegView, now_s: float, asked_s: float) -> float | None:
        """A try is proven not to have executed: when there is another one; None while only news can bring one."""
        tries = self._tries.setdefault(key, _Tries(requests=1))
        attempt = leg.number, leg.attempts
        if (tries.exchange, tries.attempt) != (leg.exchange, attempt):
            tries.failed = tries.failed + 1 if tries.exchange == leg.exchange else 1
            tries.exchange, tries.attempt = leg.exchange, attempt
            tries.next_s = now_s + self.policy.wait_s(asked_s)
        # else another request for the order was told of the same try: both wait for the same next one
        return None if self.barred(key, leg.exchange) else tries.next_s

    def failed_on(self, key: OrderKey, exchange: str | None) -> bool:
        """Whether its last try was there."""
        tries = self._tries.get(key)
        return tries is not None and tries.exchange == exchange

    def barred(self, key: OrderKey, exchange: str | None) -> bool:
        """Whether it is not to be tried there again, until there is news."""
        if exchange is not None and exchange == self.down:
            return True
        tries = self._tries.get(key)
        return tries is not None and tries.exchange == exchange and tries.failed >= self.policy.attempts

    def told(self, exchange: str | None, *, down: bool) -> bool:
        """The coordinator says where orders go, and whether that is down; whether it is well again."""
        if exchange is None:
            return False  # between two routes
        before, self.down = self.down, exchange if down else None
        well_again = before == exchange and not down
        if well_again:
            for tries in self._tries.values():
                tries.failed = 0
        return well_again
