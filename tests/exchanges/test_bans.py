"""How long an exchange is left alone: as long as it says for our rate, days if need be, else minutes at most."""

from __future__ import annotations

import pytest

from app.domain.calls import Ambiguous, CallFailed, NotExecuted
from app.domain.rates import LONGEST_BAN_S
from app.exchanges.failures import WAIT_MAX_S
from messages.health import ProbeKind
from tests.exchanges.desk import Desk, spec, wire_id

HOUR_S = 3600


@pytest.mark.parametrize(
    ("kind", "said_s", "held_s"),
    [
        ("http_429", 7, 7.0),
        ("http_418", 2 * HOUR_S, 2.0 * HOUR_S),
        ("http_418", 72 * HOUR_S, LONGEST_BAN_S),
        ("http_418", 10**9, LONGEST_BAN_S),
    ],
)
def test_a_ban_holds_as_long_as_it_was_said_to(desk: Desk, kind: str, said_s: int, held_s: float) -> None:
    """For placements and for anything else; what no exchange documents is cut to the longest ban there is."""
    desk.truthful.fault(kind, params={"retry_after_s": said_s})
    placed, probe = desk.place(spec(), wire_id()), desk.probe(ProbeKind.PUBLIC)
    desk.truthful.clear_faults()
    assert isinstance(placed, NotExecuted)
    assert isinstance(probe, CallFailed)
    assert {(placed.code, placed.retry_after_s), (probe.code, probe.retry_after_s)} == {("rate_limited", held_s)}


def test_what_is_no_ban_is_asked_again_after_minutes(desks: dict[str, Desk], monkeypatch: pytest.MonkeyPatch) -> None:
    """A maintenance that names its end may end before."""
    desk = desks["binance"]
    desk.flat()
    monkeypatch.setattr(desk.port._failures._profile, "wait_s", lambda headers, now_s: 5.0 * HOUR_S)
    desk.truthful.fault("maintenance")
    probe = desk.probe(ProbeKind.PUBLIC)
    desk.truthful.clear_faults()
    assert isinstance(probe, CallFailed)
    assert (probe.code, probe.retry_after_s) == ("maintenance", WAIT_MAX_S)


def test_okx_unavailable_for_a_while_may_have_taken_the_order(desks: dict[str, Desk]) -> None:
    """ "Service temporarily unavailable" (50001, with a 503) is no word on the order it answers."""
    desk = desks["okx"]
    desk.flat()
    desk.truthful.fault("maintenance", call="place")
    placed = desk.place(spec(), wire_id())
    desk.truthful.clear_faults()
    assert isinstance(placed, Ambiguous)
    assert (placed.native_code, placed.code) == ("50001", "maintenance")
