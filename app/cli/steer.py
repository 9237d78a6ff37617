"""`failover`: a person moves trading."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.attach import ConfigOption, JsonOption, StateDirOption, attached
from app.cli.exits import EX_UNAVAILABLE, EX_USAGE, Ended


def failover(
    exchange: Annotated[str, typer.Argument(metavar="EXCHANGE", help="Where trading moves, e.g. okx.")],
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
    json: JsonOption = False,
) -> int:
    """Move trading to another exchange, and return when it has moved.

    Orders still open where it was are cancelled where that exchange answers; `history` tells what was left.
    """
    from app.cli.output import console, print_json
    from app.core.order_router import InvalidRequest, NotRunning, OrderRouterError
    from app.domain.names import UnknownExchange
    from app.exchanges.known import known_name

    try:
        known_name(exchange)
    except UnknownExchange as error:
        raise Ended(EX_USAGE, str(error)) from None
    with attached(config, state_dir) as router:
        try:
            entry = router.manual_failover(exchange)
        except (InvalidRequest, NotRunning):
            raise
        except OrderRouterError as error:
            raise Ended(EX_UNAVAILABLE, str(error)) from None
    if json:
        print_json(entry)
        return 0
    console().print(
        f"Trading moved from {entry['from_exchange']} to {entry['to_exchange']} in {entry['duration_s'] * 1000:.0f} ms"
        f" (epoch {entry['epoch']})."
    )
    return 0
