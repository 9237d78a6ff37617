"""The actors: thin shells that receive a typed message, ask a pure machine, and perform its effects."""
