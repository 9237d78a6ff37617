"""Scenarios of the deterministic harness, played against real processes, a journal on disk, ccxt and HTTP.

`mapping` says what of a seed's plan can be done to the real thing, and in what time; `strategy` and `daemon` run in the
real processes and write down what happens; `play` is the player outside; `judge` asks the harness' own checkers.
"""
