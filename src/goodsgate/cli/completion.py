"""Shell completion."""

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, *, shell: str) -> None:
    """Print the script that completes commands and options in your shell.

    \b
    Examples:
      goodsgate completion bash >> ~/.bashrc
      goodsgate completion fish > ~/.config/fish/completions/goodsgate.fish
    """
    made = get_completion_class(shell)
    if made is None:
        raise click.UsageError(f"no completion for {shell}")
    root = context.find_root().command
    click.echo(made(root, {}, "goodsgate", "_GOODSGATE_COMPLETE").source())
