"""The search index: in step with the items whatever becomes of them, complete or silent, and apart by merchant."""

import re
import threading
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodsgate.app import create_worker
from goodsgate.config import Config
from goodsgate.engine.search_terms import brand_term, gtin_term, item_terms, text_terms
from goodsgate.model.batch import Kind, Result, State
from goodsgate.model.catalogue import Merchant, Write, digest_of
from goodsgate.store.contract import HealthLevel, ItemSearch, SearchTerm
from goodsgate.store.shared import search
from tests import effort
from tests.factories import NOW
from tests.store.scene import Record, Scene, chunk_commit
from tests.stores import KINDS, raw

SHELF = ("acme", Kind.PRODUCT, "products")
STEP = timedelta(seconds=1)


def _put(scene: Scene, titles: Mapping[str, str | None], *, merchant: str = "acme", version: int | None = None,
         **members: object) -> str:
    """Commit items with these titles, and delete those without one; the id of their batch."""
    scene.clock.forward(1)
    batch = scene.seal(merchant)
    claim = scene.claimed()
    deleted = [Record(key, Result.DELETED, version=version) for key, title in titles.items() if title is None]
    written = [Record(key) for key, title in titles.items() if title is not None]
    documents = {
        record.key or "": msgspec.json.encode({"id": record.key, "title": titles[record.key or ""], **members})
        for record in written
    }
    commit = chunk_commit(claim.rounds[0], *deleted, *written, ends=State.FINISHED, writes=[
        Write(key, digest_of(document), document, version) for key, document in documents.items()
    ])
    scene.store.commit(claim, [commit])
    scene.store.release_claim(claim)
    return batch


def _keys(scene: Scene, text: str = "", *, merchant: str = "acme", **wanted: object) -> list[str] | None:
    """The keys that are found, page by page; None if the index cannot tell."""
    by_text = {"start": text, "words": text_terms(text)} if text else {}
    asked = ItemSearch(**{**by_text, **wanted})  # type: ignore[arg-type]
    keys: list[str] = []
    after = None
    while True:
        page = scene.store.search_items(merchant, Kind.PRODUCT, "products", asked, after=after, limit=2)
        if page is None:
            return None
        keys += [item.key for item in page.rows]
        after = page.next
        if after is None:
            return keys


def test_items_are_found_by_words_of_their_title_and_key(scene: Scene) -> None:
    """All words must be there, or begin so, or the key must; in the order of listings."""
    _put(scene, {"b-1": "Blaue Schüssel", "A-2": "Schussel, rot", "a-1": "Shoe 42", "c": "日本茶 sencha"})
    for text, keys in {
        "schüssel": ["A-2", "b-1"], "SCHUSSEL rot": ["A-2"], "schu": ["A-2", "b-1"], "s": [], "a": ["a-1", "A-2"],
        "4": [], "42": ["a-1"], "a-": ["a-1", "A-2"],
        "A-1": ["a-1"], "-": [], "茶": ["c"], "日茶": ["c"], "chussel": [], "a 1": [], "schüssel shoe": [],
    }.items():
        assert _keys(scene, text) == keys, text


def test_items_are_found_by_gtin_and_brand(scene: Scene) -> None:
    """A GTIN without regard to leading zeros; a brand as a whole."""
    _put(scene, {"a": "Shoe"}, brand="O'Neill & Sons", gtin="4006381333931")
    _put(scene, {"b": "Oneill shoe"}, brand="Sons", variants=[{"id": "b-xl", "gtin": "00012345600012"}])
    _put(scene, {"s-1": "Tent"}, brand="Sons")
    assert _keys(scene, terms=[gtin_term("04006381333931")]) == ["a"]
    assert _keys(scene, terms=[gtin_term("012345600012")]) == ["b"]
    assert _keys(scene, terms=[gtin_term("none")]) == []
    assert _keys(scene, "40063") == ["a"]
    assert _keys(scene, "xl") == []
    assert _keys(scene, terms=[brand_term("O NEILL + sons")]) == ["a"]
    assert _keys(scene, terms=[brand_term("o'neill")]) == []
    assert _keys(scene, terms=[brand_term("&&&")]) == []
    assert _keys(scene, "shoe", terms=[brand_term("sons")]) == ["b"]
    assert _keys(scene, "s", terms=[brand_term("sons")]) == ["s-1"]


def test_items_are_found_by_their_batch_and_time(scene: Scene) -> None:
    """Together with words and a beginning of the key, or alone."""
    first = _put(scene, {"a-1": "Shoe", "a-2": "Tent", "b-1": "Shoe"})
    second = _put(scene, {"a-2": "Tent, green", "b-2": "Shoe"})
    since = scene.clock.now
    assert _keys(scene, batch=first) == ["a-1", "b-1"]
    assert _keys(scene, "shoe", batch=second) == ["b-2"]
    assert _keys(scene, since=since) == ["a-2", "b-2"]
    assert _keys(scene, since=since - STEP, prefix="b") == ["b-1", "b-2"]
    assert _keys(scene, "shoe", since=since, prefix="a") == []
    assert _keys(scene, since=since + STEP) == []
    assert _keys(scene, batch="0" * 32) == []
    assert _keys(scene, prefix="a") is None


def test_the_index_follows_changes_and_deletions(scene: Scene) -> None:
    """With and without a tombstone, and back again."""
    _put(scene, {"a": "Shoe", "b": "Shoe", "c": "Shoe"}, version=1)
    _put(scene, {"a": "Boot", "b": None}, version=2)
    assert (_keys(scene, "shoe"), _keys(scene, "boot")) == (["c"], ["a"])
    _put(scene, {"b": "Boot", "c": None}, version=3)
    _put(scene, {"a": None})
    assert (_keys(scene, "shoe"), _keys(scene, "boot")) == ([], ["b"])
    _put(scene, {"a": "Shoe", "d": "Shoe", "c": "Shoe"}, version=4)
    scene.reopen()
    assert (_keys(scene, "shoe"), _keys(scene, "boot")) == (["a", "c", "d"], ["b"])


def test_a_change_of_other_fields_writes_no_terms(scene: Scene) -> None:
    """The entry stays as it is, but the item is found as changed."""
    _put(scene, {"a": "Shoe"}, price="1 EUR")
    before = _entries(scene)
    batch = _put(scene, {"a": "Shoe"}, price="2 EUR")
    assert _entries(scene) == before
    assert (_keys(scene, "shoe"), _keys(scene, batch=batch)) == (["a"], ["a"])
    _put(scene, {"a": "Shoes"}, price="2 EUR")
    assert _entries(scene) != before


def _entries(scene: Scene) -> object:
    """What stands in the index, in the form in which it is stored."""
    if scene.kind == "postgres":
        with raw(scene.folder) as db:
            return db.execute("SELECT key, ctid::text, xmin::text FROM item_terms").fetchall()
    with scene.store.store.database.catalogue.reading() as db:  # type: ignore[attr-defined]
        return db.connection.execute("SELECT id, block FROM item_terms_data").fetchall()


def test_a_search_says_nothing_until_the_index_is_complete(scene: Scene) -> None:
    """Items of a process without the index are added in steps, which a restart does not set back."""
    scene.reopen(search=False)
    _put(scene, {f"k{number}": "Shoe" for number in range(5)})
    assert (_keys(scene, "shoe"), scene.store.fill_search(limit=2)) == (None, False)
    scene.reopen()
    _put(scene, {"k6": "Shoe", "k1": None, "k0": "Tent"})
    assert _keys(scene, "shoe") is None
    assert scene.store.fill_search(limit=2)
    assert _keys(scene, "shoe") is None
    scene.reopen()
    _fill(scene)
    assert (_keys(scene, "shoe"), _keys(scene, "tent")) == (["k2", "k3", "k4", "k6"], ["k0"])
    scene.reopen(search=False)
    _put(scene, {"k2": "Tent", "k3": None, "k4": "Shoe 2"})
    scene.reopen()
    assert _keys(scene, "shoe") is None
    _fill(scene)
    assert (_keys(scene, "shoe"), _keys(scene, "tent")) == (["k4", "k6"], ["k0", "k2"])


def _fill(scene: Scene) -> None:
    while scene.store.fill_search(limit=2):
        pass


def test_a_worker_fills_the_index_and_a_health_check_says_so(scene: Scene) -> None:
    """Between its batches, until nothing lacks."""
    scene.reopen(search=False)
    _put(scene, dict.fromkeys("abc", "Shoe"))
    assert _health(scene) == (HealthLevel.OK, "the index is off: searches examine items one by one")
    scene.reopen()
    level, detail = _health(scene)
    assert (level, "collections: 1 with 3 items" in detail) == (HealthLevel.WARN, True)
    stop = threading.Event()
    worker = create_worker(scene.store, Config(sweep_seconds=0.01), stop=stop, schemas={})
    thread = threading.Thread(target=worker.run)
    thread.start()
    ends = time.monotonic() + 60
    while _keys(scene, "shoe") is None and time.monotonic() < ends:
        time.sleep(0.01)
    stop.set()
    thread.join()
    assert (_keys(scene, "shoe"), _health(scene)) == (["a", "b", "c"], (HealthLevel.OK, "the index has all items"))


def _health(scene: Scene) -> tuple[HealthLevel, str]:
    (check,) = [one for one in scene.store.health_checks() if one.name == "search"]
    return check.level, check.detail


def test_merchants_and_collections_are_apart(scene: Scene) -> None:
    """Another one's words are not found, nor those of another kind."""
    _put(scene, {"a": "Shoe"}, merchant="bolt")
    _put(scene, {"b": "Shoe"})
    assert (_keys(scene, "shoe"), _keys(scene, "shoe", merchant="bolt")) == (["b"], ["a"])
    asked = ItemSearch(start="shoe", words=text_terms("shoe"))
    for shelf in (("acme", Kind.PRICE, "products"), ("acme", Kind.PRODUCT, "other"), ("nobody", Kind.PRODUCT, "x")):
        page = scene.store.search_items(*shelf, asked)
        assert page is not None
        assert page.rows == []


@pytest.mark.parametrize("text", [
    'x" OR "shoe', "shoe*", "NOT", "NEAR(shoe)", "item_terms:shoe", "x' | 'shoe", "shoe:*", "\\", "a\\'b", "(", "!shoe",
    "%s", "%(limit)s", ":limit", "?", "-", "^shoe", "shoe & !", "{shoe}", "\ud7ff\U0001f9e6",
])
def test_a_text_has_no_operators(scene: Scene, text: str) -> None:
    """Its words are searched for, whatever is between them."""
    _put(scene, {"a": "Shoe", "b": text})
    terms = text_terms(text)
    for one in (term for alternatives in terms for term in alternatives):
        assert re.fullmatch(r"[^\W_A-Z]+(¦[^\W_A-Z]+)?", one.text)
        assert scene.store.search_items(*SHELF, ItemSearch(terms=[[SearchTerm(one.text, True)]])) is not None
    assert (_keys(scene, text) or [])[-1:] == (["b"] if terms else [])


def test_more_matches_than_are_put_in_order_are_not_found(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the caller examines the items one by one."""
    monkeypatch.setattr(search, "SEARCH_MATCHES_MAX", 3)
    _put(scene, dict.fromkeys("abc", "Shoe"), brand="x")
    assert _keys(scene, "shoe") == ["a", "b", "c"]
    _put(scene, {"d": "Shoe"})
    assert (_keys(scene, "shoe"), _keys(scene, since=NOW)) == (None, None)
    assert _keys(scene, "shoe", terms=[brand_term("x")]) == ["a", "b", "c"]
    assert _keys(scene, "a") == ["a"]


# -- against a model ---------------------------------------------------------------------------------------------------

WORDS = st.sampled_from(["shoe", "Schuh", "schühe", "42", "l", "日本", "e"])
TITLES = st.none() | st.lists(WORDS, max_size=3).map(" ".join)
KEYS = st.sampled_from(["a", "A", "a-1", "b", "B-42", "ü"])
STEPS = st.tuples(st.sampled_from(["on", "on", "on", "off", "fill"]), st.dictionaries(KEYS, TITLES, max_size=4))
ASKED = st.tuples(WORDS, st.sampled_from([None, "a", "B"]), st.booleans())


@pytest.mark.parametrize("kind", KINDS)
def test_a_search_is_that_of_a_model(kind: str, tmp_path: Path) -> None:
    """With the index on, off and filled, in any order; once it is complete it finds what the model finds."""
    with Scene(tmp_path, kind) as scene:
        merchants = (f"m{number}" for number in count())

        @settings(max_examples=effort.examples(24), deadline=None)
        @given(steps=st.lists(STEPS, min_size=1, max_size=5), asked=st.lists(ASKED, min_size=1, max_size=8))
        def check(steps: list[tuple[str, dict[str, str | None]]], asked: list[tuple[str, str | None, bool]]) -> None:
            merchant = next(merchants)
            scene.store.add_merchant(Merchant(id=merchant, name=merchant, created_at=NOW))
            model = _work(scene, merchant, steps)
            for text, prefix, recent in asked:
                since = scene.clock.now if recent else None
                wanted = [
                    key for key, (title, written_at) in model.items() if key.startswith(prefix or "")
                    and (since is None or written_at >= since) and _matches(key, title, text)
                ]
                keys = _keys(scene, text, merchant=merchant, prefix=prefix, since=since)
                assert keys == sorted(wanted, key=lambda key: (key.lower() if key.isascii() else key, key))

        check()


def _work(scene: Scene, merchant: str, steps: list[tuple[str, dict[str, str | None]]],
          ) -> dict[str, tuple[str, datetime]]:
    """Commit, fill and restart; the title and time of each item afterwards."""
    model: dict[str, tuple[str, datetime]] = {}
    is_on = True
    for how, titles in steps:
        if (how != "off") != is_on:
            is_on = how != "off"
            scene.reopen(search=is_on)
        if how == "fill":
            scene.store.fill_search(limit=1)
        elif titles:
            _put(scene, titles, merchant=merchant)
            for key, title in titles.items():
                model.pop(key, None)
                if title is not None:
                    model[key] = title, scene.clock.now
    if not is_on:
        scene.reopen()
    _fill(scene)
    return model


def _matches(key: str, title: str, text: str) -> bool:
    terms = item_terms(Kind.PRODUCT, [key], [msgspec.json.encode({"title": title})])[0].split()
    return key.lower().startswith(text.lower()) or all(
        any(term == one.text or (one.is_prefix and term.startswith(one.text)) for term in terms for one in alternatives)
        for alternatives in text_terms(text)
    )
