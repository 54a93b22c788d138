"""Preview of a file before it is submitted: its format, its columns, and example values."""

from collections.abc import Sequence
from itertools import islice

import msgspec

from goodsgate import formats
from goodsgate.console.upload import Fields
from goodsgate.engine.field_mapping import RESERVED
from goodsgate.engine.mapping_resolution import resolve_mapping
from goodsgate.engine.receive import parse_encoding
from goodsgate.engine.refusal import Refusal
from goodsgate.http.problems import refuse
from goodsgate.model.batch import Kind, Policy, Verb
from goodsgate.model.issue import Issue
from goodsgate.model.json_text import cell_text, read_members

SAMPLE_RECORDS = 200
"""Records from which columns and example values are taken."""
EXAMPLES_MAX = 3
EXAMPLE_CHARACTERS_MAX = 60
MAP_PREFIX = "map:"
"""Prefix of the form fields that map a column."""
UNCHECKED = "-"
"""Form value for a column that is stored unchecked."""

READING_FIELDS = ("decimal", "format", "encoding", "sheet", "header_row")
POLICY_FIELDS = ("verb", "mode", *READING_FIELDS, "currency", "duplicates", "references")
"""The parts of a policy that the form contains."""


class ColumnPreview(msgspec.Struct, frozen=True, kw_only=True):
    """One column or member of the file."""

    name: str
    examples: list[str]
    """The first distinct values."""
    selected: str
    """The field selected in the form, UNCHECKED, or empty for automatic detection."""
    detected: str
    """The field that the column is read as; empty if it is stored unchanged."""
    suggestion: str | None = None
    """A field with a similar name, for an unrecognized column."""


class FilePreview(msgspec.Struct, frozen=True, kw_only=True):
    """What the first records of a file show."""

    format: str
    content_encoding: str
    charset: str
    records: int
    columns: list[ColumnPreview]
    issues: list[Issue]
    has_key: bool


def parse_policy(form: Fields, mapping: dict[str, list[str]], *, names: Sequence[str] = POLICY_FIELDS) -> Policy:
    """Return the policy in the form, or some members of it; raises parameter_invalid."""
    given = {name: form[name] for name in names if form.get(name)}
    if "encoding" in given:
        given["encoding"] = parse_encoding(given["encoding"])
    try:
        policy = msgspec.convert({**given, "mapping": mapping}, Policy, strict=False)
    except msgspec.ValidationError as error:
        raise refuse("parameter_invalid", f"{error}.", parameter="policy") from error
    currency = policy.currency
    if currency is not None and not (currency.isascii() and currency.isupper() and len(currency) == 3):
        raise refuse("parameter_invalid", "A currency has three capital letters, such as EUR.", parameter="currency")
    if policy.mode == "full" and policy.verb is not Verb.UPSERT:
        raise Refusal("parameter_invalid", "mode=full requires verb=upsert.", parameter="mode", expected="verb=upsert")
    return policy


def parse_kind(form: Fields) -> Kind:
    """Return the kind of records in the form; raises parameter_invalid."""
    try:
        return Kind(form.get("kind") or "product")
    except ValueError as error:
        raise refuse("parameter_invalid", f"{error}.", parameter="kind") from error


def parse_mapping(form: Fields, saved: dict[str, dict[str, list[str]]]) -> dict[str, list[str]]:
    """Return the saved mapping that the form names, changed by its column fields; raises mapping_unknown."""
    name = form.get("mapping", "")
    if name and name not in saved:
        raise Refusal("mapping_unknown", mapping=name)
    mapping = dict(saved.get(name, {}))
    if form.get("mapped_with", "") != name:
        return mapping  # another mapping was selected: the column fields still belong to the previous one
    for form_field, selected in form.items():
        if not form_field.startswith(MAP_PREFIX):
            continue
        column = form_field[len(MAP_PREFIX):]
        if selected == UNCHECKED:
            mapping[column] = []
        elif not selected:
            mapping.pop(column, None)
        elif selected != "+".join(mapping.get(column, [])):
            mapping[column] = [selected]
    return mapping


def preview_file(head: bytes, limits: formats.Limits, *, format: str, content_encoding: str, is_whole: bool, kind: Kind,
                 mapping: dict[str, list[str]], options: formats.ReadOptions) -> FilePreview:
    """Return a preview of a file from its first bytes; a record cut off at their end is ignored."""
    bounds = msgspec.structs.replace(limits, chunk_records_max=SAMPLE_RECORDS + 1)
    reader = formats.open_reader(
        iter([head]), format=format, content_encoding=content_encoding, limits=bounds, options=options
    )
    chunk = next(filter(len, reader.chunks()), None)
    records = len(chunk.source_rows) if chunk is not None else 0
    if not is_whole and records <= SAMPLE_RECORDS:
        records = max(records - 1, 0)  # the last one may be cut off
    records = min(records, SAMPLE_RECORDS)
    lines = chunk.lines[:records] if chunk is not None else []
    rows = chunk.rows[:records] if chunk is not None else []
    resolved, header_issues = resolve_mapping(kind, Policy(mapping=mapping), columns=reader.header)
    names = [*dict.fromkeys(reader.header)] if reader.header is not None else _member_names(lines)
    suggestions = {issue.value: issue.suggestion for issue in header_issues if issue.code == "header_unknown"}
    columns = [
        ColumnPreview(
            name=name, examples=_examples(name, reader.header, rows, lines), suggestion=suggestions.get(name),
            selected=UNCHECKED if mapping.get(name) == [] else "+".join(mapping.get(name, [])),
            detected="+".join(resolved.fields_of(name)),
        )
        for name in names if name not in RESERVED
    ]
    issues = [*([] if chunk is None and not is_whole else reader.notices)]
    if reader.stopped is not None and (is_whole or not records):
        issues.append(reader.stopped)
    return FilePreview(
        format=format, content_encoding=content_encoding, charset="" if format == "xlsx" else reader.charset,
        records=records, columns=columns, issues=issues,
        has_key=any("id" in column.detected.split("+") for column in columns),
    )


def _member_names(lines: Sequence[bytes]) -> list[str]:
    names: dict[str, None] = {}
    for line in lines:
        names.update(dict.fromkeys(read_members(line) or {}))
    return [*names]


def _examples(name: str, header: list[str] | None, rows: Sequence[list[str]], lines: Sequence[bytes]) -> list[str]:
    if header is not None:
        index = header.index(name)
        texts = (row[index] for row in rows if index < len(row))
    else:
        texts = (cell_text((read_members(line) or {}).get(name)) for line in lines)
    distinct = dict.fromkeys(text[:EXAMPLE_CHARACTERS_MAX] for text in texts if text.strip() and text != "null")
    return [*islice(distinct, EXAMPLES_MAX)]
