"""Undelivered messages are listed and sent again from the command line."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from goodsgate.cli import main
from goodsgate.model.message import NewMessage
from tests import stores
from tests.shop import Shop


def _run(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["outbox", *words, "--store", stores.address(folder)])


@pytest.fixture
def folder(tmp_path: Path, kind: str) -> Path:
    """A store with one message that was sent, one that was given up, and one that is waiting."""
    with Shop(tmp_path, "acme", kind=kind) as shop:
        messages = [NewMessage(topic="tested/word", subject=name) for name in ("one", "two")]
        messages.append(NewMessage(topic="tested/other", subject="three"))
        shop.store.add_resource("acme", "tested/thing", name="a", body=b"{}", resources_max=9, messages=messages)
        (first,) = shop.store.claim_messages(lease_seconds=60, limit=9)
        shop.store.mark_sent(first)
        (second,) = shop.store.claim_messages(lease_seconds=60, limit=9)
        shop.store.give_up_message(second, last_error="answered 410")
    return tmp_path


def test_messages_are_listed(folder: Path) -> None:
    """Each line ends with the last error."""
    lines = [line.split("\t") for line in _run(folder, "list", "acme").stdout.splitlines()]
    assert [line[:3] for line in lines] == [
        ["1", "tested/word", "one"], ["2", "tested/word", "two"], ["3", "tested/other", "three"]
    ]
    assert [line[3].split(" 2")[0] for line in lines] == ["sent", "given up", "due"]
    assert lines[1][4:] == ["1", "answered 410"]
    for only, number in (("sent", "1"), ("given-up", "2"), ("waiting", "3")):
        assert _run(folder, "list", "acme", "--only", only).stdout.split("\t")[0] == number
    assert _run(folder, "list", "acme", "--topic", "tested/other").stdout.startswith("3\t")
    assert _run(folder, "list", "nobody").stdout == ""


def test_messages_that_wait_for_others_are_listed_as_such(tmp_path: Path, kind: str) -> None:
    """And those of a paused webhook."""
    with Shop(tmp_path, "acme", kind=kind) as shop:
        messages = [NewMessage(topic="tested/hook", subject="1", in_order=True) for _ in range(2)]
        shop.store.add_resource("acme", "tested/thing", name="a", body=b"{}", resources_max=9, messages=messages)
        shop.store.hold_message(shop.store.claim_messages(lease_seconds=60, limit=9)[0])
    states = [line.split("\t")[3] for line in _run(tmp_path, "list", "acme").stdout.splitlines()]
    assert states == ["paused", "waits for earlier ones"]


def test_messages_are_sent_again(folder: Path) -> None:
    """They are selected by number, or all that were given up; unknown numbers are reported."""
    assert "queued again: 1" in _run(folder, "replay", "acme", "--given-up").stdout
    assert "queued again: 1" in _run(folder, "replay", "acme", "1").stdout
    assert len(_run(folder, "list", "acme", "--only", "waiting").stdout.splitlines()) == 3
    unknown = _run(folder, "replay", "acme", "2", "9")
    assert unknown.exit_code == 2
    assert "acme has only 1 of these 2 messages" in unknown.output
    assert _run(folder, "replay", "acme").exit_code == _run(folder, "replay", "acme", "1", "--given-up").exit_code == 2
