"""Terminal output: progress while a batch runs, and its summary once it has ended.

Values that come from a feed are masked, so that they cannot control the terminal.
"""

import json
import re
import sys
import time
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

import click

from goodsgate.cli.client import Document
from goodsgate.cli.errors import ExitCode
from goodsgate.model.counting import counted

if TYPE_CHECKING:
    from rich.console import Console

LINE_SECONDS = 2.0
"""Shortest time between two progress lines where there is no terminal."""
GROUPS_MAX = 20
VALUES_MAX = 3
REFERENCES_MAX = 5
"""References of waiting records that are printed."""
RESULTS = (
    "accepted", "created", "updated", "unchanged", "deleted", "superseded", "merged", "waiting", "rejected",
    "cancelled",
)
POSITION = re.compile(r"/[0-9]+(?=/|\Z)")
WIDTH_WITHOUT_TERMINAL = 110

json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")

Examples = Mapping[tuple[str, str], str]
"""Code and field of a group of issues → the line or row of its first record."""


def mask_control(text: object) -> str:
    """Return the text with control and format characters replaced by `·`."""
    return "".join("·" if unicodedata.category(sign) in ("Cc", "Cf", "Co", "Cs") else sign for sign in str(text))


def create_console(stream: IO[str]) -> "Console":
    """Return a rich console that interprets neither markup nor emoji codes."""
    from rich.console import Console

    width = None if stream.isatty() else WIDTH_WITHOUT_TERMINAL
    return Console(file=stream, markup=False, emoji=False, highlight=False, width=width)


def format_bytes(count: float) -> str:
    """Return a number of bytes with a decimal unit."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.2f} GB"


def print_line(text: str, document: object, *, as_json: bool) -> None:
    """Print a result as a line of text, or its document as a line of JSON."""
    click.echo(json.dumps(document, ensure_ascii=False, default=str) if as_json else text)


class ProgressDisplay:
    """Progress on standard error: bars on a terminal, occasional lines elsewhere, nothing if silent."""

    def __init__(self, *, silent: bool) -> None:
        self._silent = silent
        self._bars: Any = None
        self._task: Any = None
        self._task_name = ""
        self._batch = ""
        self._printed_at = 0.0
        self._started_at = 0.0
        self._records_before = 0
        if not silent and sys.stderr.isatty():
            from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

            self._bars = Progress(
                TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(),
                TextColumn("{task.fields[figures]}", markup=False), TimeRemainingColumn(),
                console=create_console(sys.stderr),
            )

    def __enter__(self) -> "ProgressDisplay":
        if self._bars:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bars:
            self._bars.stop()

    def note(self, text: str) -> None:
        """Print a line of its own."""
        if self._bars:
            self._bars.console.print(mask_control(text))
        elif not self._silent:
            click.echo(mask_control(text), err=True)

    def start_upload(self, name: str, bytes_total: int | None) -> Callable[[int], None]:
        """Start the display of an upload; return a function to call with the bytes sent so far."""
        self._start(f"sending {name}", bytes_total)

        def on_bytes(count: int) -> None:
            rate = count / max(0.001, time.monotonic() - self._started_at)
            self._update(count, f"{format_bytes(count)} at {format_bytes(rate)}/s", bytes_total)

        return on_bytes

    def start_records(self, name: str, total: int) -> Callable[[int, int], None]:
        """Start the display of a push; return a function to call with the numbers of records sent and ended so far."""
        self._start(f"pushing {name}", 2 * total)

        def on_records(sent: int, ended: int) -> None:
            self._update(sent + ended, f"{sent:,} sent and {ended:,} ended of {counted(total, 'record')}", 2 * total)

        return on_records

    def show_batch(self, batch: Document) -> None:
        """Display the progress of a batch."""
        activity = "processing" if batch["state"] == "working" else batch["state"]
        name = f"{activity} {batch['label'] or batch['id']}"
        progress = batch["progress"]
        if self._batch != batch["id"]:
            self._start(name, progress["bytes_total"])
            self._batch = batch["id"]
            self._records_before = progress["records"]
        records = progress["records"]
        rate = (records - self._records_before) / max(0.001, time.monotonic() - self._started_at)
        figures = counted(records, "record") + (f" at {rate:,.0f}/s" if records > self._records_before else "")
        if batch.get("queue"):
            figures += f", {_format_queue(batch['queue'])}"
        self._update(
            round(progress["share"] * progress["bytes_total"]), figures, progress["bytes_total"], name=name
        )

    def _start(self, name: str, total: int | None) -> None:
        self._started_at = self._printed_at = time.monotonic()
        self._batch, self._task_name = "", name
        if self._bars:
            self._task = self._bars.add_task(mask_control(name), total=total or None, figures="")

    def _update(self, done: int, figures: str, total: int | None, *, name: str | None = None) -> None:
        name = name or self._task_name
        if self._bars:
            self._bars.update(self._task, completed=done, figures=figures, description=mask_control(name))
        elif not self._silent and time.monotonic() - self._printed_at > LINE_SECONDS:
            self._printed_at = time.monotonic()
            share = f"{done / total:.0%}, " if total else ""
            click.echo(mask_control(f"{name}: {share}{figures}"), err=True)


def exit_code(batch: Document) -> ExitCode:
    """Return the exit code for a batch that has ended or is held."""
    if batch["state"] == "held":
        return ExitCode.HELD
    if batch["state"] in ("cancelled", "broken"):
        return ExitCode.INCOMPLETE
    if batch["withheld"]:
        return ExitCode.WITHHELD
    if batch["counts"]["waiting"] and not batch["counts"]["rejected"]:
        return ExitCode.WAITING
    return ExitCode.CLEAN if batch["outcome"] == "clean" else ExitCode.REJECTED


def _format_queue(queue: Document) -> str:
    """Return what a queued batch waits for."""
    others = "another batch" if queue["batches"] == 1 else counted(queue["batches"], "batch", "batches")
    text = f"behind {others}"
    if queue["records"] is not None:
        text += f" with about {counted(queue['records'], 'record')} left"
    if queue["estimated_start"] is not None:
        text += f", starts by {datetime.fromisoformat(queue['estimated_start']).astimezone():%H:%M:%S}"
    return text


def examples_of(issues: Iterable[tuple[str, str, str]]) -> Examples:
    """Return the first place of each group among issues, given as code, path and place."""
    examples: dict[tuple[str, str], str] = {}
    for code, path, place in issues:
        if place:
            examples.setdefault((code, POSITION.sub("/*", path)), place)
    return examples


def print_batch(batch: Document, *, as_json: bool, examples: Callable[[], Examples] = dict) -> None:
    """Print counts, grouped issues and the next step to standard output, or the document itself as JSON.

    `examples` is called if there are issues to print.
    """
    if as_json:
        click.echo(json.dumps(batch, ensure_ascii=False))
        return
    out = create_console(sys.stdout)
    counts = batch["counts"]
    out.print(mask_control(f"{batch['label'] or 'batch'}: {batch['outcome'] or batch['state']}"), style="bold")
    if "id" in batch:
        out.print(f"  batch    {batch['id']}")
    out.print(f"  records  {_format_total(counts)}")
    out.print("  results  " + (", ".join(f"{counts[name]:,} {name}" for name in RESULTS if counts.get(name)) or "none"))
    if batch.get("queue"):
        out.print(f"  queue    {_format_queue(batch['queue'])}", soft_wrap=True)
    if batch.get("waiting_for"):
        out.print(mask_control(f"  waits for {_format_waiting(batch['waiting_for'])}"), soft_wrap=True)
    if counts["warned"]:
        out.print(f"  warnings {counts['warned']:,} accepted with a warning")
    if batch.get("records_per_second") and batch["rounds"] == 1:
        out.print(f"  speed    {batch['records_per_second']:,.0f} records/s")
    if batch["contents"]:
        out.print(mask_control(f"  contents {batch['contents']['summary']}"), soft_wrap=True)
    if batch["reading"]:
        out.print(mask_control(f"  read as  {format_reading(batch['reading'])}"), soft_wrap=True)
    if batch.get("issues"):
        print_groups(out, batch["issues"], examples())
    for name, rule_counts in batch.get("rules", {}).items():
        out.print(mask_control(f"rule {name}: {describe_counts(rule_counts)}"), soft_wrap=True)
    for reason in (batch.get("hold") or {"reasons": []})["reasons"]:
        out.print(mask_control(f"hold     {reason['text']}"), soft_wrap=True)
    if batch["state"] == "held":
        out.print(f"Nothing of it has been applied. It is discarded at {batch['hold']['expires_at']}.", soft_wrap=True)
        out.print(f"To see what it would change: goodsgate diff {batch['id']}", soft_wrap=True)
        out.print(f"To apply it: goodsgate approve {batch['id']}", soft_wrap=True)
        out.print(f"To give it up: goodsgate discard {batch['id']}", soft_wrap=True)
    if batch["withheld"]:
        deletions, items = batch["withheld"]["deletions"], batch["withheld"]["items"]
        are = "is" if deletions == 1 else "are"
        out.print(f"{deletions:,} of {counted(items, 'item')} {are} missing from the feed. Nothing was deleted.")
        if batch["withheld"]["reason"] == "evidence":
            out.print("Some of the feed could not be read, so the missing items may be in it.")
        if batch["policy"]["dry_run"]:
            out.print("To see them in the diff: --delete-share-max 1")
        else:
            out.print(f"To delete them: goodsgate confirm {batch['id']} --deletions {deletions}")
    if counts["rejected"] and "id" in batch:
        out.print(f"To download the rejected records: goodsgate report {batch['id']}", soft_wrap=True)


def describe_counts(counts: Document) -> str:
    """Return what a rule did to records without an issue, or would have done, in words."""
    words = {
        "rejected": "would have rejected", "warned": "would have warned of", "accepted": "would have accepted",
        "faults": "failed on",
    }
    parts = [f"{text} {counts[name]:,}" for name, text in words.items() if counts[name]]
    text = ", ".join(parts) or "would have rejected 0"
    return f"{text} ({counts['fault']})" if counts["fault"] else text


def _format_waiting(references: list[Document]) -> str:
    """Return what records wait for in one line."""
    texts = [f'{each["kind"]} "{each["code"]}" ({each["records"]:,})' for each in references[:REFERENCES_MAX]]
    return ", ".join(texts) + (" and others" if len(references) > REFERENCES_MAX else "")


def _format_total(counts: Document) -> str:
    if counts["total"] is None or counts["total"] == counts["accounted"]:
        return f"{counts['accounted']:,}"
    return f"{counts['accounted']:,} of {counts['total']:,}"


def format_reading(reading: list[Document]) -> str:
    """Return the reading decisions in one line, with what makes them less than certain."""
    texts = []
    for decision in reading:
        confidence = decision.get("confidence")
        unsure = f", {confidence:.0%} certain" if confidence is not None and confidence < 1 else ""
        texts.append(f"{decision['what'].replace('_', ' ')} {decision['value']} ({decision['how']}{unsure})")
    return ", ".join(texts)


def print_groups(out: "Console", groups: list[Document], examples: Examples) -> None:
    """Print for each group what is wrong, where it is for example, and what to do."""
    from rich.padding import Padding

    for group in groups[:GROUPS_MAX]:
        place = examples.get((group["code"], group["field"]))
        values = ", ".join(f"{_shorten(top['value'])} ({top['count']:,})" for top in group["top"][:VALUES_MAX])
        field = group["field"].lstrip("/")
        where = " · ".join(filter(None, (field, f"first in {place}" if place else "", values)))
        out.print(mask_control(f"{group['count']:,} × {group['severity']}: {group['message']}"))
        for line in filter(None, (where, f"{group['remedy']} [{group['code']}]")):
            out.print(Padding(mask_control(line), (0, 0, 0, 4), expand=False))
    if len(groups) > GROUPS_MAX:
        out.print(f"… and {counted(len(groups) - GROUPS_MAX, 'more group')}")


def _shorten(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
