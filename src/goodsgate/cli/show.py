"""What people see: progress while it runs, and a batch when it has ended. Values of a feed are shown, never obeyed."""

import json
import sys
import time
import unicodedata
from collections.abc import Callable
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

import click

from goodsgate.cli.client import Document
from goodsgate.cli.exits import Exit

if TYPE_CHECKING:
    from rich.console import Console

LINE_SECONDS = 2.0
"""Where there is no terminal, progress is a line at most this often."""
GROUPS_SHOWN = 20
TOP_SHOWN = 3
WIDTH_WITHOUT_TERMINAL = 110


def plain(text: object) -> str:
    """The text with control and format characters as `·`, so that a value cannot speak to the terminal."""
    return "".join("·" if unicodedata.category(sign) in ("Cc", "Cf", "Co", "Cs") else sign for sign in str(text))


def console(stream: IO[str]) -> "Console":
    """A console that neither guesses markup nor emoji in what it is given."""
    from rich.console import Console

    width = None if stream.isatty() else WIDTH_WITHOUT_TERMINAL
    return Console(file=stream, markup=False, emoji=False, highlight=False, width=width)


def bytes_text(count: float) -> str:
    """Bytes with a unit, powers of ten."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.2f} GB"


class Progress:
    """Bars with rate and time left on a terminal, a line now and then elsewhere, nothing if silent. On stderr."""

    def __init__(self, *, silent: bool) -> None:
        self._silent = silent
        self._bars: Any = None
        self._task: Any = None
        self._told = 0.0
        self._since = 0.0
        self._first = 0
        if not silent and sys.stderr.isatty():
            from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bars

            self._bars = Bars(
                TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(),
                TextColumn("{task.fields[figures]}", markup=False), TimeRemainingColumn(), console=console(sys.stderr),
            )

    def __enter__(self) -> "Progress":
        if self._bars:
            self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        if self._bars:
            self._bars.stop()

    def note(self, text: str) -> None:
        """A line of its own."""
        if self._bars:
            self._bars.console.print(plain(text))
        elif not self._silent:
            click.echo(plain(text), err=True)

    def upload(self, name: str, bytes_total: int | None) -> Callable[[int], None]:
        """A bar for a file on its way; call the result with the bytes sent so far."""
        self._begin(f"sending {name}", bytes_total)

        def sent(count: int) -> None:
            rate = count / max(0.001, time.monotonic() - self._since)
            self._move(count, f"{bytes_text(count)} at {bytes_text(rate)}/s", bytes_total)

        return sent

    def work(self, batch: Document) -> None:
        """Show how far a batch is."""
        name = f"{batch['state']} {batch['label'] or batch['id']}"
        if self._task is None or self._task[1] != batch["id"]:
            self._begin(name, batch["progress"]["bytes_total"], batch["id"])
            self._first = batch["progress"]["records"]
        records = batch["progress"]["records"]
        rate = (records - self._first) / max(0.001, time.monotonic() - self._since)
        figures = f"{records:,} records" + (f" at {rate:,.0f}/s" if records > self._first else "")
        if batch["position"]:
            figures += f", {batch['position']} before it"
        done = round(batch["progress"]["share"] * batch["progress"]["bytes_total"])
        self._move(done, figures, batch["progress"]["bytes_total"], name=name)

    def _begin(self, name: str, total: int | None, about: str = "") -> None:
        self._since, self._told = time.monotonic(), time.monotonic()
        task = self._bars.add_task(plain(name), total=total or None, figures="") if self._bars else name
        self._task = (task, about)

    def _move(self, done: int, figures: str, total: int | None, *, name: str | None = None) -> None:
        task, _ = self._task
        if self._bars:
            named = {"description": plain(name)} if name else {}
            self._bars.update(task, completed=done, figures=figures, **named)
        elif not self._silent and time.monotonic() - self._told > LINE_SECONDS:
            self._told = time.monotonic()
            share = f"{done / total:.0%}, " if total else ""
            click.echo(plain(f"{name or task}: {share}{figures}"), err=True)


def ended(batch: Document) -> bool:
    """Whether nothing more happens by itself."""
    return batch["state"] in ("finished", "cancelled", "broken")


def exit_code(batch: Document) -> Exit:
    """What a script is told of a batch."""
    if batch["state"] in ("cancelled", "broken"):
        return Exit.UNFINISHED
    if batch["withheld"]:
        return Exit.WITHHELD
    return Exit.REJECTED if batch["counts"]["rejected"] else Exit.CLEAN


def show_batch(batch: Document, *, as_json: bool) -> None:
    """Counts, grouped issues and what can be done next, on standard output; or the document as it is."""
    if as_json:
        click.echo(json.dumps(batch, ensure_ascii=False))
        return
    out = console(sys.stdout)
    counts = batch["counts"]
    out.print(plain(f"{batch['label'] or 'batch'}: {batch['outcome'] or batch['state']}"), style="bold")
    if "id" in batch:
        out.print(f"  batch    {batch['id']}")
    out.print(f"  records  {_total(counts)}")
    results = ("created", "updated", "unchanged", "deleted", "superseded", "rejected", "cancelled")
    out.print("  results  " + (", ".join(f"{counts[name]:,} {name}" for name in results if counts[name]) or "none"))
    if counts["warned"]:
        out.print(f"  warned   {counts['warned']:,} more that were applied")
    if batch.get("records_per_second") and batch["rounds"] == 1:
        out.print(f"  speed    {batch['records_per_second']:,.0f} records/s")
    if batch.get("issues"):
        _show_groups(out, batch["issues"])
    if batch["withheld"]:
        missing = batch["withheld"]["missing"]
        out.print(f"The feed lacks {missing:,} of {batch['withheld']['held']:,} held items; nothing was deleted.")
        out.print(f"If that is right: goodsgate confirm {batch['id']} --missing {missing}")
    if counts["rejected"] and "id" in batch:
        out.print(f"Get the rejected records: goodsgate report {batch['id']}", soft_wrap=True)


def _total(counts: Document) -> str:
    if counts["total"] is None or counts["total"] == counts["accounted"]:
        return f"{counts['accounted']:,}"
    return f"{counts['accounted']:,} of {counts['total']:,}"


def _show_groups(out: "Console", groups: list[Document]) -> None:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("issues", justify="right")
    table.add_column("severity")
    table.add_column("code", no_wrap=True)
    table.add_column("field")
    table.add_column("most frequent values")
    for group in groups[:GROUPS_SHOWN]:
        top = ", ".join(f"{_short(one['value'])} ({one['count']:,})" for one in group["top"][:TOP_SHOWN])
        field = group["field"].lstrip("/") or "–"
        table.add_row(f"{group['count']:,}", group["severity"], group["code"], plain(field), plain(top))
    out.print(table)
    if len(groups) > GROUPS_SHOWN:
        out.print(f"… and {len(groups) - GROUPS_SHOWN} more groups")


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
