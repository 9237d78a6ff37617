"""A placement is refused by the exchange after its expiry, whatever delayed it, and by whichever clock is wrong."""

import pytest

from app.domain.calls import Ambiguous, ExpiryEnforcement, NotExecuted, Placed, ProbeOk
from app.simulator.thread import SimulatorThread
from messages.health import ProbeKind
from tests.exchanges.desk import EXCHANGES, Desk, spec, until, wire_id

EXPIRED = {
    "bybit": {"10002"},
    "okx": {"50102", "50036"},
    "binance": {"-1021", "-4188", "-5028"},
    "kraken": {"wouldProcessAfterSpecifiedTime"},
}


def test_an_order_that_arrives_after_its_expiry_is_refused_by_the_exchange(desk: Desk) -> None:
    """The signature is pinned to the commit: signing late does not make it fresh. Here our clock falls behind."""
    wire = wire_id()
    desk.clock.behind_s = 12.0
    answer = desk.place(spec(), wire)
    desk.clock.behind_s = 0.0
    assert isinstance(answer, NotExecuted)
    assert (answer.code, answer.ill) == ("expired", True)
    assert answer.native_code in EXPIRED[desk.name]
    assert desk.truth(wire) == []


def test_an_order_already_expired_is_not_sent(desk: Desk) -> None:
    """Which proves that it did not execute."""
    sent = desk.seen("place")
    answer = desk.place(spec(), wire_id(), validity_s=-0.001)
    assert isinstance(answer, NotExecuted)
    assert answer.code == "expired"
    assert desk.seen("place") == sent


def test_a_late_order_executes_only_where_the_engine_does_not_look(desk: Desk) -> None:
    """Admitted in time, executed after the expiry: what `Proof.lateness_s` is declared for."""
    wire, marker = wire_id(), wire_id()
    desk.truthful.fault("late", call="place", params={"delay_s": 0.6}, count=2)
    assert isinstance(desk.place(spec(), wire, validity_s=0.4), Ambiguous)
    assert isinstance(desk.place(spec(), marker), Ambiguous)
    until(lambda: desk.truth(marker))  # executed as late, but valid: so the first one's turn is over
    if desk.port.proof.enforcement is ExpiryEnforcement.ENGINE:
        assert desk.port.proof.lateness_s == 0
        assert desk.truth(wire) == []
    else:
        assert desk.port.proof.lateness_s >= 2
        assert len(desk.truth(wire)) == 1


@pytest.mark.parametrize("behind_s", [-40.0, 40.0])
@pytest.mark.parametrize("name", EXCHANGES)
def test_a_clock_that_is_wrong_by_much_is_measured_and_corrected(
    sims: SimulatorThread, name: str, behind_s: float
) -> None:
    """Ours or the exchange's, before anything is signed; probes keep the measure."""
    desk = Desk(sims[name])
    desk.clock.behind_s = behind_s
    assert desk.open() == ""
    desk.flat()
    assert desk.port.clock_offset_s == pytest.approx(behind_s, abs=0.5)
    assert isinstance(desk.place(spec(), wire_id()), Placed)
    probe = desk.probe(ProbeKind.PUBLIC)
    assert isinstance(probe, ProbeOk)
    assert probe.clock_offset_s == pytest.approx(behind_s, abs=0.5)
    expired = wire_id()
    desk.clock.behind_s = behind_s + 12
    assert isinstance(desk.place(spec(), expired), NotExecuted)
    assert desk.truth(expired) == []
    desk.close()


def test_every_exchange_is_sent_an_expiry(desk: Desk) -> None:
    """None is declared to enforce none, and what a proof needs is stated."""
    proof = desk.port.proof
    assert proof.enforcement is not ExpiryEnforcement.NONE
    assert proof.validity_s == 5.0
    assert proof.margin_s == proof.lateness_s + proof.visibility_s + proof.clock_error_s
