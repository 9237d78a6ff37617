"""What is read only where somebody has written: nobody's write is missed, and what could not be read is read again."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from actors.failover_verbs import READ_AGAIN_S, VerbHands
from actors.position_moves import IDLE_S, UNREADABLE_S, PositionMoves
from actors.position_reading import PositionReading
from app.domain.position_settings import PositionSettings
from app.journal.errors import JournalError
from app.journal.store import Journal

NOW_S = 1_700_000_000.0


def test_a_stamp_changes_with_every_write_of_whomever_and_with_nothing_else(tmp_path: Path) -> None:
    ours, theirs = Journal(tmp_path / "journal.db"), Journal(tmp_path / "journal.db")
    before = ours.stamp()
    assert ours.stamp() == before
    theirs.route()
    assert ours.stamp() == before, "reading is no writing"
    theirs.fence(NOW_S)
    after_theirs = ours.stamp()
    assert after_theirs != before
    assert ours.stamp() == after_theirs
    ours.fence(NOW_S)
    after_ours = ours.stamp()
    assert after_ours != after_theirs
    assert ours.stamp() == after_ours
    ours.close()
    theirs.close()


def looks_of(journal: Journal, *, fails: int) -> tuple[PositionMoves, list[float]]:
    """The half that moves positions, and when it looked into its journal, whose first reads fail."""
    looked: list[float] = []
    environment: Any = SimpleNamespace(
        positions=PositionSettings(), market_type="swap", connectors={"bybit": None, "okx": None}, order_timeout_s=10.0
    )
    moves = PositionMoves(journal, environment, 0, send=lambda *_: None, directory=lambda: None, now_s=NOW_S)
    ground = moves._ground

    def watched(now_s: float) -> Any:
        looked.append(now_s - NOW_S)
        if len(looked) <= fails:
            raise JournalError("The journal cannot be used now: database is locked.")
        return ground(now_s)

    moves._ground = watched  # type: ignore[method-assign]
    return moves, looked


def ticked(moves: PositionMoves, for_s: float) -> None:
    """Woken whenever it wants to be."""
    now_s = NOW_S
    while now_s <= NOW_S + for_s:
        moves.on_tick(now_s)
        now_s = max(moves.next_s(now_s) or 0.0, now_s + 0.01)


def test_a_look_that_failed_is_made_again_though_nobody_writes() -> None:
    """Long after positions were last moved, so that nothing else makes it look."""
    journal = Journal(None)
    journal.fence(NOW_S)
    journal.commit_route(1, "bybit", NOW_S)
    moves, looked = looks_of(journal, fails=1)
    moves._exits_until_s = NOW_S
    ticked(moves, 10 * UNREADABLE_S)
    assert looked == [0.0, UNREADABLE_S], "once more, and then it rests"
    journal.close()


def test_who_rests_looks_again_once_somebody_has_written() -> None:
    journal = Journal(None)
    journal.fence(NOW_S)
    journal.commit_route(1, "bybit", NOW_S)
    moves, looked = looks_of(journal, fails=0)
    moves._exits_until_s = NOW_S
    ticked(moves, 10 * IDLE_S)
    assert len(looked) == 1
    journal.fence(NOW_S)
    moves.on_tick(NOW_S + 11 * IDLE_S)
    assert len(looked) == 2
    journal.close()


def test_what_was_read_for_moving_is_read_again_once_somebody_has_written() -> None:
    journal = Journal(None)
    journal.fence(NOW_S)
    journal.commit_route(1, "bybit", NOW_S)
    moves, _ = looks_of(journal, fails=0)
    moves.on_tick(NOW_S)
    assert moves._ground(NOW_S).route.exchange == "bybit"
    journal.fence(NOW_S)
    moves.on_tick(NOW_S + IDLE_S)
    assert moves._ground(NOW_S + IDLE_S).route.exchange is None
    journal.close()


def test_what_stands_is_read_once_for_as_long_as_nobody_writes() -> None:
    journal, reads = Journal(None), list[int]()

    class Watched:
        stamp = journal.stamp

        def holdings(self) -> Any:
            reads.append(1)
            return journal.holdings()

    half: Any = SimpleNamespace(journal=Watched(), _stamp=None, _held=None)
    assert PositionReading._holdings(half) == PositionReading._holdings(half) == ({}, ())
    assert len(reads) == 1
    journal.fence(NOW_S)
    PositionReading._holdings(half)
    assert len(reads) == 2
    journal.close()


def test_what_holds_is_read_again_when_somebody_wrote_and_now_and_then_since_what_is_traded_is_also_forgotten() -> None:
    journal, reads = Journal(None), list[float]()
    controls = journal.controls

    class Watched:
        stamp, symbols = journal.stamp, journal.symbols

        def controls(self) -> Any:
            reads.append(hands._read_s)
            return controls()

    hands: Any = SimpleNamespace(journal=Watched(), _stamp=None, _read=None, _read_s=NOW_S)
    for after_s in range(int(READ_AGAIN_S)):
        VerbHands._read_again(hands, NOW_S + after_s)
    assert len(reads) == 1
    journal.fence(NOW_S)
    VerbHands._read_again(hands, NOW_S + READ_AGAIN_S - 1)
    assert len(reads) == 2, "somebody wrote"
    VerbHands._read_again(hands, NOW_S + 2 * READ_AGAIN_S - 2)
    assert len(reads) == 2
    VerbHands._read_again(hands, NOW_S + 2 * READ_AGAIN_S - 1)
    assert len(reads) == 3, "time passed"
    journal.close()
