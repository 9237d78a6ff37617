"""Nonces of an exchange that refuses a request whose nonce is not above every one of the key before it.

Two requests on two connections may overtake each other on their way, so those of one key go one after the other: each
is signed when the one before it was answered. One that hangs does not hold up the rest for long: after a while the next
goes ahead, and what hung is refused when it arrives after all, which proves that it did not execute.

A nonce is the host's time in milliseconds, not the pinned one of a placement, and never below the last one. Where that
is off by more than the exchange's whole seconds can hide, it is the exchange's time: so nonces go on where our clock
was set, also from one life of a process to the next. Still the exchange may be ahead of that, by another program with a
clock of its own. It cannot be asked by how much, so each refusal quadruples the lead that is taken, up to an hour,
until one is let through; from there on the clock catches up. What was refused did not execute, and is made again. A
request that one of our own overtook says nothing of the clock. Two daemons that share a key refuse each other's
requests for ever: that is an error of configuration.

Source: https://docs.kraken.com/api/docs/guides/spot-rest-auth.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from app.exchanges.client import TRACE
from app.exchanges.clock_offset import ClockOffset

OVERTAKE_S = 1.0
"""How long a request waits for the one before it to be answered."""
OFF_S = 2.0
"""A clock that is off by less is left as it is: two lives would measure it differently by as much as a second."""
LEAD_MIN_MS = 50
LEAD_FACTOR = 4
LEAD_MAX_MS = 3_600_000

_NONCE: ContextVar[int] = ContextVar("_NONCE", default=0)
"""Of the newest private request of the running task."""


class SerialNonces:
    """Goes before a ccxt class that signs with `incrementing_nonce`; every method overrides one it calls by itself."""

    router_clock: Callable[[], float]
    router_offset: ClockOffset
    router_last_nonce: int = 0
    router_lead_ms: int = 0
    router_before: asyncio.Event | None = None
    """Set once the newest private request was answered."""

    def incrementing_nonce(self) -> int:
        """Above every one of this client, and of an earlier one unless that one's clock was ahead."""
        offset_s = self.router_offset.value_s
        off_s = offset_s if abs(offset_s) > OFF_S else 0.0
        now_ms = int((self.router_clock() + off_s) * 1000) + self.router_lead_ms
        self.router_last_nonce = max(self.router_last_nonce + 1, now_ms)
        _NONCE.set(self.router_last_nonce)
        return self.router_last_nonce

    async def fetch2(self, path: str, api: Any = "public", *args: Any, **kwargs: Any) -> Any:
        """One private request after the other."""
        trace = TRACE.get()
        if "private" not in api or (trace is not None and trace.dry):
            return await super().fetch2(path, api, *args, **kwargs)  # type: ignore[misc]
        before, answered = self.router_before, asyncio.Event()
        self.router_before = answered
        try:
            if before is not None:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(OVERTAKE_S):
                        await before.wait()
            answer = await super().fetch2(path, api, *args, **kwargs)  # type: ignore[misc]
            self.router_lead_ms = 0
            return answer
        except Exception as error:  # raised again; only what it says of the nonce is kept
            if type(error).__name__ == "InvalidNonce" and _NONCE.get() == self.router_last_nonce:
                self.router_lead_ms = min(max(LEAD_FACTOR * self.router_lead_ms, LEAD_MIN_MS), LEAD_MAX_MS)
            raise
        finally:
            answered.set()
