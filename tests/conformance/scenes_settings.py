"""Settings of the account, and the dead-man switch."""

from __future__ import annotations

from decimal import Decimal

from app.domain import calls
from messages.market import MarginMode, PositionMode
from tests.conformance.scenarios import scenario
from tests.conformance.stand import Declined, Stand, Wrong

SETTINGS = "Settings"


@scenario(SETTINGS, "leverage")
def leverage(at: Stand) -> None:
    for wanted in ("7", "3", "3"):
        at.got(at.desk.leverage(wanted), calls.SettingMade)
        held = at.engine.ledger.position(at.native)
        at.expect(held.leverage, Decimal(wanted), "The leverage on the exchange")


@scenario(SETTINGS, "margin mode")
def margin_mode(at: Stand) -> None:
    for mode in (MarginMode.ISOLATED, MarginMode.ISOLATED, MarginMode.CROSS):
        at.got(at.desk.margin_mode(mode), calls.SettingMade)
        at.expect(at.native in at.engine.ledger.isolated, mode is MarginMode.ISOLATED, "Whether it is isolated there")


@scenario(SETTINGS, "position mode")
def position_mode(at: Stand) -> None:
    for mode in (PositionMode.HEDGE, PositionMode.HEDGE, PositionMode.ONE_WAY):
        at.got(at.desk.position_mode(mode), calls.SettingMade)
        at.expect(at.engine.is_hedged(at.native), mode is PositionMode.HEDGE, "Whether it is hedged there")


@scenario(SETTINGS, "reading them, and the margin left")
def account(at: Stand) -> None:
    """Position mode, leverage and margin mode of each market, as the exchange's books have them; or no word of them."""
    at.desk.leverage("4")  # which Kraken's cross margin has not, nor has spot
    told = at.got(at.desk.account(*at.symbols()), calls.AccountResult)
    account, prices = told.account, dict(told.prices)
    at.expect(set(prices), set(at.symbols()), "What is priced")
    at.expect(prices[at.desk.btc], at.engine.prices[at.native], "The price told")
    if account.clock_error_s is None or account.clock_error_s > at.desk.port.proof.clock_error_s:
        raise Wrong(f"The clock is told to err by {account.clock_error_s}.")
    if account.free is None:
        if not told.balances:
            raise Wrong("Neither the margin that is left is told, nor the coins.")
    else:
        at.expect(account.free, at.engine.ledger.available, "The margin that is left")
    hedged = PositionMode.HEDGE if at.engine.is_hedged(at.native) else PositionMode.ONE_WAY
    at.expect(account.position_mode in (None, hedged), True, f"Whether {account.position_mode} is the position mode")
    for each in account.symbols:
        native = at.desk.native(each.symbol)
        held, isolated = at.engine.ledger.position(native), native in at.engine.ledger.isolated
        if each.leverage is not None:
            at.expect(each.leverage, held.leverage, f"The leverage of {each.symbol}")
        mode = MarginMode.ISOLATED if isolated else MarginMode.CROSS
        at.expect(each.margin_mode in (None, mode), True, f"Whether {each.margin_mode} is the margin mode")
    if not account.symbols and account.position_mode is None and account.free is None:
        raise Declined("Only the coins are told: spot, or an exchange whose settings ccxt does not read.")


@scenario(SETTINGS, "dead-man switch, set off")
def dead_man(at: Stand) -> None:
    """Nobody asks again in time, and the exchange cancels what rests. Some count for the markets with orders only."""
    wire, _ = at.place(at.desk.spec())
    before_s = at.desk.clock()
    armed = at.got(at.desk.dead_man(30), calls.DeadManArmed)
    if armed.fires_s is None or not before_s + 29 < armed.fires_s <= at.desk.clock() + 30:
        raise Wrong(f"It is told to fire at {armed.fires_s}, 30 s after {before_s}.")
    at.move_clock(25)
    at.expect(at.order(wire)["status"], "open", "The order on the exchange before the time is over")
    at.move_clock(31)
    at.expect(at.order(wire)["status"], "cancelled", "The order on the exchange after the time is over")


@scenario(SETTINGS, "dead-man switch, switched off")
def dead_man_off(at: Stand) -> None:
    wire, _ = at.place(at.desk.spec())
    at.got(at.desk.dead_man(30), calls.DeadManArmed)
    off = at.got(at.desk.dead_man(0), calls.DeadManArmed)
    at.expect(off.fires_s, None, "When it fires, as told,")
    at.move_clock(31)
    at.expect(at.order(wire)["status"], "open", "The order on the exchange")
