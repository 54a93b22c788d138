"""Check rows that belong together: each row by itself, and what a row gives to others at the row that gives it.

A variant is a whole record. A parent or an image is checked as far as it goes, as an update is. So is a further price
or a translation, which then becomes an update of the item: ``{"prices": {"EUR": {"price": …}}}``.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import orjson

from goodsgate.engine.field_mapping import FieldMapping
from goodsgate.engine.grouped_chunks import GroupedChunk
from goodsgate.engine.grouped_row import GroupedRow, MissingParent
from goodsgate.engine.groups import GROUP_ID, IMAGES, OPTION_FIELDS
from goodsgate.formats import Chunk
from goodsgate.model.batch import Kind, Verb
from goodsgate.model.catalogue import digest_of
from goodsgate.model.issue import Issue, has_error, issue
from goodsgate.model.references import REFERENCE_OF_CODE, missing_references
from goodsgate.rules import Checker, CheckResult

ANY_KEY = "X"
"""Stands for the SKU of a row that needs none, while it is checked."""
PRICE_FIELDS = ("price", "sale_price", "sale_price_effective_date")
APPENDED = frozenset({GROUP_ID, IMAGES})
"""Members that are written behind those of a document which has none of them, without reading it."""
APPENDED_NAMES = tuple(f'"{name}"'.encode() for name in sorted(APPENDED))
IMAGE_NAME = b'"image_link":'
MISSING_KEY = frozenset({"sku_missing", "field_missing"})


class GroupedCheck(NamedTuple):
    """Documents of the rows of a chunk, what the rules say of them, and which rows are no items."""

    documents: list[bytes]
    hashes: list[bytes]
    result: CheckResult
    merged: frozenset[int]


def check_grouped(chunk: GroupedChunk, rules: Checker, giver_rules: Checker, mapping: FieldMapping,
                  found_by_mapping: dict[int, list[Issue]]) -> GroupedCheck:
    """Check the rows of a chunk; `giver_rules` check an update, `found_by_mapping` gets the issues of the mapping."""
    grouped, unreadable = chunk.grouped, chunk.unreadable
    documents = [*mapping.documents(_plain(chunk.cells, chunk.source_rows), found_by_mapping)]
    count = len(documents)
    hashes = [b""] * count
    result = CheckResult([None] * count, [None] * count, None, {}, hashes=[b""] * count)
    givers = [at for at, row in enumerate(grouped) if row.role != "variant" and at not in unreadable]
    merged = frozenset(givers)
    variants = [at for at in range(count) if at not in merged]
    for at in variants:
        if grouped[at].members and at not in unreadable and mapping.kind is Kind.PRODUCT:
            documents[at] = _with_members(documents[at], grouped[at].members)
    own = [documents[at] for at in variants]
    own_hashes = [*map(digest_of, own)]
    _add_result(rules.check(own, own_hashes), variants, result)
    for at, digest in zip(variants, own_hashes, strict=True):
        hashes[at] = digest
    _check_givers(grouped, givers, documents, giver_rules, result)
    for at in givers:
        hashes[at] = digest_of(documents[at])
    result.hashes = [after or before for after, before in zip(result.hashes, hashes, strict=True)]
    wrong = _wrong_parents(grouped, [at for at in variants if at not in unreadable], mapping, giver_rules)
    for at in variants:
        row = grouped[at]
        found = [*result.issues.get(at, ()), *found_by_mapping.pop(at, ())]
        if found and row.taken:
            found = _at_their_rows(found, row, mapping, lets_wait=rules.lets_wait)
        if row.missing is not None:
            verb = result.verbs[at] if result.verbs is not None else None
            found = _without_parent(found, row, row.missing, mapping, waits=verb not in (Verb.UPDATE, Verb.DELETE))
        if row.parent is not None and row.parent.source_row in wrong:
            found = [*found, issue("group_row_rejected", value=row.parent.source_row, expected="what it lacks")]
        if any(each.path == "/id" for each in row.issues):  # which say what to do
            found = [each for each in found if each.path != "/id" or each.code not in MISSING_KEY]
        _set_issues(result, at, found)
    for at, row in enumerate(grouped):
        if row.issues:
            _set_issues(result, at, [*result.issues.get(at, ()), *row.issues])
    return GroupedCheck(documents, hashes, result, merged)


def _check_givers(grouped: Sequence[GroupedRow], givers: Sequence[int], documents: list[bytes], rules: Checker,
                  result: CheckResult) -> None:
    """Check the rows that are no items, and turn further prices and translations into updates."""
    checked = [at for at in givers if grouped[at].role != "note"]
    if not checked:
        return
    updates = {at for at in checked if grouped[at].role in ("price", "translation")}
    given = rules.check([documents[at] if at in updates else _with_key(documents[at]) for at in checked])
    for index, at in enumerate(checked):
        if found := given.issues.get(index):
            result.issues[at] = found
        if at not in updates:
            continue
        result.keys[at], result.versions[at] = given.keys[index], given.versions[index]
        if result.verbs is None:
            result.verbs = [None] * len(documents)
        result.verbs[at] = Verb.UPDATE
        documents[at] = _update_of(given.canonical.get(index, documents[at]), grouped[at], result, at)


def _update_of(document: bytes, row: GroupedRow, result: CheckResult, at: int) -> bytes:
    """Return the update that a further price or a translation is."""
    record = orjson.loads(document)
    key = record.pop("id", None)
    if row.role == "translation":
        return orjson.dumps({"id": key, "translations": {row.label: record}})
    price = record.get("price")
    currency = record.get("currency") or (str(price).split()[-1] if price and " " in str(price) else "")
    label = row.label or currency
    if not label or price is None:
        found = issue("field_missing", "/price" if price is None else "/currency")
        _set_issues(result, at, [*result.issues.get(at, ()), found])
        return document
    members = {name: record[name] for name in PRICE_FIELDS if name in record}
    for name in ("price", "sale_price"):
        if name in members and currency and " " not in str(members[name]):
            members[name] = f"{members[name]} {currency}"
    return orjson.dumps({"id": key, "prices": {label: members}})


def _wrong_parents(grouped: Sequence[GroupedRow], variants: Sequence[int], mapping: FieldMapping, rules: Checker,
                   ) -> set[int]:
    """Return the source rows of parents that are rejected, and do not only wait; they may stand in another chunk.

    Those of other batches have no row here, and were accepted there.
    """
    parents = {
        row.parent.source_row: row.parent for at in variants
        if (row := grouped[at]).parent is not None and row.parent.source_row
    }
    if not parents:
        return set()
    documents = mapping.documents(_plain([parent.cells for parent in parents.values()], [*parents]), {})
    issues = rules.check([_with_key(document) for document in documents]).issues
    return {
        number for at, number in enumerate(parents) if has_error(found := issues.get(at, []))
        and not (rules.lets_wait and missing_references(found) is not None)
    }


def _at_their_rows(found: list[Issue], row: GroupedRow, mapping: FieldMapping, *, lets_wait: bool) -> list[Issue]:
    """Return the issues of a variant without those of cells that it has taken: they stand at the row that gave them.

    Of cells from rows of other batches they stay here.

    An error there is an error here as well, which names that row; unless it lets the variant wait as well.
    """
    own: list[Issue] = []
    given: dict[int, list[str]] = {}
    for each in found:
        source = _source_of(each, row, mapping)
        if not source or (lets_wait and each.code in REFERENCE_OF_CODE):
            own.append(each)
        elif each.severity == "error":
            column = each.column or mapping.column_of(each.path, row.cells)
            given.setdefault(source, []).append(column or each.path.lstrip("/"))
    return own + [
        issue("group_row_rejected", value=source, expected=", ".join(dict.fromkeys(columns)))
        for source, columns in given.items()
    ]


def _without_parent(found: list[Issue], row: GroupedRow, missing: MissingParent, mapping: FieldMapping, *,
                    waits: bool) -> list[Issue]:
    """Return the issues of a variant whose parent is not there yet: instead of those of fields that it would fill."""
    if waits:
        found = [
            each for each in found
            if each.code != "field_missing" or _column_at(each, row, mapping) not in missing.columns
        ]
    return [*found, issue("group_parent_missing", value=missing.name, severity="error" if waits else None)]


def _source_of(found: Issue, row: GroupedRow, mapping: FieldMapping) -> int | None:
    """Return the source row of the cell that an issue is about, if it was taken from another row."""
    at = _column_at(found, row, mapping)
    return None if at is None else row.taken.get(at)


def _column_at(found: Issue, row: GroupedRow, mapping: FieldMapping) -> int | None:
    """Return the column that an issue is about."""
    column = found.column or mapping.column_of(found.path, row.cells) or found.path.lstrip("/")
    columns = mapping.columns or []
    return columns.index(column) if column in columns else None


def _plain(rows: list[list[str]], source_rows: list[int]) -> Chunk:
    return Chunk(lines=[], rows=rows, source_rows=source_rows, bytes_done=0)


def _with_key(document: bytes) -> bytes:
    """Return the document of a row that needs no SKU with one that the rules accept."""
    return orjson.dumps({**orjson.loads(document), "id": ANY_KEY})


def _with_members(document: bytes, members: Mapping[str, object]) -> bytes:
    if members.keys() <= APPENDED and not any(name in document for name in APPENDED_NAMES):
        if IMAGES in members:
            links = [link for link in _texts(members[IMAGES]) if IMAGE_NAME + orjson.dumps(link) not in document]
            members = {name: links if name == IMAGES else value for name, value in members.items()}
            if not links:
                del members[IMAGES]
        if not members:
            return document
        return (document[:-1] + b"," if len(document) > 2 else b"{") + orjson.dumps(members)[1:]
    record = orjson.loads(document)
    for name, value in members.items():
        if name == IMAGES and isinstance(value, list):
            links = [link for link in value if link != record.get("image_link")]
            if links:
                record[name] = links
        elif name not in OPTION_FIELDS or not record.get(name):
            record[name] = value
    return orjson.dumps(record)


def _texts(value: object) -> list[str]:
    return value if isinstance(value, list) else []


def _add_result(checked: CheckResult, places: Sequence[int], result: CheckResult) -> None:
    """Put the results of some records at their places."""
    for index, at in enumerate(places):
        result.keys[at], result.versions[at] = checked.keys[index], checked.versions[index]
    if checked.verbs is not None:
        result.verbs = [None] * len(result.keys)
        for index, at in enumerate(places):
            result.verbs[at] = checked.verbs[index]
    for index, found in checked.issues.items():
        result.issues[places[index]] = found
    for index, canonical in checked.canonical.items():
        result.canonical[places[index]] = canonical
    for index, patch in checked.patches.items():
        result.patches[places[index]] = patch
    hashes = [*result.hashes]
    for at, digest in zip(places, checked.hashes, strict=True):
        hashes[at] = digest
    result.hashes = hashes


def _set_issues(result: CheckResult, at: int, issues: list[Issue]) -> None:
    if issues:
        result.issues[at] = issues
    else:
        result.issues.pop(at, None)
