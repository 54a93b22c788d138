"""What was found spotless is known again, and nothing else is."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goodsgate.engine.validator import digest_of
from goodsgate.model.batch import Kind, Policy
from goodsgate.model.catalogue import ReferenceEntry
from goodsgate.rules import ReferenceData, ValidCache, checker
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


@settings(max_examples=300, deadline=None)
@given(st.lists(members, max_size=6), st.sampled_from(Kind), st.lists(st.integers(0, 5), max_size=12))
def test_a_memory_changes_nothing_of_what_is_found(changes, kind, order):
    """Keys, versions, verbs and issues are the same however often a document came before, in whatever company."""
    documents = [json.dumps({**SAMPLES[kind], **some}).encode() for some in [{}, *changes]]
    plain, remembering = checker(kind, PLAIN, NOTHING), checker(kind, PLAIN, NOTHING, valid_cache=ValidCache(64))
    _check(remembering, documents)
    again = [documents[at % len(documents)] for at in order]
    assert _check(remembering, again) == _check(plain, again)
    assert _check(remembering, documents) == _check(plain, documents)


def test_rule_sets_that_share_a_memory_do_not_mix_it_up():
    """What is spotless under one policy or reference is not under another."""
    valid_cache = ValidCache(1_000)
    documents = [document(product(id=f"A-{number}", brand="Acme")) for number in range(50)]
    known = ReferenceData.build({"brand": [ReferenceEntry(code="Acme")]})
    other = ReferenceData.build({"brand": [ReferenceEntry(code="Bolt")]})
    for _ in range(2):
        for reference, clean in ((known, True), (other, False), (known, True)):
            rules = checker(Kind.PRODUCT, PLAIN, reference, valid_cache=valid_cache)
            for _ in range(2):
                assert bool(_check(rules, documents)[3]) is not clean


@pytest.mark.parametrize("key", ["A-1", "\u00e4\u20ac", 'a"b', "a\\b", "x" * 100, "title", "I" * 255])
@pytest.mark.parametrize("shape", ["first", "last", "spaced"])
def test_a_key_is_found_again_wherever_it_stands(key, shape):
    """As it is, escaped, far behind, or looking like a member's name."""
    record = product(id=key, description="long " * 80 + "end")
    if shape == "last":
        record["id"] = record.pop("id")
    written = json.dumps(record, ensure_ascii=shape == "first", separators=None if shape == "spaced" else (",", ":"))
    rules = checker(Kind.PRODUCT, PLAIN, NOTHING, valid_cache=ValidCache(64))
    first = _check(rules, [written.encode()])
    assert _check(rules, [written.encode()]) == first
    assert first[0] == [key] or first[3]


@pytest.mark.parametrize("room", [1, 2, 16, 1_000])
def test_a_memory_that_is_full_forgets(room):
    """It stays as large as it is, and right."""
    valid_cache = ValidCache(room)
    rules = checker(Kind.PRODUCT, PLAIN, NOTHING, valid_cache=valid_cache)
    documents = [document(product(id=f"A-{number}")) for number in range(100)]
    for _ in range(3):
        assert _check(rules, documents) == _check(checker(Kind.PRODUCT, PLAIN, NOTHING), documents)
    assert len(valid_cache.kept) == valid_cache.lowest + 1 == 1 << (room - 1).bit_length()


def test_what_is_remembered_is_not_looked_at(monkeypatch):
    """The rules run once for each document; that is what it is for."""
    rules = checker(Kind.PRODUCT, PLAIN, NOTHING, valid_cache=ValidCache(2**16))
    documents = [document(product(id=f"A-{number}")) for number in range(40)]
    _check(rules, documents)
    looked = []
    monkeypatch.setattr(rules, "_check_cluster", lambda _documents, cluster, *_more: looked.extend(cluster))
    _check(rules, [*documents, document(product(id="NEW"))])
    assert 40 in looked
    assert len(looked) < 5  # one that took another's place
