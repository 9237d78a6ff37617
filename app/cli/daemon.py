"""`run`: the daemon in the foreground."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.exits import EX_CONFIG, EX_OK, EX_TEMPFAIL, Ended
from app.process.early_signals import early

if TYPE_CHECKING:
    from app.config import Config
    from app.launcher.presence import Presence


def run(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            help="The configuration; by default $ORDER_ROUTER_CONFIG, ./order-router.toml, then the user's own folder.",
        ),
    ] = None,
) -> int:
    """Run the router in the foreground until SIGTERM or SIGINT.

    Logs go to stderr, or to the configured file; one line on stdout says when it serves. Ends with 75 when its actors
    fail more often than the configuration allows, for systemd to start it again.
    """
    try:
        return _run(config)
    except Ended as end:
        # The exception may have been met by a library on the way, and come out as a failure to start.
        if early.stop and end.code == EX_TEMPFAIL:
            return EX_OK
        raise


def _run(path: Path | None) -> int:
    from app.journal.store import JournalError, JournalUnusable
    from app.launcher.daemon import Daemon, StartFailed
    from app.process.account_lock import AccountInUse, AccountLockError
    from app.process.lock import StateDirError
    from app.transport.base import StartFailedError

    early.reload = False  # what asked for it so far is met by the reading that follows
    found = configuration(path)

    def ready(presence: Presence) -> None:
        print(
            f"order-router: ready on {found.router.state_dir} (pid {presence.pid}),"
            f" routing to {', '.join(found.routed)}",
            flush=True,
        )

    daemon = Daemon(found, config_path=Path(found.where), on_ready=ready)
    try:
        return daemon.run()
    except (StateDirError, JournalUnusable) as error:
        raise Ended(EX_CONFIG, str(error)) from None
    except (AccountInUse, AccountLockError, StartFailed, StartFailedError, JournalError) as error:
        if daemon.stopping:
            return EX_OK  # told to stop before it served
        raise Ended(EX_TEMPFAIL, str(error)) from None


def configuration(path: Path | None) -> Config:
    """The configuration to run with, complete and free of contradictions.

    Raises:
        Ended: There is none, or it cannot be used.
    """
    from app.config import CONFIG_NAME, CONFIG_VARIABLE, ConfigError, find_config, load, require_credentials
    from app.process.foreign import hidden_by_ours

    found = find_config(str(path) if path is not None else None)
    if found is None:
        raise Ended(
            EX_CONFIG,
            f"no configuration is found: name a file with --config or ${CONFIG_VARIABLE}, or write ./{CONFIG_NAME}",
        )
    try:
        config = load(found)
        require_credentials(config)
    except ConfigError as error:
        raise Ended(EX_CONFIG, str(error)) from None
    hidden = hidden_by_ours([str(s.path) for s in config.strategies.values() if s.path is not None])
    if hidden:
        raise Ended(EX_CONFIG, "; ".join(hidden))
    return config
