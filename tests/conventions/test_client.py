"""What the package of the client is made of, and what follows the gate."""

import ast
import importlib.util
import sys
import tomllib
import typing
from pathlib import Path
from types import ModuleType

import msgspec
import pytest
import yaml

import goodsgate
import goodsgate_client
from goodsgate_client import models
from goodsgate_client.options import SubmitOptions
from tests.conventions.source import CLIENT, PACKAGE, TOP

PROJECT = TOP / "clients" / "python"
CONTRACT = yaml.safe_load((PACKAGE / "protocols/native/openapi.yaml").read_text("utf-8"))
SCHEMAS = CONTRACT["components"]["schemas"]


def generator() -> ModuleType:
    """Import the script that generates a part of the client."""
    spec = importlib.util.spec_from_file_location("generate_client", PROJECT / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_files_are_current() -> None:
    """If this fails, run `python clients/python/generate.py` with the gate on the path."""
    generated: dict[Path, str] = generator().generated()
    assert [path.name for path, text in generated.items() if path.read_text("utf-8") != text] == []


def test_it_depends_on_two_libraries() -> None:
    """On httpx and msgspec, and never on the gate."""
    allowed = {"httpx", "msgspec", "goodsgate_client"} | sys.stdlib_module_names
    imported = set()
    for path in CLIENT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").split(".")[0])
    assert imported - allowed == set()
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
    assert {need.partition(">")[0] for need in project["dependencies"]} == {"httpx", "msgspec"}


def test_it_has_the_version_of_the_gate_and_its_types() -> None:
    """A gate and its client are released together."""
    assert goodsgate_client.__version__ == goodsgate.__version__
    assert (CLIENT / "py.typed").exists()


def test_every_option_of_a_submission_is_known() -> None:
    """And no other."""
    parameters = CONTRACT["paths"]["/v1/batches"]["post"]["parameters"]
    names = set()
    for parameter in parameters:
        reference = parameter.get("$ref", "").rpartition("/")[2]
        parameter = CONTRACT["components"]["parameters"][reference] if reference else parameter
        if parameter["in"] == "query":
            names.add(parameter["name"])
    assert set(SubmitOptions.__annotations__) == names


def _properties(schema: dict[str, typing.Any]) -> set[str]:
    """Return the members of a schema and of those that it is made of."""
    if "$ref" in schema:
        schema = SCHEMAS[schema["$ref"].rpartition("/")[2]]
    names = set(schema.get("properties", {}))
    for part in (*schema.get("allOf", ()), *schema.get("oneOf", ())):
        names |= _properties(part)
    return names


@pytest.mark.parametrize("model", [
    models.Batch, models.Counts, models.ReadingDecision, models.IssueGroup, models.Issue, models.Item, models.Change,
    models.FixMatch, models.SuggestionGroup,
])
def test_members_of_models_are_those_of_the_contract(model: type[msgspec.Struct]) -> None:
    """A renamed member would otherwise be read as missing."""
    assert set(model.__struct_fields__) - {"raw"} <= _properties(SCHEMAS[model.__name__])


def test_both_clients_have_the_same_methods() -> None:
    """Those of the asynchronous one are coroutines or iterate asynchronously."""
    here, there = (
        {name for name in dir(kind) if not name.startswith("_")}
        for kind in (goodsgate_client.Client, goodsgate_client.AsyncClient)
    )
    assert there - here == {"aclose"}
    assert here - there == {"close"}
