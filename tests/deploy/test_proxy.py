"""The files of `deploy/proxy` let bodies, long polls and event streams through, and name the client."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from goodsgate.config import Config
from tests.deploy.files import DEPLOY, seconds

NGINX = (DEPLOY / "proxy/nginx.conf").read_text("utf-8")
CADDY = (DEPLOY / "proxy/Caddyfile").read_text("utf-8")
Block = list[tuple[list[str], Any]]


def _parse_nginx(text: str) -> Block:
    """Return the directives of a file of nginx: words, and the directives of a block."""
    tokens = re.findall(r'"[^"]*"|[{};]|[^\s{};"]+', re.sub(r"#.*", "", text))
    stack: list[Block] = [[]]
    words: list[str] = []
    for token in tokens:
        if token == ";":
            stack[-1].append((words, None))
            words = []
        elif token == "{":
            stack[-1].append((words, []))
            stack.append(stack[-1][-1][1])
            words = []
        elif token == "}":
            assert not words, f"a directive without its semicolon: {words}"
            stack.pop()
        else:
            words.append(token.strip('"'))
    assert len(stack) == 1, "a block is not closed"
    return stack[0]


def test_nginx_passes_everything_on_as_it_comes() -> None:
    """No bound and no buffer of its own, and timeouts longer than those of the gate."""
    parsed = _parse_nginx(NGINX)
    upstream, server = (block for _, block in parsed)
    assert upstream[0][0] == ["server", f"{Config().host}:{Config().port}"]
    values = {" ".join(words[:-1]): words[-1] for words, _ in server}
    assert values["client_max_body_size"] == "0"
    assert (values["proxy_request_buffering"], values["proxy_buffering"]) == ("off", "off")
    longest = max(Config().wait_seconds_max, Config().body_idle_seconds)
    for name in ("proxy_read_timeout", "proxy_send_timeout", "client_body_timeout"):
        assert seconds(values[name]) > longest, name
    assert values["proxy_set_header X-Forwarded-For"] == "$remote_addr", "what a client sends is not passed on"
    assert values["proxy_set_header X-Forwarded-Proto"] == "$scheme"


def test_caddy_passes_everything_on_as_it_comes() -> None:
    """The same, as far as it is not so by itself."""
    lines = [line.strip() for line in CADDY.splitlines() if line.strip() and not line.strip().startswith("#")]
    assert sum(line.endswith("{") for line in lines) == lines.count("}")
    assert f"reverse_proxy {Config().host}:{Config().port} {{" in lines
    assert "flush_interval -1" in lines
    (timeout,) = [line.split()[1] for line in lines if line.startswith("response_header_timeout")]
    assert seconds(timeout) > Config().wait_seconds_max


def test_nginx_accepts_the_file(tmp_path: Path) -> None:
    """Its own check, where it is installed."""
    if shutil.which("nginx") is None or shutil.which("openssl") is None:
        print("nginx or openssl is not installed")
        pytest.skip("nginx or openssl is not installed")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", key, "-out", certificate, "-subj", "/CN=gate.example.com"], check=True, capture_output=True,
    )
    text = NGINX.replace("/etc/ssl/gate.example.com.crt", str(certificate)).replace(
        "/etc/ssl/gate.example.com.key", str(key)
    )
    (tmp_path / "site.conf").write_text(text)
    main = tmp_path / "nginx.conf"
    main.write_text(
        f"pid {tmp_path}/pid; error_log stderr; events {{}} http {{ access_log off; include {tmp_path}/site.conf; }}"
    )
    done = subprocess.run(["nginx", "-t", "-p", tmp_path, "-c", main], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
