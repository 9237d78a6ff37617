"""A run as a timeline a person can read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from app.fuzz import record as r
from app.fuzz.checker import Seen
from app.fuzz.checker_news import Violation
from app.fuzz.disk_plan import DiskPlan

_QUIET = ("child.started", "failover.step")


def tell(seen: Seen, violations: Iterable[Violation], *, serials: frozenset[int] = frozenset()) -> str:
    """The timeline, with the violations where they happened.

    Args:
        serials: Only these orders, where given; what is not about an order is told in any case.
    """
    lines: list[tuple[float, int, str]] = []
    for number, fact in enumerate(seen.facts):
        serial = getattr(fact, "serial", 0)
        if serials and serial and serial not in serials:
            continue
        words = _words(fact)
        if words:
            lines.append((fact.at_s, number, words))
    for violation in violations:
        at_s = min(violation.at_s, seen.end_s)
        lines.append((at_s, len(seen.facts), f"!!! {violation.rule} [order {violation.serial}] {violation.words}"))
    head = [*_opening(seen), ""]
    return "\n".join([*head, *(f"{at_s - seen.start_s:9.3f}  {words}" for at_s, _, words in sorted(lines))])


def _opening(seen: Seen) -> Iterator[str]:
    for traits in seen.plan.traits:
        proof = traits.proof
        yield (
            f"{traits.name}: expiry at {proof.enforcement.value} after {proof.validity_s:g} s, lateness "
            f"{proof.lateness_s:g} s, visibility {proof.visibility_s:g} s, clock {traits.clock_s:+.2f} s, "
            f"duplicates by {traits.duplicates.value}, "
            f"{'acknowledges' if traits.acknowledges else 'answers when done'}, "
            f"{traits.rate_limit.per_s:g} requests/s"
        )
    for strategy in seen.plan.strategies:
        for order in strategy.orders.values():
            price = "at the market" if order.price is None else f"at {order.price}"
            exits = "".join(
                f", {name} {value}"
                for name, value in (("take profit", order.take_profit), ("stop loss", order.stop_loss))
                if value is not None
            )
            trigger = "" if order.trigger is None else f", waits as a {order.trigger} for {order.trigger_price}"
            reduces = ", reduce-only" if order.reduce_only else ""
            changes = "".join(f", then {quantity or 'as many'} at {price}" for _, quantity, price in order.changes)
            yield (
                f"order {order.serial} of {strategy.name}: {order.side} {order.quantity} {order.symbol} {price} "
                f"{order.time_in_force}{reduces}{trigger}{exits}{changes}"
            )
    for window in sorted(seen.plan.windows, key=lambda each: each.begin_s):
        kinds = ", ".join(kind.value for kind in window.kinds)
        what = f"{window.share:.0%} of its {'placements' if window.places_only else 'calls'}"
        yield f"{window.begin_s:.1f} to {window.end_s:.1f} s: {window.exchange} fails {what}: {kinds}"
    for death in seen.plan.deaths:
        yield f"{death.at_s:.1f} s: {death.actor} is killed{f' {death.point}' if death.point else ''}"
    for stall in seen.plan.stalls:
        yield f"{stall.at_s:.1f} s: {stall.actor} is stopped for {stall.for_s:.1f} s"
    if seen.plan.disk is not None:
        yield from _disk(seen.plan.disk)
    for at_s, exchange in seen.plan.switches:
        yield f"{at_s:.1f} s: a person asks for a failover to {exchange}"


def _disk(disk: DiskPlan) -> Iterator[str]:
    yield f"a power cut {'takes nothing' if disk.power_safe else 'may take the newest orders'}"
    for cut in disk.cuts:
        when = f", after {cut.steps} writes and syncs more" if cut.steps else ""
        yield f"{cut.at_s:.1f} s: the power is cut{when}, for {cut.off_s:.1f} s"
    for crash in disk.crashes:
        yield f"{crash.at_s:.1f} s: whoever writes is killed after {crash.steps} writes and syncs more"
    for span in disk.spans:
        yield f"{span.begin_s:.1f} to {span.end_s:.1f} s: the disk {span.trouble.value}"


def _words(fact: r.Fact) -> str:
    match fact:
        case r.Asked():
            due_s = fact.deadline_s - fact.at_s
            body = "" if fact.quantity is None else f" for {fact.quantity}"
            body += "" if fact.price is None else f" at {fact.price}"
            what = f"{fact.kind} order {fact.serial}{body}"
            return f"{fact.strategy:14} asks: {what} within {due_s:.1f} s ({fact.request})"
        case r.Heard():
            of = f"answer to {fact.kind} {fact.request}" if fact.request else "news"
            state = f", {fact.state.value} {fact.filled}" if fact.state is not None else ""
            return f"{fact.strategy:14} hears: order {fact.serial} {fact.told.value}{state} ({of}) {fact.words}"
        case r.FillHeard():
            return f"{'':14} hears: order {fact.serial} fill {fact.quantity}, {fact.total} in all"
        case r.TradeHeard():
            return f"{fact.strategy:14} hears: order {fact.serial} trade {fact.trade_id} on {fact.exchange}"
        case r.Sent():
            valid_s = fact.expiry_s - fact.at_s
            what = f"order {fact.serial} {fact.quantity} (…{fact.wire_id[-6:]})"
            return f"{fact.exchange:14} sends: {what} for {valid_s:.1f} s"
        case r.Routed():
            return f"{'journal':14} route: epoch {fact.epoch} {fact.exchange or 'fenced'}"
        case r.Died():
            return f"{fact.actor:14} DIES: {fact.why}"
        case r.Note():
            return "" if fact.words.startswith(_QUIET) else f"{fact.who:14} {fact.words}"
        case r.Trouble():
            return ""
