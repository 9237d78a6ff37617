"""What a person did to the router's own position is undone, once, where that is configured; nothing else is."""

from __future__ import annotations

import os
import signal
from contextlib import closing
from decimal import Decimal
from pathlib import Path

from app.bootstrap import JOURNAL_NAME
from app.core.order_router import OrderRouter
from app.domain import ids
from app.journal.store import Journal
from messages.positions import DifferenceKind
from tests.e2e.world import World, actor_pid, of_order, place, restarted, until

SETTINGS = {"sync_interval_s": 0.5, "policy": "track", "correct_differences": True}
ETH = "ETH/USDT:USDT"


def stands(router: OrderRouter, quantity: str) -> None:
    """Waits until the book has a position on bybit."""

    def there() -> bool:
        book = [e for e in router.get_status()["book"] if (e["exchange"], e["symbol"]) == ("bybit", "ETHUSDT")]
        return bool(book) and Decimal(book[0]["actual"] or 0) == Decimal(quantity)

    until(there, means=f"{quantity} ETH")


def test_it_is_traded_back_once_whatever_dies(tmp_path: Path) -> None:
    """A cut of ours is undone, also where the synchronizer dies over it; what a person opens beside it stays."""
    with World(["bybit", "okx"], tmp_path / "state", positions=SETTINGS) as world, world.running() as router:
        control = world["bybit"].control
        bought = place(router, "eth", symbol="ETHUSDT", order_type="Market", price=None, qty="1")
        assert bought.order is not None, bought
        stands(router, "1")
        control.trade(ETH, "sell", "0.4")
        with closing(Journal(world.state_dir / JOURNAL_NAME, make=False)) as journal:
            [cut] = until(lambda: journal.adjusted(), means="adoption")
            pid = actor_pid(router, "position_synchronizer:position_synchronizer")
            os.kill(pid, signal.SIGKILL)
            until(lambda: restarted(router, "position_synchronizer:position_synchronizer", pid))
            assert (cut.kind, cut.ours) == (DifferenceKind.PERSON, Decimal("-0.4"))
            stands(router, "1")
            control.trade(ETH, "buy", "0.3")
            found = until(lambda: journal.adjusted()[1:], means="the second")
            assert (found[0].quantity, found[0].ours) == (Decimal("0.3"), Decimal(0))
            stands(router, "1.3")
            books, journal_id = world.books(), journal.journal_id
        [(exchange, order)] = of_order(books, journal_id, ids.ROUTER, "correct/1")
        assert (exchange, order["side"], Decimal(order["filled"])) == ("bybit", "buy", Decimal("0.4"))
        assert of_order(books, journal_id, ids.ROUTER, "correct/2") == []
