"""How a configuration is wrong."""

from __future__ import annotations


class ConfigError(ValueError):
    """The configuration cannot be used. The message is one sentence: where, what it is, what would be right."""


class BadValue(ValueError):
    """A value below some key, which whoever knows the full name turns into a `ConfigError`.

    Attributes:
        key: Attribute it belongs to; empty where the place is known from elsewhere.
        is_words: What it is, e.g. ``"is the text 'abc'"``.
        kind_words: The same without the value, for places where a secret might have slipped in.
        right: What would be right, e.g. ``"must be a number of seconds"``.
    """

    def __init__(self, key: str, is_words: str, right: str, kind_words: str = "") -> None:
        super().__init__(f"{key} {is_words}, and {right}".strip())
        self.key = key
        self.is_words = is_words
        self.kind_words = kind_words or is_words
        self.right = right


def bad_value(key: str, value: object, right: str) -> BadValue:
    """A `BadValue` with the value in words."""
    kind = kind_of(value)
    if isinstance(value, str):
        shown = value if len(value) <= 40 else value[:37] + "..."
        return BadValue(key, f"is the text {shown!r}", right, f"is {kind}")
    if isinstance(value, bool):
        return BadValue(key, f"is {str(value).lower()}", right)
    if isinstance(value, int | float):
        return BadValue(key, f"is {value:g}" if isinstance(value, float) else f"is {value}", right, f"is {kind}")
    return BadValue(key, f"is {kind}", right)


def kind_of(value: object) -> str:
    """What TOML calls it."""
    if isinstance(value, bool):
        return "true or false"
    for types, words in (
        (str, "a text"),
        (int, "a whole number"),
        (float, "a number"),
        ((list, tuple), "a list"),
        (dict, "a table"),
    ):
        if isinstance(value, types):
            return words
    return "a date or time" if hasattr(value, "isoformat") else f"a {type(value).__name__}"
