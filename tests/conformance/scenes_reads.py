"""Lists, the account, the market, and the exchange itself."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from app.domain import calls
from messages.health import ProbeKind
from messages.orders import LegState, Side
from tests.conformance.scenarios import scenario
from tests.conformance.stand import LAST, Stand, Wrong

LISTS = "Lists"
ACCOUNT = "Account"
MARKET = "Market"
EXCHANGE = "Exchange"


@scenario(LISTS, "open orders, all")
def open_orders(at: Stand) -> None:
    btc, eth = at.symbols()
    mine, _ = at.place(at.desk.spec())
    other, _ = at.place(at.desk.spec("0.1", of=eth, price="1500"))
    listed = at.got(at.desk.open_orders(), calls.OpenOrders)
    at.expect({r.wire_id: r.symbol for r in listed.reports}, {mine: btc, other: eth}, "What is listed")
    for report in listed.reports:
        if report.symbol == btc:
            at.agrees(report, at.order(mine))


@scenario(LISTS, "open orders of one symbol")
def open_orders_of(at: Stand) -> None:
    btc, eth = at.symbols()
    mine, _ = at.place(at.desk.spec())
    gone, _ = at.place(at.desk.spec())
    at.place(at.desk.spec("0.1", of=eth, price="1500"))
    at.desk.truthful.fill(client_order_id=gone)
    listed = at.got(at.desk.open_orders(btc), calls.OpenOrders)
    at.expect({r.wire_id: r.symbol for r in listed.reports}, {mine: btc}, "What is listed")


@scenario(LISTS, "closed orders")
def closed_orders(at: Stand) -> None:
    since_s = at.desk.clock() - 1
    filled, _ = at.place(at.desk.spec())
    at.desk.truthful.fill(client_order_id=filled)
    cancelled, _ = at.place(at.desk.spec("0.02"))
    at.desk.truthful.ask("POST", "/cancel", {"client_order_id": cancelled})
    resting, _ = at.place(at.desk.spec())
    listed = at.got(at.desk.closed_orders(since_s=since_s), calls.ClosedOrders)
    told = {report.wire_id: report for report in listed.reports}
    at.expect((filled in told, cancelled in told, resting in told), (True, True, False), "Whether each is listed")
    at.agrees(told[filled], at.order(filled))
    at.agrees(told[cancelled], at.order(cancelled))
    at.expect(told[cancelled].state, LegState.CANCELLED, "The state told")


@scenario(LISTS, "fills with fees")
def fills(at: Stand) -> None:
    """Price, quantity, side, fee and its coin, maker or not: as the exchange's books have them."""
    taker, _ = at.place(at.desk.spec("0.02", price="28000"))
    maker, _ = at.place(at.desk.spec("0.03"))
    at.desk.truthful.fill(client_order_id=maker, qty="0.01")
    listed = at.got(at.desk.fills(), calls.Fills)
    truth = {fill["trade_id"]: fill for fill in at.desk.truthful.truth()["fills"]}
    mine = [f for f in listed.fills if truth.get(f.trade_id, {}).get("client_order_id") in (taker, maker)]
    want = [f for f in truth.values() if f["client_order_id"] in (taker, maker)]
    at.expect(len(mine), len(want), "The number of fills told")
    for fill in mine:
        _same_fill(at, fill, truth[fill.trade_id])


@scenario(LISTS, "fills of one order")
def fills_of_order(at: Stand) -> None:
    """All of them, and of no other order beside it."""
    mine, report = at.place(at.desk.spec("0.03"))
    other, _ = at.place(at.desk.spec("0.03"))
    for wire, qty in ((mine, "0.01"), (other, "0.01"), (mine, "0.005")):
        at.desk.truthful.fill(client_order_id=wire, qty=qty)
    listed = at.got(at.desk.fills_of(mine, report.exchange_order_id), calls.Fills)
    truth = {f["trade_id"]: f for f in at.desk.truthful.truth()["fills"] if f["client_order_id"] == mine}
    at.expect(sorted(fill.trade_id for fill in listed.fills), sorted(truth), "The fills told")
    for fill in listed.fills:
        _same_fill(at, fill, truth[fill.trade_id])


def _same_fill(at: Stand, told: calls.FillReport, truth: dict[str, Any]) -> None:
    at.expect((told.quantity, told.price), (Decimal(truth["qty"]), Decimal(truth["price"])), "Quantity and price told")
    at.expect(told.side, Side(truth["side"]), "The side told")
    at.expect(told.symbol, at.desk.btc, "The symbol told")
    if told.wire_id is not None:
        at.expect(told.wire_id, truth["client_order_id"], "The wire id told")
    if told.maker is not None:
        at.expect(told.maker, truth["is_maker"], "Whether it rested, as told,")
    if told.fee is None or told.fee_coin is None:
        raise Wrong("It tells no fee.")
    gap = abs(told.fee - Decimal(truth["fee"]))
    if gap > Decimal("0.00000001") or told.fee_coin != truth["fee_coin"]:
        raise Wrong(f"The fee told is {told.fee} {told.fee_coin}, and was {truth['fee']} {truth['fee_coin']}.")


@scenario(ACCOUNT, "positions")
def positions(at: Stand) -> None:
    """Signed, in base coin; none on spot."""
    wanted: dict[Any, Decimal] = {}
    if not at.engine.market(at.native).is_spot:
        btc, eth = at.symbols()
        wanted = {btc: Decimal("-0.25"), eth: Decimal("1.5")}
        for symbol, quantity in wanted.items():
            at.desk.truthful.position(at.desk.native(symbol), quantity)
    answer = at.got(at.desk.positions(), calls.PositionsResult)
    at.expect({p.symbol: p.quantity for p in answer.positions}, wanted, "The positions told")


@scenario(ACCOUNT, "balances")
def balances(at: Stand) -> None:
    """Every coin exactly; on spot, what a resting order holds is not free."""
    at.place(at.desk.spec())
    answer = at.got(at.desk.balances(), calls.BalancesResult)
    truth = {coin: Decimal(amount) for coin, amount in at.desk.truthful.truth()["balance"].items() if Decimal(amount)}
    told = {balance.coin: balance for balance in answer.balances if balance.total}
    at.expect({coin: balance.total for coin, balance in told.items()}, truth, "The balances told")
    for balance in told.values():
        at.expect(balance.free + balance.used, balance.total, f"What is free and used of {balance.coin}")
    if at.engine.market(at.native).is_spot:
        # Kraken holds the fee, too, since it is of the quote coin.
        at.expect(told["USDT"].used, at.engine.ledger.locked["USDT"], "What the order holds, as told,")


@scenario(MARKET, "ticker")
def ticker(at: Stand) -> None:
    """ccxt's binanceusdm reads neither bid nor ask: without an adapter of its own, nobody asks further."""
    at.move("27123")
    found = at.got(at.desk.ticker(), calls.TickerResult).ticker
    at.expect((found.symbol, found.last), (at.desk.btc, Decimal(27123)), "Symbol and price told")
    if not at.knows_codes and found.bid is None and found.ask is None:
        return
    if found.bid is None or found.ask is None or not found.bid <= found.ask:
        raise Wrong(f"Bid {found.bid} and ask {found.ask} are told.")


@scenario(MARKET, "order book")
def order_book(at: Stand) -> None:
    """The best first, at most as deep as asked, around the price, in base coin."""
    book = at.got(at.desk.order_book(depth=5), calls.OrderBookResult).book
    bids, asks = [level.price for level in book.bids], [level.price for level in book.asks]
    if not (bids == sorted(bids, reverse=True) and asks == sorted(asks)):
        raise Wrong("The book is not sorted.")
    if not 1 <= len(bids) <= 5 or not 1 <= len(asks) <= 5:
        raise Wrong(f"{len(bids)} bids and {len(asks)} asks are told where 5 were asked for.")
    if not bids[0] <= Decimal(LAST) <= asks[0]:
        raise Wrong(f"The book is around {bids[0]} and {asks[0]}, not around {LAST}.")
    level = at.engine.market(at.native).level_qty
    if level is not None:
        at.expect({each.quantity for each in (*book.bids, *book.asks)}, {level}, "The quantity on a level, as told,")


@scenario(MARKET, "bars, the newest")
def klines(at: Stand) -> None:
    bars = at.got(at.desk.klines(limit=5), calls.KlinesResult).klines
    if not 1 <= len(bars) <= 5:
        raise Wrong(f"{len(bars)} bars are told where 5 were asked for.")
    at.expect(bars[-1].close, Decimal(LAST), "The close of the newest")
    for bar in bars:
        if not bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high:
            raise Wrong(f"A bar that makes no sense: {bar}.")


@scenario(MARKET, "bars since a time")
def klines_since(at: Stand) -> None:
    since_s = at.desk.clock() // 60 * 60 - 600
    bars = at.got(at.desk.klines(since_s=since_s, limit=3), calls.KlinesResult).klines
    if len(bars) > 3 or any(bar.start_s < since_s for bar in bars):
        raise Wrong(f"Bars from {[bar.start_s for bar in bars]} are told where 3 since {since_s} were asked for.")
    if [bar.start_s for bar in bars] != sorted(bar.start_s for bar in bars):
        raise Wrong("The bars are not sorted.")


@scenario(EXCHANGE, "server time (public probe)")
def server_time(at: Stand) -> None:
    offset_s = at.got(at.desk.probe(ProbeKind.PUBLIC), calls.ProbeOk).clock_offset_s
    if offset_s is None or abs(offset_s) > 1:
        raise Wrong(f"The clock is told to be off by {offset_s} s.")


@scenario(EXCHANGE, "signed probe")
def signed_probe(at: Stand) -> None:
    at.got(at.desk.probe(ProbeKind.SIGNED), calls.ProbeOk)


@scenario(EXCHANGE, "status")
def status(at: Stand) -> None:
    said = at.got(at.desk.status(), calls.StatusResult).status
    at.expect((said.exchange, said.ok), (at.desk.port.exchange, True), "Whether it is well, as told,")


@scenario(EXCHANGE, "status during maintenance")
def status_maintenance(at: Stand) -> None:
    """It is told to be ill, by the status or by a refusal; never to be well."""
    with at.maintenance():
        answer = at.desk.status()
    if isinstance(answer, calls.CallFailed) and answer.code == "maintenance":
        return
    said = at.got(answer, calls.StatusResult).status
    at.expect((said.ok, bool(said.words)), (False, True), "Whether it is well, and words, as told,")
