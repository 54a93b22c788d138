"""Options of a submission, and how they are written in a query."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

Kind = Literal["product", "price", "stock"]
Format = Literal["ndjson", "json", "csv", "tsv", "xlsx", "xml"]


class SubmitOptions(TypedDict, total=False):
    """How the records of a submission are read and treated; see ``POST /v1/batches``. None is the gate's default."""

    kind: Kind | None
    verb: Literal["upsert", "create", "update", "delete"] | None
    """Operation for records without `_verb`."""
    collection: str | None
    format: Format | str | None
    """Format of the content. Default: detected."""
    duplicates: Literal["reject", "merge", "last"] | None
    replace: bool | None
    """Replace whole items. By default, fields that a record lacks keep their values."""
    dry_run: bool | None
    """Apply nothing, and show what the submission would change."""
    empty: Literal["keep", "clear"] | None
    references: Literal["refuse", "wait", "warn", "off"] | None
    waiting_hours: float | None
    hold_if: Mapping[str, str] | str | None
    """Conditions under which the batch is held before anything of it is applied, such as ``{"rejected": "10%"}``."""
    hold: Literal["wait", "pass"] | None
    hold_hours: float | None
    mode: Literal["delta", "full"] | None
    """`full`: delete items that the submission does not contain."""
    delete_share_max: float | None
    currency: str | None
    decimal: Literal["point", "comma"] | None
    encoding: str | None
    sheet: str | None
    profile: str | None
    header_row: int | None
    delimiter: str | None
    records_at: str | None
    group: str | None
    key: Literal["derived"] | None
    map: Mapping[str, str | Sequence[str]] | str | None
    """Column → field or fields; an empty field excludes the column from the checks."""
    empty_words: Sequence[str] | str | None
    label: str | None
    """Name of the submission. Default: the file name."""


def query_of(options: Mapping[str, Any]) -> dict[str, str]:
    """Return options as query parameters; None is left out. Raises ValueError."""
    return {name: _text(name, value) for name, value in options.items() if value is not None}


def _text(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        pairs = [(column, field) for column, fields in value.items() for field in _fields(fields)]
        if wrong := next((text for pair in pairs for text in pair if "," in text), None):
            raise ValueError(f"{name} cannot hold {wrong!r}, which has a comma; save a profile that maps it instead")
        return ",".join(f"{column}:{field}" for column, field in pairs)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(value)
    return str(value)


def _fields(fields: str | Sequence[str]) -> Sequence[str]:
    return [fields] if isinstance(fields, str) else fields or [""]
