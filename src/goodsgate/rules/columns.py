"""Values of many records that are looked at together: what is done by the hundred costs a fraction of what it does one
by one.

A column is the values of one member, in the order of their records; None is no value.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, NamedTuple

from msgspec.structs import astuple


class Look(NamedTuple):
    """What there could be to say about a value; both may raise, which is taken for a no."""

    all: Callable[[list[Any]], bool]
    """Whether there is nothing to say about any of these."""
    one: Callable[[Any], bool]
    """Whether there is nothing to say about this one."""


Column = tuple[Any, ...]


class Columns(dict[str, Column]):
    """The members of Structs of one type, at least one of them, by their names; None of what the type does not have."""

    def __init__(self, records: Sequence[Any]) -> None:
        columns = zip(*map(astuple, records), strict=True)
        super().__init__(zip(records[0].__struct_fields__, columns, strict=True))
        self._none = (None,) * len(records)

    def __missing__(self, name: str) -> Column:
        return self._none


def doubtful(column: Sequence[Any], look: Look) -> Iterable[int]:
    """Places of the values about which there may be something to say."""
    values = present(column)
    if not values or is_clear(look.all, values):
        return ()
    return [at for at, value in enumerate(column) if value is not None and not is_clear(look.one, value)]


def is_clear(look: Callable[[Any], bool], value: Any) -> bool:
    """What the look says; no if it raises, so that the rules have the word."""
    try:
        return look(value)
    except Exception:
        return False


def present(column: Iterable[Any]) -> list[Any]:
    """The values without None."""
    return [value for value in column if value is not None]


def flat(values: list[Any]) -> list[Any]:
    """The values of a repeated field, which may come alone or in lists."""
    kinds = {*map(type, values)}
    if list not in kinds:
        return values
    if len(kinds) == 1:
        return [*chain.from_iterable(values)]
    return [*chain.from_iterable(value if type(value) is list else (value,) for value in values)]


def trimmed(text: str) -> bool:
    """Whether no blank stands at an edge."""
    return text == text.strip()


def are_trimmed(texts: list[str]) -> bool:
    """Whether none has a blank at an edge."""
    return [*map(str.strip, texts)] == texts


TRIMMED = Look(are_trimmed, trimmed)


def among(codes: Any) -> Look:
    """Whether a value is one of these."""
    is_code = codes.__contains__
    return Look(lambda values: all(map(is_code, values)), is_code)


def repeated(look: Look) -> Look:
    """The same look at values that may come alone or in lists."""
    return Look(
        lambda values: look.all(flat(values)),
        lambda value: all(map(look.one, value)) if type(value) is list else look.one(value),
    )
