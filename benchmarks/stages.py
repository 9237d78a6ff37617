"""From the marks of a traced run to what each stage of an order costs, and to the messages an order takes: pure.

Orders of a traced run go one by one, so a mark belongs to the order in whose time it was made. Marks of work that is
not on the way of an order (telling the health monitor, say) may be made in the time of the next one; only their number
per order is told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from attrs import frozen

from benchmarks.figures import percentile

CALLED, TOLD, DELIVERED, SUBMITTED, PERFORMING = "called", "told", "delivered", "submitted", "performing"
PERFORMED, DRAINED, SENT, RECEIVED, ANSWERED = "performed", "drained", "sent", "received", "answered"
COMMIT, COMMITTED, RECORD, RECORDED, FETCH, FETCHED = (
    "commit", "committed", "record", "recorded", "fetch", "fetched",
)  # fmt: skip
HANDED_OVER = "handed_over"
"""One message was given to the transport; `word` joins what travels in it by +, `of` their ids by commas."""
DONE = "done"
"""Everything that the orders caused has arrived."""
REQUEST, REPLY = "PlaceOrder", "OrderAccepted"


@frozen
class Mark:
    """Something happened: `at_s` by the host's monotonic clock, `word` a message's type, `of` its correlation id."""

    at_s: float
    name: str
    word: str = ""
    of: str = ""

    def line(self) -> str:
        """As it is written to a trace file."""
        return f"{self.at_s:.7f} {self.name} {self.word or '-'} {self.of or '-'}\n"

    @classmethod
    def read(cls, line: str) -> Mark:
        """What `line` wrote."""
        at_s, name, word, of = line.split()
        return cls(float(at_s), name, "" if word == "-" else word, "" if of == "-" else of)


STAGES: tuple[tuple[str, str, str], ...] = (
    ("facade: call to message", CALLED, TOLD),
    ("hop: client to connector", TOLD, DELIVERED),
    ("limiter and commit", DELIVERED, SUBMITTED),
    ("runner: begin the call", SUBMITTED, PERFORMING),
    ("ccxt and HTTP", PERFORMING, PERFORMED),
    ("runner: hand over the result", PERFORMED, DRAINED),
    ("outcome record", DRAINED, SENT),
    ("hop: connector to client", SENT, RECEIVED),
    ("facade: message to answer", RECEIVED, ANSWERED),
)
"""What an order goes through, without gaps: each stage ends where the next begins."""

WITHIN: tuple[tuple[str, str, str], ...] = (
    ("limiter and commit: the journal's transaction", COMMIT, COMMITTED),
    ("ccxt and HTTP: the request itself", FETCH, FETCHED),
    ("outcome record: the journal's transaction", RECORD, RECORDED),
)
"""Parts of the above."""
JOURNAL = (WITHIN[0][0], WITHIN[2][0])
"""What of an order's time is the journal's."""


@frozen(kw_only=True)
class Traced:
    """What a traced run shows.

    Attributes:
        stages: By name, the time of each order in it.
        within: Parts of stages, the same way.
        hops: Messages given to the transport with the order's own request or answer in them, until it was answered; of
            each order.
        messages: Messages given to the transport in the run, by what travels in them, per order: those off its way too.
    """

    stages: dict[str, list[float]]
    within: dict[str, list[float]]
    hops: list[int]
    messages: dict[str, float]

    def told(self) -> dict[str, Any]:
        """As it is written down: milliseconds."""
        whole = sum(percentile(times, 50) for times in self.stages.values())

        def figures(times: Sequence[float]) -> dict[str, float]:
            p50 = percentile(times, 50)
            return {
                "p50_ms": round(1000 * p50, 4),
                "p99_ms": round(1000 * percentile(times, 99), 4),
                "share": round(p50 / whole, 3),
            }

        return {
            "stages": {name: figures(times) for name, times in self.stages.items()},
            "within": {name: figures(times) for name, times in self.within.items()},
            "hops_per_order": round(sum(self.hops) / len(self.hops), 3),
            "messages_per_order": {name: round(number, 3) for name, number in sorted(self.messages.items())},
        }


def read_stages(marks: Iterable[Mark]) -> Traced:
    """Puts marks together.

    Raises:
        ValueError: No order was traced, or one lacks a stage: the places that are marked have changed.
    """
    ordered = sorted(marks, key=lambda mark: mark.at_s)
    orders = _orders(ordered)
    if not orders:
        raise ValueError("no order was traced")
    stages: dict[str, list[float]] = {name: [] for name, _, _ in STAGES}
    within: dict[str, list[float]] = {name: [] for name, _, _ in WITHIN}
    hops = []
    for own in orders:
        at_s = _moments(own)
        for table, into in ((STAGES, stages), (WITHIN, within)):
            for name, begin, end in table:
                if begin not in at_s or end not in at_s:
                    missing = begin if begin not in at_s else end
                    raise ValueError(f"an order was traced without the mark {missing!r}")
                into[name].append(at_s[end] - at_s[begin])
        request = next(mark.of for mark in own if mark.name == TOLD)
        hops.append(sum(mark.name == HANDED_OVER and request in mark.of.split(",") for mark in own))
    first_s, last_s = orders[0][0].at_s, next(mark.at_s for mark in reversed(ordered) if mark.name == DONE)
    sent = (mark for mark in ordered if mark.name == HANDED_OVER and first_s <= mark.at_s <= last_s)
    number = Counter(mark.word for mark in sent)
    return Traced(
        stages=stages,
        within=within,
        hops=hops,
        messages={word: count / len(orders) for word, count in number.items()},
    )


def _orders(ordered: Sequence[Mark]) -> list[list[Mark]]:
    orders: list[list[Mark]] = []
    open_ = False
    for mark in ordered:
        if mark.name == CALLED:
            orders.append([])
            open_ = True
        if open_:
            orders[-1].append(mark)
        if mark.name == ANSWERED:
            open_ = False
    return orders


def _moments(own: Sequence[Mark]) -> dict[str, float]:
    """When each mark of an order was made: messages by their type, everything else by its first."""
    wanted = {TOLD: REQUEST, DELIVERED: REQUEST, SENT: REPLY, RECEIVED: REPLY}
    at_s: dict[str, float] = {}
    for mark in own:
        if mark.name not in at_s and wanted.get(mark.name, mark.word) == mark.word:
            at_s[mark.name] = mark.at_s
    return at_s
