"""Preview of a file before it is submitted: its format, its columns, and example values."""

import msgspec

from goodsgate.console.upload import Fields
from goodsgate.engine.inspection import ColumnSample, FileSample, Inspection
from goodsgate.engine.receive import parse_delimiter, parse_empty_words, parse_encoding
from goodsgate.engine.refusal import Refusal
from goodsgate.engine.saved_guards import parse_conditions
from goodsgate.http.problems import refuse
from goodsgate.model.batch import Kind, Policy, Verb

MAP_PREFIX = "map:"
"""Prefix of the form fields that map a column."""
UNCHECKED = "-"
"""Form value for a column that is stored unchecked."""

POLICY_FIELDS = (
    "verb", "mode", "decimal", "format", "encoding", "sheet", "header_row", "delimiter", "records_at", "profile",
    "group", "key", "currency", "duplicates", "replace", "empty", "references", "waiting_hours", "empty_words",
    "dry_run", "hold_if", "hold", "hold_hours",
)
"""The parts of a policy that the form contains."""


class ColumnPreview(msgspec.Struct, frozen=True, kw_only=True):
    """One column or member of the file."""

    column: ColumnSample
    selected: str
    """The field selected in the form, UNCHECKED, or empty for automatic detection."""


def parse_policy(form: Fields) -> Policy:
    """Return the policy in the form, without its columns; raises parameter_invalid."""
    given: dict[str, object] = {name: form[name] for name in POLICY_FIELDS if form.get(name)}
    if "encoding" in given:
        given["encoding"] = parse_encoding(form["encoding"])
    if "delimiter" in given:
        given["delimiter"] = parse_delimiter(form["delimiter"])
    if "empty_words" in given:
        given["empty_words"] = parse_empty_words(form["empty_words"])
    if "hold_if" in given:
        given["hold_if"] = parse_conditions(form["hold_if"])
    try:
        policy = msgspec.convert(given, Policy, strict=False)
    except msgspec.ValidationError as error:
        raise refuse("parameter_invalid", f"{error}.", parameter="policy") from error
    currency = policy.currency
    if currency is not None and not (currency.isascii() and currency.isupper() and len(currency) == 3):
        raise refuse("parameter_invalid", "A currency has three capital letters, such as EUR.", parameter="currency")
    if policy.mode == "full" and policy.verb is not Verb.UPSERT:
        raise Refusal("parameter_invalid", "mode=full requires verb=upsert.", parameter="mode", expected="verb=upsert")
    return policy


def parse_kind(form: Fields) -> Kind:
    """Return the kind of records in the form; raises parameter_invalid."""
    try:
        return Kind(form.get("kind") or "product")
    except ValueError as error:
        raise refuse("parameter_invalid", f"{error}.", parameter="kind") from error


def with_columns(policy: Policy, form: Fields) -> Policy:
    """Return the policy with the fields that were chosen for columns, unless they were chosen for another profile."""
    if form.get("mapped_with", "") != (policy.saved_profile or ""):
        return policy
    mapping = dict(policy.mapping)
    for form_field, selected in form.items():
        if not form_field.startswith(MAP_PREFIX):
            continue
        column = form_field[len(MAP_PREFIX):]
        if selected == UNCHECKED:
            mapping[column] = []
        elif not selected:
            mapping.pop(column, None)
        elif selected != "+".join(mapping.get(column, [])):
            mapping[column] = [selected]
    return msgspec.structs.replace(policy, mapping=mapping)


def preview_columns(sample: FileSample, mapping: dict[str, list[str]]) -> list[ColumnPreview]:
    """Return the columns of a file with what the form says about them."""
    return [ColumnPreview(column=column, selected=_selected(mapping.get(column.name))) for column in sample.columns]


def sheets_of(inspection: Inspection) -> list[str]:
    """Return the names of the sheets of a workbook, the one that is read first."""
    read = [decision.value for decision in inspection.sample.reading if decision.what == "sheet"]
    others = [value for group in inspection.groups if group.code == "sheets_ignored" for value, _ in group.top]
    return [*dict.fromkeys([*read, *(name for value in others for name in value.split(", "))])]


def _selected(fields: list[str] | None) -> str:
    if fields is None:
        return ""
    return "+".join(fields) or UNCHECKED
