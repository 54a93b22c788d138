"""Settings: where they come from, and what is said about those that cannot be used."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from goodsgate.cli import main
from goodsgate.config import SECRET_SETTINGS, Config, ConfigError, load, load_with_sources


def refused(tmp_path: Path, *, text: str | None = None, **environ: str) -> list[str]:
    """Load settings that cannot be used from a file and the environment, and return the lines of the message."""
    file = tmp_path / "gate.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigError) as error:
        load(file if text is not None else None, {f"GOODSGATE_{name}": value for name, value in environ.items()})
    return [line.replace(str(file), "gate.toml") for line in str(error.value).splitlines()]


@pytest.mark.parametrize(("name", "value", "expected"), [
    ("PORT", "abc", "a whole number, at least 0 and at most 65,535, not `abc`"),
    ("PORT", "70000", "a whole number, at least 0 and at most 65,535, not `70000`"),
    ("PORT", "", "a whole number, at least 0 and at most 65,535, not ``"),
    ("PORT", "5.5", "a whole number, at least 0 and at most 65,535, not `5.5`"),
    ("LEASE_SECONDS", "nan", "a number, at least 0.01 and at most 3,600, not `nan`"),
    ("PAYLOAD_DAYS", "0", "a number, greater than 0 and at most 3,650, not `0`"),
    ("RATE_LIMITS", "kept", "`on` or `off`, not `kept`"),
    ("LOG_LEVEL", "loud", "`debug`, `info`, `warning` or `error`, not `loud`"),
    ("REPORTS", "/tmp", "`s3://bucket/prefix`, or empty, not `/tmp`"),
    ("WEBHOOK_HOSTS", "a b", "comma-separated host names, not `a b`"),
    ("DELIVERY_RETRY_SECONDS", "5;6", "comma-separated whole numbers of seconds, not `5;6`"),
    (
        "CALL_ALIASES", "x" * 99,
        "comma-separated `Class/method=Class/method`, `Class=Class` or `Class/method.member=member`, "
        f"not `{'x' * 60}…`",
    ),
    ("SECRETS", "geheim", "comma-separated `name:base64` of at least 24 bytes each"),
    ("IMAGES", "x" * 1001, f"a text of at most 1,000 characters, not `{'x' * 60}…`"),
])
def test_a_value_out_of_bounds_is_explained_in_words(tmp_path: Path, name: str, value: str, expected: str) -> None:
    """The message names the setting, its variable and what is allowed, and shows no secret."""
    (line,) = refused(tmp_path, **{name: value})
    assert line.startswith(f"the setting `{name.lower()}` (GOODSGATE_{name}) must be ")
    assert line.partition(" must be ")[2] == expected
    assert "geheim" not in line


def test_every_pattern_has_an_explanation(tmp_path: Path) -> None:
    """No message consists of a regular expression or of a name of Python."""
    for name in Config.__struct_fields__:
        if name in ("store", "host", "exports", "images", "payloads", "changes"):
            continue
        (line,) = refused(tmp_path, **{name.upper(): "?/ \n"})
        assert not re.search(r"\bint\b|\bfloat\b|\bstr\b|regex|\^|must be a text", line), line


def test_no_secret_is_shown() -> None:
    """Each setting whose name says that it is a secret is listed among those that messages and `doctor` hide."""
    named = {name for name in Config.__struct_fields__ if re.search("secret|password|token$", name)}
    assert {name for name in named if not name.endswith(("_file", "_hours", "_seconds"))} <= SECRET_SETTINGS


@pytest.mark.parametrize("sender", ["", "feeds", "a@b <c>", "Acme <a@b.example", "a@b.example\r\nBcc: c@d.example"])
def test_mail_needs_a_sender(tmp_path: Path, sender: str) -> None:
    """It is asked for where the server is named, and is an address."""
    lines = refused(tmp_path, MAIL_HOST="smtp.example", MAIL_FROM=sender)
    assert lines[-1] == "with `mail_host`, the setting `mail_from` must be an address, or `Name <address>`"
    for right in ("a@b.example", "Acme feeds <a@b.example>", "<a@b.example>"):
        assert load(None, {"GOODSGATE_MAIL_HOST": "smtp.example", "GOODSGATE_MAIL_FROM": right}).mail_from == right


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    """With the line of the file or the variable, and the nearest name of one that is unknown."""
    text = 'prot = 8480\n# a comment\nthreads = 0\n\n[retention]\nreport_days = 9\n'
    lines = refused(tmp_path, text=text, WORKRES="2", PORT="x")
    assert lines == [
        "unknown variable GOODSGATE_WORKRES in the environment; did you mean GOODSGATE_WORKERS?",
        "unknown setting `prot` (gate.toml, line 1); did you mean `port`?",
        "the setting `threads` (gate.toml, line 3) must be a whole number, at least 1 and at most 256, not `0`",
        "unknown setting `retention` (gate.toml, line 5); see docs/reference/settings.md",
        "the setting `port` (GOODSGATE_PORT) must be a whole number, at least 0 and at most 65,535, not `x`",
    ]


@pytest.mark.parametrize(("text", "message"), [
    ("port = ", "the settings file gate.toml is not valid TOML: Invalid value (at end of document)"),
    ("port = 1\nport = 2\n", "the settings file gate.toml is not valid TOML: Cannot overwrite a value (at line 2"),
])
def test_a_file_that_is_not_toml_is_named(tmp_path: Path, text: str, message: str) -> None:
    """With the place in the file."""
    (line,) = refused(tmp_path, text=text)
    assert line.startswith(message)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """It does not exist, or is binary."""
    with pytest.raises(ConfigError, match=r"none\.toml cannot be read: No such file"):
        load(tmp_path / "none.toml", {})
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"binary\.toml is not UTF-8 text"):
        load(tmp_path / "binary.toml", {})


@pytest.mark.parametrize("url", ["https://shop.example", "https://shop.example/", "http://[::1]:8480"])
def test_a_public_url_without_a_path_is_accepted(url: str) -> None:
    """A slash at the end is no path."""
    assert load(None, {"GOODSGATE_PUBLIC_URL": url}).public_url == url


@pytest.mark.parametrize("url", ["https://shop.example/goodsgate", "https://shop.example/?a", "shop.example"])
def test_a_public_url_with_a_path_is_refused(tmp_path: Path, url: str) -> None:
    """The message says why."""
    (line,) = refused(tmp_path, PUBLIC_URL=url)
    assert "without a path: the vendors' protocols fix the paths" in line


def test_variables_of_tests_clients_and_kubernetes_are_no_settings() -> None:
    """Kubernetes adds the last ones in a namespace that has a service named goodsgate."""
    config = load(None, {
        "GOODSGATE_TEST_KILLS": "9", "GOODSGATE_URL": "http://x", "GOODSGATE_KEY": "x",
        "GOODSGATE_SERVICE_HOST": "10.0.0.1", "GOODSGATE_SERVICE_PORT": "80",
        "GOODSGATE_SERVICE_PORT_HTTP": "80", "GOODSGATE_PORT": "tcp://10.0.0.1:80",
        "GOODSGATE_PORT_80_TCP": "tcp://10.0.0.1:80", "GOODSGATE_PORT_80_TCP_ADDR": "10.0.0.1",
        "GOODSGATE_API_SERVICE_HOST": "10.0.0.1", "GOODSGATE_THREADS": "5",
    })
    assert (config.port, config.threads) == (8480, 5)


def test_sources_are_known(tmp_path: Path) -> None:
    """The command line wins over the environment, and the environment over the file."""
    file = tmp_path / "gate.toml"
    file.write_text("port = 1\nthreads = 2\nworkers = 3\n")
    loaded = load_with_sources(file, {"GOODSGATE_THREADS": "4", "GOODSGATE_WORKERS": "5"}, workers=6)
    sources = {name: loaded.sources[name] for name in ("port", "threads", "workers", "host")}
    assert sources == {
        "port": f"{file}, line 1", "threads": "GOODSGATE_THREADS", "workers": "command line", "host": "default"
    }
    assert (loaded.config.port, loaded.config.threads, loaded.config.workers) == (1, 4, 6)


@pytest.mark.parametrize("command", ["serve", "work", "doctor", "merchant list", "list", "submit x.csv"])
def test_an_unknown_variable_stops_every_command(tmp_path: Path, command: str) -> None:
    """Of the server as of the client, with exit code 2 and one line."""
    environ = {"GOODSGATE_STORE": str(tmp_path / "none"), "GOODSGATE_WORKRES": "2"}
    done = CliRunner().invoke(main, command.split(), env=environ)
    assert done.exit_code == 2
    assert done.output.splitlines() == [
        "Error: unknown variable GOODSGATE_WORKRES in the environment; did you mean GOODSGATE_WORKERS?"
    ]
    assert not (tmp_path / "none").exists()
