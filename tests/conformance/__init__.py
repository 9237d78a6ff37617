"""The conformance matrix: what every adapter makes of every call, and of every way an exchange breaks.

Each cell is one observation of a run: the real adapter over the real ccxt client and real HTTP, at a simulated exchange
whose own books say what really happened. `python -m tests.conformance` runs all of them and writes docs/CONFORMANCE.md;
it fails where a cell is wrong, or was not run.
"""
