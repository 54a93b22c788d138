"""Inspect a file before it is submitted: how it is read, what its columns mean, and what its first records become."""

from collections.abc import Sequence
from itertools import islice
from typing import Any

import msgspec

from goodsgate import formats
from goodsgate.engine.contents import Contents, batch_contents, contents_document
from goodsgate.engine.dry_run import DryRun, DryRunner
from goodsgate.engine.field_mapping import RESERVED
from goodsgate.engine.mapping_resolution import resolve_mapping
from goodsgate.engine.profile_recognition import with_recognized_profile
from goodsgate.engine.reader import read_options
from goodsgate.engine.saved_profiles import HEADER_CHARACTERS_MAX, SavedProfile
from goodsgate.model.batch import Kind, Policy, ReadingDecision
from goodsgate.model.fields import REQUIRED
from goodsgate.model.issue import Issue
from goodsgate.model.issue_group import IssueGroup
from goodsgate.model.json_text import cell_text, read_json, read_members
from goodsgate.profiles import Profile, fold, profile_names

HEAD_BYTES = 1024 * 1024
"""First bytes of a file that are enough; formats of random access are read whole."""
DECISIONS_SAVED = ("encoding", "delimiter", "sheet", "header_row", "records_at")
"""Reading decisions that a profile keeps, whether they were given or detected."""
WHOLE_FORMATS = frozenset({"xlsx"})
RECORDS_MAX = 1_000
"""Records that are checked."""
SAMPLE_RECORDS = 200
"""Records from which columns and example values are taken."""
EXAMPLES_MAX = 3
EXAMPLE_CHARACTERS_MAX = 60
CUT_CODES = frozenset({"payload_truncated", "line_incomplete", "records_too_many"})
"""Issues of a file of which only the beginning is read."""


class ColumnSample(msgspec.Struct, frozen=True, kw_only=True):
    """One column or member of a file."""

    name: str
    fields: list[str]
    """The fields that it fills; none: it is stored unchanged."""
    filled: float
    """Share of the sampled records that have a value, 0 to 1."""
    examples: list[str]
    """The first distinct values."""
    suggestion: str | None = None
    """A field with a similar name, for a column that fills none."""


class FileSample(msgspec.Struct, frozen=True, kw_only=True):
    """What the first records of a file show."""

    format: str
    content_encoding: str
    charset: str
    """Empty for a format that is no text."""
    records: int
    columns: list[ColumnSample]
    reading: list[ReadingDecision]
    issues: list[Issue]
    """Issues of the file as a whole."""
    fields_missing: list[str]
    """Fields that every record needs and that no column fills."""


class Inspection(msgspec.Struct, frozen=True, kw_only=True):
    """A sample of a file, and what its first records would become."""

    is_whole: bool
    """Whether the whole file was there, not only its first bytes."""
    policy: Policy
    """The policy, with what a saved profile adds that the header shows."""
    sample: FileSample
    dry_run: DryRun
    groups: list[IssueGroup]
    """Issues of the records that were checked."""

    @property
    def contents(self) -> Contents | None:
        """What the file is; counted in the records that were checked."""
        batch = self.dry_run.batch
        is_counted = self.is_whole and all(group.code != "records_too_many" for group in self.dry_run.groups)
        return batch_contents(batch, first_records=None if is_counted else batch.counts.accounted)


def inspection_document(inspection: Inspection) -> dict[str, Any]:
    """Return an inspection as the API and the command line show it."""
    sample, counts = inspection.sample, inspection.dry_run.batch.counts
    return {
        "format": sample.format, "content_encoding": sample.content_encoding, "is_whole": inspection.is_whole,
        "reading": [msgspec.structs.asdict(decision) for decision in sample.reading],
        "contents": contents_document(inspection.contents),
        "columns": [msgspec.structs.asdict(column) for column in sample.columns],
        "fields_missing": sample.fields_missing,
        "counts": {name: getattr(counts, name) for name in counts.__struct_fields__},
        "items": [{"key": item.key, "record": read_json(item.document)} for item in inspection.dry_run.items],
        "issues": [
            {
                **msgspec.to_builtins(group), "column": group.column, "title": group.title, "message": group.message,
                "remedy": group.remedy,
                "top": [{"value": value, "count": count} for value, count in group.top],
            }
            for group in inspection.groups
        ],
    }


def profile_from(inspection: Inspection) -> SavedProfile:
    """Return the profile by which a file like the inspected one is read in the same way, and recognized."""
    policy, sample = inspection.policy, inspection.sample
    decided = {decision.what: decision.value for decision in sample.reading}
    profile = decided.get("profile")
    options: dict[str, Any] = {name: decided[name] for name in DECISIONS_SAVED if name in decided}
    if "header_row" in options:
        options["header_row"] = int(options["header_row"])
    return SavedProfile(
        header=tuple(
            column.name for column in sample.columns if len(column.name) <= HEADER_CHARACTERS_MAX
        ) if sample.format in formats.TABLES else (),
        profile=profile if profile in profile_names() else policy.profile, map=policy.mapping,
        currency=policy.currency, decimal=policy.decimal, empty_words=policy.empty_words, group=policy.group,
        key=policy.key, references=policy.references, waiting_hours=policy.waiting_hours, hold_if=policy.hold_if,
        hold=policy.hold, hold_hours=policy.hold_hours, **options,
    )


def head_bytes(format: str, content_encoding: str, limits: formats.Limits) -> int:
    """Return how many bytes of a file are needed to inspect it."""
    return limits.xlsx_bytes_max if format in WHOLE_FORMATS or content_encoding == "zip" else HEAD_BYTES


def inspect_file(
    runner: DryRunner, head: bytes, limits: formats.Limits, *, is_whole: bool, merchant: str, kind: Kind,
    collection: str, policy: Policy, format: str, content_encoding: str,
) -> Inspection:
    """Return how a file is read and what its first records would become, by the rules of a merchant.

    `head` is the file, or its first bytes (`head_bytes`) if it is not whole. The work is bounded: at most `RECORDS_MAX`
    records are checked, and nothing is kept. Raises Refusal as a submission does.
    """
    policy = with_recognized_profile(
        runner.store, merchant, policy, [head], kind=kind, format=format, content_encoding=content_encoding,
        limits=limits,
    )
    sample = sample_file(
        head, limits, format=format, content_encoding=content_encoding, is_whole=is_whole, kind=kind, policy=policy
    )
    if not is_whole and content_encoding == "identity" and format not in WHOLE_FORMATS:
        head = head[: head.rfind(b"\n") + 1] or head
    policy = msgspec.structs.replace(policy, mode="delta")
    dry_run = runner.run(
        [head], merchant=merchant, kind=kind, collection=collection, policy=policy, format=format,
        content_encoding=content_encoding, records_max=RECORDS_MAX,
    )
    return Inspection(
        is_whole=is_whole, policy=policy, sample=msgspec.structs.replace(sample, reading=dry_run.batch.reading),
        dry_run=dry_run,
        groups=[group for group in dry_run.groups if group.code not in CUT_CODES or is_whole],
    )


def sample_file(
    head: bytes, limits: formats.Limits, *, format: str, content_encoding: str, is_whole: bool, kind: Kind,
    policy: Policy,
) -> FileSample:
    """Return what the first records of a file show; a record that is cut off at the end of `head` is left out."""
    bounds = msgspec.structs.replace(limits, chunk_records_max=SAMPLE_RECORDS + 1)
    reader = formats.open_reader(
        iter([head]), format=format, content_encoding=content_encoding, limits=bounds,
        options=read_options(kind, policy),
    )
    chunk = next(filter(len, reader.chunks()), None)
    records = len(chunk.source_rows) if chunk is not None else 0
    if not is_whole and records <= SAMPLE_RECORDS:
        records = max(records - 1, 0)  # the last one may be cut off
    records = min(records, SAMPLE_RECORDS)
    lines = chunk.lines[:records] if chunk is not None else []
    rows = chunk.rows[:records] if chunk is not None else []
    mapping, header_issues = resolve_mapping(
        kind, policy, columns=reader.header, root=reader.root, namespaces=tuple(reader.namespaces)
    )
    suggestions = {issue.value: issue.suggestion for issue in header_issues if issue.code == "header_unknown"}
    columns = [
        _sample_column(
            name, texts, fields=mapping.fields_of(name) or _fields_of_pair(mapping.profile, name), records=records,
            suggestion=suggestions.get(name),
        )
        for name, texts in _texts_by_name(reader.header, rows, lines).items() if name not in RESERVED
    ]
    issues = [*([] if chunk is None and not is_whole else reader.notices)]
    if reader.stopped is not None and (is_whole or not records):
        issues.append(reader.stopped)
    filled = {field.split(".", 1)[0] for column in columns for field in column.fields}
    filled |= {decision.what for decision in mapping.decisions if decision.what == "title"}
    return FileSample(
        format=format, content_encoding=content_encoding, charset="" if format in WHOLE_FORMATS else reader.charset,
        records=records, columns=columns, reading=[*reader.decisions, *mapping.decisions], issues=issues,
        fields_missing=[field for field in ("id", REQUIRED[kind]) if field not in filled],
    )


def _fields_of_pair(profile: Profile, name: str) -> list[str]:
    """Return the fields that a column fills together with another one, such as the name and the value of an option."""
    matched = profile.column(name)
    if matched is None:
        return []
    if any(fold(name) in (fold(pair.now), fold(pair.before)) for pair in profile.price_before):
        return ["price", "sale_price"]
    spans = [span.field for span in profile.spans if fold(name) in (fold(span.begin), fold(span.end))]
    if spans:
        return spans[:1]
    paired = (column for pair in profile.pairs for column in (pair.name, pair.value))
    columns = {fold(column.replace("{n}", matched.number)) for column in paired}
    return ["attributes"] if fold(name) in columns else []


def _texts_by_name(header: list[str] | None, rows: Sequence[list[str]], lines: Sequence[bytes]) -> dict[str, list[str]]:
    """Return the values of each column or member, in the order of the records; missing ones are left out."""
    texts: dict[str, list[str]] = {}
    if header is not None:
        for at, name in enumerate(header):
            texts.setdefault(name, [row[at] for row in rows if at < len(row)])
        return texts
    for line in lines:
        for name, value in (read_members(line) or {}).items():
            texts.setdefault(name, []).append(cell_text(value))
    return texts


def _sample_column(name: str, texts: list[str], *, fields: list[str], suggestion: str | None, records: int,
                   ) -> ColumnSample:
    values = [text for text in texts if text.strip() and text != "null"]
    distinct = dict.fromkeys(value[:EXAMPLE_CHARACTERS_MAX] for value in values)
    return ColumnSample(
        name=name, fields=fields, filled=len(values) / records if records else 0.0,
        examples=[*islice(distinct, EXAMPLES_MAX)], suggestion=suggestion,
    )
