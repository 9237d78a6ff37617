"""`check-config`: what a configuration says, before anything runs on it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.attach import JsonOption
from app.cli.exits import EX_CONFIG, Ended


def check_config(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]",
            help="The configuration; by default $ORDER_ROUTER_CONFIG, ./order-router.toml, then the user's own folder.",
            show_default=False,
        ),
    ] = None,
    json: JsonOption = False,
) -> int:
    """Check a configuration, and explain it: every setting, its meaning, what follows, and what looks unintended.

    Ends with 78 and one sentence where it cannot be used. No secret is shown.
    """
    from app.cli.daemon import configuration
    from app.cli.output import console, print_json, table
    from app.config import explain, refusals, warnings
    from app.exchanges import rates

    config = configuration(file)
    for words in refusals(config):
        raise Ended(EX_CONFIG, f"{config.where}: {words}")
    limits = {}
    for name in config.routed:
        own = config.exchanges.get(name)
        words = rates.in_words(name, config.market_type, own.rate_limit_per_s if own is not None else None)
        if words:
            limits[name] = words
    lines, doubts = explain(config, limits), warnings(config)
    if json:
        print_json(
            {
                "valid": True,
                "file": config.where,
                "settings": [{"setting": setting, "means": means} for setting, means in lines],
                "warnings": doubts,
            }
        )
        return 0
    out = console()
    out.print(table(("setting", "meaning"), lines))
    for doubt in doubts:
        out.print(f"warning: {doubt}.", style="yellow")
    out.print(f"{config.where} can be used.")
    return 0
