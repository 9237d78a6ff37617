"""What the coordinator's machine is given, and what it wants done: values its shell performs, in order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from app.domain.effects import Answer, Asker
from messages.carries import CarryPolicy
from messages.failover import Route, RouterState, Switch
from messages.positions import PositionPolicy

MANUAL = "Manual failover"
"""The reason in the history of a switch that was asked for; the words are the seed's."""


@frozen(kw_only=True)
class Line:
    """One row of the append-only history: what was done, with what evidence and result.

    Attributes:
        epoch: Of the switch it belongs to, or of the route at that moment.
        detail: Texts, numbers and lists of them.
    """

    step: str
    epoch: int
    detail: Mapping[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class SaveSwitch:
    """Write the switch into the history, and what happened to it as rows: all of it in one transaction."""

    switch: Switch
    lines: tuple[Line, ...] = ()


@frozen(kw_only=True)
class Tell:
    """Append to the history what belongs to no switch."""

    line: Line


@frozen(kw_only=True)
class Fence:
    """Begin a new epoch; answer with `Coordinator.fenced`."""


@frozen(kw_only=True)
class CommitRoute:
    """Give the epoch its exchange; answer with `Coordinator.committed`, or `route_moved`."""

    epoch: int
    exchange: str


@frozen(kw_only=True)
class AskSettle:
    """Ask the connector of an exchange to settle; answer with `Coordinator.settled`, or not at all.

    Attributes:
        epoch: Only what was committed under an older one is touched: trading may be back there by then.
    """

    exchange: str
    epoch: int
    deadline_s: float


@frozen(kw_only=True)
class AskPreflight:
    """Ask the connector of an exchange whether it is ready; answer with `Coordinator.preflight_done`, or not at all.

    Attributes:
        urgent: A switch waits for it.
    """

    exchange: str
    deadline_s: float
    urgent: bool = False


@frozen(kw_only=True)
class AskCarry:
    """Have what was taken off placed where trading is; answer with `Coordinator.carried`, or not at all.

    Where nothing was taken off nobody need be asked: `carried` is told so at once.
    """

    exchange: str
    epoch: int
    deadline_s: float


@frozen(kw_only=True)
class AskMoves:
    """Have the position synchronizer move positions; answer with `Coordinator.moved`, or not at all."""

    epoch: int
    deadline_s: float


@frozen(kw_only=True)
class AskBook:
    """Ask the position synchronizer what stands on an exchange; answer with `Coordinator.book_told`, or not at all."""

    exchange: str
    deadline_s: float


@frozen(kw_only=True)
class Announce:
    """Tell every session the route, the state, and whether the exchange in use is down."""

    route: Route
    state: RouterState
    down: bool = False


CoordinatorEffect = (
    SaveSwitch
    | Tell
    | Fence
    | CommitRoute
    | AskSettle
    | AskPreflight
    | AskCarry
    | AskMoves
    | AskBook
    | Announce
    | Answer
)


@frozen(kw_only=True)
class Want:
    """A switch that is wanted.

    Attributes:
        to: Candidates, in order.
        asked: By a person or a program, not by the router itself.
        rejected: Who is no candidate, and why.
        asker: Who is told how it ended; None where nobody asked.
        correlation_id: Of what they asked.
        evidence: The pieces that decided.
    """

    to: tuple[str, ...]
    reason: str
    asked: bool = False
    rejected: tuple[tuple[str, str], ...] = ()
    asker: Asker | None = None
    correlation_id: str = ""
    evidence: tuple[str, ...] = ()


@frozen(kw_only=True)
class FailoverSettings:
    """What the coordinator is to keep to.

    Attributes:
        exchanges: The primary first, then the failover exchanges in their order.
        retry_failed_s: After a switch for which no candidate passed, before the next is begun by itself;
            twice as long after each further one, up to `RETRY_FAILED_MAX_S`.
        dwell_s: After a switch that the router made by itself, before the next one that no death forces (`leaving`).
        failback_auto: Whether trading goes back to the primary by itself.
        hold_down_s: For how long the primary must have been well before it does.
        preflight_max_age_s: How old a pre-flight may be to be used, for an exchange that dies, without another.
        preflight_interval_s: Between two pre-flights of each exchange that is not in use.
        return_settle_s: For how long an exchange that came back is no candidate while orders of ours of older epochs
            may still fill there.
        carry_timeout_s: How long a switch waits for orders to be placed, before it goes on to positions.
        moves_timeout_s: Likewise for positions, before it ends; they go on moving.
        carry: What becomes of orders that rest on an exchange that is left.
        positions: What becomes of positions there.
    """

    exchanges: tuple[str, ...]
    auto_failover: bool = True
    settle_timeout_s: float = 5.0
    preflight_timeout_s: float = 5.0
    retry_failed_s: float = 10.0
    dwell_s: float = 60.0
    failback_auto: bool = False
    hold_down_s: float = 300.0
    preflight_max_age_s: float = 60.0
    preflight_interval_s: float = 20.0
    return_settle_s: float = 60.0
    carry_timeout_s: float = 10.0
    moves_timeout_s: float = 15.0
    carry: CarryPolicy = CarryPolicy.REPLACE
    positions: PositionPolicy = PositionPolicy.TRACK

    @property
    def primary(self) -> str:
        """Where trading belongs."""
        return self.exchanges[0]
