"""How the options of the connection reach the client, and how its errors end a command."""

import pytest
from click.testing import CliRunner, Result

from goodsgate.cli import main
from goodsgate.cli.errors import ExitCode, command_error
from goodsgate_client import CertificateError, ConfigurationError, GoodsgateError, ResponseError, UnreachableError
from tests.client.scripted_server import ScriptedServer, answer

EMPTY = answer(200, {"batches": [], "next": None})


def run(*arguments: str) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(main, [*arguments], env={"HOME": "/nowhere", "GOODSGATE_KEY": None})


def test_the_options_of_the_connection_are_those_of_the_requests() -> None:
    """Address, key, merchant, and who asks."""
    with ScriptedServer(EMPTY) as server:
        done = run("list", "--url", server.url, "--key", "gg_1_x", "--act-for", "acme")
    assert done.exit_code == 0, done.output
    head = server.requests[0].lower()
    for field in (b"authorization: bearer gg_1_x", b"goodsgate-merchant: acme", b"user-agent: goodsgate/"):
        assert field in head


def test_a_missing_key_gives_exit_code_3_and_help() -> None:
    """The message says how to give one."""
    with ScriptedServer(answer(401, {"code": "unauthorized", "title": "A key is required."})) as server:
        done = run("list", "--url", server.url)
    assert done.exit_code == ExitCode.REFUSED
    assert done.output == "Error: A key is required. (unauthorized) Use --key or set GOODSGATE_KEY.\n"


def test_a_proxy_of_an_unknown_kind_gives_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """With exit code 2."""
    monkeypatch.setenv("HTTPS_PROXY", "gopher://proxy.example")
    done = run("list", "--url", "https://gate.example")
    assert done.exit_code == ExitCode.USAGE
    assert done.output.startswith("Error: the proxy of HTTPS_PROXY")


@pytest.mark.parametrize(("error", "code", "text"), [
    (CertificateError("name the file of the CA with `ca` or SSL_CERT_FILE", "self-signed"), ExitCode.UNREACHABLE,
     "name the file of the CA with --ca or SSL_CERT_FILE"),
    (UnreachableError("no connection"), ExitCode.UNREACHABLE, "no connection"),
    (ConfigurationError("no URL"), ExitCode.USAGE, "no URL"),
    (ResponseError("no gate"), ExitCode.USAGE, "no gate"),
])
def test_errors_of_the_client_end_a_command(error: GoodsgateError, code: ExitCode, text: str) -> None:
    """With their exit code; a hint names the option of the command line."""
    ended = command_error(error)
    assert (ended.exit_code, ended.message) == (code, text)
