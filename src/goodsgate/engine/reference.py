"""Load reference data, which rules look up, from a file of any format: all of it or nothing."""

from collections.abc import Iterator, Sequence

import orjson

from goodsgate import formats
from goodsgate.engine.refusal import Refusal
from goodsgate.engine.settings import EngineSettings
from goodsgate.model.catalogue import REFERENCE_KINDS, ReferenceEntry
from goodsgate.rules import builtin_entries
from goodsgate.rules.document import is_deeper
from goodsgate.store.contract import Page, Store

READ_ONLY_KINDS = ("currency", "country", "unit")
COMMON_MEMBERS = {"code", "name", "parent"}
_COMMON_NAMES = {name: name for name in COMMON_MEMBERS}
LEVELS_MAX = 16
"""Levels of the members of an entry, the entry included."""
INVALID_MAX = 20
"""Invalid entries that a refusal lists."""


def load_reference(store: Store, settings: EngineSettings, merchant: str, kind: str, pieces: Iterator[bytes], *,
                   format: str, content_encoding: str = "identity", encoding: str | None = None,
                   replace: bool = False) -> int:
    """Store entries and return how many the merchant has now.

    Columns or members are ``code`` (required), ``name`` and ``parent``; others belong to the kind.

    Raises Refusal: reference_kind_unknown, reference_read_only, reference_invalid (nothing is stored then).
    """
    _check_kind(kind, write=True)
    reader = formats.open_reader(
        pieces, format=format, content_encoding=content_encoding, limits=settings.read_limits,
        options=formats.ReadOptions(encoding=encoding, resolve=_COMMON_NAMES.get),
    )
    entries: dict[str, ReferenceEntry] = {}
    invalid: list[dict[str, object]] = []
    for chunk in reader.chunks():
        for at, place in enumerate(chunk.source_rows):
            unreadable = chunk.unreadable.get(at)
            try:
                if unreadable is not None:
                    raise ValueError(unreadable.message)
                entry = _entry(kind, _members(reader.header, chunk, at))
            except ValueError as fault:
                if len(invalid) < INVALID_MAX:
                    invalid.append({"place": place, "message": str(fault)})
                continue
            entries[entry.code] = entry
        if len(entries) > settings.reference_entries_max:
            raise Refusal("reference_invalid", limit=settings.reference_entries_max)
    if reader.stopped is not None:
        invalid.append({"place": 0, "message": reader.stopped.message})
    if invalid:
        raise Refusal("reference_invalid", entries=invalid)
    count = store.put_reference(merchant, kind, [*entries.values()], replace=replace)
    if count > settings.reference_entries_max:
        raise Refusal("reference_invalid", "Too many entries of this kind.", limit=settings.reference_entries_max)
    return count


def reference(store: Store, merchant: str, kind: str, *, search: str | None = None, after: str | None = None,
              limit: int = 100) -> Page[ReferenceEntry]:
    """Return a page of entries by code, of the merchant's own kinds or of those that come with libraries."""
    _check_kind(kind, write=False)
    if kind not in READ_ONLY_KINDS:
        return store.reference(merchant, kind, search=search, after=after, limit=limit)
    wanted = (search or "").casefold()
    rows = [
        entry for entry in builtin_entries(kind)
        if (after is None or entry.code > after) and wanted in f"{entry.code} {entry.name}".casefold()
    ]
    return Page(rows[:limit], rows[limit - 1].code if len(rows) > limit else None)


def _check_kind(kind: str, *, write: bool) -> None:
    if kind in READ_ONLY_KINDS:
        if write:
            raise Refusal("reference_read_only")
        return
    if kind not in REFERENCE_KINDS:
        raise Refusal("reference_kind_unknown", allowed=[*REFERENCE_KINDS, *READ_ONLY_KINDS])


def _members(header: Sequence[str] | None, chunk: formats.Chunk, at: int) -> dict[str, object]:
    if header is not None:
        return {name: cell.strip() for name, cell in zip(header, chunk.rows[at], strict=False) if cell.strip()}
    try:
        record = orjson.loads(chunk.lines[at])
    except orjson.JSONDecodeError as fault:
        raise ValueError(f"not valid JSON: {fault}") from None
    if isinstance(record, str):
        return {"code": record}
    if not isinstance(record, dict):
        raise ValueError("an entry is a JSON object or a text")
    if is_deeper(record, LEVELS_MAX):
        raise ValueError(f"an entry nests more than {LEVELS_MAX} levels")
    return record


def _entry(kind: str, members: dict[str, object]) -> ReferenceEntry:
    data = {
        name: value for name, value in members.items()
        if name not in COMMON_MEMBERS and name != "data" and value != ""
    }
    nested = members.get("data")
    if isinstance(nested, dict):
        data |= nested
    if kind == "attribute":
        members = {**members, "code": members.get("code") or _attribute_code(data)}
        data = _attribute(data)
    code = members.get("code", members.get("name"))
    if not isinstance(code, str | int) or isinstance(code, bool) or not str(code).strip():
        raise ValueError("code is missing")
    text = str(code).strip()
    if len(text) > 500 or not text.isprintable():
        raise ValueError("code is longer than 500 characters or holds control characters")
    name, parent = members.get("name"), members.get("parent")
    if "\0" in f"{name}{parent}":
        raise ValueError("name or parent holds a NUL")
    return ReferenceEntry(
        code=text, name=str(name).strip() if name is not None else "", parent=str(parent).strip() if parent else None,
        data=data,
    )


def _attribute_code(data: dict[str, object]) -> str:
    return f"{data.get('category', '*')}/{data.get('attribute', '')}" if data.get("attribute") else ""


def _attribute(data: dict[str, object]) -> dict[str, object]:
    """Return the members of an attribute with their types: ``required`` a bool, ``allowed`` a list, bounds numbers."""
    out = dict(data)
    if isinstance(out.get("required"), str):
        out["required"] = str(out["required"]).casefold() in ("1", "true", "yes", "y", "x")
    if isinstance(out.get("allowed"), str):
        out["allowed"] = [part.strip() for part in str(out["allowed"]).split("|") if part.strip()]
    for name in ("minimum", "maximum"):
        if isinstance(out.get(name), str):
            try:
                out[name] = float(str(out[name]))
            except ValueError:
                raise ValueError(f"{name} is not a number") from None
    return out
