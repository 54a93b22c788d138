"""Merchants and keys in the store of a running gate, and commands for operators."""

import re
from pathlib import Path

from tests.cli.gate import Gate, within


def test_a_key_is_created_used_listed_and_revoked(gate: Gate):
    """It works at once, is shown only once, and stops working soon after it was revoked."""
    key = gate.run("merchant", "add", "brightware", "--name", "Brightware Ltd", "--quiet").stdout.strip()
    assert key.startswith("gg_")
    assert gate.run("list", key=key).returncode == 0
    assert "brightware\tBrightware Ltd" in gate.run("merchant", "list").stdout
    listed = gate.run("merchant", "key", "list", "brightware").stdout
    key_id = key.split("_")[1]
    assert re.search(rf"{key_id}\tread,submit\tvalid\t20[0-9-]{{8}}\tfirst key", listed)
    assert key not in listed
    assert gate.run("merchant", "key", "revoke", "brightware", key_id).returncode == 0
    assert within(5, lambda: gate.run("list", key=key).returncode == 3)
    assert "revoked" in gate.run("merchant", "key", "list", "brightware").stdout


def test_a_key_is_limited_to_its_scopes(gate: Gate, feed: Path):
    """A key with the scope read cannot submit."""
    gate.run("merchant", "add", "reader", "--quiet")
    created = gate.run("merchant", "key", "add", "reader", "--scope", "read", "--label", "dashboard", "--quiet")
    key = created.stdout.strip()
    assert gate.run("list", key=key).returncode == 0
    done = gate.run("submit", str(feed), key=key)
    assert done.returncode == 3
    assert "forbidden" in done.stderr


def test_unknown_merchants_and_keys_are_refused(gate: Gate):
    """A merchant cannot be added twice; keys of unknown merchants and unknown keys are refused."""
    assert "already exists" in gate.run("merchant", "add", "acme").stderr
    assert gate.run("merchant", "key", "add", "nobody").returncode == 2
    assert gate.run("merchant", "key", "revoke", "acme", "0000").returncode == 2


def test_the_doctor_reports_no_problem_in_a_healthy_store(gate: Gate):
    """It lists the current settings."""
    done = gate.run("doctor", "--settings")
    assert done.returncode == 0, done.stdout
    assert "BAD" not in done.stdout
    assert "lease_seconds = 2.0" in done.stdout


def test_migrating_a_current_store_does_nothing(gate: Gate):
    """`serve` has already migrated it."""
    assert "up to date" in gate.run("migrate").stdout


def test_settings_of_a_merchant_are_stored_and_changed(gate: Gate):
    """They are given when the merchant is added, and changed later; an empty value removes one."""
    account, queue = "account=123456789012", "queue=arn:aws:sqs:eu-west-1:123456789012:catalog"
    added = gate.run("merchant", "add", "retailer", "--set", account, "--location", "STORE-1", "--quiet")
    assert added.returncode == 0, added.stderr
    assert gate.run("merchant", "set", "retailer").stdout == f"{account}\n"
    assert gate.run("merchant", "set", "retailer", queue, "account=").stdout == f"{queue}\n"
    assert "STORE-1" in gate.run("reference", "list", "location", key=added.stdout.strip()).stdout
    assert gate.run("merchant", "set", "retailer", "nonsense").returncode == 2
    assert gate.run("merchant", "add", "other", "--set", "account=").returncode == 2
    assert gate.run("merchant", "set", "nobody", queue).returncode == 2


def test_an_access_key_is_created_for_signed_requests(gate: Gate):
    """It is printed as environment variables or as JSON, and listed like other keys, without its secret."""
    gate.run("merchant", "add", "signer", "--quiet")
    created = gate.run("merchant", "key", "add", "signer", "--signing", "--label", "gate")
    first, second = created.stdout.splitlines()
    assert first.startswith("export AWS_ACCESS_KEY_ID=AKGG")
    assert second.startswith("export AWS_SECRET_ACCESS_KEY=")
    listed = gate.run("merchant", "key", "list", "signer").stdout
    assert first.partition("=")[2] in listed
    assert second.partition("=")[2] not in listed
    session = gate.run("merchant", "key", "add", "signer", "--session", "--json")
    assert '"AWS_SESSION_TOKEN": "' in session.stdout
    assert gate.run("merchant", "key", "add", "nobody", "--signing").returncode == 2
