"""The verbs by which a person steers the router: where trading is, what is placed, what becomes of one order.

Each is done once, however often it is typed. With `--dry-run` nothing is done, and the plan is shown. The code says
what came of it: 0 all of it, 75 not all of it yet (it goes on, or may be tried again), 69 no exchange could take over,
64 it cannot be.

Verbs that only hold the router to something, or end that, need no daemon and no coordinator: what holds is in the
journal, and every order that is to be committed meets it there. So where nobody answers they write it themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.attach import PLAINLY_S, ConfigOption, JsonOption, StateDirOption, attached
from app.cli.exits import EX_TEMPFAIL, EX_UNAVAILABLE, EX_USAGE, Ended

if TYPE_CHECKING:
    from app.core.order_router import OrderRouter
    from app.core.shapes import Steered
    from messages.control import Verb

DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")]
ReasonOption = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for the status and the history.")]
TimeoutOption = Annotated[
    float | None, typer.Option("--timeout", metavar="SECONDS", help="How long to wait for it to come about.")
]
ExchangeArgument = Annotated[str, typer.Argument(metavar="EXCHANGE", help="The exchange, e.g. okx.")]

Ask = Callable[["OrderRouter"], "Steered"]


# ---- where trading is -----------------------------------------------------------------------------------------------


def failover(
    exchange: Annotated[str, typer.Argument(metavar="EXCHANGE", help="Where trading moves, e.g. okx.")],
    dry_run: DryRunOption = False,
    reason: ReasonOption = "",
    timeout_s: TimeoutOption = None,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    json: JsonOption = False,
) -> int:
    """Move trading to another exchange, and return when it has moved.

    Open orders go along, wait for their owners or are cancelled, as `[orders] policy` says, and positions as
    `[positions] policy` does; `history` tells what was carried, and what was left.
    """
    from app.cli.output import console, print_json

    _known(exchange)
    if dry_run:
        return _steer(config, state_dir, json, lambda router: router.plan_failover(exchange, timeout_s=timeout_s))
    with attached(config, state_dir) as router, _moves():
        entry = router.manual_failover(exchange, reason=reason, timeout_s=timeout_s)
    if json:
        print_json(entry)
        return 0
    console().print(
        f"Trading moved from {entry['from_exchange']} to {entry['to_exchange']} in {entry['duration_s'] * 1000:.0f} ms"
        f" (epoch {entry['epoch']})."
    )
    return 0


def failback(
    dry_run: DryRunOption = False,
    reason: ReasonOption = "",
    timeout_s: TimeoutOption = None,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    json: JsonOption = False,
) -> int:
    """Move trading back to the primary exchange, and return when it has moved."""
    return _steer(
        config,
        state_dir,
        json,
        lambda router: router.failback(dry_run=dry_run, reason=reason, timeout_s=timeout_s),
    )


def isolate(
    exchange: ExchangeArgument,
    dry_run: DryRunOption = False,
    reason: ReasonOption = "",
    timeout_s: TimeoutOption = None,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    json: JsonOption = False,
) -> int:
    """Keep an exchange out until it is released: nothing new is placed there, and trading never moves there.

    Where it is in use, trading leaves it at once.
    """
    from messages.control import Isolate

    name = _known(exchange)
    return _steer(
        config,
        state_dir,
        json,
        lambda router: router.isolate(exchange, dry_run=dry_run, reason=reason, timeout_s=timeout_s),
        instead=None if dry_run else Isolate(correlation_id="", deadline_s=0.0, exchange=name, reason=reason),
    )


def release(
    exchange: ExchangeArgument,
    dry_run: DryRunOption = False,
    reason: ReasonOption = "",
    timeout_s: TimeoutOption = None,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    json: JsonOption = False,
) -> int:
    """End the isolation of an exchange. Trading does not move by it."""
    from messages.control import Release

    name = _known(exchange)
    return _steer(
        config,
        state_dir,
        json,
        lambda router: router.release(exchange, dry_run=dry_run, reason=reason, timeout_s=timeout_s),
        instead=None if dry_run else Release(correlation_id="", deadline_s=0.0, exchange=name, reason=reason),
    )


def drain(
    exchange: ExchangeArgument,
    dry_run: DryRunOption = False,
    reason: ReasonOption = "",
    timeout_s: TimeoutOption = None,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    json: JsonOption = False,
) -> int:
    """Take orders and positions off an exchange before its maintenance, and isolate it.

    Where it is in use, trading moves first; where no other exchange could take over, nothing is done at all.
    """
    _known(exchange)
    return _steer(
        config,
        state_dir,
        json,
        lambda router: router.drain(exchange, dry_run=dry_run, reason=reason, timeout_s=timeout_s),
    )


# ---- what is placed -------------------------------------------------------------------------------------------------


def freeze(
    dry_run: DryRunOption = False,
    reason: ReasonOption = "",
    timeout_s: TimeoutOption = None,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    json: JsonOption = False,
) -> int:
    """Place nothing new on any exchange until `unfreeze`, and move no position; cancels and exits still pass."""
    from messages.control import Freeze

    return _steer(
        config,
        state_dir,
        json,
        lambda router: router.freeze(dry_run=dry_run, reason=reason, timeout_s=timeout_s),
        instead=None if dry_run else Freeze(correlation_id="", deadline_s=0.0, reason=reason),
    )


def unfreeze(
    dry_run: DryRunOption = False,
    reason: ReasonOption = "",
    timeout_s: TimeoutOption = None,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    json: JsonOption = False,
) -> int:
    """End a freeze, or a panic. The reduce-only mode and isolations stay."""
    from messages.control import Unfreeze

    return _steer(
        config,
        state_dir,
        json,
        lambda router: router.unfreeze(dry_run=dry_run, reason=reason, timeout_s=timeout_s),
        instead=None if dry_run else Unfreeze(correlation_id="", deadline_s=0.0, reason=reason),
    )


def reduce_only(
    mode: Annotated[str, typer.Argument(metavar="[on|off]", help="Whether it holds.")] = "on",
    dry_run: DryRunOption = False,
    reason: ReasonOption = "",
    timeout_s: TimeoutOption = None,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    json: JsonOption = False,
) -> int:
    """Take only orders that reduce a position, until `reduce-only off`. What rests stays."""
    from messages.control import ReduceOnlyMode

    if mode not in ("on", "off"):
        raise Ended(EX_USAGE, f"reduce-only is {mode!r}, and must be on or off")
    on = mode == "on"
    return _steer(
        config,
        state_dir,
        json,
        lambda router: router.reduce_only(on, dry_run=dry_run, reason=reason, timeout_s=timeout_s),
        instead=None if dry_run else ReduceOnlyMode(correlation_id="", deadline_s=0.0, on=on, reason=reason),
    )


def panic(
    flatten: Annotated[bool, typer.Option("--flatten", help="Close the positions of our own orders, too.")] = False,
    dry_run: DryRunOption = False,
    reason: ReasonOption = "",
    timeout_s: TimeoutOption = None,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    json: JsonOption = False,
) -> int:
    """Freeze, and cancel every order of ours on every exchange, until `unfreeze`.

    Of every strategy; on an exchange that is down as soon as it is back. Stops that protect a position stay, unless
    `--flatten` closes the positions, too. Orders and positions of other people on the account are not touched.
    """
    from messages.control import Panic

    return _steer(
        config,
        state_dir,
        json,
        lambda router: router.panic(flatten, dry_run=dry_run, reason=reason, timeout_s=timeout_s),
        instead=None if dry_run else Panic(correlation_id="", deadline_s=0.0, flatten=flatten, reason=reason),
    )


# ---- one order ------------------------------------------------------------------------------------------------------


def resolve(
    order: Annotated[str, typer.Argument(metavar="ORDER", help="The router's id of the order.")],
    place: Annotated[bool, typer.Option("--place", help="A parked order: place it where trading is.")] = False,
    drop: Annotated[bool, typer.Option("--drop", help="End it: cancel it, or what is left of it.")] = False,
    dry_run: DryRunOption = False,
    reason: ReasonOption = "",
    timeout_s: TimeoutOption = None,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    json: JsonOption = False,
) -> int:
    """Say what one order is, after asking its exchange; or place, or end, one that waits for its owner."""
    if place and drop:
        raise Ended(EX_USAGE, "an order is either placed or dropped: give one of --place and --drop")
    how = "place" if place else "drop" if drop else "look"
    return _steer(
        config,
        state_dir,
        json,
        lambda router: router.resolve(order, how, dry_run=dry_run, reason=reason, timeout_s=timeout_s),
    )


# ---- what they share ------------------------------------------------------------------------------------------------


def _known(exchange: str) -> str:
    from app.domain.names import UnknownExchange
    from app.exchanges.known import known_name

    try:
        return known_name(exchange)
    except UnknownExchange as error:
        raise Ended(EX_USAGE, str(error)) from None


@contextmanager
def _moves() -> Iterator[None]:
    """Of what wants trading moved: that it could not be is for want of an exchange."""
    from app.core.order_router import InvalidRequest, NotRunning, OrderRouterError

    try:
        yield
    except (InvalidRequest, NotRunning):
        raise
    except OrderRouterError as error:
        raise Ended(EX_UNAVAILABLE, str(error)) from None


def _steer(config: Path | None, state_dir: Path | None, json: bool, ask: Ask, *, instead: Verb | None = None) -> int:
    """Asks, and shows what came of it.

    Args:
        instead: What is written to the journal itself where no daemon runs, or nobody in it answers.
    """
    from app.cli.output import console, print_json
    from app.cli.plans import steered_view

    came = _asked(config, state_dir, ask) if instead is None else _held(config, state_dir, ask, instead)
    if json:
        print_json(came)
    else:
        console().print(steered_view(came))
    return 0 if came["done"] or came["plan"] is not None else EX_TEMPFAIL


def _asked(config: Path | None, state_dir: Path | None, ask: Ask) -> Steered:
    with attached(config, state_dir) as router, _moves():
        return ask(router)


def _held(config: Path | None, state_dir: Path | None, ask: Ask, verb: Verb) -> Steered:
    from app.cli.directly import write
    from app.core.errors import InvalidRequest, OrderRouterError

    try:
        with attached(config, state_dir, plainly=True) as router:
            router.get_status(timeout_s=PLAINLY_S)  # whoever would do it answers; what is done then may take longer
            return ask(router)
    except InvalidRequest as error:
        raise Ended(EX_USAGE, str(error)) from None
    except OrderRouterError as error:
        return write(config, state_dir, verb, str(error))
