"""`mcp`: serve tools to an assistant."""

from typing import TYPE_CHECKING

import click

from goodsgate.cli.client import with_client
from goodsgate.cli.errors import command_errors
from goodsgate.model.extras import needed_extra

if TYPE_CHECKING:
    from goodsgate_client import Client


@click.command()
@click.option("--folder", "folders", multiple=True, metavar="FOLDER", type=click.Path(exists=True, file_okay=False),
              help="Let the assistant read the files below this folder. Repeatable. Default: none.")
@with_client
def mcp(*, client: "Client", folders: tuple[str, ...]) -> None:
    """Serve tools to an assistant over standard input and output, by the Model Context Protocol.

    The tools list batches and their issues, explain codes, search the catalogue, inspect files and make dry runs. None
    changes the catalogue. Assistants start this command themselves; see docs/how-to/use-with-an-assistant.md.

    \b
    Example:
      goodsgate mcp --folder feeds
    """
    with command_errors(), needed_extra("mcp", "`goodsgate mcp`"):
        from goodsgate.cli.assistant.server import create_server
    from goodsgate.cli.assistant.folders import Folders
    from goodsgate.cli.assistant.tools import AssistantTools

    create_server(AssistantTools(client, Folders(folders))).run()
