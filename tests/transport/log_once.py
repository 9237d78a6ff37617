"""A launcher whose only actor logs one event into the file it is given; stops when it is there."""

import sys
import threading
import time
from pathlib import Path

from thespian.actors import Actor, ActorAddress

from app.process.logs import configure_events, get_logger, log_config
from app.transport import free_port, start_system, stop_system

ASK_TIMEOUT_S = 20


class Talker(Actor):  # type: ignore[misc]  # Thespian is untyped
    """Logs what it is told."""

    def __init__(self) -> None:
        configure_events()

    def receiveMessage(self, message: object, sender: ActorAddress) -> None:
        """Any text is an event's text."""
        if isinstance(message, str):
            get_logger(__name__).info("actor.said", text=message, api_key="abcdef")
            self.send(sender, "logged")


def main() -> None:
    """Start, have it log, stop: the event is on its way to the logger process when the answer comes."""
    log = Path(sys.argv[1])
    system = start_system(free_port(), bytes(32), log_defs=log_config(path=log))
    answer = system.ask(system.createActor("tests.transport.log_once.Talker"), "100 % of é", ASK_TIMEOUT_S)
    end_s = time.monotonic() + ASK_TIMEOUT_S
    while not (log.exists() and "actor.said" in log.read_text()) and time.monotonic() < end_s:
        threading.Event().wait(0.02)
    stop_system(system)
    assert answer == "logged"


if __name__ == "__main__":
    main()
