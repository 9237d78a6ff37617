"""What time it is at the exchange: asked for, kept for the next life, and known before anything is signed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from app.exchanges.client import TRACE, type_client
from app.exchanges.clock_offset import ClockOffset, OffsetFile
from app.exchanges.failures import ClockUnknown
from app.exchanges.profiles.base import Profile


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

    def take_over(self) -> None:
        """Takes what an earlier life measured, where it can be relied on."""
        handed = None if self._file is None else self._file.read(self._clock)
        if handed is not None:
            self.offset.hand_over(handed)

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
        """Asks where nobody has yet; those who wait for it wait for the same question.

        Raises:
            ClockUnknown: There was no answer to rely on.
        """
        if self.offset.known:
            return
        if self._asking is None or self._asking.done():
            self._asking = asyncio.get_running_loop().create_task(ask())
        words = await asyncio.shield(self._asking)
        if words:
            raise ClockUnknown(words)
