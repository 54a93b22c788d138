"""Templates, and what of a value people get to see."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from goodsgate import __version__
from goodsgate.console.visit import CSRF_FIELD, Visit
from goodsgate.model.batch import Batch, now
from goodsgate.model.catalogue import display_key

TEMPLATES = files(__package__) / "templates"

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY, "cache-control": "no-store", "cross-origin-opener-policy": "same-origin",
}
BINARY_STEPS = ("B", "KB", "MB", "GB", "TB")
SECONDS_OF = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))

SIGNS = {
    "clean": ("✓", "clean"), "partial": ("◐", "partial"), "rejected": ("✕", "rejected"), "queued": ("⋯", "queued"),
    "receiving": ("⋯", "receiving"), "working": ("▶", "working"), "cancelled": ("⊘", "cancelled"),
    "broken": ("⚠", "broken"), "error": ("✕", "error"), "warning": ("!", "warning"), "created": ("+", "created"),
    "updated": ("±", "updated"), "unchanged": ("=", "unchanged"), "deleted": ("−", "deleted"),
    "superseded": ("↷", "superseded"),
}
"""State, outcome, result or severity → a sign beside the word, so that nothing is told by colour alone."""


class Pages:
    """Makes pages of templates; every value is escaped."""

    def __init__(self, address: Callable[[str], str]) -> None:
        """`address` of a static file."""
        self._templates = Environment(
            loader=FileSystemLoader(str(TEMPLATES)), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(
            size=size, amount=amount, span=span, age=age, moment=moment, segment=segment, key=display_key,
            seconds=seconds,
        )
        self._templates.globals.update(
            asset=address, version=__version__, csrf_field=CSRF_FIELD, end_of=end_of, SIGNS=SIGNS, bar=bar,
        )

    def text(self, template: str, words: Mapping[str, Any]) -> str:
        """A page; asks nobody, so it may be made in any thread."""
        return self._templates.get_template(template).render(words)

    def answer(self, visit: Visit | None, template: str, words: Mapping[str, Any], *, status: int = 200) -> Response:
        """A page with the headers that keep everything else out."""
        told = {"visit": visit, "place": "", "merchant": None, **words}
        if visit is not None and told["merchant"] is None:
            told["merchant"] = visit.caller.merchant
        return HTMLResponse(self.text(template, told), status_code=status, headers=HEADERS)


def end_of(batch: Batch) -> str:
    """Outcome of a finished batch, state of any other."""
    return str(batch.outcome or batch.state)


def bar(batch: Batch) -> list[tuple[str, int, float, float]]:
    """Results that the batch has: name, records, and where its part of the bar begins and how wide it is, in percent.

    What has no result yet is the rest of the bar. A part is never so small that it cannot be seen.
    """
    counts = batch.counts
    named = [(name, getattr(counts, name)) for name in counts.__struct_fields__]
    shown = [(name, count) for name, count in named if count]
    if not shown:
        return []
    done = 1.0 if batch.finished_at is not None or not batch.bytes_total else batch.bytes_done / batch.bytes_total
    weights = [max(count / counts.accounted, 0.015) for _, count in shown]
    whole = sum(weights)
    parts, start = [], 0.0
    for (name, count), weight in zip(shown, weights, strict=True):
        width = 100 * done * weight / whole
        parts.append((name, count, round(start, 2), round(width, 2)))
        start += width
    return parts


def size(count: float) -> str:
    """Bytes, in steps of 1,024."""
    for step in BINARY_STEPS:
        if count < 1024 or step == BINARY_STEPS[-1]:
            return f"{count:,.0f} {step}" if step in ("B", "KB") else f"{count:,.1f} {step}"
        count /= 1024
    raise AssertionError(count)


def amount(count: float | None) -> str:
    """A number with its thousands apart; a dash for none."""
    if count is None:
        return "–"
    return f"{count:,.0f}" if count >= 100 or count == int(count) else f"{count:,.1f}"


def seconds(count: float) -> str:
    """A length of time in its two largest units."""
    if count < 1:
        return f"{count * 1000:,.0f} ms"
    told: list[str] = []
    rest = int(count)
    for unit, length in SECONDS_OF:
        if rest >= length and len(told) < 2:
            told.append(f"{rest // length} {unit}")
            rest %= length
    return " ".join(told)


def span(start: datetime | None, end: datetime | None) -> str:
    """How long it took from one to the other, or until now."""
    return "–" if start is None else seconds(((end or now()) - start).total_seconds())


def age(moment: datetime | None) -> str:
    """How long ago."""
    if moment is None:
        return "–"
    passed = (now() - moment).total_seconds()
    if passed < 2:
        return "just now"
    return f"{seconds(passed - passed % 60 if passed > 90 else passed)} ago"


def moment(when: datetime | None) -> str:
    """Day and time, in UTC."""
    return "–" if when is None else when.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def segment(text: object) -> str:
    """As one part of a path."""
    return quote(str(text), safe="")
