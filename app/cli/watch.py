"""`status --watch`: the same facts again and again, until Ctrl-C."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.core.order_router import OrderRouter


def keep_showing(router: OrderRouter, interval_s: float, *, as_json: bool, evidence: bool = False) -> int:
    """Shows the status every `interval_s`: in place on a terminal, else one after the other; JSON one a line.

    Ends with 0 by Ctrl-C, the way it is meant to end.

    Raises:
        OrderRouterError: The daemon has ended, or does not answer.
    """
    from rich.live import Live
    from rich.text import Text

    from app.cli.look import status_view
    from app.cli.output import console, print_json

    pause = threading.Event()
    try:
        if as_json:
            while True:
                print_json(router.get_status())
                pause.wait(interval_s)
        out = console()
        if not sys.stdout.isatty():
            while True:
                out.print(status_view(router.get_status(), evidence=evidence))
                out.print()
                sys.stdout.flush()
                pause.wait(interval_s)
        with Live(Text("asking"), console=out, auto_refresh=False, screen=True) as live:
            while True:
                live.update(status_view(router.get_status(), evidence=evidence), refresh=True)
                pause.wait(interval_s)
    except KeyboardInterrupt:
        return 0
