"""What can be set, answered, called or depended on is documented."""

import re
import tomllib
import typing

import click
import msgspec
import pytest
import yaml

from goodsgate.cli import main
from goodsgate.cli.exits import Exit
from goodsgate.config import Config
from goodsgate.engine.refusal import REFUSALS
from goodsgate.http.problems import HTTP_REFUSALS, STATUSES
from goodsgate.model.fields import FIELDS
from goodsgate.model.issue import CODES
from tests.house.source import PACKAGE, TOP

DOCS = TOP / "docs"


def _rows(page: str) -> dict[str, list[str]]:
    """First cell, without backticks and anchors → the other cells, of all table rows of a page."""
    rows = {}
    for line in (DOCS / page).read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) > 1:
            rows[re.sub(r"<[^>]+>|`", "", cells[0])] = [cell.replace("\\|", "|") for cell in cells[1:]]
    return rows


def _bounds(hint: object) -> str:
    words = {"ge": "≥", "gt": ">", "le": "≤"}
    said = [
        f"{words[name]} {getattr(meta, name):,}"
        for meta in getattr(hint, "__metadata__", ())
        for name in words
        if getattr(meta, name) is not None
    ]
    return ", ".join(said) or "–"


@pytest.mark.parametrize("field", msgspec.structs.fields(Config), ids=lambda field: field.name)
def test_a_setting_is_documented_with_its_default_and_bound(field):
    """The table says what the code says."""
    _, default, bound, what = _rows("reference/settings.md")[field.name]
    hints = typing.get_type_hints(Config, include_extras=True)
    assert default == (f"`{field.default}`" if isinstance(field.default, str) else f"{field.default:,}")
    assert bound == _bounds(hints[field.name])
    assert what


def test_no_setting_is_documented_that_is_not_there():
    """Nobody sets what nobody reads."""
    assert set(_rows("reference/settings.md")) - {"setting", "---"} == set(Config.__struct_fields__)


@pytest.mark.parametrize("code", CODES)
def test_a_code_is_documented_with_its_severity_and_message(code):
    """And with an anchor, to which answers link."""
    severity, message, what = _rows("reference/codes.md")[code]
    assert severity == CODES[code].severity
    assert message == CODES[code].template
    assert what
    assert f'<a id="{code}">' in (DOCS / "reference/codes.md").read_text("utf-8")


@pytest.mark.parametrize("code", REFUSALS | HTTP_REFUSALS)
def test_a_refusal_is_documented_with_its_status(code):
    """The title is the code's own."""
    status, title = _rows("reference/refusals.md")[code]
    assert status == str(STATUSES[code])
    assert title == (REFUSALS | HTTP_REFUSALS)[code]


def test_no_code_is_documented_that_is_not_there():
    """A code that went leaves no trace."""
    assert set(_rows("reference/codes.md")) - {"code", "---"} == set(CODES)
    assert set(_rows("reference/refusals.md")) - {"code", "---"} == set(REFUSALS) | set(HTTP_REFUSALS)


@pytest.mark.parametrize("kind", FIELDS)
def test_every_field_is_documented_with_its_other_names(kind):
    """What a column may be called."""
    page = (DOCS / "reference/records.md").read_text("utf-8")
    missing = [
        name for field in FIELDS[kind].values() for name in (field.name, *field.aliases) if f"`{name}`" not in page
    ]
    assert not missing


def test_every_command_is_documented():
    """By its full name, in the table of commands."""

    def commands(group: click.Group, name: str):
        for sub, command in group.commands.items():
            yield from commands(command, f"{name} {sub}") if isinstance(command, click.Group) else [f"{name} {sub}"]

    rows = [row.split() for row in _rows("reference/cli.md") if row.startswith("goodsgate ")]
    documented = {" ".join(word for word in row if re.fullmatch(r"[a-z]+", word)) for row in rows}
    assert set(commands(main, "goodsgate")) == documented


def test_every_exit_code_is_documented():
    """Scripts rely on them."""
    assert {str(code.value) for code in Exit} <= set(_rows("reference/cli.md"))


def test_every_route_is_documented():
    """The overview holds what the contract holds."""
    contract = yaml.safe_load((PACKAGE / "protocols/native/openapi.yaml").read_text("utf-8"))
    verbs = ("get", "post", "put", "delete", "patch")
    routes = {f"{verb.upper()} {path}" for path, item in contract["paths"].items() for verb in verbs if verb in item}
    assert {row for row in _rows("reference/http.md") if re.match(r"[A-Z]+ /", row)} == routes


def test_every_dependency_has_its_reason():
    """Runtime and development; the constraints pin all of them."""
    project = tomllib.loads((TOP / "pyproject.toml").read_text("utf-8"))
    needed = [*project["project"]["dependencies"], *project["project"]["optional-dependencies"]["dev"]]
    names = {re.split(r"[>=<~! \[]", need)[0] for need in needed}
    reasons = (DOCS / "decisions/0001-dependencies.md").read_text("utf-8")
    assert {name for name in names if f"`{name}`" not in reasons} == set()
    pinned = {re.sub(r"[-_.]+", "-", line.split("==")[0]).lower() for line in _constraints()}
    assert names | set(project["build-system"]["requires"]) <= pinned


def test_constraints_are_exact_and_name_no_host():
    """One version of each, from wherever packages come."""
    assert [line for line in _constraints() if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.]*", line)] == []


def _constraints() -> list[str]:
    lines = (TOP / "constraints.txt").read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("decision", sorted((DOCS / "decisions").glob("*.md")), ids=lambda path: path.stem)
def test_a_decision_is_short_and_numbered(decision):
    """About twenty lines; the title is the decision."""
    text = decision.read_text("utf-8")
    assert re.match(rf"# {decision.name[:4]} [A-Z]", text)
    assert len(text.splitlines()) <= 40
