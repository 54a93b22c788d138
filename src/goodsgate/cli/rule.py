"""Rules that a merchant adds to those of a running gate."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from goodsgate.cli.client import Document, with_client
from goodsgate.cli.errors import CommandError
from goodsgate.cli.output import describe_counts, json_option, print_line
from goodsgate.model.counting import counted

if TYPE_CHECKING:
    from goodsgate_client import Client


@click.group()
def rule() -> None:
    """Save, try, list, show and delete rules: what a merchant demands of records, besides what the gate demands."""


def rule_options(command: Any) -> Any:
    """Add the options that make a rule."""
    for option in reversed((
        click.option("--expression", metavar="CEL", help="CEL that is true for a good record."),
        click.option("--schema", "schema_file", metavar="FILE", help="File with the JSON Schema of a good record."),
        click.option("--code", metavar="CODE", help="Issue code of the gate that gets the severity of this rule."),
        click.option("--severity", type=click.Choice(["error", "warning"]), help="Default: error."),
        click.option("--mode", type=click.Choice(["on", "shadow", "off"]),
                     help="Default: on. A shadow rule only counts."),
        click.option("--kind", type=click.Choice(["product", "price", "stock"]), help="Default: product."),
        click.option("--collection", metavar="NAME", help="The only collection that it is about. Default: all."),
        click.option("--category", metavar="NAME", help="Category that it is about, with those below. Default: all."),
        click.option("--field", metavar="NAME", help="Field that the issue is about. Default: the one that is read."),
        click.option("--message", metavar="TEXT", help="What the issue says."),
        click.option("--suggestion", metavar="VALUE", help="Value to use instead of the one of the field."),
    )):
        command = option(command)
    return command


@rule.command()
@click.argument("name", metavar="NAME")
@rule_options
@json_option
@with_client
def put(*, client: "Client", name: str, as_json: bool, **options: Any) -> None:
    """Save a rule under a name. An existing one with that name is replaced; its versions are kept.

    \b
    Examples:
      goodsgate rule put minimum-price --expression 'amount(record.price) >= 1.0' --mode shadow
      goodsgate rule put title --schema title.json --severity warning
      goodsgate rule put gtin --code gtin_check_digit --severity warning
    """
    saved = client.request("PUT", f"/v1/rules/{name}", json=_given_rule(options))
    print_line(f"Saved as version {saved['version']}.", saved, as_json=as_json)


@rule.command()
@click.argument("name", metavar="NAME")
@rule_options
@json_option
@with_client
def trial(*, client: "Client", name: str, as_json: bool, **options: Any) -> None:
    """Try a rule on the records of the last batches. With options it need not be saved.

    \b
    Examples:
      goodsgate rule trial minimum-price
      goodsgate rule trial minimum-price --expression 'amount(record.price) >= 2.0'
    """
    given = {"json": _given_rule(options)} if any(value is not None for value in options.values()) else {}
    answer = client.request("POST", f"/v1/rules/{name}/trial", **given)
    batches = counted(answer["batches"], "batch", "batches")
    text = f"{describe_counts(answer)} of {counted(answer['records'], 'record')} in {batches}"
    if answer["is_cut"]:
        text += "; there are more"
    print_line(f"{text}.", answer, as_json=as_json)


@rule.command("list")
@json_option
@with_client
def list_rules(*, client: "Client", as_json: bool) -> None:
    """List rules, one per line: name, mode, what it did lately without an issue, and the rule as JSON.

    With --json, `goodsgate check --rules` reads the output.

    \b
    Examples:
      goodsgate rule list
      goodsgate rule list --json > rules.ndjson
    """
    for saved in client.request("GET", "/v1/rules")["rules"]:
        recent = describe_counts(saved["recent"]) if any(saved["recent"].values()) else "-"
        definition = json.dumps(saved["rule"], ensure_ascii=False)
        text = f"{saved['name']}\t{saved['rule'].get('mode', 'on')}\t{recent}\t{definition}"
        print_line(text, saved, as_json=as_json)


@rule.command()
@click.argument("name", metavar="NAME")
@click.option("--versions", is_flag=True, help="Print the last versions, the newest first, one per line.")
@json_option
@with_client
def show(*, client: "Client", name: str, versions: bool, as_json: bool) -> None:
    """Print a rule as JSON.

    \b
    Examples:
      goodsgate rule show minimum-price
      goodsgate rule show minimum-price --versions
    """
    if versions:
        for each in client.request("GET", f"/v1/rules/{name}/versions")["versions"]:
            definition = json.dumps(each["rule"], ensure_ascii=False)
            print_line(f"{each['version']}\t{each['saved_at']}\t{definition}", each, as_json=as_json)
        return
    saved = client.request("GET", f"/v1/rules/{name}")
    print_line(json.dumps(saved["rule"], ensure_ascii=False), saved, as_json=as_json)


@rule.command()
@click.argument("name", metavar="NAME")
@json_option
@with_client
def delete(*, client: "Client", name: str, as_json: bool) -> None:
    """Delete a rule with its versions. Issues that it has found stay.

    \b
    Example:
      goodsgate rule delete minimum-price
    """
    client.send("DELETE", f"/v1/rules/{name}")
    print_line("Deleted.", {"name": name, "deleted": True}, as_json=as_json)


def read_rules(name: str) -> list[tuple[str, Document]]:
    """Return name and rule of each line of a file that `goodsgate rule list --json` has written."""
    try:
        saved = [json.loads(line) for line in Path(name).read_text("utf-8").splitlines() if line.strip()]
        return [(str(each["name"]), each["rule"]) for each in saved]
    except OSError as error:
        raise CommandError(f"{name}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise CommandError(f"{name}: a line must be JSON with name and rule, as `rule list --json` writes") from error


def _given_rule(options: dict[str, Any]) -> Document:
    document = {name: value for name, value in options.items() if value is not None}
    file = document.pop("schema_file", None)
    if file is not None:
        try:
            document["schema"] = json.loads(Path(file).read_text("utf-8"))
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror}") from error
        except ValueError as error:
            raise CommandError(f"{file}: not JSON: {error}") from error
    return document


