"""Searches for items: by the index or one by one, they find what a model finds."""

from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodsgate.engine.group_index import with_group_entries
from goodsgate.engine.item_search import WORDS_MAX, ItemQuery, find_items, parse_search
from goodsgate.engine.refusal import Refusal
from goodsgate.engine.search_terms import item_terms, words_of
from goodsgate.model.batch import Kind, State
from goodsgate.model.catalogue import Merchant, Write, digest_of
from goodsgate.store.contract import Store
from tests import effort
from tests.factories import NOW
from tests.store.scene import Record, Scene, chunk_commit
from tests.stores import KINDS

TITLES = ("Trail shoe", "Träil boot 42", "L", "日本茶", "")
BRANDS = (None, "Acme", "ACMÉ & co")
GTINS = (None, "04006381333931", "4006381333931", "12345670")
ITEMS = st.fixed_dictionaries({
    "title": st.sampled_from(TITLES), "brand": st.sampled_from(BRANDS), "gtin": st.sampled_from(GTINS),
    "item_group_id": st.sampled_from((None, "g1", "G 2")),
})
KEYS = st.sampled_from(["a-1", "A-2", "b", "B42", "ü"])
BATCHES = st.lists(st.dictionaries(KEYS, ITEMS, min_size=1, max_size=4), min_size=1, max_size=3)
QUERIES = st.fixed_dictionaries({}, optional={
    "text": st.sampled_from(["trail", "TRÄIL sh", "l", "42", "4006", "茶", "acme", "a", "A-", "g1", "!", "4006 boot"]),
    "prefix": st.sampled_from(["a", "B", "a-"]), "gtin": st.sampled_from(["4006381333931", "12345670", "0"]),
    "brand": st.sampled_from(["acme", "Acme Co", "&"]), "group": st.sampled_from(["g1", "G 2", "g"]),
    "batch": st.integers(0, 2), "since": st.integers(0, 2),
})


@pytest.mark.parametrize("kind", KINDS)
def test_a_search_with_and_without_the_index_finds_what_a_model_finds(kind: str, tmp_path: Path) -> None:
    """Whatever is searched for, and in pages of any size."""
    with Scene(tmp_path, kind) as scene:
        merchants = (f"m{number}" for number in count())

        @settings(max_examples=effort.examples(18), deadline=None)
        @given(batches=BATCHES, queries=st.lists(QUERIES, min_size=1, max_size=6))
        def check(batches: list[dict[str, dict[str, Any]]], queries: list[dict[str, Any]]) -> None:
            merchant = next(merchants)
            scene.store.add_merchant(Merchant(id=merchant, name=merchant, created_at=NOW))
            written = [_put(scene, merchant, items) for items in batches]
            model = {key: (item, *written[at]) for at, items in enumerate(batches) for key, item in items.items()}
            for wanted in queries:
                if "batch" in wanted:
                    wanted["batch"] = written[wanted["batch"] % len(written)][0]
                if "since" in wanted:
                    wanted["since"] = written[wanted["since"] % len(written)][1]
                keys = [key for key, (item, *stamp) in model.items() if _matches(key, item, *stamp, wanted)]
                expected = sorted(keys, key=lambda key: (key.lower() if key.isascii() else key, key))
                query = ItemQuery(**wanted)
                assert _keys(scene.store, merchant, query, limit=2) == expected
                assert _keys(Unindexed(scene.store), merchant, query, limit=3) == expected

        check()


class Unindexed:
    """A store whose index never answers."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def search_items(self, *_arguments: object, **_named: object) -> None:
        """Tell nothing."""


def _put(scene: Scene, merchant: str, items: dict[str, dict[str, Any]]) -> tuple[str, datetime]:
    """Commit items, and return the id of their batch and their time."""
    scene.clock.forward(1)
    batch = scene.seal(merchant)
    claim = scene.claimed()
    documents = {
        key: msgspec.json.encode({"id": key, "batch": batch, **{name: value for name, value in item.items() if value}})
        for key, item in items.items()
    }
    writes = [Write(key, digest_of(document), document, None) for key, document in documents.items()]
    commit = chunk_commit(claim.rounds[0], *map(Record, items), ends=State.FINISHED)
    writes = [*with_group_entries(writes, claim.rounds[0])]
    scene.store.commit(claim, [msgspec.structs.replace(commit, writes=writes)])
    scene.store.release_claim(claim)
    item = scene.store.item(merchant, Kind.PRODUCT, "products", next(iter(items)))
    assert item is not None
    return batch, item.written_at


def _matches(key: str, item: dict[str, Any], batch: str, written_at: datetime, wanted: dict[str, Any]) -> bool:
    """Say it again, in other words than the gate."""
    gtin, brand = (item["gtin"] or "").lstrip("0"), "".join(words_of(item["brand"] or ""))
    words = words_of(" ".join(filter(None, (item["title"], item["brand"], item["item_group_id"]))))
    asked = words_of(wanted.get("text", ""))
    return all((
        key.startswith(wanted.get("prefix", "")), wanted.get("batch", batch) == batch,
        wanted.get("since", written_at) <= written_at,
        wanted.get("group", item["item_group_id"]) == item["item_group_id"],
        "gtin" not in wanted or (gtin != "" and gtin == wanted["gtin"].lstrip("0")),
        "brand" not in wanted or (brand != "" and brand == "".join(words_of(wanted["brand"]))),
        "text" not in wanted or key.lower().startswith(wanted["text"].lower()) or (asked and all(
            word in words or (len(word) > 1 and any(one.startswith(word) for one in (*words, gtin))) for word in asked
        )),
    ))


def _keys(store: Any, merchant: str, query: ItemQuery, *, limit: int) -> list[str]:
    keys: list[str] = []
    after = None
    while True:
        result = find_items(
            store, merchant, Kind.PRODUCT, "products", query, after=after, limit=limit, seconds=10
        )
        keys += [item.key for item in result.items]
        after = result.next
        if after is None:
            return sorted(keys, key=lambda key: (key.lower() if key.isascii() else key, key)) if query.group else keys


@pytest.mark.parametrize("kind", ["sqlite"])
def test_what_cannot_be_searched_for_is_refused(scene: Scene) -> None:
    """Too many words, a batch that nobody knows, a brand of prices."""

    def refused(kind: Kind, **wanted: Any) -> str:
        with pytest.raises(Refusal) as refusal:
            find_items(scene.store, "acme", kind, "products", ItemQuery(**wanted), after=None, limit=1, seconds=1)
        return refusal.value.code

    assert refused(Kind.PRODUCT, text=" ".join(map(str, range(WORDS_MAX + 1)))) == "parameter_invalid"
    assert refused(Kind.PRODUCT, batch="0" * 32) == "batch_unknown"
    assert refused(Kind.PRICE, brand="Acme") == "parameter_invalid"


@pytest.fixture
def scene(kind: str, tmp_path: Path) -> Any:
    """A fresh store with the merchants acme and bolt."""
    with Scene(tmp_path, kind) as opened:
        yield opened


@pytest.mark.parametrize(("text", "words"), [
    ("Ätna ZELT", "atna zelt"), ("Łódź œuvre", "lodz oeuvre"), ("İstanbul ﬁne ½", "istanbul fine 1 2"),
    ("STRASSE straße", "strasse strasse"), ("トレイル 靴", "ト レ イ ル 靴"), ("किताब", "कतब"),
    ("O'Neill_x", "o neill x"),
    ("한국어", "한국어"), ("Ⅻ ²", "xii 2"), ("a\u0301bc", "abc"), ("!?", ""), ("x" * 300, "x" * 200),
])
def test_words_have_no_case_and_no_accents(text: str, words: str) -> None:
    """In any script; without spaces between them, each character is a word."""
    assert words_of(text) == [word for one in words.split() for word in words_of(one)]
    if text != "한국어":
        assert words_of(text) == words.split()


def test_terms_of_a_record_in_other_words_are_those_of_its_fields() -> None:
    """A protocol's own names and nested variants count, text or number; broken JSON has no terms."""
    document = b'{"name": "Caf\\u00e9 mug", "Brand": ["Acme"], "sizes": [{"ean": 4006381333931, "sku": "m-1"}]}'
    (terms,) = item_terms(Kind.PRODUCT, ["K"], [document])
    assert set(terms.split()) == {"cafe", "mug", "acme", "b¦acme", "e¦4006381333931"}
    assert item_terms(Kind.PRODUCT, ["K", "K"], [b"[", b"[]"]) == ["", ""]
    assert item_terms(Kind.PRODUCT, [], []) == []
    assert item_terms(Kind.STOCK, ["K"], [b'{"id": "K"}']) == [""]


TEXTS = st.lists(st.text(st.sampled_from("aB9 -\u00e4\u8336\u0e01\n\t\x00.")) | st.just("x" * 300), max_size=6)


@given(titles=TEXTS)
def test_the_terms_of_many_items_are_those_of_each(titles: list[str]) -> None:
    """They are found for all items of a chunk at once, as far as their texts are plain."""
    documents = [msgspec.json.encode({"title": title, "brand": "B"}) for title in titles]
    keys = [f"K{number}" for number in range(len(titles))]
    together = item_terms(Kind.PRODUCT, keys, documents)
    assert together == [item_terms(Kind.PRODUCT, [key], [one])[0] for key, one in zip(keys, documents, strict=True)]
    assert [terms.split() for terms in together] == [[*words_of(f"{title} B"), "b¦b"] for title in titles]


def test_a_typed_search_has_words_and_filters() -> None:
    """A value with spaces stands in quotation marks; what cannot be read is words."""
    query = parse_search('red  shoe brand:"Nordic Trail" since:2026-01-31 gtin:123 group:g key:SKU- batch:x')
    assert query == ItemQuery(
        text="red  shoe", brand="Nordic Trail", since=datetime(2026, 1, 31, tzinfo=UTC), gtin="123", group="g",
        prefix="SKU-", batch="x",
    )
    assert parse_search("since:yesterday xbrand:a") == ItemQuery(text="since:yesterday xbrand:a")
