"""Credentials are stored encrypted, or named by a variable."""

import msgspec
import pytest

from goodsgate.engine.credentials import CredentialError, Credentials, SealedCredential
from goodsgate.engine.secrets import Secrets

MASTERS = {"new": b"n" * 32, "old": b"o" * 32}
ENVIRON = {"FEED_PASSWORD": "from outside", "HOME": "/root"}


def _credentials(**masters: bytes) -> Credentials:
    store = None  # not asked while the settings name masters
    secrets = Secrets(store, masters or MASTERS)  # type: ignore[arg-type]
    return Credentials(secrets, frozenset({"FEED_PASSWORD", "acme/OWN"}), ENVIRON)


def test_a_sealed_credential_shows_nothing_and_opens_again() -> None:
    """Two of the same value look different."""
    given = {"password": "pässword", "token": "", "passphrase": "env:FEED_PASSWORD"}
    sealed = _credentials().seal("acme", "source", given)
    assert b"p\xc3\xa4ssword" not in msgspec.json.encode(sealed)
    assert sealed.display() == {"password": "stored", "passphrase": "env:FEED_PASSWORD"}
    assert _credentials().open("acme", "source", sealed) == {"password": "pässword", "passphrase": "from outside"}
    assert sealed.sealed != _credentials().seal("acme", "source", given).sealed


@pytest.mark.parametrize(("merchant", "purpose"), [("bolt", "source"), ("acme", "destination")])
def test_a_credential_is_bound_to_its_place(merchant: str, purpose: str) -> None:
    """One that was copied elsewhere cannot be opened."""
    sealed = _credentials().seal("acme", "source", {"password": "x"})
    with pytest.raises(CredentialError, match="give it again"):
        _credentials().open(merchant, purpose, sealed)


def test_a_credential_of_an_older_master_opens_until_that_is_removed() -> None:
    """The message names what is gone."""
    sealed = _credentials(old=MASTERS["old"]).seal("acme", "source", {"password": "x"})
    assert _credentials().open("acme", "source", sealed) == {"password": "x"}
    with pytest.raises(CredentialError, match="master secret old"):
        _credentials(new=MASTERS["new"]).open("acme", "source", sealed)


@pytest.mark.parametrize(("merchant", "variable", "reason"), [
    ("acme", "HOME", "not allowed"), ("bolt", "OWN", "not allowed"), ("acme", "", "not allowed"),
])
def test_only_variables_that_the_operator_allows_can_be_named(merchant: str, variable: str, reason: str) -> None:
    """When it is stored, and when it is read."""
    with pytest.raises(CredentialError, match=reason):
        _credentials().seal(merchant, "source", {"password": f"env:{variable}"})
    with pytest.raises(CredentialError, match=reason):
        _credentials().open(merchant, "source", SealedCredential(variables={"password": variable}))


def test_a_variable_that_is_not_set_is_named() -> None:
    """Where the worker runs."""
    sealed = _credentials().seal("acme", "source", {"password": "env:OWN"})
    with pytest.raises(CredentialError, match="OWN is not set"):
        _credentials().open("acme", "source", sealed)
