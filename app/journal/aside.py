"""The journal's operations for legs of which nobody knows: setting one aside, what those are worth together, how many
are in doubt, and of which orders more filled than was asked for."""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import pairwise

from app.domain.elsewhere import SetAside
from app.domain.leg_life import SAME, LegEvent, advance
from app.journal import statements as hot
from app.journal.errors import translated
from app.journal.facts import of_report
from app.journal.reads import Reads
from app.journal.rows import learned_leg, life_of, text, with_leg
from messages.orders import LegState, LegView, OrderView

EXCESS = "excess"
"""The event of an order of which more filled than was asked for."""


class Asides(Reads):
    """Of an open journal."""

    # ------------------------------------------------------------------------------------------ within a transaction

    def _set_aside(self, order: OrderView, aside: SetAside, instead: str, now_s: float) -> OrderView:
        """A leg gives way to a newer one, on the exchange `instead`."""
        old = order.legs[aside.number - 1]
        new = advance(life_of(old), LegEvent.SET_ASIDE)
        words = f"Nobody knows whether it executed on {old.exchange}: it was set aside, and placed on {instead}."
        leg = learned_leg(old, new, None, ("set_aside", words, None), elsewhere=Decimal(0), now_s=now_s)
        hot.ADVANCE_LEG(
            self._db,
            key_order=order.order_id,
            key_leg=leg.number,
            state=leg.state.value,
            filled=text(leg.filled),
            average_price=text(leg.average_price),
            exchange_order_id=leg.exchange_order_id,
            reason_code=leg.reason_code,
            reason_words=leg.reason_words,
            native_code=leg.native_code,
            updated_s=now_s,
        )
        facts = of_report(
            leg,
            filled=None,
            average_price=None,
            exchange_order_id=None,
            code=leg.reason_code,
            words=words,
            native_code=None,
            terms=SAME,
            settles=False,
        )
        self._event(
            LegEvent.SET_ASIDE.value,
            now_s,
            order_id=order.order_id,
            leg=leg.number,
            exchange=leg.exchange,
            epoch=leg.epoch,
            **facts,
            notional=text(aside.notional),
        )
        return with_leg(order, leg)

    def _exceeded(self, order: OrderView, leg: LegView, now_s: float) -> Decimal:
        """How much more filled than was asked for, once something more did; it is kept."""
        excess = order.filled - order.quantity
        if excess <= 0 or all(a.exchange == b.exchange for a, b in pairwise(order.legs)):
            return Decimal(0)  # of legs that stood in for each other no more was asked for than the larger
        where = {"order_id": order.order_id, "leg": leg.number, "exchange": leg.exchange, "epoch": leg.epoch}
        self._event(EXCESS, now_s, **where, excess=text(excess))
        return excess

    def _held_notional(self) -> Decimal:
        """What may execute twice of all that was set aside, in quote coin.

        Of a leg that is in doubt all of it. Of one that turned out to have executed what filled, for as long as a newer
        one of its order may fill too: only after that it is known what executed twice, and told.
        """
        total = Decimal(0)
        for aside in hot.ASIDE(self._db).fetchall():
            order = self._read(aside["order_id"])
            assert order is not None, "an event is of an order"
            leg, notional = order.legs[aside["leg"] - 1], Decimal(json.loads(aside["detail"])["notional"])
            total += notional if leg.state is LegState.HELD else notional * leg.filled / leg.quantity
        return total

    def _in_doubt(self) -> int:
        """How many legs are in doubt, over all exchanges; not those on their way."""
        if self._memory.in_doubt is None:
            self._memory.in_doubt = int(hot.COUNT_DOUBTED(self._db).fetchone()[0])
        return self._memory.in_doubt

    # ------------------------------------------------------------------------------------------------------ questions

    def held_notional(self) -> Decimal:
        """What may execute twice of all that was set aside, in quote coin."""
        with translated(self._where):
            return self._held_notional()

    def exceeded(self) -> int:
        """Of how many orders more filled than was asked for."""
        with translated(self._where):
            return int(hot.COUNT_EXCEEDED(self._db).fetchone()[0])
