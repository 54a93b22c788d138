"""`push`: send a file to a platform itself, checked by the rules of a gate."""

import hashlib
import itertools
import json
import os
import re
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from goodsgate.cli.check import parse_policy
from goodsgate.cli.client import USER_AGENT, Document
from goodsgate.cli.errors import CommandError, ExitCode, RefusalError, UnreachableError
from goodsgate.cli.local_gate import LocalGate, open_local_gate, reference_options
from goodsgate.cli.output import Examples, ProgressDisplay, exit_code, mask_control, print_batch
from goodsgate.cli.protocol_choice import protocol_folders
from goodsgate.cli.source import open_feed
from goodsgate.cli.submit import policy_options
from goodsgate.model.counting import counted

if TYPE_CHECKING:
    from goodsgate.model.batch import Batch, Policy
    from goodsgate.push import Platform, PushResult, PushState
    from goodsgate.push.transport import Record
    from goodsgate_client.sources import Source

ACCEPTED = ("created", "updated", "unchanged", "deleted")
"""Results of the local check of records that are sent, or stand for the same item as one that is."""
ASSUMED_CODE = "key_not_held"
"""Issue of a deletion in an empty catalogue; that of the platform is not empty."""
VERBS = ("upsert", "create", "delete")


def _pairs(_context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    for pair in given:
        if "=" not in pair:
            raise click.BadParameter(f"{pair.partition(':')[0][:20]!r} is not NAME=VALUE")
    return {name.strip(): value for name, _, value in (pair.partition("=") for pair in given)}


@click.command()
@click.argument("file", metavar="FILE")
@click.option("--to", "platform", type=click.Choice([*protocol_folders()]), required=True,
              help="Platform to push to.")
@click.option("--base-url", metavar="URL",
              help="Address of the platform. Default: the variable that `stand-in` prints, e.g. KONNECT_URL.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", callback=_pairs,
              help="What the platform needs beside the file, such as its stream or store. Repeatable.")
@click.option("--credentials-file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="File with credentials, NAME=VALUE on each line. Default: the variables of these names.")
@click.option("--credential", "credentials", multiple=True, metavar="NAME=VALUE", callback=_pairs,
              help="Credential. Others on this machine can read it; better use a variable or a file.")
@policy_options
@reference_options
@click.option("--state", "state_file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="File from which an interrupted push goes on. Default: beside the file; none for standard input.")
@click.option("--report", "report_to", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Write the rejected records to this file, in your own columns, with the issues of each.")
@click.option("--report-format", type=click.Choice(["ndjson", "json", "csv", "tsv", "xlsx"]),
              help="Format of the report. Default: the format of the file.")
@click.option("--only", type=click.Choice(["rejected", "all"]), default="rejected", show_default=True,
              help="Which records to include in the report.")
@click.option("--dry-run", "recorded_in", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
              help="Write the requests to this folder instead. The platform is only asked what it has.")
@click.option("--wait/--no-wait", default=True, help="Wait for the results, or only until everything is accepted.")
@click.option("--wait-timeout", type=click.FloatRange(min=1), default=600.0, show_default=True, metavar="SECONDS",
              help="How long to wait while no request ends.")
@click.option("--retry-timeout", type=click.FloatRange(min=0), default=300.0, show_default=True, metavar="SECONDS",
              help="How long a request is tried again after lost connections and temporary failures.")
@click.option("--ca", envvar="GOODSGATE_CA", metavar="FILE", help="CA certificates to trust (PEM).")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, without progress.")
def push(
    *, file: str, platform: str, base_url: str | None, settings: dict[str, str], credentials_file: Path | None,
    credentials: dict[str, str], maps: tuple[str, ...], references_from: tuple[str, ...], rules_from: str | None,
    state_file: Path | None, report_to: Path | None, report_format: str | None, only: str, wait: bool,
    recorded_in: Path | None,
    wait_timeout: float, retry_timeout: float, ca: str | None, as_json: bool, format: str | None, kind: str,
    **options: Any,
) -> None:
    """Push a file to a platform: read and checked as by a gate, sent in the platform's own format.

    Needs no gate. Records that the rules reject are not sent. The platform's limits are kept, its status is followed,
    and its errors become issues of your rows. If the command is interrupted, run it again: it goes on where it was, and
    sends no request twice that the platform has answered. Exit codes: docs/reference/cli.md.

    \b
    Examples:
      goodsgate push products.csv --to productsup --base-url https://stream-api.productsup.com --set stream=15271
      goodsgate push --kind stock stock.csv --to mircate --set channel=web --credentials-file mircate.env
      goodsgate push items.xlsx --to justwalkout --set stores=STORE-1,STORE-2 --report rejected.xlsx
      goodsgate push shoes.csv --to konnect --dry-run requests --set template=footwear --set 'trader=[{"type": …}]'
    """
    if options.get("verb") not in (None, *VERBS):
        raise click.UsageError(f"--verb is one of {', '.join(VERBS)}: what a platform holds is not known here.")
    if options.get("references") == "wait":
        raise click.UsageError("--references wait needs a gate; here nothing arrives.")
    with closing(open_feed(file)) as source, push_errors(platform), ProgressDisplay(silent=as_json) as progress:
        chosen = _Push(
            platform, kind=kind, base_url=base_url, settings=settings,
            credentials=_credentials(platform, credentials, credentials_file), ca=ca, retry_seconds=retry_timeout,
            progress=progress,
        )
        gate_options = {"references_from": references_from, "rules_from": rules_from}
        with closing(chosen):
            with open_local_gate(file, **gate_options) as gate:  # type: ignore[arg-type]  # values differ by name
                policy = parse_policy(maps, options)
                batch = gate.process(source, kind=kind, policy=policy, format=format, progress=progress)
                state = None if recorded_in is not None else state_file or _state_file(file, platform)
                chosen.open_state(source, state, policy)
                record = _recorder(recorded_in) if recorded_in is not None else None
                result = chosen.run(gate, batch, wait_seconds=wait_timeout if wait else 0.0, record=record)
                if not result.issues:
                    document, examples = _finish(gate, batch, report_to, only=only, format=report_format)
            if result.issues:  # the file is read once more, now with what the platform says
                with open_local_gate(file, **gate_options) as gate:  # type: ignore[arg-type]  # as above
                    batch = gate.process(
                        source, kind=kind, policy=policy, format=format, progress=progress, known_issues=result.issues
                    )
                    document, examples = _finish(gate, batch, report_to, only=only, format=report_format)
            document = _with_result(document, result, chosen, recorded_in=recorded_in)
            chosen.close(has_ended=not result.pending)
    print_batch(document, as_json=as_json, examples=lambda: examples)
    if not as_json:
        for text in _closing_lines(document, wait=wait):
            click.echo(mask_control(text))
        if recorded_in is not None:
            click.echo(f"Nothing was sent: the requests are in {recorded_in}.")
    code = exit_code(document)
    sys.exit(code if wait or code is not ExitCode.WAITING else ExitCode.CLEAN)


class _Push:
    """A platform with everything that a push to it was given."""

    def __init__(self, name: str, *, kind: str, base_url: str | None, settings: Mapping[str, str],
                 credentials: Mapping[str, str], ca: str | None, retry_seconds: float, progress: ProgressDisplay,
                 ) -> None:
        from goodsgate.cli.transcripts import load_client
        from goodsgate.model.batch import Kind
        from goodsgate.push import load_platform
        from goodsgate.push.transport import Transport

        self.name, self.settings, self._credentials = name, settings, credentials
        self._progress = progress
        self.state: PushState | None = None
        self._platform: type[Platform] = load_platform(name)
        client = load_client(name)
        self.title, self.kind = client.title, Kind(kind)
        self.base_url = (base_url or os.environ.get(client.url, "")).rstrip("/")
        if not self.base_url:
            raise click.UsageError(f"Give --base-url or set {client.url}.")
        unknown = [each for each in settings if each not in self._platform.SETTINGS]
        if unknown:
            known = "; ".join(f"{each} ({text})" for each, text in self._platform.SETTINGS.items())
            raise click.UsageError(f"--set {unknown[0]} is unknown to {self.title}. It has {known}.")
        if self.kind not in self._platform.KINDS:
            raise click.UsageError(f"{self.title} takes {', '.join(self._platform.KINDS)} records, not {kind}.")
        self._transport = Transport(
            self.base_url, ca=ca, retry_seconds=retry_seconds, notify=progress.note, user_agent=USER_AGENT
        )
        self._transport.request_seconds_min = self._platform.REQUEST_SECONDS_MIN

    def close(self, *, has_ended: bool = False) -> None:
        """Close the connections and the state, which is removed if the push has ended."""
        self._transport.close()
        if self.state is not None:
            self.state.close(remove=has_ended)

    def open_state(self, source: "Source", path: Path | None, policy: "Policy") -> None:
        """Open the state of this push of a file. Raises ConfigurationError."""
        import msgspec

        from goodsgate.push import PushState
        from goodsgate.push.state import PushIdentity

        source.on_bytes = None
        hashed = hashlib.sha256()
        for piece in source.pieces():
            hashed.update(piece)
        options = json.dumps(
            [str(self.kind), msgspec.to_builtins(policy), sorted(self.settings.items())], sort_keys=True, default=str
        )
        self._identity = PushIdentity(
            platform=self.name, base_url=self.base_url, file=hashed.hexdigest(),
            options=hashlib.sha256(options.encode()).hexdigest()[:32],
        )
        self.state = PushState(path, self._identity)
        if self.state.is_resumed:
            self._progress.note(f"Going on with the push that {path} describes")

    def run(self, gate: LocalGate, batch: "Batch", *, wait_seconds: float, record: "Record | None" = None,
            ) -> "PushResult":
        """Push the accepted records of a batch; the state must be open. Raises PushError."""
        from goodsgate.push import PlatformConnection, Pusher, PushProgress, PushResult

        assert self.state is not None
        total = sum(getattr(batch.counts, name) for name in ACCEPTED)
        if not total:
            return PushResult(progress=PushProgress())
        platform = self._platform(PlatformConnection(
            transport=self._transport, credentials=self._credentials, settings=self.settings, kind=self.kind,
            push_id=f"{self._identity.file[:24]}{self._identity.options[:8]}",
        ))
        show = self._progress.start_records(f"{batch.label or 'records'} to {self.title}", total)
        pusher = Pusher(
            platform, self.state, wait_seconds=wait_seconds, notify=self._progress.note, record=record,
            on_progress=lambda progress: show(min(progress.sent, total), min(progress.ended, total)),
        )
        return pusher.run(gate.records(batch))


@contextmanager
def push_errors(platform: str) -> Iterator[None]:
    """Raise errors of a push as errors of commands with exit codes."""
    from goodsgate.cli.transcripts import load_client
    from goodsgate.model.extras import ExtraMissingError
    from goodsgate.push import ConfigurationError, PushError, RefusedError

    again = "What was sent stays sent; run the same command again to go on."
    try:
        yield
    except (ConfigurationError, ExtraMissingError) as error:
        raise CommandError(str(error)) from error
    except RefusedError as error:
        hint = "Is --base-url right?" if error.status in (404, 405) else again
        if error.status in (401, 403):
            hint = f"Check {' and '.join(load_client(platform).credentials)}."
        raise RefusalError(f"{load_client(platform).title}: {str(error).removesuffix('.')}. {hint}") from error
    except PushError as error:
        text = str(error).removesuffix(".")
        raise UnreachableError(f"{load_client(platform).title}: {text}. {again}") from error
    except KeyboardInterrupt:
        click.echo(f"Interrupted. {again}", err=True)
        sys.exit(ExitCode.INTERRUPTED)


def _credentials(platform: str, given: Mapping[str, str], file: Path | None) -> dict[str, str]:
    from goodsgate.cli.transcripts import load_client
    from goodsgate.push import load_platform

    names = load_client(platform).credentials
    optional = load_platform(platform).OPTIONAL_CREDENTIALS
    if given:
        click.echo(
            "Warning: other users of this machine can read --credential in the list of processes; use a variable or "
            "--credentials-file.", err=True,
        )
    values = {name: os.environ.get(name, "") for name in (*names, *optional)}
    values |= _read_credentials(file) if file is not None else {}
    values |= given
    unknown = [name for name in values if name not in names and name not in optional]
    if unknown:
        raise CommandError(f"{unknown[0]} is no credential; the names are {', '.join((*names, *optional))}.")
    missing = [f"{name} ({each.description})" for name, each in names.items() if not values[name]]
    if missing:
        raise CommandError(f"No value for {', '.join(missing)}. Set the variable, or use --credentials-file.")
    return {name: value for name, value in values.items() if value}


def _read_credentials(file: Path) -> dict[str, str]:
    """Return the values of a file of shell variables: NAME=VALUE, perhaps with `export` and quotation marks."""
    import shlex

    try:
        text = file.read_text("utf-8")
        is_open = stat.S_IMODE(file.stat().st_mode) & 0o077
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{file}: {error}") from error
    if is_open:
        click.echo(f"Warning: other users can read {file}; chmod 600 {file}", err=True)
    values = {}
    for line in text.splitlines():
        line = line.strip().removeprefix("export ")
        if line and not line.startswith("#"):
            name, equals, value = line.partition("=")
            if not equals:
                raise CommandError(f"{file}: a line is not NAME=VALUE.")
            try:
                values[name.strip()] = "".join(shlex.split(value))
            except ValueError as error:
                raise CommandError(f"{file}: the value of {name.strip()}: {error}") from error
    return values


def _recorder(folder: Path) -> "Record":
    """Return what writes the body of each request to a file of its own in a new or empty folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise CommandError(f"{folder} is not empty.")
    except OSError as error:
        raise CommandError(f"{folder}: {error.strerror}") from error
    numbers = itertools.count(1)

    def record(method: str, path: str, content: bytes) -> None:
        name = re.sub(r"[^A-Za-z0-9]+", "-", path).strip("-")
        (folder / f"{next(numbers):05d}-{method}-{name}.json").write_bytes(content)

    return record


def _state_file(file: str, platform: str) -> Path | None:
    return None if file == "-" else Path(f"{file}.{platform}.push")


def _finish(gate: LocalGate, batch: "Batch", report_to: Path | None, *, only: str, format: str | None,
            ) -> tuple[Document, Examples]:
    """Write the report if one is wanted, and return what is printed."""
    if report_to is not None:
        gate.write_report(batch, report_to, only=only, format=format, without=ASSUMED_CODE)
    return gate.document(batch), gate.examples(batch)


def _with_result(document: Document, result: "PushResult", push: _Push, *, recorded_in: Path | None) -> Document:
    """Return the document of a batch with what the platform says in place of what an empty catalogue would hold."""
    counts = {**document["counts"]}
    accepted = sum(counts[name] for name in ACCEPTED)
    assumed = [group for group in document["issues"] if group["code"] == ASSUMED_CODE]
    counts |= dict.fromkeys(ACCEPTED, 0)
    counts["waiting"] = min(result.pending, accepted)
    counts["accepted"] = accepted - counts["waiting"]
    counts["warned"] = max(0, counts["warned"] - sum(group["count"] for group in assumed))
    outcome = document["outcome"]
    if result.problems and outcome == "clean":
        outcome = "partial"
    is_open = bool(result.pending)
    return {
        **document, "counts": counts, "outcome": None if is_open else outcome,
        "state": "sent" if is_open else document["state"],
        "issues": [group for group in document["issues"] if group["code"] != ASSUMED_CODE],
        "push": {
            "platform": push.name, "base_url": push.base_url, "requests": result.progress.requests,
            "ids": result.ids, "problems": result.problems,
            "dry_run": str(recorded_in) if recorded_in is not None else None,
            "state": str(push.state.path) if is_open and push.state is not None and push.state.path else None,
        },
    }


def _closing_lines(document: Document, *, wait: bool) -> Iterator[str]:
    """Yield what the platform says of records that it does not name, and how to go on."""
    for problem in document["push"]["problems"]:
        yield f"{problem[0].upper()}{problem[1:].removesuffix('.')}."
    if document["counts"]["waiting"]:
        yield (
            f"The platform has not yet said what became of {counted(document['counts']['waiting'], 'record')}. "
            f"Run the same command again to {'go on waiting' if wait else 'wait for it'}."
        )


