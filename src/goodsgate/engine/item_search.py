"""Find items by words, GTIN, brand, group, batch and time of writing.

The search index of the store answers if it can. Otherwise the items are examined one by one, in the order of their
keys, for a limited time: the same items are found, on shorter pages.
"""

import re
from datetime import UTC, datetime

import msgspec

from goodsgate.engine.group_index import list_group
from goodsgate.engine.refusal import Refusal
from goodsgate.engine.search import Predicate, SearchResult, search
from goodsgate.engine.search_terms import brand_term, gtin_term, item_terms, text_terms
from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import Item
from goodsgate.store.contract import ItemSearch, Page, SearchTerm, Store

WORDS_MAX = 12
"""Words of one search."""


class ItemQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What is searched for; an item matches if it meets all of it."""

    text: str | None = None
    """The beginning of the key, in any case; or words of title, brand, GTIN or group, or their beginnings."""
    prefix: str | None = None
    """Beginning of the key; case-sensitive."""
    gtin: str | None = None
    brand: str | None = None
    group: str | None = None
    """The `item_group_id`."""
    batch: str | None = None
    """The batch that last wrote the item."""
    since: datetime | None = None
    """The item was last written then or later."""


def find_items(store: Store, merchant: str, kind: Kind, collection: str, query: ItemQuery, *, after: str | None,
               limit: int, seconds: float) -> SearchResult:
    """Return a page of the items that match; it may be short if items were examined for `seconds`.

    Raises Refusal: parameter_invalid, batch_unknown.
    """
    wanted = _search_of(query, kind)
    if query.batch is not None and store.batch(merchant, query.batch) is None:
        raise Refusal("batch_unknown")
    matches = _predicate(wanted)
    if query.group is not None:
        page = list_group(store, merchant, collection, query.group, after=after, limit=limit)
        return SearchResult(items=[*filter(matches, page.rows)], examined=0, next=page.next)
    found = find_indexed(store, merchant, kind, collection, wanted, after=after, limit=limit)
    if found is not None:
        return SearchResult(items=found.rows, examined=0, next=found.next)
    return search(
        store, merchant, kind, collection, matches, after=after, prefix=query.prefix, limit=limit, seconds=seconds
    )


def find_indexed(store: Store, merchant: str, kind: Kind, collection: str, wanted: ItemSearch, *, after: str | None,
                 limit: int) -> Page[Item] | None:
    """Return a page of the items that match without examining others; None if the store cannot."""
    if not wanted.terms and wanted.start is None and wanted.batch is None and wanted.since is None:
        return store.items(merchant, kind, collection, after=after, limit=limit, prefix=wanted.prefix)
    return store.search_items(merchant, kind, collection, wanted, after=after, limit=limit)


def find_by_text(store: Store, merchant: str, kind: Kind, collection: str, text: str, *, after: str | None,
                 limit: int) -> Page[Item] | None:
    """Return a page of the items with the words of a text; None if the store's index cannot tell."""
    words = text_terms(text)
    if len(words) > WORDS_MAX:
        return None
    return store.search_items(
        merchant, kind, collection, ItemSearch(start=text.strip(), words=words), after=after, limit=limit
    )


def _search_of(query: ItemQuery, kind: Kind) -> ItemSearch:
    for name in ("gtin", "brand", "group"):
        if kind is not Kind.PRODUCT and getattr(query, name) is not None:
            raise Refusal("parameter_invalid", f"{name} is for kind=product.", parameter=name, expected="kind=product")
    start, words, terms = None, list[tuple[SearchTerm, ...]](), list[tuple[SearchTerm, ...]]()
    if query.text is not None and query.text.strip():
        start, words = query.text.strip(), text_terms(query.text) if kind is Kind.PRODUCT else []
    if len(words) > WORDS_MAX:
        raise Refusal(
            "parameter_invalid", f"q has more than {WORDS_MAX} words.", parameter="q", expected=f"{WORDS_MAX} words"
        )
    if query.gtin is not None:
        terms.append(gtin_term(query.gtin))
    if query.brand is not None:
        terms.append(brand_term(query.brand))
    since = query.since.astimezone(UTC) if query.since is not None else None
    return ItemSearch(start=start, words=words, terms=terms, prefix=query.prefix, batch=query.batch, since=since)


def _predicate(wanted: ItemSearch) -> Predicate:
    """Return a predicate for items that match."""
    prefix, since = wanted.prefix or "", wanted.since
    start = _without_case(wanted.start) if wanted.start is not None else ""

    def matches(item: Item) -> bool:
        if since is not None and item.written_at < since:
            return False
        if (wanted.batch is not None and item.batch != wanted.batch) or not item.key.startswith(prefix):
            return False
        needed = [*wanted.terms]
        if not _without_case(item.key).startswith(start):
            if not wanted.words:
                return False
            needed += wanted.words
        if not needed:
            return True
        terms = item_terms(item.kind, [item.key], [item.document])[0].split(" ")
        return all(any(_has(terms, term) for term in alternatives) for alternatives in needed)

    return matches


def _without_case(key: str) -> str:
    """Return a key without ASCII case, which is what keys are compared by."""
    return key.lower() if key.isascii() else key.translate(_LOWER)


_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def _has(terms: list[str], wanted: SearchTerm) -> bool:
    if wanted.is_prefix:
        return any(term.startswith(wanted.text) for term in terms)
    return wanted.text in terms


_FILTER = re.compile(r'(?:^|(?<=\s))(gtin|brand|group|batch|since|key):("[^"]*"|\S+)')


def parse_search(text: str) -> ItemQuery:
    """Return the search that a person has typed: words, and filters such as ``brand:"Nordic Trail"``.

    A filter whose value cannot be read is searched for as words.
    """
    values: dict[str, str] = {}

    def take(match: re.Match[str]) -> str:
        name, value = match[1], match[2].strip('"')
        if name == "since" and _moment(value) is None:
            return match[0]
        values[name] = value
        return ""

    words = _FILTER.sub(take, text).strip()
    return ItemQuery(
        text=words or None, prefix=values.get("key") or None, gtin=values.get("gtin"), brand=values.get("brand"),
        group=values.get("group"), batch=values.get("batch"), since=_moment(values.get("since", "")),
    )


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
