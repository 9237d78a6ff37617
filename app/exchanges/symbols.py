"""The markets of one exchange, found by the router's symbols.

**Which symbol comes back.** Reports, tickers and positions carry the symbol the *router* used, not the exchange's own:
where `BTC/USDT:USDT` is traded as Kraken Futures' `BTC/USD:USD` (`PF_XBTUSD`) because a change of settlement currency
is allowed, everything about `PF_XBTUSD` comes back as `BTC/USDT:USDT`, so that books of several exchanges add up. In
lists that nobody asked for by symbol the spelling last asked for stands, and before any was asked for, the changed one
where a change is allowed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import structlog
from attrs import frozen

from app.exchanges.sizes import SizeRules, plain
from messages.market import MarketType, Symbol

_LOG = structlog.stdlib.get_logger(__name__)

SETTLEMENT_CHANGES = (("USDT", "USD"), ("USDC", "USD"))
"""Quote coins that may be traded as another one, where that is allowed."""


RESIZED = "router_resized"
"""Key of a market that is kept as it was, since its contract size changed: the one it has by now, in words."""


class NotTradable(ValueError):
    """The exchange does not trade the symbol; the message is one sentence saying why."""


@frozen(kw_only=True)
class Market:
    """One market of an exchange.

    Attributes:
        symbol: As the exchange has it, settlement coin included.
        native_id: The exchange's own name.
        unified: ccxt's name.
        active: Trading now.
        resized: What the exchange says its contract size is by now, where `rules` have the one that orders of ours were
            sized with; then it is not active. Else empty.
        max_leverage: None where the exchange does not list it.
    """

    symbol: Symbol
    native_id: str
    unified: str
    rules: SizeRules
    active: bool
    resized: str = ""
    max_leverage: Decimal | None = None


class MarketTable:
    """Every linear swap, or every spot market, of one exchange. Read by several threads; only grows while built."""

    def __init__(
        self,
        exchange: str,
        markets: Iterable[Market],
        *,
        allow_settlement_change: bool,
        market_type: MarketType = MarketType.SWAP,
        before: MarketTable | None = None,
    ) -> None:
        """
        Args:
            before: The table that this one replaces, whose spellings go on.
        """
        self._exchange = exchange
        self._allowed = allow_settlement_change
        self._market_type = market_type
        self._by_symbol = {market.symbol: market for market in markets}
        self._by_native = {market.native_id: market for market in self._by_symbol.values()}
        self._asked: dict[str, Symbol] = {} if before is None else dict(before._asked)

    def __len__(self) -> int:
        """How many markets there are."""
        return len(self._by_symbol)

    @property
    def settlement_coins(self) -> tuple[str, ...]:
        """Every coin a market settles in, sorted."""
        return tuple(sorted({symbol.settle for symbol in self._by_symbol if symbol.settle is not None}))

    def any_active(self) -> Market | None:
        """One that trades now; None where none does. Asking for it changes nothing."""
        return next((market for market in self._by_symbol.values() if market.active), None)

    def find(self, symbol: Symbol) -> Market:
        """The market to place an order for a symbol on, and from now on the symbol under which it is reported.

        Raises:
            NotTradable: There is none, or only one that settles in another coin, or it is not trading now.
        """
        market = self.known(symbol)
        if market.resized:
            raise NotTradable(
                f"{self._exchange} changed the contract size of {symbol} from {plain(market.rules.contract_size)} to"
                f" {market.resized}: it is traded again once the router is started with no order of ours live there."
            )
        if not market.active:
            raise NotTradable(f"{self._exchange} lists {symbol} but does not trade it at the moment.")
        return market

    def known(self, symbol: Symbol) -> Market:
        """The market of a symbol, also one that is not trading: orders there are still cancelled and looked up.

        Raises:
            NotTradable: There is none, or only one that settles in another coin.
        """
        market = self._by_symbol.get(symbol) or self._changed(symbol)
        self._asked[market.native_id] = symbol
        return market

    def spoken(self, native_id: str) -> Symbol | None:
        """The router's symbol for a native name; None for a market that is not traded here."""
        market = self._by_native.get(native_id)
        if market is None:
            return None
        asked = self._asked.get(native_id)
        if asked is not None:
            return asked
        if self._allowed:
            for wanted, instead in SETTLEMENT_CHANGES:
                changed = _quoted(market.symbol, wanted)
                if market.symbol.quote == market.symbol.settle == instead and changed not in self._by_symbol:
                    return changed
        return market.symbol

    def market(self, native_id: str) -> Market | None:
        """The market of a native name; None for one that is not traded here."""
        return self._by_native.get(native_id)

    def _changed(self, symbol: Symbol) -> Market:
        if symbol.market_type is not self._market_type:
            raise NotTradable(
                f"{self._exchange} is configured for {self._market_type} markets, and {symbol} is a"
                f" {symbol.market_type} market."
            )
        if self._market_type is MarketType.SPOT:
            raise NotTradable(f"{self._exchange} has no spot market {symbol}.")
        for wanted, instead in SETTLEMENT_CHANGES:
            other = self._by_symbol.get(_quoted(symbol, instead))
            if symbol.quote == symbol.settle == wanted and other is not None:
                if self._allowed:
                    return other
                raise NotTradable(
                    f"{self._exchange} has no {symbol}; its {other.symbol} settles in {instead}, which has to be"
                    f" allowed by exchanges.{self._exchange}.allow_settlement_change."
                )
        raise NotTradable(f"{self._exchange} has no linear swap {symbol}.")


def _quoted(symbol: Symbol, coin: str) -> Symbol:
    return Symbol(base=symbol.base, quote=coin, settle=coin, market_type=symbol.market_type)


def read_markets(markets: Iterable[Any], exchange: str, market_type: MarketType = MarketType.SWAP) -> list[Market]:
    """The linear swaps, or the spot markets, among ccxt's markets, whose numbers must be strings.

    What lacks a step or a tick is left out; so is what cannot be read at all, or tells no contract size, of which the
    log tells.
    """
    found, unreadable = [], []
    alike: dict[str, SizeRules] = {}  # hundreds of markets have a few dozen
    for raw in markets:
        try:
            market = _market(raw, alike, market_type)
        except (AttributeError, KeyError, TypeError, ValueError, ArithmeticError):
            unreadable.append(repr(raw.get("symbol") if isinstance(raw, Mapping) else raw)[:60])
            continue
        if market is not None:
            found.append(market)
    if unreadable:
        _LOG.warning("markets.unreadable", exchange=exchange, count=len(unreadable), names=unreadable[:5])
    return found


def _market(raw: Mapping[str, Any], alike: dict[str, SizeRules], market_type: MarketType) -> Market | None:
    spot = market_type is MarketType.SPOT
    if not (raw.get("spot") if spot else raw.get("swap") and raw.get("linear") and raw.get("settle")):
        return None
    step, tick = _decimal(raw["precision"].get("amount")), _decimal(raw["precision"].get("price"))
    if step is None or tick is None:
        return None
    amount, cost, at_market = raw["limits"]["amount"], raw["limits"]["cost"], raw["limits"].get("market") or {}
    rules = SizeRules(
        step=step,
        tick=tick,
        minimum=_decimal(amount.get("min")),
        maximum=_decimal(amount.get("max")),
        minimum_notional=_decimal(cost.get("min")),
        contract_size=Decimal(1) if spot else _size(raw.get("contractSize")),
        market_minimum=_decimal(at_market.get("min")),
        market_maximum=_decimal(at_market.get("max")),
    )
    return Market(
        symbol=Symbol(
            base=raw["base"], quote=raw["quote"], settle=None if spot else raw["settle"], market_type=market_type
        ),
        native_id=_text(raw["id"]),
        unified=_text(raw["symbol"]),
        rules=alike.setdefault(repr(rules), rules),
        active=raw.get("active") is not False,
        resized=raw.get(RESIZED, ""),
        max_leverage=_decimal((raw["limits"].get("leverage") or {}).get("max")),
    )


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("no name")
    return value


def _size(value: object) -> Decimal:
    """A contract's size. Nothing stands for one that is not told: an order would be any number of times too large."""
    size = _decimal(value)
    if size is None:
        raise ValueError("no contract size")
    return size


def _decimal(value: object) -> Decimal | None:
    """A positive decimal; None for nothing or zero."""
    if value is None or value == "":
        return None
    number = Decimal(str(value))
    return number if number.is_finite() and number > 0 else None
