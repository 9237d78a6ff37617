"""The readiness of exchanges that are not in use, kept fresh before it is needed.

Each of them that is well is asked for a pre-flight again and again. So when the exchange in use dies, a backup that
passed a moment ago takes over without being asked once more: that would cost its slowest call, while no order flows. A
pre-flight that did not pass is not the last word, since what stood against it may be over: whoever failed it is asked
anew when nobody else is ready.

Three things are told apart: who passed, who did not, and who has not answered yet, since its connector has not loaded
its markets, or has not heard the question. To the last no switch is begun: at a start it would be given up, an epoch
for nothing, a moment before the answer. It is asked again soon instead, and the switch begins when somebody answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import define, field

from app.domain.saga_effects import AskPreflight, FailoverSettings
from messages.failover import PreflightReply, Readiness

UNREADY_AGAIN_S = 2.0
"""After a pre-flight that was not passed, before the next; twice as long after each further one, up to the interval.
What stood against it may be over long before the interval is."""
OPENING_AGAIN_S = 0.5
"""After an answer that its markets are not loaded yet: it comes from the connector alone, and costs no request."""


@define
class Readied:
    """What the last pre-flights found."""

    settings: FailoverSettings
    _known: dict[str, Readiness] = field(init=False, factory=dict)
    _next_s: dict[str, float] = field(init=False, factory=dict)
    _asked_s: dict[str, float] = field(init=False, factory=dict)
    _failures: dict[str, int] = field(init=False, factory=dict)
    _needed: frozenset[str] = field(init=False, factory=frozenset)
    _needed_s: float = field(init=False, default=float("-inf"))

    def told(self, reply: PreflightReply, now_s: float) -> None:
        """A connector answers, whoever asked."""
        self._known[reply.exchange] = Readiness(
            exchange=reply.exchange,
            problems=reply.problems,
            at_s=None if reply.opening else min(reply.at_s or now_s, now_s),
            notes=reply.notes,
            shortfalls=reply.shortfalls,
        )
        if reply.opening:
            self._next_s[reply.exchange] = now_s + OPENING_AGAIN_S
            return
        if not reply.problems and reply.exchange in self._asked_s:
            again_s = self._asked_s[reply.exchange] + self.settings.preflight_interval_s
            self._next_s[reply.exchange] = max(again_s, self._next_s.get(reply.exchange, again_s))
        if not reply.problems:
            self._failures.pop(reply.exchange, None)
            return
        failures = self._failures.get(reply.exchange, 0)
        again_s = now_s + min(UNREADY_AGAIN_S * 2.0 ** min(failures, 10), self.settings.preflight_interval_s)
        self._failures[reply.exchange] = failures + 1
        self._next_s[reply.exchange] = min(again_s, self._next_s.get(reply.exchange, again_s))

    def forget(self, exchange: str) -> None:
        """It is down, or in use: what it said before is worth nothing."""
        self._known.pop(exchange, None)
        self._failures.pop(exchange, None)
        self._next_s.pop(exchange, None)

    def of(self, exchange: str) -> Readiness:
        """What is known of an exchange."""
        return self._known.get(exchange, Readiness(exchange=exchange, problems=(), at_s=None))

    def answered(self, exchange: str) -> bool:
        """Whether it has ever said whether it is ready, since it was down or in use last."""
        return self.of(exchange).at_s is not None

    def needs(self, symbols: Iterable[str], now_s: float) -> None:
        """What is traded: who passed before a symbol was, was not asked about it, and is to be asked anew."""
        needed = frozenset(symbols)
        if not needed <= self._needed:
            self._needed_s = now_s
            self._next_s = dict.fromkeys(self._next_s, now_s)
        self._needed = needed

    def fresh(self, exchange: str, now_s: float) -> Readiness | None:
        """Its last pre-flight, where it is young enough to be used."""
        found = self._known.get(exchange)
        if found is None or found.at_s is None or found.at_s < self._needed_s:
            return None
        return None if now_s - found.at_s > self.settings.preflight_max_age_s else found

    def asked(self, exchange: str, now_s: float) -> None:
        """It is asked, by a switch or to keep this fresh."""
        self._asked_s[exchange] = now_s
        self._next_s[exchange] = now_s + self.settings.preflight_interval_s

    def hurried(self, needed: Mapping[str, float]) -> None:
        """Somebody waits for an answer of these, asked after a time: who gave none in its time is asked again."""
        for exchange, since_s in needed.items():
            found_s, asked_s = self.of(exchange).at_s, self._asked_s.get(exchange)
            if asked_s is None or (found_s is not None and found_s >= since_s):
                continue
            again_s = since_s if asked_s < since_s else asked_s + self.settings.preflight_timeout_s
            self._next_s[exchange] = min(again_s, self._next_s.get(exchange, again_s))

    def due(self, well: list[str], now_s: float) -> list[AskPreflight]:
        """Whom to ask now, of those that are well and not in use."""
        out = []
        for exchange in well:
            if now_s >= self._next_s.get(exchange, 0.0):
                self.asked(exchange, now_s)
                deadline_s = now_s + self.settings.preflight_timeout_s
                out.append(AskPreflight(exchange=exchange, deadline_s=deadline_s))
        return out

    def next_s(self, well: list[str]) -> float | None:
        """When the next one is to be asked."""
        return min((self._next_s.get(exchange, 0.0) for exchange in well), default=None)
