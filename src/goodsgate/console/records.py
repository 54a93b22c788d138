"""Single records of a batch: as they were sent, with the fields marked that are wrong, and mended in place."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
from markupsafe import Markup
from starlette.responses import RedirectResponse, Response, StreamingResponse

from goodsgate.console.batch import path_of
from goodsgate.console.pages import HEADERS, Pages
from goodsgate.console.visit import Form, Visit
from goodsgate.engine.mending import Members, fix_line, members_of, mended, place_of
from goodsgate.engine.refusal import Refusal
from goodsgate.http.context import ServerContext
from goodsgate.http.problems import refuse
from goodsgate.model.batch import FINAL_STATES, Batch, Finding
from goodsgate.model.issue import CODES, Issue

ROWS = 20
RECORDS_HERE = "<!-- the records come here -->"
LOOKED_AT = 200
"""Records of a code that are read at once while those of one field are looked for."""
LOOKS_MAX = 25
TEXT_CHARACTERS_MAX = 4_000
"""Of one value, or of a line that is no record; the report has the rest."""
CELL = "cell:"
"""Before the name of a column in the form of a record."""


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """One field of a record as it was sent."""

    name: str
    text: str
    issues: list[Issue]
    cut: bool = False

    @property
    def marking(self) -> str:
        """How it is marked."""
        if not self.issues:
            return ""
        return "marked" if any(told.severity == "error" for told in self.issues) else "marked only-warned"


class Records:
    """Everything under ``/console/of/{merchant}/batches/{batch}/records``."""

    def __init__(self, context: ServerContext, pages: Pages) -> None:
        self._context = context
        self._engine = context.engine
        self._pages = pages

    async def get(self, visit: Visit) -> Response:
        """Those of a group of issues, or all that have any."""
        code = visit.query.get("code") or None
        if code is not None and code not in CODES:
            raise refuse("parameter_invalid", "There is no such code.", parameter="code")
        words, around = await self._context.run_in_thread(self._around, visit, await visit.merchant(),
            visit.param("batch"), code)
        return StreamingResponse(self._pieces(visit, words, around), media_type="text/html", headers=HEADERS)

    async def _pieces(self, visit: Visit, words: dict[str, Any], around: str) -> AsyncIterator[str]:
        """What is around the records at once: among a million issues, rare ones take a moment to be found."""
        head, tail = around.split(RECORDS_HERE)
        yield head
        yield await self._context.run_in_thread(self._found_text, visit, words)
        yield tail

    def _around(self, visit: Visit, merchant: str, id: str, code: str | None) -> tuple[dict[str, Any], str]:
        batch = self._engine.batch(merchant, id)
        field = dict(visit.query.pairs).get("field") if code is not None else None
        groups = self._engine.groups(merchant, id)
        words: dict[str, Any] = {
            "batch": batch, "code": code, "field": field, "path": path_of(batch), "place": "batches",
            "group": next((one for one in groups if (one.code, one.field) == (code, field)), None),
            "may_mend": visit.caller.may("submit") and batch.state in FINAL_STATES, "merchant": merchant,
            "visit": visit,
            "records_here": Markup(RECORDS_HERE),  # noqa: S704 – a mark of ours, replaced before it is sent
        }
        return words, self._pages.text("records.html", words)

    def _found_text(self, visit: Visit, words: dict[str, Any]) -> str:
        batch, code, field, after = words["batch"], words["code"], words["field"], visit.query.get("after")
        place = int(after) if after.isdecimal() and len(after) < 19 else 0
        findings, behind = self._found(batch, code, field, place)
        raws = self._context.store.rejected_by_number(batch.merchant, batch.id,
            [finding.number for finding in findings])
        records = [shown(batch, raws.get(finding.number, finding), code, field) for finding in findings]
        return self._pages.text("records_part.html", {
            **words, "records": records, "older": visit.link(after=behind) if behind else None,
            "first": visit.link(after=None) if place else None,
            "suggests": any(record["mended"] for record in records) and code is not None,
        })

    def _found(self, batch: Batch, code: str | None, field: str | None, after: int) -> tuple[list[Finding], int | None]:
        """Some records, and the number behind which to look for more."""
        found: list[Finding] = []
        limit = ROWS if field is None else LOOKED_AT
        for _ in range(LOOKS_MAX):
            page = self._context.store.findings(batch.merchant, batch.id, after=after, limit=limit, code=code)
            for finding in page:
                if field is None or any((told.code, told.field) == (code, field) for told in finding.issues):
                    found.append(finding)
                if len(found) == ROWS:
                    return found, finding.number
            if len(page) < limit:
                return found, None
            after = page[-1].number
        return found, after

    async def mend(self, visit: Visit) -> Response:
        """One record, edited or with its suggestions taken, and run."""
        visit.allow("submit")
        form = await visit.form()
        merchant, id, number = await visit.merchant(), visit.param("batch"), visit.param("number")
        if not number.isdecimal() or len(number) > 18:
            raise refuse("not_found")

        def mend() -> Batch:
            batch = self._engine.batch(merchant, id)
            finding = self._context.store.rejected_by_number(merchant, id, [int(number)]).get(int(number))
            if finding is None:
                raise Refusal("nothing_rejected", "This record is not rejected any more.")
            members = _taken(finding, batch) if form.get("take") else _edited(form, finding, batch)
            return self._engine.amend(merchant, id, [fix_line(finding.number, members)])

        return RedirectResponse(path_of(await self._context.run_in_thread(mend)), 303, headers=HEADERS)


def _taken(finding: Finding, batch: Batch) -> Members:
    members = members_of(finding.raw or b"", batch.columns)
    found = mended(members, finding.issues) if members is not None else None
    if found is None:
        raise Refusal("nothing_suggested")
    return found


def _edited(form: Form, finding: Finding, batch: Batch) -> Members:
    """The record as the form has it: cells by column, or the text of a JSON object."""
    if batch.columns is not None:
        before = members_of(finding.raw or b"", batch.columns) or {}
        given = {name[len(CELL):]: value for name, value in form.pairs if name.startswith(CELL)}
        # A browser sends line breaks its own way; a cell that nobody touched stays as it was.
        return {
            column: before[column] if column in before and _lines(given.get(column)) in (None, _lines(before[column]))
            else given.get(column, "") for column in batch.columns
        }
    members = members_of(form.kept("record").encode(), None)
    if members is None:
        raise Refusal("parameter_invalid", "The record is not a JSON object.", parameter="record")
    return members


def _lines(value: object) -> str | None:
    return str(value).replace("\r\n", "\n") if value is not None else None


def shown(batch: Batch, finding: Finding, code: str | None, field: str | None) -> dict[str, Any]:
    """What the page shows of one record."""
    rejected = finding.raw is not None
    members = members_of(finding.raw, batch.columns) if finding.raw is not None else None
    fields = [*_fields(members, finding, code, field)] if members is not None else []
    named = {id(told) for each in fields for told in each.issues}
    return {
        "finding": finding, "rejected": rejected, "fields": fields, "is_table": batch.columns is not None,
        "unplaced": [told for told in finding.issues if id(told) not in named],
        "raw": "" if finding.raw is None else finding.raw.decode("utf-8", "replace")[:TEXT_CHARACTERS_MAX],
        "text": _pretty(finding.raw), "wide": any(each.cut for each in fields),
        "mended": rejected and members is not None and mended(members, finding.issues) is not None,
    }


def _fields(members: Members, finding: Finding, code: str | None, field: str | None) -> Iterator[Shown]:
    """Those with issues first; of those that lead to this page, first of all."""
    places: dict[str, list[Issue]] = {}
    for told in finding.issues:
        name = place_of(told, members)
        if name is not None:
            places.setdefault(name, []).append(told)

    def rank(name: str) -> int:
        told = places.get(name, [])
        return 0 if any((one.code, one.field) == (code, field) for one in told) else 1 if told else 2

    for name in sorted(members, key=rank):
        value = members[name]
        text = _text(value)
        yield Shown(
            name=name, text=text[:TEXT_CHARACTERS_MAX], issues=places.get(name, []), cut=len(text) > TEXT_CHARACTERS_MAX
        )


def _text(value: object) -> str:
    if isinstance(value, msgspec.Raw):
        value = bytes(value).decode("utf-8", "replace") if bytes(value)[:1] != b'"' else msgspec.json.decode(value)
    return str(value)


def _pretty(raw: bytes | None) -> str:
    """JSON a line a member; what is none as it is."""
    if raw is None:
        return ""
    try:
        return msgspec.json.format(raw, indent=1).decode()
    except (msgspec.DecodeError, UnicodeDecodeError):
        return raw.decode("utf-8", "replace")
