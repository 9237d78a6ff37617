"""Entry of the command: what must be right before anything of ours runs, and the last word on every error.

Whatever goes wrong on purpose ends as one sentence on stderr and a sysexits code. A traceback is a bug of ours.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from app.process.early_signals import EarlyStop, early
from app.process.foreign import foreign_packages
from app.process.imports import leave_the_old_alone

NAME = "order-router"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; `argv` without the program's name. Returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        if arguments[:1] == ["run"]:
            early.take()
            leave_the_old_alone()
        return _main(arguments)
    except EarlyStop:
        return 0


def _main(arguments: list[str]) -> int:
    sentences = foreign_packages()
    if sentences:
        # Before any import of ours besides: a foreign package's code must not run under our name.
        for sentence in sentences:
            print(f"{NAME}: {sentence}", file=sys.stderr)
        return 78
    from app.cli.exits import EX_CONFIG, EX_INTERRUPTED, EX_PIPE, Ended

    if sys.platform != "linux":
        print(f"{NAME}: OrderRouter runs on Linux only; this is {sys.platform}.", file=sys.stderr)
        return EX_CONFIG
    try:
        from app.cli.verbs import run

        code = run(NAME, arguments)
        sys.stdout.flush()  # a reader that is gone is met here and not while Python ends
        return code
    except Ended as end:
        print(f"{NAME}: {_sentence(end.words)}", file=sys.stderr)
        return end.code
    except KeyboardInterrupt:
        return EX_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has enough. What is still buffered must not fail once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return EX_PIPE


def _sentence(words: str) -> str:
    """One line, ended like a sentence."""
    line = " ".join(words.split())
    return line if line.endswith((".", "!", "?")) else line + "."


if __name__ == "__main__":
    sys.exit(main())
