"""Targets: what the published specification of a receiver of feeds demands of each column.

`load_target` returns a shipped target. A target is data, the YAML beside this file; `engine.feed_table` applies it.
"""

import functools
from importlib import resources
from typing import Literal

import msgspec
import yaml

from goodsgate.model.batch import Kind
from goodsgate.model.fields import FIELDS

Shape = Literal["text", "url", "price", "gtin", "date", "country", "yes_no", "number"]
Part = Literal["amount", "unit", "begin", "end", "presence", "options"]


class TargetError(ValueError):
    """A target is not valid; says which one and why."""


class TargetSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A document that publishes rules."""

    url: str
    read: str
    """Day on which the rules were taken from it, as an ISO date."""


class FeedColumn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a target says about one column.

    A value that falls short is left out with a warning. If the column is required, the item is incomplete.
    """

    fields: tuple[str, ...] = ()
    """Members of the item, of which the first that has a value counts; none: the one with the name of the column."""
    part: Part | None = None
    """Which part is written: amount or unit of a measure, begin or end of a period, whether there is a value
    (``true``, ``false``), or the `fields` that have a value as an object of names and values."""
    required: bool = False
    required_if: dict[str, tuple[str, ...]] = {}
    """Member of the item → the values with which the column is required; ``*`` stands for any value."""
    shape: Shape = "text"
    values: dict[str, str] = {}
    """The gate's value → the target's; others stay as they are."""
    choices: tuple[str, ...] = ()
    """The target's values, if it allows only some."""
    characters_max: int | None = None
    cut: bool = False
    """Whether a longer text is cut at a word, and not left out."""
    plain: bool = False
    """Whether a text with HTML gets a warning."""
    entries_max: int | None = None
    """Values of a list; further ones are left out."""
    at_most: str | None = None
    """Member with a price that this price must not exceed."""
    default: str | None = None
    """Value of items that have none; a destination may set others."""
    option: bool = False
    """Whether the value says something about the shop, so that a destination sets it for all items."""


class FeedTarget(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the receiver of a feed demands."""

    name: str
    title: str
    """As people call it, for example "Google Merchant Center"."""
    sources: tuple[TargetSource, ...]
    formats: tuple[str, ...]
    """Formats that it reads, the preferred one first."""
    columns: dict[str, FeedColumn]
    """In the order in which they are written."""
    one_of: tuple[tuple[str, ...], ...] = ()
    """Sets of columns of which an item needs one."""
    all_or_none: tuple[tuple[str, ...], ...] = ()
    """Sets of columns that are written together, or not at all."""
    file_items_max: int | None = None
    """Items of one file; more are written to several."""


@functools.cache
def target_names() -> tuple[str, ...]:
    """Return the names of the shipped targets, sorted."""
    files = resources.files(__name__).iterdir()
    return tuple(sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml")))


@functools.cache
def load_target(name: str) -> FeedTarget:
    """Return a shipped target. Raises KeyError if there is none of that name."""
    if name not in target_names():
        raise KeyError(name)
    return parse_target(name, resources.files(__name__).joinpath(f"{name}.yaml").read_text("utf-8"))


def parse_target(name: str, text: str) -> FeedTarget:
    """Return the target that a YAML text describes. Raises TargetError if it is not valid."""
    try:
        raw = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe
        columns = {column: said or {} for column, said in (raw.pop("columns", None) or {}).items()}
        target = msgspec.convert({**raw, "name": name, "columns": columns}, FeedTarget)
    except (yaml.YAMLError, msgspec.ValidationError, AttributeError, TypeError) as error:
        raise TargetError(f"target {name}: {error}") from error
    _check(target)
    return target


def _check(target: FeedTarget) -> None:
    """Raise TargetError for a field or a column that does not exist."""
    known = FIELDS[Kind.PRODUCT]
    for name, column in target.columns.items():
        named = [*column.fields, *column.required_if, *([column.at_most] if column.at_most else ())]
        if not column.fields and not column.option:
            named.append(name)
        for field in named:
            if field not in known:
                raise TargetError(f"target {target.name}: column {name}: there is no field {field}")
    for names in (*target.one_of, *target.all_or_none):
        for name in names:
            if name not in target.columns:
                raise TargetError(f"target {target.name}: there is no column {name}")
