"""What happens without the packages of an extra."""

import subprocess
import sys
import tomllib
from collections.abc import Callable
from typing import Any

import pytest

from goodsgate import app
from goodsgate.cli.conversation import Conversation
from goodsgate.cli.errors import CommandError
from goodsgate.cli.transcripts import RequestTemplate, load_client
from goodsgate.config import Config
from goodsgate.formats.images import ImageChange, change_image
from goodsgate.formats.parquet_writer import check_parquet
from goodsgate.model.extras import ExtraMissingError
from goodsgate.protocols.justwalkout.sigv4 import RequestSignature, RequestTarget, verify_signature
from goodsgate.protocols.konnect.orders.pdf_documents import render_labels
from goodsgate.store.contract import StoreError
from goodsgate.store.objects import Objects
from tests.conventions.source import TOP

PACKAGES = {
    "postgres": "psycopg", "s3": "obstore", "aws": "botocore", "pdf": "fpdf", "images": "PIL", "parquet": "pyarrow",
}
"""Extra → module of its package."""
NEEDING = ("goodsgate.store.postgres", "goodsgate.store.object_bucket", "goodsgate.formats.image_process")
"""Modules that import such a package at once; others import these only if it is needed."""


def test_every_extra_is_tried_here():
    """And each but that for development is in `all`."""
    extras = tomllib.loads((TOP / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert extras.keys() - {"all", "dev"} == PACKAGES.keys()
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


USES: list[tuple[str, Callable[[], Any], type[Exception]]] = [
    ("postgres", lambda: app.open_store(Config(store="postgresql://db/x")), StoreError),
    ("s3", lambda: Objects("s3://bucket/prefix"), StoreError),
    ("aws", _verify, ExtraMissingError),
    ("aws", _sign, CommandError),
    ("pdf", lambda: render_labels([], "A4"), ExtraMissingError),
    ("images", _change_image, ExtraMissingError),
    ("parquet", check_parquet, ExtraMissingError),
]


@pytest.mark.parametrize(("extra", "use", "error"), USES, ids=[extra for extra, _, _ in USES])
def test_a_missing_extra_is_named_where_it_is_needed(extra: str, use: Callable[[], Any], error: type[Exception],
                                                     monkeypatch: pytest.MonkeyPatch):
    """In one sentence that says how to install it."""
    for name in [name for name in sys.modules if name.startswith((PACKAGES[extra], *NEEDING))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, PACKAGES[extra], None)
    sentence = rf"needs the extra {extra}, which is not installed: pip install 'goodsgate\[{extra}\]'\."
    with pytest.raises(error, match=sentence):
        use()


def test_the_gate_can_be_imported_without_extras():
    """Every module but those of the extras, and the tables of all protocols."""
    program = f"""
import importlib, pkgutil, sys
for name in {[*PACKAGES.values(), "babel", "zstandard"]!r}:
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
