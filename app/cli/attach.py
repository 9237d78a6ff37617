"""A router on a daemon that runs already, for the verbs that look or steer. None is ever started here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.exits import EX_CONFIG, EX_TEMPFAIL, EX_UNAVAILABLE, EX_USAGE, Ended

if TYPE_CHECKING:
    from app.core.order_router import OrderRouter

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="The configuration; by default $ORDER_ROUTER_CONFIG, ./order-router.toml, then the user's own folder.",
    ),
]
StateDirOption = Annotated[
    Path | None,
    typer.Option("--state-dir", metavar="DIR", help="Where the daemon keeps its state, instead of the configured one."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]

PLAINLY_S = 4.0
"""How long a daemon is waited for by a verb that can be written without it."""
STRATEGY = "order-router-command"
"""The name under which the command listens: of no strategy, so that it is told of nobody's orders."""


@contextmanager
def attached(config: Path | None, state_dir: Path | None, *, plainly: bool = False) -> Iterator[OrderRouter]:
    """The router of the daemon that runs on a state directory.

    Args:
        plainly: What is asked of it inside fails as it fails, for who makes something else of that; so does not being
            there at all.

    Raises:
        Ended: There is none, it may not be used, or what is asked of it inside fails; one sentence and its code.
    """
    from app.core.order_router import (
        InvalidRequest,
        NoExchangeAvailable,
        NotRunning,
        OrderRouter,
        OrderRouterError,
    )
    from app.process.logs import configure_logs

    configure_logs(level="ERROR")
    try:
        place = None if state_dir is None else state_dir.expanduser().absolute()
        router = OrderRouter(config=config, state_dir=place, strategy=STRATEGY)
        if plainly:
            router.attach(timeout_s=PLAINLY_S)
        else:
            router.attach()
    except InvalidRequest as error:
        raise Ended(EX_CONFIG, str(error)) from None
    except NotRunning as error:
        if plainly:
            raise
        raise Ended(EX_UNAVAILABLE, str(error)) from None
    try:
        yield router
    except OrderRouterError as error:
        if plainly:
            raise
        if isinstance(error, InvalidRequest):
            raise Ended(EX_USAGE, str(error)) from None
        unavailable = isinstance(error, NoExchangeAvailable | NotRunning)
        raise Ended(EX_UNAVAILABLE if unavailable else EX_TEMPFAIL, str(error)) from None
    finally:
        router.close()
