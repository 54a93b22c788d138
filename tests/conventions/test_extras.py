"""What happens without the packages of an extra."""

import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from goodsgate import app
from goodsgate.cli.conversation import Conversation
from goodsgate.cli.errors import CommandError
from goodsgate.cli.mcp import mcp
from goodsgate.cli.transcripts import RequestTemplate, load_client
from goodsgate.config import Config
from goodsgate.engine.credentials import Credentials
from goodsgate.engine.saved_rules import save_rule
from goodsgate.formats.images import ImageChange, change_image
from goodsgate.formats.parquet_writer import check_parquet
from goodsgate.http.openid import OpenIdProvider
from goodsgate.model.extras import ExtraMissingError
from goodsgate.model.record_rule import RecordRule
from goodsgate.protocols.justwalkout.sigv4 import RequestSignature, RequestTarget, verify_signature
from goodsgate.protocols.konnect.orders.pdf_documents import render_labels
from goodsgate.remote import Access, RemoteSettings, open_place, parse_address
from goodsgate.rules import cel
from goodsgate.rules.cel import Expression
from goodsgate.rules.json_schema import JsonSchema
from goodsgate.store.contract import StoreError
from goodsgate.store.objects import Objects
from tests import factories
from tests.conventions.source import TOP
from tests.shop import Shop

PACKAGES = {
    "postgres": ("psycopg",), "s3": ("obstore",), "aws": ("botocore",), "pdf": ("fpdf",), "images": ("PIL",),
    "parquet": ("pyarrow",), "rules": ("cel_expr_python", "jsonschema_rs"), "otel": ("opentelemetry",),
    "oidc": ("authlib",), "mcp": ("mcp",), "feeds": ("asyncssh", "cryptography"),
}
"""Extra → modules of its packages."""
NEEDING = (
    "goodsgate.store.postgres", "goodsgate.store.object_bucket", "goodsgate.formats.image_process",
    "goodsgate.http.spans", "goodsgate.cli.assistant.server", "goodsgate.remote.sftp", "goodsgate.remote.s3",
)
"""Modules that import such a package at once; others import these only if it is needed."""


def test_every_extra_is_tried_here():
    """And each but that for development is in `all`."""
    extras = tomllib.loads((TOP / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert extras.keys() - {"all", "dev"} == PACKAGES.keys()
    assert {extra for extra, _, _ in USES} == PACKAGES.keys()
    assert extras["all"] == [f"goodsgate[{','.join(PACKAGES)}]"]


SIGNATURE = RequestSignature(
    access_key="A", day="20260101", region="r", service="s", signed_headers=(), signature="", timestamp="",
    session_token=None,
)


def _sign() -> None:
    Conversation(load_client("justwalkout"), "http://127.0.0.1:9", {}).build_request(RequestTemplate("GET", "/"))


def _verify() -> None:
    verify_signature(SIGNATURE, RequestTarget("GET", b"/", b""), [], body=b"", secret="")


def _change_image() -> None:
    change_image(b"", ImageChange(format="png"), memory_bytes_max=1, seconds_max=1)


def _seal() -> None:
    Credentials(None, frozenset(), {}).seal("acme", "x", {"password": "p"})  # type: ignore[arg-type]


def _sign_in() -> None:
    provider = OpenIdProvider(None)  # type: ignore[arg-type]
    provider.authorization_url(redirect_uri="", state="", nonce="", verifier="")


USES: list[tuple[str, Callable[[], Any], type[Exception]]] = [
    ("postgres", lambda: app.open_store(Config(store="postgresql://db/x")), StoreError),
    ("s3", lambda: Objects("s3://bucket/prefix"), StoreError),
    ("aws", _verify, ExtraMissingError),
    ("aws", _sign, CommandError),
    ("pdf", lambda: render_labels([], "A4"), ExtraMissingError),
    ("images", _change_image, ExtraMissingError),
    ("parquet", check_parquet, ExtraMissingError),
    ("rules", lambda: Expression("true"), ExtraMissingError),
    ("rules", lambda: JsonSchema({}), ExtraMissingError),
    ("oidc", _sign_in, ExtraMissingError),
    ("mcp", lambda: mcp.main([], standalone_mode=False), CommandError),
    ("feeds", lambda: open_place(parse_address("sftp://h/x"), Access(), RemoteSettings()), ExtraMissingError),
    ("feeds", _seal, ExtraMissingError),
    ("s3", lambda: open_place(parse_address("s3://bucket/x"), Access(), RemoteSettings()), ExtraMissingError),
    ("otel", lambda: app.start_tracing(Config(traces="http://127.0.0.1:9"), instance="x"), ExtraMissingError),
]


def _remove(extra: str, patch: pytest.MonkeyPatch) -> None:
    """Let the package of an extra be missing, also for what has imported it."""
    cel._environment.cache_clear()
    for name in [name for name in sys.modules if name.startswith((*PACKAGES[extra], *NEEDING))]:
        patch.delitem(sys.modules, name)
    for package in PACKAGES[extra]:
        patch.setitem(sys.modules, package, None)


@pytest.mark.parametrize(("extra", "use", "error"), USES, ids=[extra for extra, _, _ in USES])
def test_a_missing_extra_is_named_where_it_is_needed(extra: str, use: Callable[[], Any], error: type[Exception],
                                                     monkeypatch: pytest.MonkeyPatch):
    """In one sentence that says how to install it."""
    _remove(extra, monkeypatch)
    sentence = rf"needs the extra {extra}, which is not installed: pip install 'goodsgate\[{extra}\]'\."
    with pytest.raises(error, match=sentence):
        use()


def test_a_batch_waits_for_a_worker_that_has_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Its records are not rejected, and not applied without the rules of their merchant."""
    with Shop(tmp_path, kind="sqlite") as shop:
        save_rule(shop.store, "acme", "short", RecordRule(expression="size(record.title) < 9"))
        batch = shop.send(factories.products(1))
        with monkeypatch.context() as patch:
            _remove("rules", patch)
            with pytest.raises(ExtraMissingError):
                shop.work()
        shop.work()
        assert shop.engine.batch("acme", batch).counts.rejected == 1


def test_the_gate_can_be_imported_without_extras():
    """Every module but those of the extras, and the tables of all protocols."""
    program = f"""
import importlib, pkgutil, sys
for name in {[*sum(PACKAGES.values(), ()), "babel", "zstandard"]!r}:
    sys.modules[name] = None
import goodsgate, goodsgate_client
for module in pkgutil.walk_packages(goodsgate.__path__, "goodsgate.", onerror=lambda name: None):
    if not module.name.startswith({NEEDING!r}) and not module.name.endswith("__main__"):
        importlib.import_module(module.name)
from goodsgate.app import known_settings
known_settings()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
