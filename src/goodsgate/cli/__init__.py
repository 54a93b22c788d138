"""The command line. Modules here import what is heavy only when a command runs, so that help comes at once."""

import click

from goodsgate import __version__
from goodsgate.cli.batches import cancel, confirm, list_batches, report, retry, watch
from goodsgate.cli.check import check
from goodsgate.cli.completion import completion
from goodsgate.cli.merchant import merchant
from goodsgate.cli.orders import orders
from goodsgate.cli.outbox import outbox
from goodsgate.cli.reference import mapping, reference
from goodsgate.cli.serve import serve, work
from goodsgate.cli.submit import fix, submit
from goodsgate.cli.upkeep import backup, doctor, migrate


class InOrder(click.Group):
    """Lists its commands in the order in which they are met, not by name."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the signature is click's
        """Names in the order they were added."""
        return list(self.commands)


@click.group(cls=InOrder, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="goodsgate")
def main() -> None:
    """Goodsgate receives product feeds, checks every record and answers for each.

    \b
    Start a gate:        goodsgate serve --first-merchant acme
    Send it a feed:      goodsgate submit products.csv
    Check without one:   goodsgate check products.csv

    The commands that talk to a gate find it by --url and --key, by GOODSGATE_URL and GOODSGATE_KEY, or by a file
    client.toml in your configuration folder.
    """


for _command in (
    submit, watch, report, fix, retry, confirm, cancel, list_batches, check, reference, mapping,
    serve, work, merchant, orders, outbox, migrate, doctor, backup, completion,
):
    main.add_command(_command)
