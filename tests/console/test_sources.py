"""Sources in the console."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from goodsgate.app import create_jobs
from goodsgate.engine.jobs import ClaimedJob
from goodsgate.engine.source_definitions import SOURCE
from tests.console.conftest import Person, text_of

BODY = "sku,title,price,currency\nB-1,Bowl,3.00,EUR\n"


@pytest.fixture
def folder(clerk: Person, tmp_path: Path) -> Iterator[Path]:
    """A folder of feeds that the operator allows."""
    sources = clerk.gate.application.context.services.sources
    before = sources.settings
    sources.settings = type(before)(folders=(tmp_path,))
    path = tmp_path / "bowls.csv"
    path.write_text(BODY)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    yield tmp_path
    sources.settings = before


def _work(clerk: Person) -> None:
    """As a worker does."""
    shop = clerk.gate.shop
    jobs = create_jobs(shop.store, shop.config)
    handler = jobs._handlers[SOURCE]
    handler._sources.settings = clerk.gate.application.context.services.sources.settings
    job = shop.store.claim_job([SOURCE], lease_seconds=60)
    assert job is not None
    handler.work(ClaimedJob(shop.store, job))


def test_a_source_is_saved_tested_run_and_paused(clerk: Person, folder: Path) -> None:
    """Its page has the runs with their batches."""
    path = f"{clerk.base}/sources"
    assert "No sources yet" in clerk.get(path).text
    form = {"name": "bowls", "address": f"{folder.as_uri()}/*.csv", "cron": "0 3 * * *", "mode": "full",
            "hold_if": "rejected:10%", "expected_by": "04:00", "action": "save"}
    saved = clerk.fill(path, path, **form)
    assert (saved.status_code, saved.url.path) == (200, f"{path}/bowls")
    assert "Schedule: 0 3 * * * UTC" in text_of(saved.text)
    tested = text_of(clerk.fill(path, f"{path}/bowls", name="bowls", action="test").text)
    assert f"bowls.csv {len(BODY)} bytes" in tested
    assert "Of its first 1 record, 0 would be rejected." in tested
    assert "running" in text_of(clerk.fill(path, f"{path}/bowls", name="bowls", action="run").text)
    _work(clerk)
    page = clerk.get(f"{path}/bowls").text
    assert "✓ finished" in text_of(page)
    assert "/batches/" in page
    assert "paused" in text_of(clerk.fill(path, f"{path}/bowls", name="bowls", action="pause").text)
    assert "paused" in text_of(clerk.get(path).text)
    clerk.fill(path, f"{path}/bowls", name="bowls", action="resume")
    edited = clerk.fill(path, f"{path}/bowls", **{**form, "mode": "delta", "cron": ""})
    assert "when you ask" in text_of(edited.text)
    clerk.fill(path, f"{path}/bowls", name="bowls", action="delete")
    assert "No sources yet" in clerk.get(path).text


def test_a_source_that_fails_is_red_and_says_why(clerk: Person, folder: Path) -> None:
    """In the list, and on its page."""
    path = f"{clerk.base}/sources"
    (folder / "bowls.csv").write_text("")
    clerk.fill(path, path, name="empty", address=f"{folder.as_uri()}/", action="save")
    os.utime(folder / "bowls.csv", (1_700_000_000, 1_700_000_000))
    clerk.fill(path, f"{path}/empty", name="empty", action="run")
    _work(clerk)
    for page in (clerk.get(path).text, clerk.get(f"{path}/empty").text):
        assert 'class="badge failing"' in page
        assert "payload_empty" in page
    clerk.fill(path, f"{path}/empty", name="empty", action="delete")


@pytest.mark.parametrize(("fields", "reason"), [
    ({"address": "sftp://u:p@h/a"}, "give them as credentials"), ({"address": "file:///etc/"}, "feed_folders"),
    ({"name": "a b"}, "Give it a name"), ({"cron": "0 3"}, "five fields"),
    ({"hold_if": "x"}, "condition:limit"),
])
def test_a_form_that_cannot_be_saved_is_shown_again(
    clerk: Person, folder: Path, fields: dict[str, str], reason: str,
) -> None:
    """With what was entered, and why."""
    path = f"{clerk.base}/sources"
    form = {"name": "a", "address": f"{folder.as_uri()}/", "description": "as entered", "action": "save", **fields}
    answer = clerk.fill(path, path, **form)
    assert answer.status_code == 422
    assert reason in answer.text
    assert "as entered" in answer.text
