"""What can be set, answered, called or depended on is documented."""

import re
import tomllib
import typing

import click
import msgspec
import yaml

from goodsgate.cli import main
from goodsgate.cli.errors import ExitCode
from goodsgate.config import Config
from goodsgate.engine.refusal import REFUSALS
from goodsgate.http.problems import HTTP_REFUSALS, STATUSES
from goodsgate.model.audit import ACTIONS
from goodsgate.model.fields import FIELDS
from goodsgate.model.issue import CODES
from goodsgate.model.permissions import GRANTS, MEANINGS, PERMISSIONS
from goodsgate.model.remedies import REMEDIES
from goodsgate.model.versions import FIELD_GROUPS
from tests.conventions.source import CLIENT, PACKAGE, TOP

DOCS = TOP / "docs"
DECISION_LINES_MAX = 30
"""Without tables."""
OF_THE_SYSTEM = {"Address already in use"}
"""Parts of messages that come from the operating system."""


def _rows(page: str) -> dict[str, list[str]]:
    """First cell, without backticks and anchors → the other cells, of all table rows of a page."""
    rows = {}
    for line in (DOCS / page).read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) > 1:
            rows[re.sub(r"<[^>]+>|`", "", cells[0])] = [cell.replace("\\|", "|") for cell in cells[1:]]
    return rows


def _bounds(hint: object) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤"}
    bounds = [
        f"{signs[name]} {getattr(meta, name):,}"
        for meta in getattr(hint, "__metadata__", ())
        for name in signs
        if getattr(meta, name) is not None
    ]
    return ", ".join(bounds) or "–"


def test_settings_are_documented_with_default_and_bounds():
    """The table says what the code says."""
    rows = _rows("reference/settings.md")
    hints = typing.get_type_hints(Config, include_extras=True)
    violations = []
    for field in msgspec.structs.fields(Config):
        _, default, bounds, description = rows.get(field.name, ["", "", "", ""])
        expected = f"`{field.default}`" if isinstance(field.default, str) else f"{field.default:,}"
        if (default, bounds) != (expected, _bounds(hints[field.name])) or not description:
            violations.append(f"{field.name}: {default} {bounds}, expected {expected} {_bounds(hints[field.name])}")
    assert not violations


def test_no_unknown_setting_is_documented():
    """A setting that was removed leaves the table, too."""
    assert set(_rows("reference/settings.md")) - {"setting", "---"} == set(Config.__struct_fields__)


def test_issue_codes_are_documented_with_severity_message_and_remedy():
    """Each with an anchor, to which answers link; the remedies are those that API, command line and console show."""
    rows = _rows("reference/codes.md")
    page = (DOCS / "reference/codes.md").read_text("utf-8")
    undocumented = []
    for code, entry in CODES.items():
        severity, message, description, *_ = rows.get(code, ["", "", ""])
        expected = (entry.severity, entry.template, REMEDIES.get(code))
        if (severity, message, description) != expected or f'<a id="{code}">' not in page:
            undocumented.append(code)
    assert not undocumented
    assert list(REMEDIES) == list(CODES)


def test_refusals_are_documented_with_status_and_title():
    """The title in the table is the title in the answer."""
    rows = _rows("reference/refusals.md")
    titles = REFUSALS | HTTP_REFUSALS
    assert not [code for code, title in titles.items() if rows.get(code, [])[:2] != [str(STATUSES[code]), title]]


def test_every_refusal_says_what_to_do():
    """A code and a title alone leave people where they were."""
    refusals = REFUSALS.keys() | HTTP_REFUSALS.keys()
    assert [code for code, cells in _rows("reference/refusals.md").items() if code in refusals and not cells[2]] == []


def _sources() -> str:
    """Return the source of the gate and its client, with texts of several lines in one."""
    paths = [*PACKAGE.rglob("*.py"), *CLIENT.rglob("*.py")]
    return re.sub(r'"\n\s*f?"', "", "\n".join(path.read_text("utf-8") for path in paths))


def test_messages_of_the_page_for_troubles_exist():
    """Its first column repeats what the code says; what differs is `…`."""
    known = _sources()
    rows = [row for row in _rows("how-to/troubleshoot.md") if row not in ("message", "---")]
    fragments = {part.strip(" ,:`") for row in rows for part in row.split("…")}
    assert len(rows) > 30
    assert {part for part in fragments if len(part) > 3 and part not in known and part not in OF_THE_SYSTEM} == set()


def test_pages_that_messages_name_exist():
    """Messages say where to read on."""
    named = {*re.findall(r"docs/[\w/-]+\.md", _sources())}
    assert named
    assert {path for path in named if not (TOP / path).exists()} == set()


def test_the_times_of_the_page_for_capacity_are_those_that_were_measured():
    """They are repeated where people plan; the page of measurements says how they were made."""
    times = (DOCS / "why/capacity.md").read_text("utf-8").partition("## Time")[2]
    figures = {*re.findall(r"\| (\d[\d,.]*)(?= \|| ms \|)", times)}
    measured = (DOCS / "reference/performance.md").read_text("utf-8")
    assert len(figures) > 8
    assert {figure for figure in figures if not re.search(rf"\b{re.escape(figure)}\b", measured)} == set()


def test_no_unknown_code_is_documented():
    """A code that was removed leaves the tables, too."""
    assert set(_rows("reference/codes.md")) - {"code", "---"} == set(CODES)
    assert set(_rows("reference/refusals.md")) - {"code", "---"} == set(REFUSALS) | set(HTTP_REFUSALS)


def test_fields_are_documented_with_their_other_names():
    """What a column may be called."""
    page = (DOCS / "reference/records.md").read_text("utf-8")
    missing = [
        name for fields in FIELDS.values() for field in fields.values() for name in (field.name, *field.aliases)
        if f"`{name}`" not in page
    ]
    assert not missing


def test_groups_of_fields_are_documented():
    """Each with its fields."""
    page = (DOCS / "reference/records.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (`.*`) \|$", page, re.M))
    assert {group: {*re.findall(r"\w+", rows[group])} for group in FIELD_GROUPS} == FIELD_GROUPS


def test_every_command_is_documented():
    """By its full name, in the table of commands."""

    def commands(group: click.Group, name: str):
        for sub, command in group.commands.items():
            yield from commands(command, f"{name} {sub}") if isinstance(command, click.Group) else [f"{name} {sub}"]

    rows = [row.split() for row in _rows("reference/cli.md") if row.startswith("goodsgate ")]
    documented = {" ".join(word for word in row if re.fullmatch(r"[a-z]+(-[a-z]+)*", word)) for row in rows}
    assert set(commands(main, "goodsgate")) == documented


def test_every_exit_code_is_documented():
    """Scripts rely on them."""
    assert {str(code.value) for code in ExitCode} <= set(_rows("reference/cli.md"))


def test_permissions_scopes_and_actions_are_documented():
    """The tables say what the code says: what each scope grants, and what each action of the audit log means."""
    rows = _rows("reference/permissions.md")
    assert {name: rows[name] for name in MEANINGS if name not in GRANTS} == {
        name: [meaning] for name, meaning in MEANINGS.items() if name not in GRANTS
    }
    text = (DOCS / "reference/permissions.md").read_text("utf-8")
    assert [f"| `{name}` | {meaning} |" for name, meaning in MEANINGS.items() if f"| {meaning} |" not in text] == []
    assert {scope: rows[scope][1:] for scope in GRANTS} == {
        scope: ["yes" if permission in granted else "" for permission in PERMISSIONS]
        for scope, granted in GRANTS.items()
    }
    actions = {name: cells for name, cells in _rows("reference/audit.md").items() if "." in name}
    assert actions == {name: [meaning] for name, meaning in ACTIONS.items()}


def test_every_route_is_documented():
    """The overview holds what the contract holds."""
    contract = yaml.safe_load((PACKAGE / "protocols/native/openapi.yaml").read_text("utf-8"))
    verbs = ("get", "post", "put", "delete", "patch")
    routes = {f"{verb.upper()} {path}" for path, item in contract["paths"].items() for verb in verbs if verb in item}
    assert {row for row in _rows("reference/http.md") if re.match(r"[A-Z]+ /", row)} == routes


def test_every_dependency_has_its_reason():
    """Runtime, extras and development; the constraints pin all of them."""
    project = tomllib.loads((TOP / "pyproject.toml").read_text("utf-8"))
    needed = [*project["project"]["dependencies"]]
    for extra in project["project"]["optional-dependencies"].values():
        needed += extra
    names = {re.split(r"[>=<~! \[]", need)[0] for need in needed} - {"goodsgate"}
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


def test_decisions_are_short_and_numbered():
    """About twenty lines; the title is the decision."""
    violations = []
    for path in sorted((DOCS / "decisions").glob("*.md")):
        text = path.read_text("utf-8")
        prose = [line for line in text.splitlines() if not line.startswith("|")]
        if not re.match(rf"# {path.name[:4]} [A-Z]", text) or len(prose) > DECISION_LINES_MAX:
            violations.append(path.name)
    assert not violations
    numbers = [path.name[:4] for path in (DOCS / "decisions").glob("*.md")]
    assert len(numbers) == len({*numbers}), sorted(numbers)
