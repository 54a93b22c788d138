"""Load reference data, which rules look up, from a file of any format: all of it or nothing."""

import re
from collections.abc import Iterator, Sequence

import orjson

from goodsgate import formats
from goodsgate.engine.reference_checks import TREE_KINDS, LoadedEntries, Problem
from goodsgate.engine.refusal import REFUSALS, Refusal
from goodsgate.engine.settings import EngineSettings
from goodsgate.model.catalogue import REFERENCE_KINDS, ReferenceEntry
from goodsgate.model.json_text import Number, contains_nul, read_json
from goodsgate.rules import builtin_entries
from goodsgate.rules.document import is_deeper
from goodsgate.store.contract import Page, Store

READ_ONLY_KINDS = ("currency", "country", "unit")
COMMON_MEMBERS = {"code", "name", "parent"}
_COMMON_NAMES = {name: name for name in COMMON_MEMBERS}
_BOUND = re.compile(r"(-?)\+?0*([0-9]{1,300}(?:\.[0-9]{1,300})?(?:[eE][+-]?[0-9]{1,3})?)", re.ASCII)
LEVELS_MAX = 16
"""Levels of the members of an entry, the entry included."""
INVALID_MAX = 20
"""Invalid entries that a refusal lists."""
SENTENCES_MAX = 3
"""Invalid entries that the sentence of a refusal names."""
STORED_PAGE = 5_000


def load_reference(store: Store, settings: EngineSettings, merchant: str, kind: str, pieces: Iterator[bytes], *,
                   format: str, content_encoding: str = "identity", encoding: str | None = None,
                   replace: bool = False) -> int:
    """Store entries and return how many the merchant has now.

    Columns or members are ``code`` (required), ``name`` and ``parent``; others belong to the kind. A code occurs once,
    in one spelling, and the parents of a tree exist and form no cycle.

    Raises Refusal: reference_kind_unknown, reference_read_only, reference_invalid (nothing is stored then).
    """
    _check_kind(kind, write=True)
    reader = formats.open_reader(
        pieces, format=format, content_encoding=content_encoding, limits=settings.read_limits,
        options=formats.ReadOptions(encoding=encoding, resolve=_COMMON_NAMES.get),
    )
    loaded = LoadedEntries()
    for chunk in reader.chunks():
        for at, place in enumerate(chunk.source_rows):
            unreadable = chunk.unreadable.get(at)
            try:
                if unreadable is not None:
                    raise ValueError(unreadable.message)
                entry = _entry(kind, _members(reader.header, chunk, at))
            except ValueError as fault:
                loaded.problems.append(Problem(place, str(fault)))
                continue
            loaded.add(entry, place)
        if len(loaded.entries) > settings.reference_entries_max:
            raise Refusal("reference_invalid", limit=settings.reference_entries_max)
        if len(loaded.problems) >= INVALID_MAX:
            break
    stopped = [reader.stopped] if reader.stopped is not None else []
    loaded.problems += [
        Problem(0, problem.message) for problem in (*reader.notices, *stopped) if problem.severity == "error"
    ]
    if not loaded.problems:
        stored = [] if replace else [*_stored(store, merchant, kind)]
        loaded.check_codes(stored)
        if kind in TREE_KINDS:
            loaded.check_parents({entry.code: entry.parent for entry in stored})
    if loaded.problems:
        raise _invalid(loaded.problems[:INVALID_MAX])
    count = store.put_reference(merchant, kind, [*loaded.entries.values()], replace=replace)
    if count > settings.reference_entries_max:
        raise Refusal("reference_invalid", "Too many entries of this kind.", limit=settings.reference_entries_max)
    return count


def _stored(store: Store, merchant: str, kind: str) -> Iterator[ReferenceEntry]:
    after = None
    while True:
        page = store.reference(merchant, kind, after=after, limit=STORED_PAGE)
        yield from page.rows
        after = page.next
        if after is None:
            return


def _invalid(problems: list[Problem]) -> Refusal:
    sentences = " ".join(problem.sentence for problem in problems[:SENTENCES_MAX])
    entries = [{"place": problem.place, "message": problem.message} for problem in problems]
    return Refusal("reference_invalid", f"{REFUSALS['reference_invalid']} {sentences}", entries=entries)


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
        record = read_json(chunk.lines[at])
    except orjson.JSONDecodeError as fault:
        raise ValueError(f"not valid JSON: {fault}") from None
    if isinstance(record, str):
        return {"code": record}
    if not isinstance(record, dict):
        raise ValueError("an entry is a JSON object or a text")
    if is_deeper(record, LEVELS_MAX):
        raise ValueError(f"an entry nests more than {LEVELS_MAX} levels")
    if contains_nul(record):
        raise ValueError("an entry holds the character NUL")
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
            out[name] = _bound(name, str(out[name]).strip())
    return out


def _bound(name: str, text: str) -> int | Number:
    """Return the number of a cell as JSON has it: whole as int, others as they are written."""
    number = _BOUND.fullmatch(f"0{text}" if text.startswith(".") else text)
    if number is None:
        raise ValueError(f"{name} is not a number")
    value: int | Number = read_json(f"{number[1]}{number[2]}")
    return value
