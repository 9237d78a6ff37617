"""The pure core: every decision of the router as a machine or a function.

No clock, no randomness, no I/O: time comes in as `now_s`, ids and sizes as arguments, and what should happen goes out
as effects, values the shells perform. So every machine here can be driven by a property test, and the same sequence of
events always gives the same effects.
"""
