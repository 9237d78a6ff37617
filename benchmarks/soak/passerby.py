"""Somebody outside who attaches, sends without end, and is killed in the midst of it: `… STATE_DIR ADDRESS…`."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

from app.process.guards import die_with_parent
from app.transport import Mailbox, address_from_str, attach
from app.transport.mailbox import MailboxFullError
from benchmarks.soak.actors import Note

HURRY_S = 0.01


def main() -> None:
    """Send until killed; says so once it has begun."""
    key = bytes.fromhex(sys.stdin.readline())
    die_with_parent()
    system = attach(0, key, base="unix", state_dir=Path(sys.argv[1]))
    workers = [address_from_str(text) for text in sys.argv[2:]]
    with Mailbox(system) as mailbox:
        for number in itertools.count():
            try:
                mailbox.tell(workers[number % len(workers)], Note(number=number, home=mailbox.address))
            except MailboxFullError:
                mailbox.receive(HURRY_S)
            mailbox.receive(HURRY_S)
            if number == 10:
                print("sending", flush=True)


if __name__ == "__main__":
    main()
