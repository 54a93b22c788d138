"""The contracts that a gate serves: a strict validator reads them, and clients that generators make from them work."""

import json
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NoReturn

import httpx
import pytest
import yaml
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.cli.proxy import CuttingProxy
from tests.conventions.source import TOP
from tests.http_gate import HttpGate
from tests.protocols.generated import CONTRACTS, GeneratedClient, generate_client, package_name
from tests.protocols.justwalkout.client import JustWalkOut, item
from tests.protocols.konnect.client import Konnect, load_starter, product
from tests.protocols.mircate.client import Mircate
from tests.protocols.productsup.client import Productsup
from tests.shop import Shop

CALLS, GENERATE, WRAPPER = (Path(__file__).with_name(n) for n in ("generated.ts", "generated.mjs", "wrapper.mjs"))
NODE_PACKAGES = ("openapi-fetch@0.15.0", "openapi-typescript@7.13.0", "typescript@5.9.3")
NODE_MIN = 18
WRAPPER_NODE_MIN = 20
"""Node 20 opens a file as a Blob, which can be sent again."""
CLOSING_BRACKET = re.compile(r"( *)[\]}]")
PROTOCOLS = pytest.mark.parametrize("protocol", [*CONTRACTS])


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpGate]:
    """Serve a gate with a worker."""
    with Shop(tmp_path_factory.mktemp("gate"), kind="sqlite", poll_seconds=0.005, rate_limits="off") as shop:
        served = HttpGate(shop)
        working = threading.Thread(target=shop.worker.run)
        working.start()
        yield served
        served.close()
        shop.worker.stop()
        working.join()


@pytest.fixture(scope="module")
def documents(gate: HttpGate, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Save the served document of each protocol."""
    folder = tmp_path_factory.mktemp("documents")
    paths = {protocol: folder / f"{protocol}.json" for protocol in CONTRACTS}
    for protocol, path in paths.items():
        path.write_bytes(gate.anonymous().get(CONTRACTS[protocol]).raise_for_status().content)
    return paths


@PROTOCOLS
def test_a_strict_validator_accepts_the_served_documents(gate: HttpGate, documents: dict[str, Path], protocol: str,
                                                         ) -> None:
    """Both forms hold the same; a strict reader of YAML also wants closing brackets to be indented."""
    document = json.loads(documents[protocol].read_bytes())
    assert [*OpenAPIV31SpecValidator(document).iter_errors()] == []
    text = gate.anonymous().get(CONTRACTS[protocol].replace(".json", ".yaml")).text
    assert json.loads(json.dumps(yaml.safe_load(text))) == document
    outer = 0
    for number, line in enumerate(text.splitlines(), 1):
        bracket = CLOSING_BRACKET.match(line)
        assert bracket is None or len(bracket[1]) > outer, f"line {number}"
        if line.rstrip().endswith(("[", "{")):
            outer = len(line) - len(line.lstrip())


# -- Python -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def problems(documents: dict[str, Path]) -> dict[str, list[str]]:
    """Generate a package for each protocol, and return the errors and warnings."""
    return {protocol: generate_client(protocol, path) for protocol, path in documents.items()}


def test_a_generator_makes_python_clients(problems: dict[str, list[str]]) -> None:
    """They have every operation: nothing is left out with a warning."""
    assert problems == {protocol: [] for protocol in CONTRACTS}


def test_the_python_client_of_the_native_api_works(gate: HttpGate, problems: object) -> None:
    """It sends records and files, reads the batch, and finds the item."""
    with closing(gate.client()) as http:
        client = GeneratedClient(package_name("native"), http)
        record = client.model("SubmitJsonBodyItem", sku="A-1", title="Cup")
        accepted = client.call("batches.submit", body=[record])
        assert client.call("batches.batch", accepted.id, wait=30.0).counts.created == 1
        accepted = client.call("batches.submit", body=client.file(b"sku,title\nA-2,Pot\nA-3,\n"), format_="csv")
        assert client.call("batches.batch", accepted.id, wait=30.0).counts.accounted == 2
        assert client.call("catalogue.item", "products", "A-1").record["title"] == "Cup"


def test_the_python_client_of_konnect_works(gate: HttpGate, problems: object) -> None:
    """It gets a token, creates a product, and reads its status."""
    merchant = gate.merchant()
    load_starter(gate, merchant)
    with closing(Konnect(gate, merchant)) as http:
        client = GeneratedClient(package_name("konnect"), http)
        assert client.call("token.token", username=merchant, password=http.password).status == "SUCCESS"
        assert client.call("reference.departments", page_size=1).page_size == 1
        creation = client.model("Creation", template="footwear", products=[product()])
        acknowledged = client.call("catalogue.create_products", body=creation)
        trace = acknowledged.trace_id
        _until(lambda: client.call("catalogue.status", trace_id=trace).stage == "COMPLETED")
        assert client.call("catalogue.status", trace_id=trace).meta.succeed == 1
        (row,) = client.call("catalogue.products").items
        assert row["item_code"] == "TR-001"


def test_the_python_client_of_productsup_works(gate: HttpGate, problems: object) -> None:
    """It creates a stream, uploads lines, and reads the batch."""
    with closing(Productsup(gate, gate.merchant())) as http:
        client = GeneratedClient(package_name("productsup"), http)
        attributes = {"name": "By Python", "type": "chunked"}
        stream = client.call(
            "streams.create_stream", body=client.model("NewStream", data={"type": "stream", "attributes": attributes})
        )
        lines = client.file(b'{"id": "1", "title": "Cup"}\n')
        batch = client.call("products.upload_products", stream.data.id, body=lines)
        again = client.call("products.batch", stream.data.id, batch.data.id)
        assert again.data.id == batch.data.id


def test_the_python_client_of_just_walk_out_works(gate: HttpGate, problems: object) -> None:
    """It uploads an item, whose requests are signed, and reads the state."""
    with closing(JustWalkOut(gate, gate.merchant(), "STORE-1")) as http:
        http.auth = lambda request: _sign(http, request)
        client = GeneratedClient(package_name("justwalkout"), http)
        uploaded = client.call("catalog.upload", body=client.model("Upload", catalogItems=[item(1, "STORE-1")]))
        question = client.model("Question", ingestionId=uploaded.ingestion_id)
        _until(lambda: client.call("catalog.upload_status", body=question).processing_status == "DONE")


def _sign(http: JustWalkOut, request: httpx.Request) -> httpx.Request:
    request.headers.update(http.sign(request.url.path, request.content))
    return request


def test_the_python_client_of_mircate_works(gate: HttpGate, problems: object) -> None:
    """It sends stock and a product, and reads the status of the batch and the product."""
    with closing(Mircate(gate, gate.merchant())) as http:
        client, path = GeneratedClient(package_name("mircate"), http), ("5p1hp1d2t", http.merchant)
        units = client.model("StockSubmission", products=[{"sku": "A-1", "channel": "web", "stock": 5}])
        batch = client.call("supplier.receive_stock", *path, body=units).batch_id
        _until(lambda: client.call("supplier.check_batch_status_get", path[0], batch).batch_status == "DONE")
        assert client.call("supplier.check_batch_status_get", path[0], batch).ratio == "1/1"
        assert client.call("products.get_products", *path, body=client.model("ProductQuery")).total_products == 0


def _until(condition: Callable[[], bool]) -> None:
    """Wait until the worker has done what a condition asks for."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


# -- TypeScript -------------------------------------------------------------------------------------------------------


def _skip(reason: str) -> NoReturn:
    print(reason)
    pytest.skip(reason)


def _need_node(version: int, folder: Path) -> None:
    if int(_run("node", "--version", folder=folder).stdout.lstrip("v").partition(".")[0]) < version:
        _skip(f"node is older than {version}")


def _run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "npm_config_cache": str(folder / "cache"), "npm_config_update_notifier": "false"}
    return subprocess.run(arguments, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=240)


@pytest.fixture(scope="module")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the packages for Node in a folder, or skip."""
    folder = tmp_path_factory.mktemp("node")
    if missing := [name for name in ("node", "npm") if shutil.which(name) is None]:
        _skip(f"this machine has no {' and no '.join(missing)}")
    _need_node(NODE_MIN, folder)
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    options = ("--silent", "--no-audit", "--no-fund", "--fetch-retries=0", "--fetch-timeout=30000")
    if _run("npm", "install", *options, *NODE_PACKAGES, folder=folder).returncode:
        _skip(f"the packages {', '.join(NODE_PACKAGES)} cannot be had here")
    return folder


def test_a_generator_makes_typescript_clients(gate: HttpGate, documents: dict[str, Path], node_folder: Path) -> None:
    """A script that calls every protocol is checked against the types and works."""
    shutil.copy(CALLS, node_folder / "calls.ts")
    shutil.copy(GENERATE, node_folder)
    with closing(Konnect(gate, gate.merchant())) as konnect:
        merchant = gate.merchant()
        keys = [gate.secret(merchant) for _ in range(3)]
        arguments = (gate.url, keys[0], str(konnect.headers["x-access-token"]), *keys[1:], merchant)
        called = _run("node", GENERATE.name, *map(str, documents.values()), "--", *arguments, folder=node_folder)
    assert called.returncode == 0, called.stderr
    result: dict[str, Any] = json.loads(called.stdout)
    assert result == {"stock": 1, "batch": 1, "departments": 1, "stream": "By TypeScript", "upload": 403}


def test_the_typescript_client_works(gate: HttpGate, documents: dict[str, Path], node_folder: Path) -> None:
    """It is built as its package says; it submits through lost connections, waits, reads pages, and fixes."""
    _need_node(WRAPPER_NODE_MIN, node_folder)
    project = node_folder / "client"
    shutil.copytree(TOP / "clients/typescript", project, ignore=shutil.ignore_patterns("node_modules", "dist"))
    package = json.loads((project / "package.json").read_text("utf-8"))
    needed = package["dependencies"] | package["devDependencies"]
    assert {f"{name}@{version}" for name, version in needed.items()} == {*NODE_PACKAGES}
    programs = node_folder / "node_modules/.bin"
    schema = ("-o", str(project / "src/schema.ts"))
    made = _run(str(programs / "openapi-typescript"), str(documents["native"]), *schema, folder=node_folder)
    assert made.returncode == 0, made.stderr
    built = _run(str(programs / "tsc"), "-p", str(project), folder=node_folder)
    assert built.returncode == 0, built.stdout
    shutil.copy(WRAPPER, project / "calls.mjs")
    proxy = CuttingProxy(gate.address[1], after_bytes=100_000)
    with closing(proxy):
        called = _run("node", str(project / "calls.mjs"), proxy.url, gate.secret(gate.merchant()), folder=node_folder)
    assert called.returncode == 0, called.stderr
    assert json.loads(called.stdout) == {
        "records": {"state": "finished", "created": 2000, "label": "from node"}, "items": 2000,
        "searched": ["N-01999"], "batches": 1, "changes": [2000, "created", "Cup 1", 1],
        "file": {"outcome": "partial", "rejected": 1}, "issues": ["price_unreadable"], "fixed": "clean",
        "refused": {"name": "RefusedError", "status": 404, "code": "batch_unknown"},
        "collections": ["file", "products"],
    }
