"""The platform's own client `@retter/sdk`, over TLS, with addresses that it builds itself."""

import asyncio
import contextlib
import os
import shutil
import ssl
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import orjson
import pytest

from tests.protocols.mircate.pim.client import Manager
from tests.protocols.mircate.pim.shirts import ATTRIBUTES

PACKAGE = "@retter/sdk@0.7.4"
NODE_MIN = 18
"""The first that fetches by itself."""
DRIVER = Path(__file__).with_name("drive.js")


def _skip(reason: str) -> NoReturn:
    print(reason)
    pytest.skip(reason)


def _run(*arguments: str | Path, folder: Path, seconds: float = 60) -> subprocess.CompletedProcess[str] | None:
    """Return the output; None if the client did not finish."""
    env = {**os.environ, "npm_config_cache": str(folder / "cache"), "npm_config_update_notifier": "false"}
    try:
        return subprocess.run(
            arguments, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        return None


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bundle the published client into one file; skip without the programs or the package."""
    folder = tmp_path_factory.mktemp("sdk")
    if missing := [name for name in ("node", "npm", "openssl") if shutil.which(name) is None]:
        _skip(f"this machine has no {' and no '.join(missing)}")
    version = _run("node", "--version", folder=folder)
    if version is None or int(version.stdout.strip().lstrip("v").partition(".")[0] or 0) < NODE_MIN:
        _skip(f"node is older than {NODE_MIN}")
    patience = ("--fetch-retries=0", "--fetch-timeout=15000")
    packed = _run("npm", "pack", "--silent", *patience, PACKAGE, folder=folder)
    archives = [*folder.glob("*.tgz")]
    if packed is None or packed.returncode or not archives:
        _skip(f"the package {PACKAGE} cannot be had here")
    with tarfile.open(archives[0]) as archive:
        archive.extractall(folder, filter="data")
    return folder / "package" / "bundle" / "index.js"


class TlsProxy:
    """A TLS proxy before a gate, in a thread of its own."""

    def __init__(self, port: int, folder: Path) -> None:
        self.certificate = folder / "certificate.pem"
        self.connections = 0
        self.address = ""
        self._gate = port
        self._tls_context = _tls_context(folder / "key.pem", self.certificate)
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(ready),))
        self._thread.start()
        assert ready.wait(20)

    def close(self) -> None:
        """Stop the proxy."""
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()
        self._loop.close()

    async def _serve(self, ready: threading.Event) -> None:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0, ssl=self._tls_context)
        self.address = f"localhost:{server.sockets[0].getsockname()[1]}"
        ready.set()
        await self._ended.wait()
        server.close()
        passing = asyncio.all_tasks() - {asyncio.current_task()}
        if passing:
            await asyncio.wait(passing, timeout=10)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        behind, before = await asyncio.open_connection("127.0.0.1", self._gate)
        await asyncio.gather(_pass_on(reader, before), _pass_on(behind, writer))


async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await source.read(16_384):
            target.write(piece)
            await target.drain()
    target.close()
    with contextlib.suppress(OSError):
        await target.wait_closed()


def _tls_context(key: Path, certificate: Path) -> ssl.SSLContext:
    """Return a TLS context with its own certificate for localhost."""
    subprocess.run([
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
        "-keyout", key, "-out", certificate, "-days", "1", "-subj", "/CN=localhost",
        "-addext", "subjectAltName=DNS:localhost",
    ], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


@pytest.fixture
def proxy(manager: Manager, bundle: Path) -> Iterator[TlsProxy]:
    """Start a proxy before the gate."""
    opened = TlsProxy(manager.gate.address[1], bundle.parents[2])
    yield opened
    opened.close()


def _steps(manager: Manager, bundle: Path, proxy: TlsProxy) -> dict[str, Any]:
    env = {**os.environ, "NODE_EXTRA_CA_CERTS": str(proxy.certificate)}
    arguments = ["node", str(DRIVER), str(bundle), proxy.address, manager.merchant, str(manager.headers["x-api-key"])]
    driven = subprocess.run(arguments, env=env, capture_output=True, text=True, check=False, timeout=120)
    assert driven.returncode == 0, driven.stderr[-3000:]
    steps: dict[str, Any] = orjson.loads(driven.stdout)
    return steps


def test_the_platforms_client_drives_products(manager: Manager, bundle: Path, proxy: TlsProxy) -> None:
    """It uses settings, products, batches by both classes, GET with base64, and signs out after a refusal."""
    steps = _steps(manager, bundle, proxy)
    assert proxy.connections > 0
    settings = steps["settings"]["data"]["productSettings"]
    assert [one["code"] for one in settings["attributes"]] == [one["code"] for one in ATTRIBUTES]
    assert (steps["upserted"]["status"], set(steps["upserted"]["data"]["meta"])) == (
        200, {"createdAt", "updatedAt", "updateToken"}
    )
    text = "title maximum length should be 10"
    assert steps["refused"] == {"status": 400, "data": {"message": f"Error: {text}"}}
    status = {
        "batchStatus": "DONE", "failCount": 1, "successCount": 1, "ratio": "2/2", "pushPriceFrequency": 0,
        "bulkOperationType": "PRODUCT", "failedProducts": [{"sku": "s4", "channel": "", "message": text}],
    }
    assert steps["job"] == steps["status"] == {"status": 200, "data": status}
    assert [one["id"] for one in steps["posted"]["data"]["products"]] == ["s3", "s1"]
    (item,) = steps["got"]["data"]["products"]
    assert item["source"]["attributeAsLabel"] == "Çay"
    assert steps["deleted"]["status"] == 204
    assert steps["denied"] == {"status": 403, "data": {"code": "ACCESS_DENIED", "message": "Access Denied"}}
    assert manager.ids() == ["s1"]
