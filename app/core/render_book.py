"""The book as a bot sees it: lines, differences and alarms, and the events that tell of them."""

from __future__ import annotations

from app.core import shapes
from app.core.spelling import Spell, compact, milliseconds, number
from messages.positions import Alarm, BookLine, BookNews, Difference


def entry(line: BookLine, spell: Spell) -> shapes.BookEntry:
    """A line of the book; that of the net has no exchange."""
    return shapes.BookEntry(
        exchange=spell(line.exchange) if line.exchange else "",
        symbol=compact(line.symbol),
        target=number(line.target),
        actual=number(line.actual),
        attributed=number(line.attributed),
        adopted=number(line.adopted),
        foreign=number(line.foreign),
        possible_min=number(line.possible_min),
        possible_max=number(line.possible_max),
        timestamp=milliseconds(line.at_s),
    )


def difference(found: Difference, spell: Spell) -> shapes.PositionDifference:
    """A difference."""
    return shapes.PositionDifference(
        exchange=spell(found.exchange),
        symbol=compact(found.symbol),
        cause=found.kind.value,
        qty=number(found.quantity),
        ours=number(found.ours),
        adopted=found.adopted,
        words=found.words,
        timestamp=milliseconds(found.at_s),
    )


def alarm(found: Alarm, spell: Spell) -> shapes.PositionAlarm:
    """An alarm."""
    return shapes.PositionAlarm(
        exchange=spell(found.exchange),
        symbol=compact(found.symbol),
        code=found.code,
        words=found.words,
        timestamp=milliseconds(found.at_s),
    )


def events(news: BookNews, spell: Spell) -> list[shapes.Event]:
    """What a stream tells of it."""
    told: list[shapes.Event] = []
    for found in news.differences:
        told.append(shapes.DifferenceEvent(kind="position_difference", difference=difference(found, spell)))
    for raised, over in ((news.raised, False), (news.over, True)):
        told += [shapes.AlarmEvent(kind="position_alarm", alarm=alarm(each, spell), over=over) for each in raised]
    return told
