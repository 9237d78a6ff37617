"""A journal by chance: orders of every fate under switches, changes and exits, by the journal's own operations."""

from __future__ import annotations

import random
from contextlib import suppress
from decimal import Decimal
from typing import Any

from attrs import define, evolve, field

from app.domain.book import NOTHING, shared
from app.domain.calls import FillReport
from app.domain.leg_life import LegEvent, Terms
from app.domain.verb_words import Change
from app.journal.store import Committed, Journal, JournalError
from messages.failover import Switch, SwitchResult
from messages.market import MarketType, Symbol
from messages.orders import LegState, Linked, OrderKey, OrderSpec, OrderType, Side, TimeInForce, Trigger, TriggerKind
from messages.positions import DifferenceKind

EXCHANGES = ("bybit", "okx", "binance")
REPORTS = (
    LegEvent.SENT_AMBIGUOUS,
    LegEvent.SEEN_OPEN,
    LegEvent.SEEN_OPEN,
    LegEvent.SEEN_PARTIAL,
    LegEvent.SEEN_PARTIAL,
    LegEvent.SEEN_FILLED,
    LegEvent.SEEN_CANCELLED,
    LegEvent.SEEN_EXPIRED,
    LegEvent.REFUSED,
    *[LegEvent.PROVEN_ABSENT] * 4,
    LegEvent.WITHDRAWN,
    LegEvent.AMEND_SENT,
    LegEvent.AMEND_SETTLED,
    LegEvent.CANCEL_ASKED,
)


@define
class Lives:
    """What is done to a journal, a step at a time."""

    journal: Journal
    chance: random.Random
    now_s: float = 1_763_846_000.0
    old: bool = False
    """Whether only what older schemas know is done: they kept no executions, and told of no switches."""
    _asked: dict[OrderKey, OrderSpec] = field(factory=dict)
    _legs: list[tuple[str, int]] = field(factory=list)
    _trades: int = 0

    def run(self, steps: int) -> None:
        """So many of them, after the first route."""
        self._switch()
        self.more(steps)

    def more(self, steps: int) -> None:
        """So many of them."""
        for _ in range(steps):
            self.now_s += self.chance.choice([0.0, 0.013, 0.4, 7.25])
            what = self.chance.choices(
                [
                    self._place,
                    self._again,
                    self._learn,
                    self._learn_much,
                    self._execute,
                    self._mark,
                    self._switch,
                    self._control,
                    self._adopt,
                ],
                [10, 6, 30, 4, 8, 3, 3, 3, 2],
            )[0]
            with suppress(JournalError):  # a leg proven dead is seen alive beside a live one: the database refuses it
                what()

    def _control(self) -> None:
        """A person freezes it, isolates an exchange, and the like, or ends that."""
        if self.old:
            return
        names = ["frozen", "panic", "flatten", "reduce_only", *(f"isolated:{name}" for name in EXCHANGES)]
        one, other = self.chance.sample(names, 2)
        change = Change(put=((one, "Maintenance: é."),), clear=(other,))
        verb = self.chance.choice(["freeze", "isolate"])
        self.journal.control(change, verb=verb, reason='By "hand".', now_s=self.now_s)
        self.journal.history_add("fence", 3, {"why": Decimal("0.1"), "é": None}, self.now_s)

    def _spec(self) -> OrderSpec:
        chance = self.chance
        price = chance.choice([None, Decimal("20000.5"), Decimal(100)])
        trigger = Trigger(kind=chance.choice([*TriggerKind]), price=Decimal(chance.randrange(9, 99)))
        return OrderSpec(
            symbol=Symbol(base=chance.choice(["BTC", "ETH"]), quote="USDT", settle="USDT", market_type=MarketType.SWAP),
            side=chance.choice([*Side]),
            order_type=OrderType.MARKET if price is None else OrderType.LIMIT,
            quantity=Decimal(chance.choice(["1", "0.25", "3.50"])),
            price=price,
            time_in_force=chance.choice([*TimeInForce]),
            reduce_only=chance.random() < 0.2,
            take_profit=chance.choice([None, Decimal(25000)]),
            stop_loss=chance.choice([None, Decimal("15000.1")]),
            trigger=chance.choice([None, None, trigger]),
        )

    def _place(self) -> None:
        strategy = self.chance.choice(["maker", "taker", "Ünï|code"])
        key = OrderKey(strategy=strategy, client_order_id=f"order {len(self._asked)} é")
        self._asked[key] = self._spec()
        self._commit(key, self._asked[key])

    def _again(self) -> None:
        """Asked for once more: most are known, and what is absent goes out again, here or elsewhere."""
        for key in [*self._asked][-25:]:
            self._commit(key, self._asked[key])

    def _commit(self, key: OrderKey, spec: OrderSpec) -> None:
        route = self.journal.route()
        if route.exchange is None:
            return
        made = self.journal.commit_intent(
            exchange=route.exchange,
            epoch=route.epoch,
            key=key,
            spec=spec,
            expiry_s=self.now_s + 5.5,
            now_s=self.now_s,
            linked=spec.stop_loss is not None,
        )
        if isinstance(made, Committed):
            self._legs.append((made.order.order_id, len(made.order.legs)))

    def _learn(self) -> None:
        if not self._legs:
            return
        order_id, number = self.chance.choice(self._legs[-12:])
        order = self.journal.order(order_id)
        assert order is not None
        leg, event, facts = order.legs[number - 1], self.chance.choice(REPORTS), dict[str, Any]()
        if event in (LegEvent.SEEN_PARTIAL, LegEvent.SEEN_CANCELLED, LegEvent.SEEN_FILLED):
            share = Decimal(1) if event is LegEvent.SEEN_FILLED else Decimal(self.chance.choice(["0.1", "0.5", "0"]))
            facts |= {"filled": leg.quantity * share, "average_price": Decimal(self.chance.randrange(1, 99)) / 7}
        if event in (LegEvent.REFUSED, LegEvent.PROVEN_ABSENT, LegEvent.SENT_AMBIGUOUS):
            facts |= {"code": "no_margin", "words": 'Nothing "there": ß', "native_code": "110007"}
        if event in (LegEvent.SEEN_OPEN, LegEvent.SEEN_FILLED):
            facts["exchange_order_id"] = f"there-{self.chance.randrange(10**6)}"
        if event is LegEvent.AMEND_SENT or (event is LegEvent.SEEN_OPEN and self.chance.random() < 0.3):
            facts["terms"] = Terms(quantity=leg.quantity * 2, price=Decimal(self.chance.randrange(1, 99)))
        if event is LegEvent.AMEND_SETTLED:
            facts["settles"] = self.chance.random() < 0.5
        self.journal.record(order_id, number, event, now_s=self.now_s, **facts)

    def _learn_much(self) -> None:
        with self.journal.together():
            for _ in range(self.chance.randrange(1, 5)):
                self._learn()

    def _execute(self) -> None:
        """Executions of an order are listed, some of them not for the first time."""
        if not self._legs or self.old:
            return
        order_id, number = self.chance.choice(self._legs[-20:])
        order = self.journal.order(order_id)
        assert order is not None
        if order.legs[number - 1].state in (LegState.ABSENT, LegState.REFUSED):
            return
        self._trades += self.chance.randrange(3)
        reports = [
            FillReport(
                trade_id=f"trade {self._trades + each}",
                exchange_order_id=f"there {order_id}",
                wire_id=None,
                symbol=order.spec.symbol,
                side=order.spec.side,
                quantity=order.legs[number - 1].quantity / 4,
                price=Decimal(self.chance.randrange(100, 999)) / 8,
                fee=self.chance.choice([None, Decimal("-0.013")]),
                fee_coin=self.chance.choice([None, "USDT"]),
                maker=self.chance.choice([None, True, False]),
                at_s=self.now_s - 0.25,
            )
            for each in range(self.chance.randrange(1, 4))
        ]
        self.journal.record_fills(order_id, number, reports, now_s=self.now_s)

    def _mark(self) -> None:
        if self._legs:
            order_id, number = self.chance.choice(self._legs)
            self.journal.mark(order_id, number, self.chance.choice([*Linked]), self.now_s)

    def _adopt(self) -> None:
        """A difference is taken over, now and then of what was never traded."""
        if self.old:
            return
        holdings, _ = self.journal.holdings()
        symbol = Symbol(base="DOGE", quote="USDT", settle="USDT", market_type=MarketType.SWAP)
        place = self.chance.choice([*sorted(holdings, key=str), (self.chance.choice(EXCHANGES), symbol)])
        judged, quantity = holdings.get(place, NOTHING), Decimal(self.chance.choice(["-0.75", "0.5", "-0.01"]))
        ours, _ = shared(judged, quantity, ours_first=self.chance.random() < 0.5)
        kind = self.chance.choice([*DifferenceKind])
        words = 'Somebody sold "it": ß.'
        adopted = self.journal.adopt(*place, quantity, ours, kind, words, judged=judged, now_s=self.now_s)
        assert adopted is not None

    def _switch(self) -> None:
        before = self.journal.route()
        after = self.chance.choice([name for name in EXCHANGES if name != before.exchange])
        switch = Switch(
            from_exchange=before.exchange,
            to_exchange=after,
            reason="Manual failover",
            at_s=self.now_s,
            epoch=before.epoch + 1,
            result=SwitchResult.RUNNING,
            duration_s=0.0,
            steps=(("fence", 0.1),),
            finished=False,
        )
        if not self.old:
            self.journal.save_switch(switch)
        fenced = self.journal.fence(self.now_s)
        self._again()
        self.now_s += 0.5
        self.journal.commit_route(fenced.epoch, after, self.now_s)
        if not self.old:
            self.journal.save_switch(evolve(switch, result=SwitchResult.COMPLETED, finished=True))
