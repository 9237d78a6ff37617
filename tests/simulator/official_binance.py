"""Binance's own clients (binance-sdk-*), unmodified but for their address; and what they say about the answers' types.

The clients check every answer against the types of the published API, and log a warning where it differs. A test that
has `no_complaints` fails over any such warning.

These packages and not the older `binance-connector` and `binance-futures-connector`: those are deprecated, check
nothing, and install two different packages under the one name `binance`, so that they cannot be installed together.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from binance_common.configuration import ConfigurationRestAPI

from app.simulator.thread import Simulated


def configuration(sim: Simulated) -> ConfigurationRestAPI:
    """Keys and address of a simulated exchange; a failed request is not tried again."""
    return ConfigurationRestAPI(
        api_key=sim.api_key, api_secret=sim.secret, base_path=sim.base_url, timeout=5_000, retries=0
    )


class Listener(logging.Handler):
    """Keeps the warnings."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """One more."""
        self.said.append(record.getMessage())


@contextmanager
def no_complaints() -> Iterator[None]:
    """Fail if the client found an answer that is not of the published types."""
    listener = Listener()
    logging.getLogger().addHandler(listener)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(listener)
    assert listener.said == []


def data(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What a call answers, as plain values in the exchange's own names."""
    return plain(call(*args, **kwargs).data())


def plain(value: Any) -> Any:
    """A model as the dictionary it was read from."""
    if isinstance(value, list):
        return [plain(v) for v in value]
    actual = getattr(value, "actual_instance", None)
    if actual is not None:
        return plain(actual)
    return value.to_dict() if hasattr(value, "to_dict") else value
