"""What who configures an exchange nobody wrote an adapter for has to know, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from app.exchanges.client import prepare
from app.exchanges.profiles import generic_reading as reading
from app.exchanges.profiles import generic_trial
from app.exchanges.profiles.generic import Generic


def unfit(profile: type[Generic]) -> str:
    """Why it cannot be traded on, as far as ccxt says so before anything is asked; empty for "it may be"."""
    return generic_trial.unfit(prepare(profile()), profile.name)


def limits(profile: type[Generic]) -> Iterator[str]:
    """What trading on such an exchange lacks: one sentence each, for who configures it. Imports ccxt."""
    client, name = prepare(profile()), profile.name
    yield (
        f"{name} is traded over ccxt's unified methods only; nobody has checked what they do there: try it on a small"
        " account first"
    )
    yield (
        f"{name} is not told when an order expires: one that it has not answered is taken for lost only"
        f" {profile.proof.validity_s + profile.proof.margin_s:g} s later, and nothing is sent again before"
    )
    page = reading.page(client, profile.market_type, "fetchClosedOrders")
    yield (
        f"orders on {name} are looked up by listing: where more than {page or reading.LEAST_CUT} of a symbol ended"
        " since, an order that is not listed is not proven absent"
    )
    yield (
        f"{name} takes no orders that wait for a trigger, no attached take profit or stop loss, no changes of resting"
        " orders and no dead-man switch here; what else ccxt would not send, is found out at start"
    )
    if not client.urls.get("test"):
        yield f"ccxt knows no test network of {name}"
