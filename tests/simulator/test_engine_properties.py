"""Over any sequence of commands: money and coins add up, nothing overfills, flips or fills twice, replays are equal."""

from collections import defaultdict
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from app.simulator.engine import Engine
from app.simulator.model import (
    Attach,
    MarginMode,
    Order,
    PositionSide,
    Refusal,
    Side,
    Status,
    Tif,
    Trigger,
    TriggerBy,
)
from tests.simulator.engines import BTC, SPOT, D, engine, order, spot, swap

KINDS = [
    *("place", "place", "place", "place", "spot", "spot", "levels", "trigger", "oco", "cancel", "cancel_all"),
    *("price", "price", "price", "mark", "fill", "amend", "leverage", "hedge", "isolated", "margin"),
    *("fund", "suspend", "dead_man", "position_levels"),
]
COMMANDS = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 100_000)), max_size=70)
RULES = st.sampled_from(
    [
        {"client_id_scope": "all", "spot_fee_in": "received"},
        {"client_id_scope": "open", "spot_fee_in": "quote", "refuse_crossing_post_only": True},
        {"client_id_scope": "open", "refuse_unfillable_ioc": True, "refuse_unfillable_fok": True},
    ]
)
LEVEL = st.sampled_from([None, D(1)])
FEES = {"taker_fee": D("0.0005"), "maker_fee": D("0.0002"), "spot_taker_fee": D("0.001"), "spot_maker_fee": D("0.001")}
COINS = {"USDT": D(20_000), "BTC": D(2)}


def made(rules: dict[str, str], level: Decimal | None) -> Engine:
    """A new engine with thin or endless levels."""
    return engine(
        swap(level_qty=level),
        spot(level_qty=level),
        initial_balance=COINS["USDT"],
        initial_coins={"BTC": COINS["BTC"]},
        **FEES,
        **rules,
    )


def apply(e: Engine, command: str, n: int, now_ms: int) -> None:
    """One command, chosen and filled in by the number `n` alone."""
    known = list(e.all_orders())
    picked: Order | None = known[n % len(known)] if known else None
    side = Side.BUY if n % 2 else Side.SELL
    qty = str(D(1 + n % 3000) / 1000)
    near = 26000 + n % 2000
    hedged = e.is_hedged(BTC)
    pside = (PositionSide.LONG if n % 3 else PositionSide.SHORT) if hedged else PositionSide.BOTH
    low, high = str(near - 300 - n % 700), str(near + 300 + n % 700)
    tif = list(Tif)[n % 4]
    match command:
        case "place":
            price = None if n % 3 == 0 else str(near)
            new = order(side, qty, price, tif=tif, reduce_only=n % 5 == 0 and not hedged, position_side=pside)
            e.place(new, now_ms)
        case "spot":
            if n % 7 == 0:
                e.place(order(Side.BUY, symbol=SPOT, cost=str(10 + n % 30_000)), now_ms)
            else:
                price = None if n % 3 == 0 else str(near)
                profit, loss = (high, low) if n % 5 == 0 and price and side is Side.BUY else (None, None)
                new = order(side, qty, price, symbol=SPOT, tif=tif, take_profit=profit, stop_loss=loss)
                e.place(new, now_ms)
        case "levels":
            profit, loss = (high, low) if side is Side.BUY else (low, high)
            attach = Attach(
                take_profit_limit=D(profit) if n % 4 == 0 else None,
                stop_loss_by=TriggerBy.MARK if n % 6 == 0 else TriggerBy.LAST,
                whole_position=n % 5 == 0,
            )
            new = order(side, qty, str(near), take_profit=profit, stop_loss=loss, attach=attach, position_side=pside)
            e.place(new, now_ms)
        case "trigger":
            rising = n % 2 == 0
            trigger = Trigger(price=D(high if rising else low), rising=rising)
            symbol = SPOT if n % 5 == 0 else BTC
            ps = PositionSide.BOTH if symbol == SPOT else pside
            new = order(
                side, qty, symbol=symbol, reduce_only=n % 3 == 0 and symbol == BTC, trigger=trigger, position_side=ps
            )
            e.place(new, now_ms)
        case "oco":
            trigger = Trigger(price=D(low), rising=False)
            one = order(Side.SELL, qty, high, symbol=SPOT)
            two = order(Side.SELL, qty, symbol=SPOT, trigger=trigger)
            e.place_oco([one, two], now_ms)
        case "cancel" if picked is not None:
            e.cancel(now_ms, order_id=picked.order_id)
        case "cancel_all":
            e.cancel_all(now_ms, symbol=SPOT if n % 2 else BTC, waiting=None if n % 3 else True)
        case "price":
            e.move_price(SPOT if n % 3 == 0 else BTC, D(near if n % 9 else 20000 + n % 14000), now_ms)
        case "mark":
            e.venue.pin_mark(BTC, D(near) if n % 2 else None, now_ms)
        case "fill" if picked is not None:
            e.fill(picked, now_ms, qty=D(1 + n % 1000) / 1000 if n % 3 else None)
        case "amend" if picked is not None and picked.parent_id is None:
            e.amend(now_ms, order_id=picked.order_id, qty=D(qty), price=D(near) if n % 2 and picked.price else None)
        case "leverage":
            e.set_leverage(BTC, D(1 + n % 100))
        case "hedge":
            e.set_hedge_mode(n % 2 == 0)
        case "isolated":
            e.set_margin_mode(MarginMode.ISOLATED if n % 2 else MarginMode.CROSS)
        case "margin":
            e.add_margin(BTC, D(n % 2000 - 500), pside)
        case "fund":
            e.venue.fund(BTC, D(n % 200 - 100) / 100_000, now_ms)
        case "suspend":
            e.venue.suspend(BTC, n % 8 == 0, now_ms)
        case "dead_man":
            e.arm_dead_man(20 + n % 40 if n % 3 else 0, now_ms)
        case "position_levels":
            e.set_position_levels(BTC, now_ms, take_profit=D(high), stop_loss=D(low), side=pside)
        case _:
            pass
    e.venue.advance(now_ms)


def run(commands: list[tuple[str, int]], rules: dict[str, str], level: Decimal | None) -> Engine:
    """A run, with what must hold after every step."""
    e = made(rules, level)
    for now_ms, (command, n) in enumerate(commands):
        before = {key: p.qty for key, p in e.ledger.positions.items()}
        fills = len(e.fills)
        try:
            apply(e, command, n, now_ms)
        except Refusal:
            continue
        _reducing_never_flips(e, before, fills)
        _reserved(e)
    return e


def _reducing_never_flips(e: Engine, before: dict[tuple[str, PositionSide], Decimal], start: int) -> None:
    held = defaultdict(Decimal, before)
    for fill in e.fills[start:]:
        if fill.symbol == SPOT:
            continue
        key = (fill.symbol, fill.order.position_side)
        after = held[key] + fill.qty * fill.side.sign
        if fill.order.reduces:
            assert abs(after) < abs(held[key])
            assert after * held[key] >= 0
        held[key] = after
    assert all(p.qty == held[key] for key, p in e.ledger.positions.items())


def _reserved(e: Engine) -> None:
    """What is reserved and locked is what the open orders say, and never less than nothing."""
    assert all(amount >= 0 for amount in e.ledger.reserved().values())
    locked: dict[str, Decimal] = defaultdict(Decimal)
    counted: dict[object, Decimal] = defaultdict(Decimal)
    rate = 1 + FEES["spot_taker_fee"] if e.rules.spot_fee_in == "quote" else D(1)
    for one in e.open_orders(10**9):
        if one.is_waiting_trigger or one.price is None:
            assert one.is_waiting_trigger or one.filled, (
                "a market order never rests unless a control call filled a part"
            )
            continue
        if one.symbol == SPOT and one.side is Side.SELL:
            locked["BTC"] += one.remaining
        elif one.symbol == SPOT:
            locked["USDT"] += one.remaining * one.price * rate
        elif not one.reduces:
            counted[one.symbol, one.position_side, one.side] += one.remaining * one.price
    if any(o.price is None and not o.is_waiting_trigger for o in e.open_orders(10**9)):
        return
    assert {c: round(a, 12) for c, a in e.ledger.locked.items() if round(a, 12)} == {
        c: a for c, a in locked.items() if a
    }
    assert {k: a for k, a in e.ledger.reserved().items() if a} == {k: a for k, a in counted.items() if a}


@given(COMMANDS, RULES, LEVEL)
@settings(max_examples=250, deadline=None)
def test_everything_adds_up(commands: list[tuple[str, int]], rules: dict[str, str], level: Decimal | None) -> None:
    """Balances are the start, the fills and the entries; positions and orders are their fills."""
    e = run(commands, rules, level)
    money = {"USDT": COINS["USDT"], "BTC": COINS["BTC"]}
    positions: dict[object, Decimal] = defaultdict(Decimal)
    for fill in e.fills:
        money[fill.fee_coin] -= fill.fee
        if fill.symbol == SPOT:
            money["BTC"] += fill.qty * fill.side.sign
            money["USDT"] -= fill.qty * fill.price * fill.side.sign
        else:
            money["USDT"] += fill.realised_pnl
            positions[fill.symbol, fill.order.position_side] += fill.qty * fill.side.sign
    for entry in e.ledger.entries:
        money[entry.coin] += entry.amount
    # Averages and divisions round at the 28th digit, so money is compared to a millionth of a millionth.
    assert {c: round(a - e.ledger.balances[c], 12) for c, a in money.items()} == {"USDT": 0, "BTC": 0}
    assert e.ledger.balances["BTC"] >= 0
    assert {k: p.qty for k, p in e.ledger.positions.items() if p.qty} == {k: q for k, q in positions.items() if q}
    for key, position in e.ledger.positions.items():
        assert position.qty * {PositionSide.LONG: -1, PositionSide.SHORT: 1}.get(key[1], 0) <= 0
        assert position.margin >= -D("1e-12") or position.qty
        assert bool(position.margin) <= bool(position.qty)
    for one in e.all_orders():
        mine = e.fills_of(one)
        assert one.filled == sum(f.qty for f in mine)
        assert one.cost == sum(f.qty * f.price for f in mine)
        assert one.fee == sum(f.fee for f in mine)
        assert 0 <= one.filled <= one.qty
        assert (one.status is Status.FILLED) == (one.remaining == 0)
        if one.tif is Tif.FOK and one.price is not None and not one.reduces and one.trigger is None:
            assert one.filled in (0, one.qty)
        if one.cost_asked is not None:
            assert one.cost <= one.cost_asked


@given(COMMANDS, RULES, LEVEL)
@settings(max_examples=150, deadline=None)
def test_of_linked_orders_one_at_most_fills(
    commands: list[tuple[str, int]], rules: dict[str, str], level: Decimal | None
) -> None:
    """And together they never fill more than their parent."""
    e = run(commands, rules, level)
    groups: dict[str, list[Order]] = defaultdict(list)
    for one in e.all_orders():
        if one.oco is not None:
            groups[one.oco].append(one)
    for group in groups.values():
        assert sum(1 for o in group if o.filled or o.triggered) <= 1 or any(o.whole_position for o in group)
        assert sum(1 for o in group if o.status.is_open and (o.filled or o.triggered)) <= 1
        if any(o.filled for o in group):
            assert sum(1 for o in group if o.status.is_open) <= 1
    for parent in e.all_orders():
        children = e.children(parent)
        if children and not parent.attach.whole_position:
            assert sum(c.filled for c in children) <= parent.filled


@given(COMMANDS, RULES, LEVEL)
@settings(max_examples=60, deadline=None)
def test_a_replay_is_equal(commands: list[tuple[str, int]], rules: dict[str, str], level: Decimal | None) -> None:
    """The same commands give the same orders, fills, money."""
    one, two = run(commands, rules, level), run(commands, rules, level)
    assert [repr(f) for f in one.fills] == [repr(f) for f in two.fills]
    assert [repr(o) for o in one.all_orders()] == [repr(o) for o in two.all_orders()]
    assert one.ledger.balances == two.ledger.balances
    assert list(one.ledger.entries) == list(two.ledger.entries)
