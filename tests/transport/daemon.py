"""A launcher in a process of its own: run by exec, key on stdin's first line, facts as JSON on stdout's.

An argument is the state directory, in which its Unix sockets are; without it, it uses TCP. It starts an actor system
with an actor, a child and a grandchild, then stops it when told "stop", and just ends when stdin closes.
"""

import json
import sys
from pathlib import Path

from app.process.guards import become_subreaper, die_with_parent
from app.transport import address_to_str, admin_pid, free_port, start_system, stop_system
from tests.transport.actors import AskPid, Echo, Spawn

ASK_TIMEOUT_S = 20


def main() -> None:
    """Start, report, wait, stop."""
    key = bytes.fromhex(sys.stdin.readline())
    die_with_parent()
    become_subreaper()
    port = free_port()
    state_dir = Path(sys.argv[1]) if sys.argv[1:] else None
    system = start_system(port, key, base="unix" if state_dir else "tcp", state_dir=state_dir)
    actors = [system.createActor(Echo)]
    for _ in range(2):
        actors.append(system.ask(actors[-1], Spawn(), ASK_TIMEOUT_S))
    facts = {
        "port": port,
        "admin_pid": admin_pid(system),
        "actors": [address_to_str(each) for each in actors],
        "actor_pids": [system.ask(each, AskPid(), ASK_TIMEOUT_S) for each in actors],
    }
    print(json.dumps(facts), flush=True)
    if sys.stdin.readline().strip() == "stop":
        stop_system(system)
        print("stopped", flush=True)


if __name__ == "__main__":
    main()
