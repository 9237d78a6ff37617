"""Calls that have had no answer yet: who is told of the oldest of each kind, and when.

A call that takes long is worth knowing of before its deadline. So the oldest one of a kind is told of at ages that
double, 0.25 s, 0.5 s, 1 s and so on: a handful of messages for a call that never comes back, and none while everything
is answered sooner. What is answered makes room for the next oldest, which is told of at the next age it reaches.

All of it takes constant time for each call, since calls of a kind are sent in order.
"""

from __future__ import annotations

from math import ceil, inf, log2

from attrs import define, field

from app.domain import calls as c
from messages.health import EvidenceKind, Waiting

FIRST_S = 0.25
"""The youngest age that is told of: several times what an exchange that is well takes."""
LAST_S = 64.0
"""The oldest age that is told of: every call has been given up long before."""
_ROUNDING_S = 1e-6
"""A timer may fire so much before its time."""


def kind_of(call: c.Call) -> EvidenceKind | None:
    """What the answer to a call is evidence of; None where it is none.

    None for probes, whose asker makes its own, for a dry request, which reaches nobody, for a list of executions and
    for the exchange's word on itself: history that is not told, and a page that other servers answer, are no reason to
    trade elsewhere.
    """
    match call:
        case c.ProbeCall() | c.DryCall() | c.FillsCall() | c.StatusCall():
            return None
        case c.PlaceCall():
            return EvidenceKind.PLACE
        case c.CancelCall():
            return EvidenceKind.CANCEL
        case _:
            return EvidenceKind.READ


@define
class _Kind:
    """Calls of one kind, the oldest first, by their id; `due_s` is when the oldest is told of next."""

    sent_s: dict[int, float] = field(factory=dict)
    due_s: float = inf

    def next_age(self, now_s: float) -> None:
        """The next age that the oldest reaches."""
        oldest_s = next(iter(self.sent_s.values()), None)
        if oldest_s is None:
            self.due_s = inf
            return
        age_s = max(now_s - oldest_s + 2 * _ROUNDING_S, FIRST_S / 2 + _ROUNDING_S)
        next_s = FIRST_S * 2.0 ** ceil(log2(age_s / FIRST_S))
        self.due_s = oldest_s + next_s if next_s <= LAST_S else inf


@define
class Unanswered:
    """Of one connector."""

    exchange: str
    _kinds: dict[EvidenceKind, _Kind] = field(init=False, factory=dict)
    _to_tell: dict[EvidenceKind, Waiting] = field(init=False, factory=dict)

    def sent(self, call_id: int, call: c.Call, now_s: float) -> None:
        """A call is on its way."""
        kind = kind_of(call)
        if kind is None:
            return
        calls = self._kinds.setdefault(kind, _Kind())
        calls.sent_s[call_id] = now_s
        if len(calls.sent_s) == 1:
            calls.due_s = now_s + FIRST_S

    def answered(self, call_id: int, call: c.Call, now_s: float) -> None:
        """It came back, or was given up."""
        kind = kind_of(call)
        calls = None if kind is None else self._kinds.get(kind)
        if calls is None or call_id not in calls.sent_s:
            return
        oldest = next(iter(calls.sent_s)) == call_id
        del calls.sent_s[call_id]
        if oldest:
            calls.next_age(now_s)

    def tick(self, now_s: float) -> None:
        """Notes the oldest call of each kind that has reached an age."""
        for kind, calls in self._kinds.items():
            if now_s >= calls.due_s - _ROUNDING_S:
                oldest_s = next(iter(calls.sent_s.values()))
                self._to_tell[kind] = Waiting(exchange=self.exchange, kind=kind, sent_s=oldest_s, at_s=now_s)
                calls.next_age(now_s)

    def to_tell(self) -> tuple[Waiting, ...]:
        """What was noted since the last time: each age of a call once, and of a kind the newest."""
        if not self._to_tell:
            return ()
        told, self._to_tell = tuple(self._to_tell.values()), {}
        return told

    def next_s(self) -> float | None:
        """When there is something to tell next, if nothing is answered until then; None while nothing waits."""
        due_s = min([calls.due_s for calls in self._kinds.values()], default=inf)
        return None if due_s == inf else due_s
