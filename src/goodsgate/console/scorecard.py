"""The scorecards of suppliers: what they reject, why, since when nothing came, and how that changes over weeks."""

import csv
import io
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from goodsgate.console.rendering import HEADERS, PageRenderer
from goodsgate.console.request import ConsoleRequest
from goodsgate.engine.scorecard import DEFAULT_WEEKS, WEEKS_MAX, Scorecard, scorecards
from goodsgate.formats.formula_marks import mark_formula
from goodsgate.http.context import ServerContext
from goodsgate.http.problems import refuse
from goodsgate.model.batch import now

MERCHANTS_MAX = 200
CSV_COLUMNS = (
    "merchant", "submitter", "label", "week", "feeds", "records", "rejected", "rejected_share", "last_feed_at",
    "most_frequent_issues",
)
WEEK_CHOICES = (4, 12, 26, 52)


class ScorecardPage:
    """Everything under ``/console/scorecard``; admins see all merchants."""

    def __init__(self, context: ServerContext, renderer: PageRenderer) -> None:
        self._context = context
        self._renderer = renderer

    async def get(self, request: ConsoleRequest) -> Response:
        """Return the page; raises parameter_invalid, merchant_unknown."""
        weeks, merchant = _weeks(request), _merchant(request)
        return await self._context.run_in_thread(self._render, request, merchant, weeks)

    def _render(self, request: ConsoleRequest, merchant: str | None, weeks: int) -> Response:
        query = {"weeks": weeks, **({"merchant": merchant} if merchant is not None else {})}
        values: dict[str, Any] = {
            "cards": self._cards(merchant, weeks), "weeks": weeks, "choices": WEEK_CHOICES, "section": "scorecard",
            "merchant": merchant, "all_merchants": merchant is None,
            "csv": f"/console/scorecard/csv?{urlencode(query)}",
        }
        return self._renderer.response(request, "scorecard.html", values)

    async def download(self, request: ConsoleRequest) -> Response:
        """Return the figures of every week as CSV; raises parameter_invalid, merchant_unknown."""
        cards = await self._context.run_in_thread(self._cards, _merchant(request), _weeks(request))
        disposition = f'attachment; filename="scorecard-{now().date().isoformat()}.csv"'
        return Response(
            _csv(cards), media_type="text/csv; charset=utf-8", headers={**HEADERS, "content-disposition": disposition}
        )

    def _cards(self, merchant: str | None, weeks: int) -> list[Scorecard]:
        store, today = self._context.store, now().date()
        if merchant is not None:
            return scorecards(store, merchant, weeks=weeks, today=today)
        merchants = store.merchants(limit=MERCHANTS_MAX).rows
        cards = [card for each in merchants for card in scorecards(store, each.id, weeks=weeks, today=today)]
        return sorted(cards, key=lambda card: (-card.rejected, -card.records, card.merchant, card.submitter))


def _weeks(request: ConsoleRequest) -> int:
    text = request.query.get("weeks") or str(DEFAULT_WEEKS)
    if not text.isdecimal() or len(text) > 3 or not 1 <= int(text) <= WEEKS_MAX:
        raise refuse("parameter_invalid", f"weeks must be a number from 1 to {WEEKS_MAX}.", parameter="weeks")
    return int(text)


def _merchant(request: ConsoleRequest) -> str | None:
    merchant = request.query.get("merchant") or (None if request.is_admin else request.caller.merchant)
    if not request.is_admin and merchant != request.caller.merchant:
        raise refuse("merchant_unknown")
    return merchant


def _csv(cards: list[Scorecard]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(CSV_COLUMNS)
    for card in cards:
        issues = " ".join(f"{each.code}={each.count}" for each in card.issues)
        for week in card.weeks:
            share = "" if week.rejected_share is None else f"{week.rejected_share:.4f}"
            writer.writerow([
                *map(mark_formula, (card.merchant, card.submitter, card.label)), week.week.isoformat(), week.feeds,
                week.records, week.rejected, share, card.last_at.isoformat(), issues,
            ])
    return text.getvalue()
