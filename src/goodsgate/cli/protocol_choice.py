"""The argument that names a vendor's protocol."""

from importlib.resources import files
from importlib.resources.abc import Traversable

import click


def protocol_folders() -> dict[str, Traversable]:
    """Return the packages of protocols that say how a client calls them, by name; imports none of them."""
    folders = sorted((files("goodsgate") / "protocols").iterdir(), key=lambda folder: folder.name)
    return {folder.name: folder for folder in folders if (folder / "client.yaml").is_file()}


PROTOCOL = click.argument("protocol", type=click.Choice([*protocol_folders()]))
