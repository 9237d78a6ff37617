"""From parsed TOML to a `Config`, strictly: nothing unknown, nothing converted, every refusal one sentence.

cattrs does the structuring; its errors are turned into sentences with the dotted name of the key. Nothing below
``exchanges`` is quoted in an error: a secret may have slipped under the wrong key.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
from cattrs import (
    AttributeValidationNote,
    BaseValidationError,
    ClassValidationError,
    Converter,
    ForbiddenExtraKeysError,
    IterableValidationNote,
)
from cattrs.gen import make_dict_structure_fn, override

from app.config.errors import BadValue, ConfigError, bad_value, kind_of
from app.config.files import is_descriptor
from app.config.secrets import SPELLINGS, SecretRef, take_secrets
from app.config.shape import KNOWN_EXCHANGES, Config, Exchange, Logging, Strategy
from app.domain.names import UnknownExchange
from app.exchanges.known import known_name
from app.process.redact import names_a_secret

STRATEGY_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
SECTIONS = tuple(attribute.name for attribute in attrs.fields(Config) if attribute.name != "where")


def from_mapping(data: Mapping[str, Any], where: str) -> Config:
    """A configuration from parsed tables, checked value by value. `app.config.from_mapping` also checks them together.

    Raises:
        ConfigError: Something is unknown, of the wrong type or out of bounds.
    """
    base = Path(where).expanduser()
    folder = Path.cwd() if is_descriptor(base) else base.absolute().parent
    for section in data:
        if section not in SECTIONS:
            raise ConfigError(f"{where}: {_unknown(section, '', SECTIONS, 'section')}")
    for section in ("strategies", "exchanges"):
        if not isinstance(data.get(section, {}), Mapping):
            raise ConfigError(f"{where}: {section} is {kind_of(data[section])}, and must be a table of tables")
    for name in data.get("strategies", {}):
        if not STRATEGY_NAME.fullmatch(name):
            raise ConfigError(f"{where}: strategies.{name!r} must be named by 1 to 64 letters, digits, _ or -")
    tables = {**data, "exchanges": _exchanges(data.get("exchanges", {}), where, folder)}
    try:
        config = _converter(folder).structure(tables, Config)
    except BaseValidationError as error:
        raise ConfigError(f"{where}: {next(_sentences(error, ()))}") from None
    return attrs.evolve(config, where=where)


def _exchanges(tables: Mapping[str, Any], where: str, folder: Path) -> Mapping[str, Any]:
    """The [exchanges] tables under the router's names, without secrets."""
    result, spelled = dict[str, Any](), dict[str, str]()
    for name, table in tables.items():
        try:
            canonical = known_name(name)
        except UnknownExchange:
            raise ConfigError(
                f"{where}: exchanges.{name} is not an exchange the router knows, and must be one of {KNOWN_EXCHANGES}"
            ) from None
        if canonical in result:
            raise ConfigError(
                f"{where}: exchanges.{spelled[canonical]} and exchanges.{name} are the same exchange,"
                " and only one of them may be there"
            )
        if isinstance(table, Mapping):
            _no_secret_options(table.get("options"), name, where)
            table = take_secrets(table, name, where, folder)
        result[canonical], spelled[canonical] = table, name
    return result


def _no_secret_options(options: Any, name: str, where: str, depth: int = 0) -> None:
    if not isinstance(options, Mapping) or depth > 8:
        return
    for key, value in options.items():
        if names_a_secret(key):
            raise ConfigError(
                f"{where}: exchanges.{name}.options holds {key}, and a secret must not be among the options:"
                f" use exchanges.{name}.api_key, .secret or .password, or the same with _env or _file"
            )
        _no_secret_options(value, name, where, depth + 1)


def _converter(folder: Path) -> Converter:
    converter = Converter(forbid_extra_keys=True, detailed_validation=True)
    converter.register_structure_hook(str, _strictly(str, "must be a text"))
    converter.register_structure_hook(bool, _strictly(bool, "must be true or false"))
    converter.register_structure_hook(int, _whole_number)
    converter.register_structure_hook(float, _number)
    converter.register_structure_hook(Decimal, _amount)
    converter.register_structure_hook(SecretRef, lambda value, _type: value)

    def path(value: Any, _type: type) -> Path:
        if not isinstance(value, str) or not value:
            raise bad_value("", value, "must be the path of a file or folder, as a text")
        return Path(value).expanduser()

    converter.register_structure_hook(Path, path)
    converter.register_structure_hook_func(lambda cls: cls == tuple[str, ...], _texts)
    converter.register_structure_hook_func(lambda cls: cls == Mapping[str, Any], _table)
    converter.register_structure_hook_factory(attrs.has, lambda cls: _section(cls, converter, folder))
    return converter


def _strictly(kind: type, right: str) -> Callable[[Any, type], Any]:
    def hook(value: Any, _type: type) -> Any:
        if not isinstance(value, kind):
            raise bad_value("", value, right)
        return value

    return hook


def _whole_number(value: Any, _type: type) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise bad_value("", value, "must be a whole number")
    return value


def _number(value: Any, _type: type) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise bad_value("", value, "must be a number of seconds")
    try:
        return float(value)
    except OverflowError:
        raise BadValue("", "is a whole number of too many digits", "must be a number of seconds") from None


def _amount(value: Any, _type: type) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise bad_value("", value, "must be a number")
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def _texts(value: Any, _type: type) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise bad_value("", value, "must be a list of texts")
    for each in value:
        if not isinstance(each, str):
            raise BadValue("", f"holds {kind_of(each)}", "must be a list of texts")
    return tuple(value)


def _table(value: Any, _type: type) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise bad_value("", value, "must be a table")
    return dict(value)


def _section(cls: type, converter: Converter, folder: Path) -> Callable[[Any, type], Any]:
    renamed: Any = {
        attribute.name: override(rename=attribute.metadata["key"])
        for attribute in attrs.fields(cls)
        if "key" in attribute.metadata
    }
    structured: Callable[[Any, type], Any] = make_dict_structure_fn(
        cls, converter, _cattrs_forbid_extra_keys=True, _cattrs_detailed_validation=True, **renamed
    )

    def hook(value: Any, _type: type) -> Any:
        if not isinstance(value, Mapping):
            raise bad_value("", value, "must be a table")
        made = structured(value, cls)
        if isinstance(made, Strategy) and made.path is not None:
            made = attrs.evolve(made, path=folder / made.path)
        elif isinstance(made, Logging) and made.file is not None:
            made = attrs.evolve(made, file=folder / made.file)
        return made

    return hook


def _sentences(error: BaseException, path: tuple[str, ...]) -> Iterator[str]:
    """Every problem in an error of cattrs, in the order of the configuration's sections."""
    if isinstance(error, BaseValidationError):
        unknown_first = sorted(error.exceptions, key=lambda each: not isinstance(each, ForbiddenExtraKeysError))
        for each in unknown_first:
            name = ""
            for note in getattr(each, "__notes__", ()):
                if isinstance(note, AttributeValidationNote):
                    name = note.name.removesuffix("_")
                elif isinstance(note, IterableValidationNote):
                    name = str(note.index)
            if isinstance(each, KeyError) and isinstance(error, ClassValidationError):
                yield f"{'.'.join((*path, name))} is missing, and must be set"
            else:
                yield from _sentences(each, (*path, name) if name else path)
    elif isinstance(error, ForbiddenExtraKeysError):
        known = [
            attribute.metadata.get("key", attribute.name)
            for attribute in attrs.fields(error.cl)
            if attribute.name != "where"
        ]
        if error.cl is Exchange:
            known += [spelling for spelling in SPELLINGS if spelling not in known]
        for key in sorted(error.extra_fields):
            yield _unknown(key, ".".join(path), known, "setting")
    elif isinstance(error, BadValue):
        dotted = ".".join((*path, error.key) if error.key else path)
        yield f"{dotted} {error.kind_words if path[:1] == ('exchanges',) else error.is_words}, and {error.right}"
    else:
        yield f"{'.'.join(path)} cannot be used: {type(error).__name__}"


def _unknown(key: str, section: str, known: Any, noun: str) -> str:
    prefix = f"{section}." if section else ""
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    hint = f"did you mean {prefix}{near[0]}?" if near else f"known here are {', '.join(sorted(known))}"
    return f"{prefix}{key} is not a {noun} the router knows; {hint}"
