"""Keys and whom they let in."""

import hashlib
import re

import pytest

from goodsgate import auth
from goodsgate.auth import Authenticator, new_key
from goodsgate.model.catalogue import Merchant, Scope
from goodsgate.model.permissions import PERMISSIONS
from tests import factories
from tests.shop import Shop


@pytest.fixture
def shop(tmp_path):
    """A shop with two merchants."""
    made = Shop(tmp_path, "acme", "other")
    yield made
    made.store.close()


def test_a_new_secret_is_random_and_only_its_hash_is_in_the_key():
    """It has at least 192 random bits; the key has its SHA-256."""
    key, secret = new_key("acme", {Scope.READ}, label="x")
    assert re.fullmatch(r"gg_[0-9a-f]{12}_[A-Za-z0-9_-]{43}", secret)
    assert key.digest == hashlib.sha256(secret.encode()).digest()
    assert secret.rpartition("_")[2] not in repr(key)
    assert new_key("acme", {Scope.READ})[1] != secret


def test_a_caller_is_found_by_the_secret(shop):
    """The caller is then cached for a second."""
    authenticator = Authenticator(shop.store)
    key, secret = new_key("acme", {Scope.SUBMIT})
    shop.store.add_key(key)
    assert authenticator.cached(secret.encode()) is None
    caller = authenticator.caller(secret.encode())
    assert (caller.merchant, caller.key_id) == ("acme", key.id)
    assert authenticator.cached(secret.encode()) == caller
    assert (caller.may("submit"), caller.may("read"), caller.may("admin")) == (True, False, False)
    for wrong in (b"", b"gg_", secret.encode()[:-1], secret.encode() + b"x", b"x" * 10_000):
        assert authenticator.caller(wrong) is None
        assert authenticator.cached(wrong) is None


def test_admin_includes_the_other_scopes(shop):
    """A key for operators needs no other scope."""
    key, secret = new_key("acme", {Scope.ADMIN})
    shop.store.add_key(key)
    caller = Authenticator(shop.store).caller(secret.encode())
    assert all(caller.may(permission) for permission in PERMISSIONS)


def test_a_revoked_key_stops_working_at_once_in_its_process(shop):
    """In other processes it stops working after a second."""
    here, there = Authenticator(shop.store), Authenticator(shop.store)
    key, secret = new_key("acme", {Scope.READ})
    shop.store.add_key(key)
    assert here.caller(secret.encode())
    assert there.caller(secret.encode())
    assert not here.revoke("other", key.id)
    assert here.revoke("acme", key.id)
    assert here.cached(secret.encode()) is None
    assert here.caller(secret.encode()) is None
    assert there.caller(secret.encode()) is None
    assert there.cached(secret.encode()) is None


def test_the_cache_of_callers_is_bounded(shop, monkeypatch):
    """Beyond the limit the cache is emptied."""
    monkeypatch.setattr(auth, "CACHED_KEYS_MAX", 3)
    authenticator = Authenticator(shop.store)
    secrets = []
    for _ in range(5):
        key, secret = new_key("acme", {Scope.READ})
        shop.store.add_key(key)
        authenticator.caller(secret.encode())
        secrets.append(secret.encode())
    assert [authenticator.cached(secret) is not None for secret in secrets] == [False, False, False, True, True]


def test_merchants_are_known_as_soon_as_they_exist(shop):
    """Unknown merchants are looked up again."""
    authenticator = Authenticator(shop.store)
    assert authenticator.merchant_exists("acme")
    assert not authenticator.merchant_exists("late")
    shop.store.add_merchant(Merchant(id="late", name="", created_at=factories.NOW))
    assert authenticator.merchant_exists("late")


def test_a_token_stands_for_its_key_until_it_expires(shop, monkeypatch):
    """It has the scopes and settings of its key in every process, until it expires."""
    authenticator = Authenticator(shop.store)
    key, secret = new_key("acme", {Scope.READ}, settings={"location": "BLR-01"})
    shop.store.add_key(key)
    caller = authenticator.caller(secret.encode())
    first, second = authenticator.create_token(caller, seconds=60), authenticator.create_token(caller, seconds=60)
    assert first != second
    for token in (first, second):
        assert re.fullmatch(r"gt_[A-Za-z0-9_-]{43}", token)
        assert Authenticator(shop.store).caller(token.encode()) == caller
    assert caller.settings == {"location": "BLR-01"}
    ended = factories.NOW.replace(year=2100)
    monkeypatch.setattr(auth, "now", lambda: ended)
    assert Authenticator(shop.store).caller(first.encode()) is None


def test_a_token_ends_with_its_key(shop):
    """Revoking a key ends its tokens."""
    authenticator = Authenticator(shop.store)
    key, secret = new_key("acme", {Scope.READ})
    shop.store.add_key(key)
    token = authenticator.create_token(authenticator.caller(secret.encode()), seconds=60)
    assert authenticator.revoke("acme", key.id)
    assert authenticator.caller(token.encode()) is None
