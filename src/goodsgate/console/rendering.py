"""Rendering of the templates, and the filters they use."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any
from urllib.parse import quote

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from goodsgate import __version__
from goodsgate.console.request import CSRF_FIELD, ConsoleRequest
from goodsgate.http.docs import prose
from goodsgate.model.batch import Batch, now
from goodsgate.model.catalogue import Item, display_key
from goodsgate.model.counting import counted
from goodsgate.model.guard import condition_text, figure_text
from goodsgate.model.issue import base_code
from goodsgate.model.json_text import member_text
from goodsgate.model.versions import EVERY_GROUP, read_group_versions, version_text

TEMPLATES = files(__package__) / "templates"

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY, "cache-control": "no-store", "cross-origin-opener-policy": "same-origin",
}
BINARY_UNITS = ("B", "KB", "MB", "GB", "TB")
TIME_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
MEMBER_CHARACTERS_MAX = 300
"""Of a member of a document in a history."""
BAR_SHARE_MIN = 0.015
"""Smallest share of a result bar, so that a single record stays visible."""

BADGE_SIGNS = {
    "clean": "✓", "partial": "◐", "rejected": "✕", "queued": "⋯", "receiving": "⋯", "working": "▶", "cancelled": "⊘",
    "broken": "⚠", "error": "✕", "warning": "!", "created": "+", "updated": "±", "unchanged": "=", "deleted": "−",
    "superseded": "↷", "held": "‖", "merged": "⤵", "waiting": "◷", "overdue": "⚠",
    "failing": "⚠", "failed": "✕", "running": "▶", "paused": "‖", "finished": "✓", "retrying": "↻", "idle": "–",
    "published": "✓", "incomplete": "✕",
}
"""State, outcome, result or severity → the sign before the word, so that colour is never the only difference."""


class PageRenderer:
    """Renders templates as pages; every value is escaped."""

    def __init__(self, asset_url: Callable[[str], str]) -> None:
        """`asset_url` returns the URL of a static file."""
        self._templates = Environment(
            loader=FileSystemLoader(str(TEMPLATES)), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(
            bytes=format_bytes, number=format_number, seconds=format_seconds, duration=format_duration,
            age=format_age, time=format_time, path_segment=path_segment,
            member_excerpt=member_excerpt, display_key=display_key, prose=prose,
            base_code=base_code, counted=counted,
        )
        self._templates.globals.update(
            asset_url=asset_url, version=__version__, csrf_field=CSRF_FIELD, outcome_or_state=outcome_or_state,
            BADGE_SIGNS=BADGE_SIGNS, result_bar=result_bar, versions_text=versions_text,
            condition_text=condition_text, figure_text=figure_text,
        )

    def text(self, template: str, values: Mapping[str, Any]) -> str:
        """Return a rendered template; safe in any thread."""
        return self._templates.get_template(template).render(values)

    def response(
        self, request: ConsoleRequest | None, template: str, values: Mapping[str, Any], *, status: int = 200
    ) -> Response:
        """Return a page as a response that may load nothing from other hosts."""
        page_values = {"request": request, "section": "", "merchant": None, **values}
        if request is not None and page_values["merchant"] is None:
            page_values["merchant"] = request.caller.merchant
        return HTMLResponse(self.text(template, page_values), status_code=status, headers=HEADERS)


def versions_text(item: Item) -> str:
    """Return the version of an item, or those of its groups of fields if they differ."""
    if item.version is None or item.group_versions in (None, EVERY_GROUP):
        return version_text(item.version) if item.version is not None else "none"
    versions = read_group_versions(item.version, item.group_versions, held=())
    return ", ".join(
        f"{version_text(version) if version is not None else 'none'} ({group})" for group, version in versions.items()
    )


def outcome_or_state(batch: Batch) -> str:
    """Return the outcome of a finished batch and the state of any other."""
    return str(batch.outcome or batch.state)


def result_bar(batch: Batch) -> list[tuple[str, int, float, float]]:
    """Return the segments of a batch's result bar: result, records, start and width in percent.

    Records without a result leave the rest of the bar empty. No segment is too narrow to see.
    """
    counts = batch.counts
    by_result = [(name, getattr(counts, name)) for name in counts.__struct_fields__]
    present = [(name, count) for name, count in by_result if count]
    if not present:
        return []
    done = 1.0 if batch.finished_at is not None or not batch.bytes_total else batch.bytes_done / batch.bytes_total
    weights = [max(count / counts.accounted, BAR_SHARE_MIN) for _, count in present]
    total = sum(weights)
    segments, start = [], 0.0
    for (name, count), weight in zip(present, weights, strict=True):
        width = 100 * done * weight / total
        segments.append((name, count, round(start, 2), round(width, 2)))
        start += width
    return segments


def format_bytes(count: float) -> str:
    """Return a number of bytes with a binary unit."""
    for unit in BINARY_UNITS:
        if count < 1024 or unit == BINARY_UNITS[-1]:
            return f"{count:,.0f} {unit}" if unit in ("B", "KB") else f"{count:,.1f} {unit}"
        count /= 1024
    raise AssertionError(count)


def format_number(count: float | None) -> str:
    """Return a number with thousands separators, or a dash for None."""
    if count is None:
        return "–"
    return f"{count:,.0f}" if count >= 100 or count == int(count) else f"{count:,.1f}"


def format_seconds(count: float) -> str:
    """Return a duration in its two largest units."""
    if count < 1:
        return f"{count * 1000:,.0f} ms"
    parts: list[str] = []
    rest = int(count)
    for unit, length in TIME_UNITS:
        if rest >= length and len(parts) < 2:
            parts.append(f"{rest // length} {unit}")
            rest %= length
    return " ".join(parts)


def format_duration(start: datetime | None, end: datetime | None) -> str:
    """Return the time from start to end, or from start until now."""
    return "–" if start is None else format_seconds(((end or now()) - start).total_seconds())


def format_age(time: datetime | None) -> str:
    """Return how long ago a time was."""
    if time is None:
        return "–"
    elapsed = (now() - time).total_seconds()
    if elapsed < 2:
        return "just now"
    return f"{format_seconds(elapsed - elapsed % 60 if elapsed > 90 else elapsed)} ago"


def format_time(time: datetime | None) -> str:
    """Return date and time in UTC."""
    return "–" if time is None else time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def member_excerpt(value: msgspec.Raw) -> str:
    """Return the beginning of a member of a document as text."""
    text = member_text(value)
    return text if len(text) <= MEMBER_CHARACTERS_MAX else f"{text[:MEMBER_CHARACTERS_MAX]}…"


def path_segment(text: object) -> str:
    """Return a text quoted as one segment of a path."""
    return quote(str(text), safe="")
