"""Merchants and keys on the store of a running gate, and the commands of whoever runs it."""

from pathlib import Path

from tests.cli.gate import Gate, within


def test_a_key_is_made_used_listed_and_revoked(gate: Gate):
    """It works at once, is shown once, and stops working soon after it was revoked."""
    key = gate.run("merchant", "add", "brightware", "--name", "Brightware Ltd", "--quiet").stdout.strip()
    assert key.startswith("gg_")
    assert gate.run("list", key=key).returncode == 0
    assert "brightware\tBrightware Ltd" in gate.run("merchant", "list").stdout
    listed = gate.run("merchant", "key", "list", "brightware").stdout
    key_id = key.split("_")[1]
    assert f"{key_id}\tread,submit\tvalid\tfirst key" in listed
    assert key not in listed
    assert gate.run("merchant", "key", "revoke", "brightware", key_id).returncode == 0
    assert within(5, lambda: gate.run("list", key=key).returncode == 3)
    assert "revoked" in gate.run("merchant", "key", "list", "brightware").stdout


def test_scopes_hold(gate: Gate, feed: Path):
    """A key that may read may not submit."""
    gate.run("merchant", "add", "reader", "--quiet")
    made = gate.run("merchant", "key", "add", "reader", "--scope", "read", "--label", "dashboard", "--quiet")
    key = made.stdout.strip()
    assert gate.run("list", key=key).returncode == 0
    done = gate.run("submit", str(feed), key=key)
    assert done.returncode == 3
    assert "forbidden" in done.stderr


def test_what_does_not_exist_is_told(gate: Gate):
    """A merchant twice, a key for nobody, a key that is not there."""
    assert "already exists" in gate.run("merchant", "add", "acme").stderr
    assert gate.run("merchant", "key", "add", "nobody").returncode == 2
    assert gate.run("merchant", "key", "revoke", "acme", "0000").returncode == 2


def test_the_doctor_finds_a_sound_store(gate: Gate):
    """And says which settings are in force."""
    done = gate.run("doctor", "--settings")
    assert done.returncode == 0, done.stdout
    assert "BAD" not in done.stdout
    assert "lease_seconds = 2.0" in done.stdout


def test_a_second_migration_has_nothing_to_do(gate: Gate):
    """`serve` has done it."""
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


def test_an_access_key_is_made_for_clients_that_sign(gate: Gate):
    """As variables they take it from, and as JSON; listed like other keys, without the secret."""
    gate.run("merchant", "add", "signer", "--quiet")
    made = gate.run("merchant", "key", "add", "signer", "--signing", "--label", "gate")
    first, second = made.stdout.splitlines()
    assert first.startswith("export AWS_ACCESS_KEY_ID=AKGG")
    assert second.startswith("export AWS_SECRET_ACCESS_KEY=")
    listed = gate.run("merchant", "key", "list", "signer").stdout
    assert first.partition("=")[2] in listed
    assert second.partition("=")[2] not in listed
    session = gate.run("merchant", "key", "add", "signer", "--session", "--json")
    assert '"AWS_SESSION_TOKEN": "' in session.stdout
    assert gate.run("merchant", "key", "add", "nobody", "--signing").returncode == 2
