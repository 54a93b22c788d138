"""Python clients that a common generator makes from the contracts that a gate serves."""

import importlib
import io
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
from openapi_python_client import generate
from openapi_python_client.config import Config, ConfigFile, MetaType

CONTRACTS = {
    "native": "/v1/openapi.json", "konnect": "/v3/openapi.json", "productsup": "/streams/openapi.json",
    "justwalkout": "/v1/catalog/openapi.json", "mircate": "/mircate/openapi.json",
}
"""Protocol → path of its document."""
FILES = (
    "application/x-ndjson", "text/csv", "text/tab-separated-values", "application/xml", "application/zip",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "application/yaml",
    "image/avif", "image/gif", "image/jpeg", "image/png", "image/tiff", "image/webp",
)
"""Content types that the generator does not know and is told to treat as files."""


CHECK_OF_A_LIST = re.compile(r"isinstance\(body, list\[\w+\]\)")
"""What this version of the generator writes where a body is a list or a file, and Python refuses."""


class GeneratedClient:
    """A generated package, and the HTTP client that it calls a gate with."""

    def __init__(self, package: str, client: httpx.Client) -> None:
        self._package = package
        root = self._module("client")
        self._client = root.Client(base_url=str(client.base_url)).set_httpx_client(client)

    def model(self, name: str, **members: Any) -> Any:
        """Return a model of the package, as its class reads it from JSON."""
        words = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).removeprefix("_")
        return getattr(self._module(f"models.{words}"), name).from_dict(members)

    def file(self, content: bytes) -> Any:
        """Return bytes as the package sends them."""
        return self._module("types").File(payload=io.BytesIO(content))

    def call(self, operation: str, *path: str, **arguments: Any) -> Any:
        """Call an operation such as ``catalogue.item`` and return the model of its answer."""
        answer = self._module(f"api.{operation}").sync_detailed(*path, client=self._client, **arguments)
        assert answer.status_code < 400, answer.content
        assert answer.parsed is not None, answer.content
        return answer.parsed

    def _module(self, name: str) -> ModuleType:
        return importlib.import_module(f"{self._package}.{name}")


def generate_client(protocol: str, document: Path) -> list[str]:
    """Generate the package ``generated_<protocol>`` beside a document; return errors and warnings."""
    settings = ConfigFile(
        content_type_overrides=dict.fromkeys(FILES, "application/octet-stream"), post_hooks=[], literal_enums=True
    )
    package = document.with_name(package_name(protocol))
    config = Config.from_sources(
        settings, MetaType.NONE, document_source=document, file_encoding="utf-8", overwrite=True, output_path=package
    )
    if str(document.parent) not in sys.path:
        sys.path.append(str(document.parent))
    importlib.invalidate_caches()
    problems = [f"{error.header} {error.detail}" for error in generate(config=config)]
    for module in package.rglob("api/*/*.py"):
        module.write_text(CHECK_OF_A_LIST.sub("isinstance(body, list)", module.read_text("utf-8")), "utf-8")
    return problems


def package_name(protocol: str) -> str:
    """Return the name of the package of a protocol."""
    return f"generated_{protocol}"
