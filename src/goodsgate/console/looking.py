"""What the head of a file shows: how it is written, what its columns are called, and what stands in them."""

from collections.abc import Sequence
from itertools import islice
from typing import Any

import msgspec
import orjson

from goodsgate import formats
from goodsgate.config import Config
from goodsgate.console.framed import Fields
from goodsgate.engine.refusal import Refusal
from goodsgate.engine.shape import RESERVED, settle_shape
from goodsgate.engine.source import limits
from goodsgate.http.problems import refuse
from goodsgate.model import fields
from goodsgate.model.batch import Kind, Policy, Verb
from goodsgate.model.issue import Issue

SAMPLE_RECORDS = 200
"""Records that names and values are taken from."""
VALUES = 3
VALUE_CHARACTERS = 60
MAP = "map:"
"""Before the name of a column in the form."""
LEAVE_OUT = "-"
"""A column that is kept and not checked."""

TREATED = ("verb", "mode", "decimal", "currency", "duplicates", "references")
"""What of a policy the form asks for."""


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One column or member of the file."""

    name: str
    values: list[str]
    """The first that differ."""
    chosen: str
    """What the form says: a field, LEAVE_OUT, or empty where we find the field ourselves."""
    read_as: str
    """Our field; empty if it is kept as it is."""
    near: str | None = None
    """The field that may be meant."""


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """A file as far as it was looked at."""

    format: str
    content_encoding: str
    charset: str
    records: int
    columns: list[Column]
    notices: list[Issue]
    has_key: bool


def policy_of(told: Fields, mapping: dict[str, list[str]]) -> Policy:
    """How the submission wants to be treated; raises parameter_invalid."""
    given = {name: told[name] for name in TREATED if told.get(name)}
    try:
        policy = msgspec.convert({**given, "mapping": mapping}, Policy)
    except msgspec.ValidationError as fault:
        raise refuse("parameter_invalid", f"{fault}.", parameter="policy") from fault
    if policy.currency is not None and not (policy.currency.isascii() and policy.currency.isupper()
                                            and len(policy.currency) == 3):
        raise refuse("parameter_invalid", "A currency is three capital letters.", parameter="currency")
    if policy.mode == "full" and policy.verb is not Verb.UPSERT:
        raise Refusal("parameter_invalid", "mode=full requires verb=upsert.", parameter="mode", expected="verb=upsert")
    return policy


def kind_of(told: Fields) -> Kind:
    """What the records describe; raises parameter_invalid."""
    try:
        return Kind(told.get("kind") or "product")
    except ValueError as fault:
        raise refuse("parameter_invalid", f"{fault}.", parameter="kind") from fault


def mapping_of(told: Fields, saved: dict[str, dict[str, list[str]]]) -> dict[str, list[str]]:
    """The saved mapping, with what the form says of single columns; raises mapping_unknown."""
    name = told.get("mapping", "")
    if name and name not in saved:
        raise Refusal("mapping_unknown", mapping=name)
    mapping = dict(saved.get(name, {}))
    if told.get("mapped_with", "") != name:
        return mapping  # another mapping was chosen: what the form says of columns was said of the one before
    for column, chosen in told.items():
        if not column.startswith(MAP):
            continue
        if chosen == LEAVE_OUT:
            mapping[column[len(MAP):]] = []
        elif not chosen:
            mapping.pop(column[len(MAP):], None)
        elif chosen != "+".join(mapping.get(column[len(MAP):], [])):
            mapping[column[len(MAP):]] = [chosen]
    return mapping


def look(head: bytes, config: Config, *, format: str, content_encoding: str, whole: bool, kind: Kind,
         mapping: dict[str, list[str]]) -> Looked:
    """Of a file that begins so; what breaks off at the end of the head is not told."""
    bounds = msgspec.structs.replace(limits(config), chunk_records_max=SAMPLE_RECORDS + 1)
    reader = formats.open_reader(iter([head]), format=format, content_encoding=content_encoding, limits=bounds)
    chunk = next(reader.chunks(), None)
    found = len(chunk.source_rows) if chunk is not None else 0
    if not whole and found <= SAMPLE_RECORDS:
        found = max(found - 1, 0)  # the last one may be cut
    found = min(found, SAMPLE_RECORDS)
    lines = chunk.lines[:found] if chunk is not None else []
    rows = chunk.rows[:found] if chunk is not None else []
    shape, told = settle_shape(kind, Policy(mapping=mapping), columns=reader.header, sample=lines)
    names = [*dict.fromkeys(reader.header)] if reader.header is not None else _members(lines)
    near = {issue.value: issue.suggestion for issue in told if issue.code == "header_unknown"}
    columns = [
        Column(
            name=name, values=_values(name, reader.header, rows, lines), near=near.get(name),
            chosen=LEAVE_OUT if mapping.get(name) == [] else "+".join(mapping.get(name, [])),
            read_as=_read_as(name, kind, shape.mapping),
        )
        for name in names if name not in RESERVED
    ]
    notices = [*([] if chunk is None and not whole else reader.notices)]
    if reader.stopped is not None and (whole or not found):
        notices.append(reader.stopped)
    return Looked(
        format=format, content_encoding=content_encoding, charset="" if format == "xlsx" else reader.charset,
        records=found,
        columns=columns, notices=notices,
        has_key=any("id" in column.read_as.split("+") for column in columns),
    )


def _read_as(name: str, kind: Kind, mapping: dict[str, list[str]]) -> str:
    if name in mapping:
        return "+".join(mapping[name])
    return name if fields.resolve(name, kind) == name else ""


def _members(lines: Sequence[bytes]) -> list[str]:
    names: dict[str, None] = {}
    for record in map(_object, lines):
        names.update(dict.fromkeys(record))
    return [*names]


def _object(line: bytes) -> dict[str, Any]:
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {}
    return record if isinstance(record, dict) else {}


def _values(name: str, header: list[str] | None, rows: Sequence[list[str]], lines: Sequence[bytes]) -> list[str]:
    if header is not None:
        at = header.index(name)
        texts = (row[at] for row in rows if at < len(row))
    else:
        found = (_object(line).get(name) for line in lines)
        texts = (value if isinstance(value, str) else orjson.dumps(value).decode() for value in found)
    distinct = dict.fromkeys(text[:VALUE_CHARACTERS] for text in texts if text.strip() and text != "null")
    return [*islice(distinct, VALUES)]
