"""Guards: conditions under which a batch is held before anything of it is applied, and what became of it then."""

import re
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Literal

import msgspec

from goodsgate.model.counting import counted

HOLD_HOURS_MAX = 8760
"""Hours for which a batch may be held: a year."""
LIMIT = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)(%?)")

HoldMode = Literal["wait", "pass"]
"""Whether the batches behind a held one wait for it, or are let past."""


class Condition(msgspec.Struct, frozen=True):
    """Something about a batch that can be limited."""

    text: str
    """What is counted, as a sentence continues after a number: ``of the records are rejected``."""
    single: str = ""
    """The same after the number 1; empty if only a share is a limit."""
    of: str = "records"
    """What a share is a part of; empty if the condition has no share."""
    has_count: bool = True
    """Whether a number is a limit, too; else only a share is."""
    name: str = ""
    """The condition without a number; empty if that is its text."""

    @property
    def of_one(self) -> str:
        """What a share is a part of, in the singular."""
        return self.of.replace("records", "record").replace("items", "item").replace("prices", "price")

    @property
    def label(self) -> str:
        """The condition in words, without a number and a limit."""
        return self.name or self.text


CONDITIONS: dict[str, Condition] = {
    "rejected": Condition("records are rejected", "record is rejected"),
    "created": Condition("items are new", "item is new"),
    "deleted": Condition("items would be deleted", "item would be deleted", of="items in the collection"),
    "prices_falling": Condition("prices fall", "price falls"),
    "prices_rising": Condition("prices rise", "price rises"),
    "prices_halved": Condition("prices fall by more than half", "price falls by more than half"),
    "prices_doubled": Condition("prices rise to more than double", "price rises to more than double"),
    "price_fall_median": Condition("less is the median of the prices that change", of="price", has_count=False,
                                   name="prices fall in the median"),
    "price_rise_median": Condition("more is the median of the prices that change", of="price", has_count=False,
                                   name="prices rise in the median"),
    "zero_prices": Condition("prices become zero", "price becomes zero"),
    "stock_to_zero": Condition("items go out of stock", "item goes out of stock"),
    "titles_emptied": Condition("titles are emptied", "title is emptied"),
    "fewer_records": Condition("records fewer than usual", "record fewer than usual", of="usual records"),
    "file_errors": Condition("errors concern the file as a whole", "error concerns the file as a whole", of=""),
}
"""What guards can limit, by name."""


class Limit(msgspec.Struct, frozen=True):
    """A number, or a share, at which a batch is held."""

    number: float
    """A count, or a part of one: 0.01 is 1 %."""
    is_share: bool

    @classmethod
    def parse(cls, text: str) -> "Limit | None":
        """Return the limit of a text such as ``20`` or ``1.5%``; None if it is none."""
        match = LIMIT.fullmatch(text.strip().replace(" ", ""))
        if match is None or not float(match[1]) or (not match[2] and "." in match[1]):
            return None
        return cls(float(match[1]) / 100, True) if match[2] else cls(float(match[1]), False)


class Figure(msgspec.Struct, frozen=True):
    """What a condition measures: a count, and the whole that it is a part of."""

    count: float
    whole: float

    @property
    def share(self) -> float:
        """The count as a part of the whole; 0 if there is no whole."""
        return self.count / self.whole if self.whole else 0.0

    def reaches(self, limit: Limit) -> bool:
        """Return whether the figure is as high as a limit."""
        return self.count > 0 and (self.share if limit.is_share else self.count) >= limit.number


class Guard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Conditions that a merchant has saved under a name."""

    hold_if: dict[str, str]
    """Name of a condition → limit, such as ``20`` or ``1.5%``."""
    kind: Literal["product", "price", "stock"] | None = None
    """The guard is about batches of this kind; None: of every kind."""
    collection: str | None = None
    records_min: int = 0
    """Batches with fewer records are not held."""
    hold: HoldMode = "wait"
    hold_hours: float | None = None
    """How long a batch is held; None: the setting says so."""


class HoldReason(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A condition that was met."""

    condition: str
    limit: str
    figure: Figure
    guard: str | None = None
    """The merchant's guard; None if the submission has the condition."""

    @property
    def text(self) -> str:
        """The reason in one sentence for people."""
        owner = f'the guard "{self.guard}"' if self.guard is not None else "the submission"
        return f"{figure_text(self.condition, self.limit, self.figure)}; {owner} holds a batch from {self.limit} on."


class HoldDecision(StrEnum):
    """What became of a held batch; it expires if nobody decides."""

    APPROVED = "approved"
    DISCARDED = "discarded"
    EXPIRED = "expired"


class Hold(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the trial of a guarded batch has found; without reasons, the batch was applied at once."""

    figures: dict[str, Figure]
    """What each condition measures, whether a guard has it or not."""
    reasons: list[HoldReason] = []
    mode: HoldMode = "wait"
    held_at: datetime | None = None
    """None without reasons."""
    expires_at: datetime | None = None
    """When the batch is discarded if nobody decides."""
    journal_number: int = 0
    """Number of the merchant's last change when the batch was held."""
    decision: HoldDecision | None = None
    changes_since: int | None = None
    """Changes that others made to the collection between the hold and the approval; None if that is not known."""


def hold_reasons(guard: Guard, name: str | None, figures: Mapping[str, Figure], *, records: int) -> list[HoldReason]:
    """Return the conditions of a guard that a batch with so many records and these figures meets."""
    if records < guard.records_min:
        return []
    reasons = []
    for condition, text in guard.hold_if.items():
        limit = Limit.parse(text)
        if limit is not None and condition in figures and figures[condition].reaches(limit):
            reasons.append(HoldReason(condition=condition, limit=text, figure=figures[condition], guard=name))
    return reasons


def condition_text(name: str, limit: str) -> str:
    """Return a condition with its limit in words, such as ``prices become zero: 1 or more``."""
    condition = CONDITIONS[name]
    whole = f" of the {condition.of}" if limit.endswith("%") and condition.has_count else ""
    return f"{condition.label}: {limit.replace('%', ' %')} or more{whole}"


def figure_text(name: str, limit: str, figure: Figure) -> str:
    """Return what a condition measured in words, with the share if its limit is one or its whole is not the records."""
    condition = CONDITIONS[name]
    if not condition.has_count:
        return f"{_percent(figure.share)} {condition.text}"
    text = counted(figure.count, condition.single, condition.text)
    if condition.of and (limit.endswith("%") or name in ("fewer_records", "deleted")):
        whole = counted(figure.whole, condition.of_one, condition.of)
        return f"{text}, {_percent(figure.share)} of {whole}"
    return text


def _percent(share: float) -> str:
    text = f"{share * 100:.2f}".rstrip("0").rstrip(".")
    return f"{text} %"


def applies(guard: Guard, kind: str, collection: str) -> bool:
    """Return whether a guard is about batches of a kind and a collection."""
    return guard.kind in (None, kind) and guard.collection in (None, collection)


def format_conditions(conditions: Mapping[str, str]) -> str:
    """Return conditions as the option ``hold_if`` has them."""
    return ",".join(f"{name}:{limit}" for name, limit in conditions.items())
