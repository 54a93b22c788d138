"""The records of a batch as submitted, with invalid fields marked, and forms to correct them."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
from markupsafe import Markup
from starlette.responses import RedirectResponse, Response, StreamingResponse

from goodsgate.console.batch import CONFLICT, batch_path
from goodsgate.console.rendering import HEADERS, PageRenderer
from goodsgate.console.request import NUMBER_DIGITS_MAX, ConsoleRequest, FormFields
from goodsgate.engine.corrections import version_of
from goodsgate.engine.received_records import ReceivedRecord, fix_format, fix_of_records, received_record
from goodsgate.engine.refusal import Refusal
from goodsgate.engine.suggestions import SuggestionPreview
from goodsgate.http.context import ServerContext
from goodsgate.http.problems import STATUSES, refuse
from goodsgate.model.batch import FINAL_STATES, Batch
from goodsgate.model.finding import Finding
from goodsgate.model.issue import CODES, Issue, base_code
from goodsgate.model.json_text import UNREADABLE_JSON, member_text

PAGE_RECORDS = 20
ALL_SUGGESTIONS = "all"
"""Form value that accepts every suggestion of a record."""
RECORDS_MARKER = "<!-- records -->"
SCAN_RECORDS = 200
"""Records read at once while searching for those with an issue in one field."""
SCANS_MAX = 25
TEXT_CHARACTERS_MAX = 4_000
"""Longest value, or invalid line, that is shown in full; the report contains the rest."""
CELL_PREFIX = "cell:"
"""Prefix of the form fields that hold the cells of a record; behind it is the position of the cell."""


class SubmittedField(msgspec.Struct, frozen=True, kw_only=True):
    """One field of a record as it was submitted."""

    place: int
    """Position among the values of the record, from 0."""
    name: str
    text: str
    issues: list[Issue]
    is_truncated: bool = False

    @property
    def css_classes(self) -> str:
        """The CSS classes that mark a field with issues."""
        if not self.issues:
            return ""
        return "marked" if any(issue.severity == "error" for issue in self.issues) else "marked only-warned"


class RecordsPage:
    """Everything under ``/console/merchants/{merchant}/batches/{batch}/records``."""

    def __init__(self, context: ServerContext, renderer: PageRenderer) -> None:
        self._context = context
        self._engine = context.engine
        self._renderer = renderer

    async def get(self, request: ConsoleRequest) -> Response:
        """Return the records of one group of issues, or all records with issues."""
        code = request.query.get("code") or None
        if code is not None and base_code(code) not in CODES:
            raise refuse("parameter_invalid", f"There is no issue code {code[:40]!r}.", parameter="code")
        merchant, id = await request.merchant(), request.path_param("batch")
        values, frame = await self._context.run_in_thread(self._render_frame, request, merchant, id, code)
        return StreamingResponse(self._stream(request, values, frame), media_type="text/html", headers=HEADERS)

    async def _stream(self, request: ConsoleRequest, values: dict[str, Any], frame: str) -> AsyncIterator[str]:
        """Send the top of the page at once: finding a rare issue among a million takes a moment."""
        head, tail = frame.split(RECORDS_MARKER)
        yield head
        yield await self._context.run_in_thread(self._render_records, request, values)
        yield tail

    def _render_frame(
        self, request: ConsoleRequest, merchant: str, id: str, code: str | None
    ) -> tuple[dict[str, Any], str]:
        """Return the template values and the page without its records."""
        batch = self._engine.batch(merchant, id)
        field = dict(request.query.pairs).get("field") if code is not None else None
        groups = self._engine.groups(merchant, id)
        values: dict[str, Any] = {
            "batch": batch, "code": code, "field": field, "path": batch_path(batch), "section": "batches",
            "group": next((group for group in groups if (group.code, group.field) == (code, field)), None),
            "can_edit": request.caller.may("correct") and batch.state in FINAL_STATES
            and not (batch.policy.dry_run or batch.is_trial),
            "merchant": merchant,
            "request": request, "records_marker": Markup(RECORDS_MARKER),  # noqa: S704 - our own constant
        }
        return values, self._renderer.text("records.html", values)

    def _render_records(self, request: ConsoleRequest, values: dict[str, Any]) -> str:
        batch, code, field, after_text = values["batch"], values["code"], values["field"], request.query.get("after")
        after = int(after_text) if after_text.isdecimal() and len(after_text) <= NUMBER_DIGITS_MAX else 0
        findings, next_after = self._find(batch, code, field, after)
        rejected = self._context.store.rejected_by_number(batch.merchant, batch.id, [each.number for each in findings])
        records = [record_values(batch, rejected.get(each.number, each), code, field) for each in findings]
        return self._renderer.text("records_fragment.html", {
            **values, "records": records, "next_page": request.link(after=next_after) if next_after else None,
            "first_page": request.link(after=None) if after else None,
            "suggested": self._suggestions(batch, code, field) if values["can_edit"] else None,
        })

    def _suggestions(self, batch: Batch, code: str | None, field: str | None) -> SuggestionPreview | None:
        """Return what the suggestions of a group would change, if anything."""
        if code is None or field is None:
            return None
        preview = self._engine.suggestions(batch.merchant, batch.id, code=code, field=field)
        return preview if preview.records else None

    def _find(self, batch: Batch, code: str | None, field: str | None, after: int) -> tuple[list[Finding], int | None]:
        """Return one page of findings, and the record number after which the next page starts."""
        matches: list[Finding] = []
        limit = PAGE_RECORDS if field is None else SCAN_RECORDS
        for _ in range(SCANS_MAX):
            page = self._context.store.findings(batch.merchant, batch.id, after=after, limit=limit, code=code)
            for finding in page:
                if field is None or any((issue.code, issue.field) == (code, field) for issue in finding.issues):
                    matches.append(finding)
                if len(matches) == PAGE_RECORDS:
                    return matches, finding.number
            if len(page) < limit:
                return matches, None
            after = page[-1].number
        return matches, after

    async def correct(self, request: ConsoleRequest) -> Response:
        """Save an edited record, or apply its suggestions, and validate it again."""
        form = await request.form()
        merchant, id, number = await request.merchant(), request.path_param("batch"), request.path_param("number")
        if not number.isdecimal() or len(number) > NUMBER_DIGITS_MAX:
            raise refuse("not_found")

        def correct() -> Batch:
            batch = self._engine.batch(merchant, id)
            finding = self._context.store.rejected_by_number(merchant, id, [int(number)]).get(int(number))
            if finding is None:
                raise Refusal("nothing_rejected", "This record is no longer rejected.")
            if form.get("version") not in ("", version_of(finding)):
                raise Refusal("batch_open", "Somebody else has corrected this record since the page was loaded.")
            accepted = form.get("accept")
            record = _with_suggestions(finding, batch, accepted) if accepted else _edited(form, finding, batch)
            pieces = fix_of_records([(finding.number, record)], batch.columns)
            return self._engine.submit_correction(batch, pieces, format=fix_format(batch.columns))

        try:
            batch = await self._context.run_in_thread(correct)
        except Refusal as refusal:
            if form.get("accept") or STATUSES[refusal.code] != CONFLICT:
                raise
            return await self._context.run_in_thread(self._render_kept, request, merchant, id, form, refusal)
        return RedirectResponse(batch_path(batch), 303, headers=HEADERS)

    def _render_kept(self, request: ConsoleRequest, merchant: str, id: str, form: FormFields, refusal: Refusal,
                     ) -> Response:
        """Return what was typed, for a correction that came too late, with the record as it is now."""
        number = int(request.path_param("number"))
        batch = self._engine.batch(merchant, id)
        finding = self._context.store.rejected_by_number(merchant, id, [number]).get(number)
        record = record_values(batch, finding, None, None) if finding is not None else None
        names = {str(at): name for at, name in enumerate(batch.columns or ())}
        typed = {name[len(CELL_PREFIX):]: value for name, value in form.pairs if name.startswith(CELL_PREFIX)}
        return self._renderer.response(request, "record_kept.html", {
            "batch": batch, "merchant": merchant, "path": batch_path(batch), "section": "batches", "number": number,
            "record": record, "refusal": refusal, "typed_json": form.get_raw("record"),
            "typed": [(place, names.get(place, "further cell"), value) for place, value in typed.items()],
            "version": version_of(finding) if finding is not None else "",
        }, status=CONFLICT)


def _with_suggestions(finding: Finding, batch: Batch, accepted: str) -> ReceivedRecord:
    """Return the record with one suggestion, named by the position (from 1) and code of its issue, or with all."""
    record = received_record(finding.raw or b"", batch.columns)
    issues = [
        issue for number, issue in enumerate(finding.issues, 1)
        if accepted in (ALL_SUGGESTIONS, f"{number} {issue.code}")
    ]
    corrected = record.with_suggestions(issues) if record is not None else None
    if corrected is None:
        raise Refusal("nothing_suggested")
    return corrected


def _edited(form: FormFields, finding: Finding, batch: Batch) -> ReceivedRecord:
    """Return the record in the form, which has its cells by position, or its JSON text."""
    if batch.columns is not None:
        before = received_record(finding.raw or b"", batch.columns) or ReceivedRecord([], [])
        cells = {name[len(CELL_PREFIX):]: value for name, value in form.pairs if name.startswith(CELL_PREFIX)}
        # Browsers change line breaks; a cell that differs only in these keeps its submitted value.
        values = [
            value if _unix_lines(cell := cells.get(str(at), str(value))) == _unix_lines(str(value)) else cell
            for at, value in enumerate(before.values)
        ]
        return ReceivedRecord(before.names, values)
    record = received_record(form.get_raw("record").encode(), None)
    if record is None:
        raise Refusal("parameter_invalid", "The record is not a JSON object.", parameter="record")
    return record


def _unix_lines(text: str) -> str:
    return text.replace("\r\n", "\n")


def record_values(batch: Batch, finding: Finding, code: str | None, field: str | None) -> dict[str, Any]:
    """Return the template values of one record."""
    is_rejected = finding.raw is not None
    received = received_record(finding.raw, batch.columns) if finding.raw is not None else None
    fields = [*_submitted_fields(received, finding, code, field)] if received is not None else []
    issues = [
        (issue, is_rejected and received is not None and received.with_suggestions([issue]) is not None)
        for issue in finding.issues
    ]
    return {
        "finding": finding, "is_rejected": is_rejected, "fields": fields, "is_table": batch.columns is not None,
        "raw": "" if finding.raw is None else finding.raw.decode("utf-8", "replace")[:TEXT_CHARACTERS_MAX],
        "json": _format_json(finding.raw), "is_truncated": any(each.is_truncated for each in fields),
        "version": version_of(finding) if is_rejected else "",
        "issues": issues, "suggestions": sum(has_suggestion for _, has_suggestion in issues),
    }


def _submitted_fields(record: ReceivedRecord, finding: Finding, code: str | None, field: str | None,
                      ) -> Iterator[SubmittedField]:
    """Yield the fields of a record: first those of this group of issues, then those with other issues."""
    issues_by_place: dict[int, list[Issue]] = {}
    for issue in finding.issues:
        place = record.place_of(issue)
        if place is not None:
            issues_by_place.setdefault(place, []).append(issue)

    def rank(at: int) -> int:
        issues = issues_by_place.get(at, [])
        return 0 if any((issue.code, issue.field) == (code, field) for issue in issues) else 1 if issues else 2

    for at in sorted(range(len(record.names)), key=rank):
        text = member_text(record.values[at])
        yield SubmittedField(
            place=at, name=record.names[at], text=text[:TEXT_CHARACTERS_MAX], issues=issues_by_place.get(at, []),
            is_truncated=len(text) > TEXT_CHARACTERS_MAX,
        )


def _format_json(raw: bytes | None) -> str:
    """Return JSON with one member per line; anything else unchanged."""
    if raw is None:
        return ""
    try:
        return msgspec.json.format(raw, indent=1).decode()
    except UNREADABLE_JSON:
        return raw.decode("utf-8", "replace")
