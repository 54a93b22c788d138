"""`conformance`: run the transcripts of a protocol against a server, and print what differs."""

import json
import os
import secrets
import sys
from collections.abc import Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from goodsgate.cli.errors import CommandError, ExitCode, UnreachableError
from goodsgate.cli.output import mask_control
from goodsgate.cli.protocol_choice import PROTOCOL

if TYPE_CHECKING:
    from goodsgate.cli.conversation import StepOutcome
    from goodsgate.cli.transcripts import ProtocolClient, Transcript


def _pairs(_context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    for pair in given:
        if "=" not in pair:
            raise click.BadParameter(f"{pair!r} is not NAME=VALUE")
    return {name: value for name, _, value in (pair.partition("=") for pair in given)}


@click.command()
@PROTOCOL
@click.option("--base-url", metavar="URL", help="Server to test. Default: the variable that `stand-in` prints.")
@click.option("--credentials", multiple=True, metavar="NAME=VALUE", callback=_pairs,
              help="Credential under the name that `stand-in` prints. Repeatable. Default: the variable of that name.")
@click.option("--set", "values", multiple=True, metavar="NAME=VALUE", callback=_pairs,
              help="Value of a variable of the transcripts, such as a category that the server knows. Repeatable.")
@click.option("--only", multiple=True, metavar="NAME", help="Run only this transcript. Repeatable.")
@click.option("--list", "lists", is_flag=True, help="List the transcripts, their steps and variables; run nothing.")
@click.option("--ca", envvar="GOODSGATE_CA", metavar="FILE", help="CA certificates to trust (PEM).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document per transcript.")
def conformance(*, protocol: str, base_url: str | None, credentials: dict[str, str], values: dict[str, str],
                only: tuple[str, ...], lists: bool, ca: str | None, as_json: bool) -> None:
    """Run the transcripts of a protocol against a server, a gate or the vendor's own, and print what differs.

    The transcripts add and change products whose names begin with a random word, so use a test account. Exits with 1 if
    a response is not as expected.

    \b
    Examples:
      goodsgate conformance konnect
      goodsgate conformance konnect --base-url https://sandbox.example --credentials KONNECT_USERNAME=me
          --credentials KONNECT_PASSWORD=secret --set category='Sports Shoes'
      goodsgate conformance mircate --only stock
    """
    from goodsgate.cli.transcripts import load_client, load_transcripts

    client, transcripts = load_client(protocol), load_transcripts(protocol)
    unknown = [name for name in only if name not in transcripts]
    if unknown:
        raise click.UsageError(f"{protocol} has no transcript {unknown[0]!r}; it has {', '.join(transcripts)}")
    transcripts = {name: each for name, each in transcripts.items() if not only or name in only}
    if lists:
        _print_transcripts(transcripts, as_json=as_json)
        return
    url = base_url or os.environ.get(client.url, "")
    if not url:
        raise click.UsageError(f"give --base-url or set {client.url}")
    variables = _credentials(client, credentials)
    failed = 0
    for name, transcript in transcripts.items():
        outcomes = run_transcript(client, transcript, url, {**variables, **values}, ca=ca)
        failed += bool(outcomes[-1].differences)
        _print_outcomes(name, transcript, outcomes, as_json=as_json)
    if not as_json:
        click.echo(f"{len(transcripts) - failed} of {len(transcripts)} transcripts are as expected")
    sys.exit(ExitCode.REJECTED if failed else ExitCode.CLEAN)


def _credentials(client: "ProtocolClient", given: Mapping[str, str]) -> dict[str, str]:
    found = {name: given.get(name, os.environ.get(name, "")) for name in client.credentials}
    unknown = [name for name in given if name not in found]
    if unknown:
        raise CommandError(f"{unknown[0]} is no credential; the names are {', '.join(found)}")
    missing = [name for name, value in found.items() if not value]
    if missing:
        descriptions = [f"{name} ({client.credentials[name].description})" for name in missing]
        raise CommandError(f"no value for {', '.join(descriptions)}; use --credentials NAME=VALUE or set the variable")
    return found


def run_transcript(client: "ProtocolClient", transcript: "Transcript", url: str, variables: Mapping[str, Any], *,
                   ca: str | None = None) -> "list[StepOutcome]":
    """Return the outcomes of a transcript's steps, until the first that differs. Raises UnreachableError."""
    import httpx

    from goodsgate.cli.conversation import Conversation
    from goodsgate.rules.gtin import check_digit

    digits = f"0{secrets.randbelow(10**10):010d}"
    known = {**transcript.variables, "run": secrets.token_hex(4), "run_upc": digits + check_digit(digits)}
    with closing(Conversation(client, url, {**known, **variables}, ca=ca)) as conversation:
        try:
            return conversation.run(transcript.steps)
        except httpx.TransportError as error:
            raise UnreachableError(f"no connection to {url}: {str(error) or type(error).__name__}") from error


def _print_transcripts(transcripts: "Mapping[str, Transcript]", *, as_json: bool) -> None:
    for name, transcript in transcripts.items():
        steps = [step.name for step in transcript.steps]
        if as_json:
            document = {"name": name, "title": transcript.title, "steps": steps, "variables": transcript.variables}
            click.echo(json.dumps(document, ensure_ascii=False))
            continue
        click.echo(f"{name}: {transcript.title}")
        for step in steps:
            click.echo(f"  - {step}")
        for variable, value in transcript.variables.items():
            click.echo(f"  --set {variable}={value}")


def _print_outcomes(name: str, transcript: "Transcript", outcomes: "list[StepOutcome]", *, as_json: bool) -> None:
    last = outcomes[-1]
    if as_json:
        document = {
            "name": name, "title": transcript.title, "as_expected": not last.differences, "steps_run": len(outcomes),
            "steps": len(transcript.steps),
        }
        if last.differences:
            document |= {
                "step": last.name, "differences": last.differences, "request": last.request, "response": last.response,
            }
        click.echo(json.dumps(document, ensure_ascii=False))
        return
    if not last.differences:
        click.echo(f"ok    {name}: {transcript.title}, {len(outcomes)} steps")
        return
    click.echo(f"FAIL  {name}: {transcript.title}, step {len(outcomes)} of {len(transcript.steps)}: {last.name}")
    for line in (*last.differences, last.request, last.response):
        if line:
            click.echo(mask_control(f"      {line}"))
