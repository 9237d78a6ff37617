"""What became of every message: answered once, returned, or lost with somebody who was hurt. Nothing else is right.

An actor that dies takes its mailbox along, and the transport says so of what was not yet acknowledged. What was
acknowledged and not answered went with its actor; so an unanswered note is explained when one on its way was hurt
between the time it was sent and the time it was given up, and by nothing else.
"""

from __future__ import annotations

from collections import Counter, deque

import attrs

GIVE_UP_S = 15.0
"""After this long a note is taken for unanswered; far above the longest stop (see `hurting`)."""
MAX_SAMPLES = 20_000
"""The last so many round trips: the books themselves must not be what grows."""
MAX_RETURNED = 5_000


@attrs.frozen(kw_only=True)
class _Sent:
    at_s: float
    way: tuple[int, ...]


@attrs.define
class Books:
    """Of one stretch.

    Attributes:
        counts: sent, answered, returned, went_with_an_actor, unexplained, answered_twice.
        round_trips_s: Of the last notes answered that met nobody who was hurt, for percentiles.
    """

    counts: Counter[str] = attrs.field(factory=Counter)
    round_trips_s: deque[float] = attrs.field(factory=lambda: deque([0.0] * MAX_SAMPLES, MAX_SAMPLES))
    _waiting: dict[int, _Sent] = attrs.field(factory=dict)
    _hurt_s: dict[int, float] = attrs.field(factory=dict)
    _returned: deque[int] = attrs.field(factory=lambda: deque(maxlen=MAX_RETURNED))

    def sent(self, number: int, way: tuple[int, ...], now_s: float) -> None:
        """A note left for the workers of these process ids, one after the other."""
        self.counts["sent"] += 1
        self._waiting[number] = _Sent(at_s=now_s, way=way)

    def hurt(self, pid: int, now_s: float) -> None:
        """Somebody was hurt; what is under way through it may be lost."""
        self._hurt_s[pid] = now_s

    def answered(self, number: int, now_s: float) -> None:
        """An answer came."""
        note = self._waiting.pop(number, None)
        if note is None:
            # What came back as not confirmed may have been handled all the same.
            returned = number in self._returned
            self.counts["answered_though_returned" if returned else "answered_twice"] += 1
            if returned:
                self._returned.remove(number)
            return
        self.counts["answered"] += 1
        if not self._explained(note):
            self.round_trips_s.append(now_s - note.at_s)

    def returned(self, number: int) -> None:
        """The transport gave it back, as not confirmed."""
        if self._waiting.pop(number, None) is not None:
            self.counts["returned"] += 1
            self._returned.append(number)

    def settle(self, now_s: float) -> None:
        """Give up what has waited for too long."""
        for number in [number for number, note in self._waiting.items() if now_s - note.at_s > GIVE_UP_S]:
            note = self._waiting.pop(number)
            self.counts["went_with_an_actor" if self._explained(note) else "unexplained"] += 1

    @property
    def waiting(self) -> int:
        """Notes without an end so far."""
        return len(self._waiting)

    def _explained(self, note: _Sent) -> bool:
        # Somebody hurt before it was sent counts as well: the sender learns of a death a moment later.
        return any(self._hurt_s.get(pid, 0.0) > note.at_s - GIVE_UP_S for pid in note.way)
