"""A small blocking client of the control interface, for tests, examples and drills."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from decimal import Decimal
from typing import Any


class ControlError(Exception):
    """The control interface refused what was asked; the text is its sentence."""


class ControlClient:
    """Speaks to one exchange's `control_url`. Every call is bounded by `timeout_s`.

    Raises ControlError for a refusal, OSError when nobody answers.
    """

    def __init__(self, control_url: str, *, timeout_s: float = 10.0) -> None:
        self.control_url = control_url
        self.timeout_s = timeout_s
        # No proxies: the address is loopback, whatever the environment says.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def truth(self) -> dict[str, Any]:
        """Everything: orders, fills, positions, balance."""
        found: dict[str, Any] = self._ask("GET", "/truth")
        return found

    def requests(self) -> list[dict[str, Any]]:
        """The request log, oldest first."""
        found: list[dict[str, Any]] = self._ask("GET", "/requests")
        return found

    def price(self, symbol: str, price: Decimal | str | int) -> list[dict[str, Any]]:
        """Move a market; returns the fills it made."""
        found: list[dict[str, Any]] = self._ask("POST", "/price", {"symbol": symbol, "price": str(price)})["fills"]
        return found

    def fill(
        self, *, client_order_id: str | None = None, order_id: str | None = None, qty: Decimal | str | None = None
    ) -> dict[str, Any]:
        """Fill a resting order, or `qty` base coin of it; returns the fill."""
        body = {"client_order_id": client_order_id, "order_id": order_id, "qty": None if qty is None else str(qty)}
        found: dict[str, Any] = self._ask("POST", "/fill", {k: v for k, v in body.items() if v is not None})
        return found

    def fault(
        self,
        kind: str,
        *,
        call: str = "*",
        symbol: str | None = None,
        count: int | None = None,
        params: Mapping[str, object] | None = None,
    ) -> int:
        """Add a fault rule; returns its id."""
        body = {"kind": kind, "call": call, "symbol": symbol, "count": count, "params": dict(params or {})}
        return int(self._ask("POST", "/fault", body)["id"])

    def faults(self) -> list[dict[str, Any]]:
        """The fault rules with their hits."""
        found: list[dict[str, Any]] = self._ask("GET", "/fault")
        return found

    def clear_fault(self, fault_id: int) -> None:
        """Remove one fault rule."""
        self._ask("DELETE", f"/fault/{fault_id}")

    def clear_faults(self) -> None:
        """Remove every fault rule."""
        self._ask("DELETE", "/fault")

    def maintenance(
        self, on: bool, *, begins_in_s: float = 0.0, lasts_s: float | None = None, message: str | None = None
    ) -> None:
        """Begin or announce a maintenance, or end it."""
        body: dict[str, object] = {"on": on, "begins_in_s": begins_in_s, "lasts_s": lasts_s}
        self._ask("POST", "/maintenance", body if message is None else {**body, "message": message})

    def ban(self, for_s: float) -> None:
        """Ban our address; 0 lifts the ban."""
        self._ask("POST", "/ban", {"for_s": for_s})

    def suspend(self, symbol: str, on: bool) -> None:
        """Halt a market, or open it again."""
        self._ask("POST", "/suspend", {"symbol": symbol, "on": on})

    def clock(self, ahead_s: float) -> None:
        """Set the exchange's clock against this machine's."""
        self._ask("POST", "/clock", {"ahead_s": ahead_s})

    def walk(self, every_s: float | None, *, ticks: int = 3, seed: int = 0) -> None:
        """Let prices move by themselves; None stops them."""
        self._ask("POST", "/walk", {"every_s": every_s, "ticks": ticks, "seed": seed})

    def revoke(self, api_key: str, revoked: bool = True) -> None:
        """Know a key no more, or know it again."""
        self._ask("POST", "/key", {"api_key": api_key, "revoked": revoked})

    def deposit(self, coin: str, amount: Decimal | str | int) -> None:
        """Change a balance; negative withdraws."""
        self._ask("POST", "/deposit", {"coin": coin, "amount": str(amount)})

    def trade(self, symbol: str, side: str, qty: Decimal | str | int) -> dict[str, Any]:
        """Trade at the market, by an order of a person's; returns it."""
        found: dict[str, Any] = self._ask("POST", "/trade", {"symbol": symbol, "side": side, "qty": str(qty)})
        return found

    def position(self, symbol: str, qty: Decimal | str | int) -> None:
        """Make the net position `qty` base coin, signed."""
        self._ask("POST", "/position", {"symbol": symbol, "qty": str(qty)})

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Any other call of the control interface: those that `control` documents and that have no method here."""
        return self._ask(method, path, body)

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.control_url + path, data=data, method=method)
        request.add_header("Content-Type", "application/json")
        try:
            with self._opener.open(request, timeout=self.timeout_s) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                raw = error.read()
            try:
                sentence = str(json.loads(raw)["error"])
            except (ValueError, KeyError, TypeError):
                sentence = f"{method} {path} was answered {error.code}."
            raise ControlError(sentence) from error
