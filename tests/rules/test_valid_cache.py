"""Valid documents are recognized, and no others are."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodsgate.model.batch import Kind, Policy
from goodsgate.model.catalogue import ReferenceEntry, digest_of
from goodsgate.rules import Checker, ReferenceData, ValidCache
from tests import effort
from tests.rules.truth import NOTHING, document, product
from tests.rules.values import SAMPLES

PLAIN = Policy(currency="EUR")


def _check(rules, documents):
    checked = rules.check(documents, [digest_of(one) for one in documents])
    return checked.keys, checked.versions, checked.verbs, checked.issues


members = st.dictionaries(
    st.sampled_from(["id", "location", "version_number", "observed_at", "_verb", "title", "price", "x", "quantity"]),
    st.none() | st.booleans() | st.integers(-2, 2**63) | st.text(max_size=4) | st.sampled_from(
        ["delete", "update", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.678901+02:00", "5 EUR", 7, 1.5]
    ) | st.lists(st.integers(), max_size=2),
    max_size=4,
)


@settings(max_examples=effort.examples(300), deadline=None)
@given(st.lists(members, max_size=6), st.sampled_from(Kind), st.lists(st.integers(0, 5), max_size=12))
def test_the_cache_does_not_change_results(changes, kind, order):
    """Keys, versions, verbs and issues are the same however often and in whatever order documents come."""
    documents = [json.dumps({**SAMPLES[kind], **some}).encode() for some in [{}, *changes]]
    plain, remembering = Checker(kind, PLAIN, NOTHING), Checker(kind, PLAIN, NOTHING, valid_cache=ValidCache(64))
    _check(remembering, documents)
    again = [documents[at % len(documents)] for at in order]
    assert _check(remembering, again) == _check(plain, again)
    assert _check(remembering, documents) == _check(plain, documents)


def test_checkers_that_share_a_cache_do_not_confuse_their_documents():
    """A document that is valid under one policy or reference data may be invalid under another."""
    valid_cache = ValidCache(1_000)
    documents = [document(product(id=f"A-{number}", brand="Acme")) for number in range(50)]
    known = ReferenceData.build({"brand": [ReferenceEntry(code="Acme")]})
    other = ReferenceData.build({"brand": [ReferenceEntry(code="Bolt")]})
    for _ in range(2):
        for reference, clean in ((known, True), (other, False), (known, True)):
            rules = Checker(Kind.PRODUCT, PLAIN, reference, valid_cache=valid_cache)
            for _ in range(2):
                assert bool(_check(rules, documents)[3]) is not clean


@pytest.mark.parametrize("key", ["A-1", "\u00e4\u20ac", 'a"b', "a\\b", "x" * 100, "title", "I" * 255])
@pytest.mark.parametrize("shape", ["first", "last", "spaced"])
def test_the_key_of_a_cached_document_is_found_wherever_it_stands(key, shape):
    """Unescaped, escaped, far from the start, or equal to the name of a member."""
    record = product(id=key, description="long " * 80 + "end")
    if shape == "last":
        record["id"] = record.pop("id")
    written = json.dumps(record, ensure_ascii=shape == "first", separators=None if shape == "spaced" else (",", ":"))
    rules = Checker(Kind.PRODUCT, PLAIN, NOTHING, valid_cache=ValidCache(64))
    first = _check(rules, [written.encode()])
    assert _check(rules, [written.encode()]) == first
    assert first[0] == [key] or first[3]


@pytest.mark.parametrize("room", [1, 2, 16, 1_000])
def test_a_full_cache_replaces_documents(room):
    """Its size and its results stay the same."""
    valid_cache = ValidCache(room)
    rules = Checker(Kind.PRODUCT, PLAIN, NOTHING, valid_cache=valid_cache)
    documents = [document(product(id=f"A-{number}")) for number in range(100)]
    for _ in range(3):
        assert _check(rules, documents) == _check(Checker(Kind.PRODUCT, PLAIN, NOTHING), documents)
    assert valid_cache.mask + 1 == 1 << (room - 1).bit_length()


def test_a_cached_document_is_not_checked_again(monkeypatch):
    """That is what the cache is for."""
    rules = Checker(Kind.PRODUCT, PLAIN, NOTHING, valid_cache=ValidCache(2**16))
    documents = [document(product(id=f"A-{number}")) for number in range(40)]
    _check(rules, documents)
    checked = []
    monkeypatch.setattr(rules, "_check_one", lambda _document, at, *_others: checked.append(at))
    _check(rules, [*documents, document(product(id="NEW"))])
    assert 40 in checked
    assert len(checked) < 5  # documents that took the slot of another one
