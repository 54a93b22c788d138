"""The command line.

Modules import expensive dependencies only when a command runs, so that help appears at once.
"""

import click

from goodsgate import __version__
from goodsgate.cli.audit import audit
from goodsgate.cli.batches import (
    approve,
    cancel,
    confirm,
    discard,
    list_batches,
    report,
    retry,
    revert,
    suggestions,
    watch,
)
from goodsgate.cli.changes import changes
from goodsgate.cli.check import check
from goodsgate.cli.completion import completion
from goodsgate.cli.conformance import conformance
from goodsgate.cli.destination import destination
from goodsgate.cli.diff import diff
from goodsgate.cli.doctor import doctor
from goodsgate.cli.export import export
from goodsgate.cli.guard import guard
from goodsgate.cli.inspect import inspect_command
from goodsgate.cli.item import item
from goodsgate.cli.maintenance import backup, migrate, store_group
from goodsgate.cli.mcp import mcp
from goodsgate.cli.merchant import merchant
from goodsgate.cli.merchant_keys import key as key  # adds the group to merchant
from goodsgate.cli.orders import orders
from goodsgate.cli.outbox import outbox
from goodsgate.cli.profile import profile
from goodsgate.cli.push import push
from goodsgate.cli.reference import reference
from goodsgate.cli.rule import rule
from goodsgate.cli.serve import serve, work
from goodsgate.cli.sources import source
from goodsgate.cli.stand_in import stand_in
from goodsgate.cli.submit import fix, submit
from goodsgate.cli.traffic import traffic
from goodsgate.cli.trouble import trouble
from goodsgate.cli.webhook import webhook


class OrderedGroup(click.Group):
    """A command group that lists its commands in the order they were added, not by name."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the signature is click's
        """Return the names in the order they were added."""
        return list(self.commands)


@click.group(cls=OrderedGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="goodsgate")
def main() -> None:
    """Goodsgate receives product feeds, checks every record, and reports what happened to each.

    \b
    Start a gate:           goodsgate serve --first-merchant acme
    Submit a feed:          goodsgate submit products.csv
    See how it is read:     goodsgate inspect products.csv
    Check a file offline:   goodsgate check products.csv
    Stand in for a vendor:  goodsgate stand-in konnect
    Push to a platform:     goodsgate push products.csv --to konnect

    Commands that talk to a gate take its address and key from --url and --key, from GOODSGATE_URL and GOODSGATE_KEY,
    or from client.toml in your configuration folder.
    """


for _command in (
    submit, watch, diff, report, fix, suggestions, retry, confirm, approve, discard, cancel, revert, list_batches,
    inspect_command, check, export, changes, item, reference, profile, rule, guard, source, destination,
    webhook, mcp,
    push, serve, work, stand_in, conformance, trouble, traffic, merchant, audit, orders, outbox, migrate, doctor,
    backup, store_group, completion,
):
    main.add_command(_command)
