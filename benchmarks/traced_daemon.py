"""`python -m benchmarks.traced_daemon`: the daemon as it is (`app.launcher`), with marks on the way of an order.

The folder for the marks comes in the environment variable BENCHMARK_MARKS.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from app.launcher.__main__ import main
from benchmarks.marks import VARIABLE, mark_daemon

if __name__ == "__main__":
    mark_daemon(Path(os.environ[VARIABLE]))
    sys.exit(main(sys.argv[1:]))
