"""Logs: structured events with dotted names, one JSON object a line, the same from every process.

Code asks `get_logger(__name__)` and writes `log.info("route.committed", epoch=7, exchange="okx")`: the event's name is
dotted, constant and searchable, everything that varies is a key. An event is rendered where it happens, because an
actor's records travel to the logger process as text; the formatter at the far end only frames lines of other libraries
in the same way and, on a terminal, sets them for people. Secrets are removed before rendering (`redact`).
"""

import json
import logging
import logging.config
import sys
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast

import structlog

from app.process.redact import redact, redacting_processor, without_hidden

LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_RENDERED: Final = "rendered_event"
"""Attribute of a log record whose message already is a JSON line of ours; it survives pickling between processes."""

_STATE: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))

TALKATIVE: Final = ("sqlalchemy", "ccxt", "asyncio", "aiohttp")
"""Libraries that log every statement or request at INFO: of them only warnings are kept. A journal's statements in the
log would cost more than the statements, and show what every order was."""

_actor: dict[str, str] = {}
"""What every line of this process says besides: which actor it is. Of the process: threads begin without a context."""


def _who(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in _actor.items():
        event.setdefault(key, value)
    return event


_MARKS: Final[list[structlog.typing.Processor]] = [
    structlog.contextvars.merge_contextvars,
    _who,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
    structlog.processors.format_exc_info,
    redacting_processor,
]


def _as_json(event: Mapping[str, Any]) -> str:
    return json.dumps(event, default=str, ensure_ascii=False, separators=(",", ":"))


def _to_record(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> tuple[tuple[str, str], dict[str, Any]]:
    # "%s", because an event's own text may hold per cent signs.
    return ("%s", _as_json(event)), {"extra": {_RENDERED: True}}


class LineFormatter(logging.Formatter):
    """One line a record: ours as it was rendered, others' in the same shape; or, for people, columns and colours."""

    def __init__(self, human: bool = False, colours: bool = False) -> None:
        """`human` writes for a terminal instead of JSON; `colours` only matters then."""
        super().__init__()
        self._console = structlog.dev.ConsoleRenderer(colors=colours) if human else None

    def format(self, record: logging.LogRecord) -> str:
        """The line for `record`, without a newline at its end."""
        line = record.getMessage() if getattr(record, _RENDERED, False) else _as_json(_foreign(record))
        if self._console is None:
            return line
        try:
            event = json.loads(line)
        except json.JSONDecodeError:
            return line
        return str(self._console(None, "", event))


def _foreign(record: logging.LogRecord) -> dict[str, Any]:
    """A record of another library in our shape; its text is the event."""
    event: dict[str, Any] = {
        "event": record.getMessage(),
        "level": record.levelname.lower(),
        "logger": record.name,
        "timestamp": structlog.processors.TimeStamper(fmt="iso", utc=True)(None, "", {})["timestamp"],
    }
    if record.exc_info:
        event["exception"] = logging.Formatter().formatException(record.exc_info)
    elif record.exc_text:
        event["exception"] = record.exc_text
    return cast(dict[str, Any], redact(event))


def log_config(*, level: str = "INFO", path: Path | None = None, human: bool | None = None) -> dict[str, Any]:
    """The `logging.config.dictConfig` value for stderr, or for the file `path`; also what Thespian's `logDefs` takes.

    `human` chooses columns for people; None decides by whether stderr is a terminal. A file always gets JSON.

    Raises:
        ValueError: `level` is no level's name.
    """
    if level not in LEVELS:
        raise ValueError(f"log level {level!r} is unknown; choose one of {', '.join(LEVELS)}")
    terminal = sys.stderr.isatty()
    for_people = path is None and (terminal if human is None else human)
    target: dict[str, Any] = (
        {"class": "logging.StreamHandler", "stream": "ext://sys.stderr"}
        if path is None and terminal
        else {"class": "app.process.stderr_lines.StderrHandler"}
        if path is None
        else {"class": "logging.handlers.WatchedFileHandler", "filename": str(path), "encoding": "utf-8"}
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": LineFormatter, "human": for_people, "colours": terminal}},
        "handlers": {"out": {**target, "formatter": "line", "level": level}},
        "root": {"handlers": ["out"], "level": level},
    }


def configure_logs(*, level: str = "INFO", path: Path | None = None, human: bool | None = None) -> None:
    """Set up logging for this process and what it forks; arguments as for `log_config`. Daemon and command line only.

    A process that merely attaches (a bot) keeps its own logging: it never calls this.
    """
    logging.config.dictConfig(log_config(level=level, path=path, human=human))
    configure_events()


def configure_actor_logs(
    *, level: str = "INFO", path: Path | None = None, human: bool | None = None, actor: str = ""
) -> None:
    """The same for an actor, straight to the file or stderr; each line says `actor`, where one is named.

    In an actor Thespian has put in place of logging's root one that forwards each record, pickled, to its own logger
    process: what is on that way is lost when either dies. A line written by the actor itself is not.
    """
    _actor.clear()
    if actor:
        _actor["actor"] = actor
    root = logging.RootLogger(logging.WARNING)
    logging.root = logging.Logger.root = root
    logging.Logger.manager = logging.Manager(root)
    configure_logs(level=level, path=path, human=human)


def configure_events() -> None:
    """Route structlog's events through stdlib logging; enough in an actor, whose handlers Thespian has set."""
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *_MARKS, _to_record],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        # Not cached: in a forked actor Thespian replaces logging's root, and a cached logger would keep the old one.
        cache_logger_on_first_use=False,
    )


def state(name: str, event: str, **facts: str | int | None) -> None:
    """A line at info that must cost little, on the way of an order: 16 µs where an event takes 52.

    What an event goes through is left out, but for values registered with `hide`: `facts` are texts and numbers whose
    names name no secret. Those that are None are left out.
    """
    logger = logging.getLogger(name)
    if not logger.isEnabledFor(logging.INFO):
        return
    at = datetime.now(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"
    line = _STATE.encode(
        {
            "event": event,
            **{key: value for key, value in facts.items() if value is not None},
            **_actor,
            "level": "info",
            "logger": name,
            "timestamp": at,
        }
    )
    record = logging.LogRecord(name, logging.INFO, "", 0, without_hidden(line), None, None)
    setattr(record, _RENDERED, True)
    logger.handle(record)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger; `name` is the module's `__name__`."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger
