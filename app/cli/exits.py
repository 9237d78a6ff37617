"""Exit codes, after sysexits.h, and how a verb ends with one."""

from __future__ import annotations

EX_OK = 0
EX_FAILED = 1
"""The verb ran to its end, and what it was to show is not so."""
EX_USAGE = 64
EX_DATAERR = 65
"""What was read is not as it must be."""
EX_NOINPUT = 66
EX_UNAVAILABLE = 69
"""No exchange, or no daemon, is available."""
EX_TEMPFAIL = 75
"""Try again; what systemd's `Restart=on-failure` acts on."""
EX_CONFIG = 78
EX_INTERRUPTED = 130
EX_TERMINATED = 143
EX_PIPE = 141


class Ended(Exception):
    """A verb ends: `words` go to stderr as one line, `code` to whoever started us."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.code = code
        self.words = words
