"""Which exchanges there are: the router's own, and any other that ccxt has, without importing ccxt."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from app.domain.names import CANONICAL, UnknownExchange, canonical_name


@cache
def in_ccxt() -> frozenset[str]:
    """ccxt's ids, from the names of its modules: importing it takes a second, and a configuration is read often."""
    found = find_spec("ccxt")  # of a package at the top this imports nothing
    places = () if found is None else found.submodule_search_locations or ()
    return frozenset(
        module.stem
        for place in places
        for module in Path(place, "async_support").glob("*.py")
        if not module.stem.startswith("_")
    )


def known_name(name: str) -> str:
    """The router's own name of an exchange that there is.

    Raises:
        UnknownExchange: Neither the router nor ccxt knows one of that name; lists the router's own.
    """
    canonical = canonical_name(name)
    if canonical not in CANONICAL and canonical not in in_ccxt():
        known = ", ".join(sorted(CANONICAL))
        raise UnknownExchange(
            f"Exchange {name!r} is not known to the router: it must be one of {known}, or another that ccxt has, by"
            " ccxt's id."
        )
    return canonical
