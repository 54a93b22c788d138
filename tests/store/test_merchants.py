"""Merchants, keys, reference data."""

import hashlib
from datetime import timedelta

import msgspec
import pytest

from goodsgate.model.catalogue import Key, Merchant, ReferenceEntry, Scope
from goodsgate.store.contract import StoreError
from tests.factories import NOW
from tests.store.scene import Scene


def _key(merchant: str = "acme", name: str = "k1") -> Key:
    digest = hashlib.sha256(f"{merchant}{name}".encode()).digest()
    scopes = frozenset({Scope.SUBMIT, Scope.READ})
    return Key(id=name, digest=digest, merchant=merchant, scopes=scopes, label="till", created_at=NOW)


def test_a_merchants_id_is_taken_once(scene: Scene) -> None:
    """The second gets False, the first keeps its name."""
    assert not scene.store.add_merchant(Merchant(id="acme", name="Other", created_at=NOW))
    assert [merchant.name for merchant in scene.store.merchants().rows] == ["Acme", "Bolt"]


def test_merchants_are_paged(scene: Scene) -> None:
    """By id."""
    page = scene.store.merchants(limit=1)
    assert [merchant.id for merchant in page.rows] == ["acme"]
    page = scene.store.merchants(after=page.next, limit=1)
    assert [merchant.id for merchant in page.rows] == ["bolt"]
    assert page.next is None


def test_a_merchant_exists_or_not(scene: Scene) -> None:
    """Whatever the text."""
    assert scene.store.merchant_exists("acme")
    assert not any(map(scene.store.merchant_exists, ("nobody", "", "ACME", "é" * 300)))


def test_a_key_is_found_by_its_digest(scene: Scene) -> None:
    """As it was put, and revoked once."""
    key = _key()
    scene.store.add_key(key)
    assert scene.store.key(key.digest) == key
    assert scene.store.keys("acme") == [key]
    assert scene.store.revoke_key("acme", "k1")
    assert not scene.store.revoke_key("acme", "k1")
    found = scene.store.key(key.digest)
    assert found is not None
    assert found.revoked_at == scene.clock()


def test_a_merchant_can_be_read_and_renamed(scene: Scene) -> None:
    """Only one that exists."""
    assert scene.store.rename_merchant("acme", "New")
    assert scene.store.merchant("acme") == Merchant(id="acme", name="New", created_at=NOW)
    assert not scene.store.rename_merchant("nobody", "New")
    assert scene.store.merchant("nobody") is None


def test_a_rotated_key_is_found_by_both_secrets(scene: Scene) -> None:
    """The latest two, whatever the time; which one is still valid the key itself says."""
    key = _key()
    scene.store.add_key(key)
    for name in (b"2", b"3"):
        until = scene.clock() + timedelta(hours=1)
        rotated = scene.store.rotate_key("acme", "k1", name * 32, previous_until=until)
        assert rotated is not None
        assert scene.store.key(name * 32) == rotated
    assert scene.store.key(key.digest) is None
    assert scene.store.key(b"2" * 32) == rotated
    assert rotated.is_valid(until - timedelta(seconds=1), digest=b"2" * 32)
    assert not rotated.is_valid(until, digest=b"2" * 32)
    assert rotated.is_valid(until, digest=b"3" * 32)
    assert not rotated.is_valid(scene.clock(), digest=key.digest)
    scene.store.revoke_key("acme", "k1")
    assert scene.store.rotate_key("acme", "k1", b"4" * 32, previous_until=until) is None
    assert scene.store.rotate_key("bolt", "k1", b"4" * 32, previous_until=until) is None


def test_a_key_is_changed_expires_and_says_when_it_was_used(scene: Scene) -> None:
    """Whatever was not named stays; the day of the last use never goes back."""
    key = _key()
    scene.store.add_key(key)
    later = NOW + timedelta(days=1)
    changed = scene.store.change_key("acme", "k1", scopes=frozenset({Scope.READ}), label="new", expires_at=later)
    assert changed == msgspec.structs.replace(key, scopes=frozenset({Scope.READ}), label="new", expires_at=later)
    assert changed.is_valid(later - timedelta(seconds=1))
    assert not changed.is_valid(later)
    assert scene.store.change_key("bolt", "k1", scopes=key.scopes, label="", expires_at=None) is None
    for day in (later.date(), NOW.date()):
        scene.store.mark_key_used("acme", "k1", day)
        assert scene.store.keys("acme")[0].used_on == later.date()


def test_a_key_is_of_one_merchant(scene: Scene) -> None:
    """Another one neither lists nor revokes it."""
    scene.store.add_key(_key())
    assert scene.store.keys("bolt") == []
    assert not scene.store.revoke_key("bolt", "k1")
    with pytest.raises(StoreError):
        scene.store.add_key(_key("nobody"))
    with pytest.raises(StoreError):
        scene.store.add_key(_key())


def test_reference_is_upserted_and_replaced(scene: Scene) -> None:
    """By code; what a replacing load does not give goes, of that kind and merchant alone."""
    entries = [ReferenceEntry(code=code, name=code.lower(), parent="top", data={"n": 1}) for code in ("B", "A", "C")]
    assert scene.store.put_reference("acme", "brand", entries) == 3
    scene.store.put_reference("acme", "category", entries[:1])
    scene.store.put_reference("bolt", "brand", entries[:1])
    version = scene.store.reference_version("acme")
    assert scene.store.put_reference("acme", "brand", [ReferenceEntry(code="A", name="new"), ReferenceEntry(code="D")],
        replace=True) == 2
    assert [entry.code for entry in scene.store.reference("acme", "brand").rows] == ["A", "D"]
    assert scene.store.reference("acme", "brand").rows[0] == ReferenceEntry(code="A", name="new")
    assert scene.store.reference("acme", "category").rows == entries[:1]
    assert scene.store.reference("bolt", "brand").rows == entries[:1]
    assert scene.store.reference_version("acme") > version


def test_reference_is_searched_whatever_the_case(scene: Scene) -> None:
    """In code and name, also beyond ASCII."""
    scene.store.put_reference("acme", "brand", [
        ReferenceEntry(code="b1", name="Große Äpfel"), ReferenceEntry(code="b2", name="Plums"),
        ReferenceEntry(code="ÄX", name="x"),
    ])
    assert [entry.code for entry in scene.store.reference("acme", "brand", search="ä").rows] == ["b1", "ÄX"]
    assert [entry.code for entry in scene.store.reference("acme", "brand", search="B2").rows] == ["b2"]
    assert scene.store.reference("acme", "brand", search="%").rows == []


def test_reference_is_paged(scene: Scene) -> None:
    """Every entry once."""
    scene.store.put_reference("acme", "brand", [ReferenceEntry(code=f"{number:03d}") for number in range(25)])
    codes, after = [], None
    while True:
        page = scene.store.reference("acme", "brand", after=after, limit=10)
        codes += [entry.code for entry in page.rows]
        after = page.next
        if after is None:
            break
    assert codes == [f"{number:03d}" for number in range(25)]
