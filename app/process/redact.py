"""Taking secrets out of what is about to be logged.

Three nets, because one always has a hole: keys that name a secret lose their value; texts lose what follows such a name
(exchanges' errors quote URLs with their signature); and values registered with `hide` are removed wherever they stand.
"""

import re
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

REDACTED: Final = "[redacted]"
MAX_DEPTH: Final = 8
"""Deeper structures are cut: nobody reads them in a log, and a cycle must end."""

_NAME: Final = (
    r"(?:[\w-]*(?:api[_-]?key|secret|passw(?:or)?d|passphrase|signature|private[_-]?key|authorization|authent|cookie|"
    r"access[_-]key|[_-]sign|token)(?![a-z])[\w-]*|sign)"
)
_SECRET_KEY: Final = re.compile(_NAME, re.IGNORECASE)
_IN_TEXT: Final = re.compile(
    rf"""(?P<name>(?<![\w-]){_NAME}["']?\s*[=:]\s*)(?P<value>(?:(?:Bearer|Basic)\s+)?(?:"[^"]*"|'[^']*'|[^\s&,;}}\])"']+))""",
    re.IGNORECASE,
)

_hidden: set[str] = set()


def hide(secret: str) -> None:
    """Remove this very value from everything that this process (and what it forks later) logs.

    Values under six characters are left alone: taking them out would blank ordinary words.
    """
    if len(secret) >= 6:
        _hidden.add(secret)


def without_hidden(text: str) -> str:
    """`text` without registered secrets; the quickest of the nets."""
    for secret in _hidden:
        if secret in text:
            text = text.replace(secret, REDACTED)
    return text


def names_a_secret(key: str) -> bool:
    """Whether a field or header of this name must not be logged (`apiKey`, `X-BAPI-SIGN`, `secret_key`, …)."""
    return _SECRET_KEY.fullmatch(key) is not None


def redact_text(text: str) -> str:
    """`text` without registered secrets, and without values that follow a secret's name as in `signature=…`."""
    text = without_hidden(text)
    return _IN_TEXT.sub(lambda found: found["name"] + REDACTED, text)


def redact(value: Any, depth: int = 0) -> Any:
    """A copy of `value` fit for a log: mappings, sequences and texts cleaned, anything else as it is."""
    if depth > MAX_DEPTH:
        return "[too deep]"
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, bytes):
        return redact_text(value.decode("utf-8", "replace"))
    if isinstance(value, Mapping):
        return {
            str(key): REDACTED if names_a_secret(str(key)) else redact(each, depth + 1) for key, each in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(each, depth + 1) for each in value]
    return value


def redacting_processor(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The structlog processor; place it after exceptions were turned into text and before rendering."""
    cleaned: MutableMapping[str, Any] = redact(event)
    return cleaned
