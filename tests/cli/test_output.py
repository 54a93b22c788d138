"""What the command line prints about a batch, and where it saves a download."""

import os
from pathlib import Path

import httpx
import pytest

from goodsgate.cli.output import examples_of, print_batch
from goodsgate.model.issue_group import IssueGroup
from goodsgate_client._sync.downloads import save_download


def test_a_group_of_issues_is_a_sentence_an_example_and_what_to_do(capsys: pytest.CaptureFixture[str]):
    """Not a code alone; list positions are one group, and what would control the terminal is masked."""
    groups = [
        IssueGroup(code="price_unreadable", severity="error", field="/price", count=3, top=[("ask\x1b", 2), ("?", 1)]),
        IssueGroup(code="barcode_form", severity="error", field="/variants/*/gtin", count=1, top=[]),
    ]
    issues = [
        {"code": group.code, "severity": group.severity, "field": group.field, "count": group.count,
         "message": group.message, "remedy": group.remedy,
         "top": [{"value": value, "count": count} for value, count in group.top]}
        for group in groups
    ]
    counts = dict.fromkeys(
        ("created", "updated", "unchanged", "deleted", "superseded", "merged", "waiting", "cancelled", "warned"), 0
    )
    batch = {
        "label": "feed.csv", "state": "finished", "outcome": "rejected", "withheld": None, "reading": [],
        "contents": None,
        "issues": issues,
        "counts": counts | {"rejected": 4, "total": 4, "accounted": 4},
    }
    examples = examples_of([("price_unreadable", "/price", "line 7"), ("price_unreadable", "/price", "line 9"),
                            ("barcode_form", "/variants/1/gtin", "line 12"), ("barcode_form", "", "")])
    print_batch(batch, as_json=False, examples=lambda: examples)
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert " / ".join(lines[3:]) == (
        '3 × error: "…" is not a valid price.'
        " / price · first in line 7 · ask· (2), ? (1)"
        " / Send an amount and a currency code: `7.90 EUR`. [price_unreadable]"
        ' / 1 × error: Barcode "…" is not valid for its barcode type.'
        " / variants/*/gtin · first in line 12"
        " / Send all digits including the check digit, or set the right type; the suggestion adds the check digit."
        " / [barcode_form]"
    )


def test_a_download_never_replaces_a_pipe_or_a_link(tmp_path: Path):
    """What is no file is written to; of a link, the file that it leads to is replaced as a whole."""
    pipe, file, link = tmp_path / "pipe", tmp_path / "file", tmp_path / "link"
    os.mkfifo(pipe)
    file.write_bytes(b"old")
    link.symlink_to(file)
    reader = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)  # also a writer, so that opening the pipe waits for nobody
    try:
        for target in (pipe, link):
            assert save_download(httpx.Response(200, content=b"report"), str(target), default="") == target
        assert os.read(reader, 100) == b"report"
    finally:
        os.close(reader)
    assert pipe.is_fifo()
    assert (link.readlink(), file.read_bytes()) == (file, b"report")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link", "pipe"]
