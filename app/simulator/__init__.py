"""Simulated exchanges: they speak real REST wire formats over HTTP, so real ccxt clients trade on them unchanged."""
