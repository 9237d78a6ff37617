"""The tree that is soaked, in a process of its own: `python -m benchmarks.soak.host STATE_DIR`, its key on stdin.

Tells the keeper's address as a line of JSON, and ends with everything below it when stdin ends.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from app.process.guards import become_subreaper, die_with_parent
from app.transport import address_to_str, admin_pid, start_system, stop_system
from benchmarks.soak.actors import Keeper


def main() -> None:
    """Start, tell, wait, stop."""
    key = bytes.fromhex(sys.stdin.readline())
    die_with_parent()
    become_subreaper()
    system = start_system(0, key, base="unix", state_dir=Path(sys.argv[1]))
    keeper = system.createActor(Keeper)
    print(json.dumps({"keeper": address_to_str(keeper), "admin_pid": admin_pid(system)}), flush=True)
    sys.stdin.read()
    stop_system(system)


if __name__ == "__main__":
    main()
