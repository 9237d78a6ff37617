"""`python -m app.launcher`: a daemon started by exec, by a program that wants one of its own.

People use `order-router run`. Whoever starts this hands it three descriptors: the configuration, a pipe that says when
the starter is gone, and a pipe on which it says, in one JSON line, that it is ready or why it is not.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from app.process.early_signals import EarlyStop, early
from app.process.imports import leave_the_old_alone

if TYPE_CHECKING:
    from app.launcher.presence import Presence


def main(arguments: list[str]) -> int:
    """Runs the daemon until its starter is gone. Returns a sysexits code; 0 when told to stop before it served, too."""
    try:
        early.take()
        leave_the_old_alone()
        return _run(arguments)
    except EarlyStop:
        return 0  # the starter sees the end of the pipe


def _run(arguments: list[str]) -> int:
    # Imported here: these take longer than all the rest of a start, and a signal may come meanwhile.
    from app.config import ConfigError, load, require_credentials
    from app.journal.store import JournalError, JournalUnusable
    from app.launcher.daemon import Daemon, StartFailed, announce
    from app.process.account_lock import AccountInUse, AccountLockError
    from app.process.lock import StateDirError
    from app.transport.base import StartFailedError

    parser = argparse.ArgumentParser(prog="python -m app.launcher")
    parser.add_argument("--config", required=True)
    parser.add_argument("--parent-fd", type=int, required=True)
    parser.add_argument("--ready-fd", type=int, required=True)
    given = parser.parse_args(arguments)

    def fail(words: str, code: int) -> int:
        announce(given.ready_fd, json.dumps({"ready": False, "words": words, "code": code}))
        return code

    def ready(presence: Presence) -> None:
        announce(given.ready_fd, json.dumps({"ready": True, "pid": presence.pid}))

    try:
        config = load(Path(given.config))
        require_credentials(config)
        log_file = config.logging.file or config.router.state_dir / "order-router.log"
        return Daemon(config, parent_fd=given.parent_fd, on_ready=ready, log_file=log_file).run()
    except (ConfigError, StateDirError, JournalUnusable) as error:
        return fail(str(error), 78)
    except (AccountInUse, AccountLockError, JournalError, StartFailed, StartFailedError) as error:
        return fail(str(error), 75)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
