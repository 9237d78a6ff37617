"""What time it is at the exchange: asked for, kept for the next life, and known before anything is signed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from app.exchanges.client import TRACE, type_client
from app.exchanges.clock_offset import ClockOffset, OffsetFile
from app.exchanges.failures import ClockUnknown
from app.exchanges.profiles.base import Profile

DOUBTED_S = 1.0
"""The longest that a signed call waits for a clock that is only doubted, and the least time between two such doubts."""

AGAIN_S = 0.05
"""The least time between two such doubts where a measurement contradicts what is held as well: a round trip."""


class ExchangeTime:
    """Of one port.

    Args:
        clock: Unix seconds of the host's anchored clock.
        file: What an earlier life left and this one leaves; None for nothing.
    """

    def __init__(self, profile: Profile, clock: Callable[[], float], file: OffsetFile | None) -> None:
        self.offset = ClockOffset(profile.proof.clock_error_s)
        self._profile = profile
        self._clock = clock
        self._file = file
        self._asking: asyncio.Task[str] | None = None
        self._refused_s: float | None = None

    def take_over(self) -> None:
        """Takes what an earlier life measured, where it can be relied on."""
        handed = None if self._file is None else self._file.read(self._clock)
        if handed is not None:
            self.offset.hand_over(handed)

    def close(self) -> None:
        """Ends a question that is under way."""
        if self._asking is not None:
            self._asking.cancel()

    async def measure(self, client: type_client) -> float | None:
        """One question for the exchange's time; None where it took too long to tell anything.

        It counts from when a connection was had: DNS, TCP and TLS would be in it on one of its two ways only.
        """
        trace = TRACE.get()
        began_s = self._clock()
        server_s = await self._profile.server_time_s(client)
        answered_s = self._clock()
        sent_s = began_s if trace is None or trace.had_s is None else trace.had_s
        offset_s = self.offset.measured(sent_s, server_s, answered_s, resolution_s=self._profile.clock_resolution_s)
        held = self.offset.held
        if self._file is not None and held is not None:
            self._file.write(held, self._clock)
        return offset_s

    def unknown(self) -> str:
        """One sentence where it is not known although it was asked for; else an empty text."""
        if self.offset.known:
            return ""
        limit_s = self._profile.proof.clock_error_s
        return f"{self._profile.name} took too long to tell its time: it may be off by more than {limit_s:g} s."

    async def know(self, ask: Callable[[], Coroutine[Any, Any, str]]) -> None:
        """Asks where nobody has yet; those who wait for it wait for the same question, and not for long where it is
        only doubted.

        Raises:
            ClockUnknown: There was no answer to rely on.
        """
        asking = self._asking if self._asking is not None and not self._asking.done() else None
        if self.offset.known:
            if asking is not None:
                await asyncio.wait((asking,), timeout=DOUBTED_S)
            return
        if asking is None:
            asking = self._asking = asyncio.get_running_loop().create_task(ask())
        words = await asyncio.shield(asking)
        if words and not self.offset.known:
            raise ClockUnknown(words)

    def refused(self, ask: Callable[[], Coroutine[Any, Any, str]]) -> None:
        """The exchange refused a call for its time: it is asked for at once, and what is signed next waits for that.

        Our clock may have been set, or the exchange's; or the call was slow, and then nothing changes. So one question
        a second is enough, however many calls are refused; but where a measurement has said the same since, as of a
        clock that is set twice, one more decides it.
        """
        now_s = self._clock()
        asking = self._asking is not None and not self._asking.done()
        pause_s = AGAIN_S if self.offset.contradicted else DOUBTED_S
        if asking or (self._refused_s is not None and abs(now_s - self._refused_s) < pause_s):
            return
        self._refused_s = now_s
        self.offset.doubt()
        self._asking = asyncio.get_running_loop().create_task(ask())
