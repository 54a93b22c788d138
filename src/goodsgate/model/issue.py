"""Issues and the table of their codes."""

import re
from collections.abc import Iterable
from typing import Literal

import msgspec

from goodsgate.model.json_text import write_json

Severity = Literal["error", "warning"]

RULE = "rule"
"""Code of the issues of merchants' own rules; each has the name of its rule behind a point: ``rule.minimum-price``."""
VALUE_CHARACTERS_MAX = 200
"""Maximum length of the value in an issue; longer values are truncated with an ellipsis."""
EXPECTED_CHARACTERS_MAX = 500
"""Likewise of what was expected."""
SUGGESTION_CHARACTERS_MAX = 500
"""Longer suggestions are left out: a million repaired descriptions would outgrow the catalogue."""


class Code(msgspec.Struct, frozen=True):
    """An entry of the table of codes; a code never changes its meaning."""

    severity: Severity
    """An error rejects the record; a warning does not. A policy can turn a reference issue into a warning."""
    template: str
    """The message, with the placeholders {value}, {expected}, {field} and {suggestion}."""
    about: Literal["file", "record"] = "record"


COUNTED_ONE = re.compile(r"\b1 (column|hour|worker)s\b")
"""Nouns that messages count with their value."""


class Issue(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is wrong with one field of one record, or with the file."""

    code: str
    path: str = ""
    """JSON Pointer (RFC 6901) into the record in Goodsgate's field names; empty for the whole record."""
    column: str | None = None
    """The submitter's own column or member, if it differs from the path."""
    value: str | None = None
    """As received, truncated to VALUE_CHARACTERS_MAX; None if the field is missing."""
    expected: str | None = None
    """Truncated to EXPECTED_CHARACTERS_MAX."""
    suggestion: str | None = None
    """A value that a program can use instead of the received one; at most SUGGESTION_CHARACTERS_MAX long."""
    severity: Severity = "error"

    @property
    def message(self) -> str:
        """The message of the code with the values of this issue, one sentence for people."""
        name = self.column or self.path.lstrip("/") or "record"
        message = CODES[base_code(self.code)].template.format(
            value=self.value, expected=self.expected, field=name, suggestion=self.suggestion
        )
        return COUNTED_ONE.sub(r"1 \1", message) if self.value == "1" else message

    @property
    def field(self) -> str:
        """The path with array positions as ``*``, by which issues are grouped."""
        if not any(character.isdigit() for character in self.path):
            return self.path
        return "/".join("*" if part.isdigit() else part for part in self.path.split("/"))


def rule_code(name: str) -> str:
    """Return the issue code of a merchant's rule."""
    return f"{RULE}.{name}"


def rule_name(code: str) -> str | None:
    """Return the name of the merchant's rule that an issue code stands for; None for a code of the gate."""
    return code[len(RULE) + 1 :] if code.startswith(f"{RULE}.") else None


def base_code(code: str) -> str:
    """Return the entry of `CODES` for a code."""
    return RULE if code.startswith(f"{RULE}.") else code


def truncate_value(value: object) -> str | None:
    """Return a value as the text that an issue contains; None for None."""
    if value is None:
        return None
    text = value if isinstance(value, str) else write_json(value).decode()
    return text if len(text) <= VALUE_CHARACTERS_MAX else text[: VALUE_CHARACTERS_MAX - 1] + "…"


def if_short(suggestion: str | None) -> str | None:
    """Return the suggestion if it is short enough to be stored, else None."""
    return suggestion if suggestion and len(suggestion) <= SUGGESTION_CHARACTERS_MAX else None


def issue(
    code: str, path: str = "", *, value: object = None, expected: str | None = None, suggestion: str | None = None,
    severity: Severity | None = None, column: str | None = None,
) -> Issue:
    """Create an issue with the severity of its code, unless another one is given."""
    if expected is not None and len(expected) > EXPECTED_CHARACTERS_MAX:
        expected = expected[: EXPECTED_CHARACTERS_MAX - 1] + "…"
    if suggestion is not None and len(suggestion) > SUGGESTION_CHARACTERS_MAX:
        suggestion = None
    return Issue(
        code=code, path=path, column=column, value=truncate_value(value), expected=expected, suggestion=suggestion,
        severity=severity or CODES[code].severity,
    )


def has_error(issues: Iterable[Issue]) -> bool:
    """Return whether a record with these issues is rejected."""
    for each in issues:  # noqa: SIM110 - called for every record with issues
        if each.severity == "error":
            return True
    return False


def is_unsound(issues: Iterable[Issue]) -> bool:
    """Return whether the issues of a rejected record leave it open which item the record was about."""
    return any(
        each.severity == "error" and (each.path in ("/id", "/location") or each.code in UNSOUND_CODES)
        for each in issues
    )


def _error(template: str) -> Code:
    return Code("error", template)


def _warning(template: str) -> Code:
    return Code("warning", template)


CODES: dict[str, Code] = {
    # the file as a whole (record number 0)
    "encoding_uncertain": Code(
        "error", "The encoding of the file is not certain ({value}). Name it with `encoding`.", "file"
    ),
    "encoding_guessed": Code("warning", "The file is not valid UTF-8; it was read as {value}.", "file"),
    "header_duplicate": Code(
        "warning", 'Column "{value}" appears more than once; a later one is used where the first is empty.', "file"
    ),
    "header_unknown": Code("warning", 'Unrecognized column "{value}"; stored unchanged.', "file"),
    "header_key_ambiguous": Code(
        "error", "Several columns may be the SKU: {value}. Name one, for example with `map={suggestion}`.", "file"
    ),
    "header_field_repeated": Code(
        "warning", 'Column "{value}" means the same field as {expected} and is not used; map it to use it.', "file"
    ),
    "member_unrecognized": Code("warning", 'Unrecognized member "{value}"; stored unchanged.', "file"),
    "header_title_described": Code(
        "warning", 'No title column found; "{value}" is used as the title, too. Map another with `map=COLUMN:title`.',
        "file",
    ),
    "header_key_missing": Code("error", "No SKU column found. Map one with `--map YourColumn:id`.", "file"),
    "header_currency_ambiguous": Code(
        "error", "Columns with {expected} in several currencies: {value}. Name the currency with `currency`.", "file"
    ),
    "header_field_shared": Code(
        "warning", 'Column "{value}" means the same field as {expected}; it is used where that one is empty.', "file"
    ),
    "map_column_missing": Code(
        "error", 'The mapping names column "{value}", which the file does not have; its columns are {expected}.', "file"
    ),
    "rows_empty": Code("warning", "Skipped empty rows: {value}.", "file"),
    "sheets_ignored": Code("warning", "Other sheets were not read: {value}. Choose one with `sheet`.", "file"),
    "sheet_unknown": Code("error", 'There is no sheet "{value}"; the sheets are {expected}.', "file"),
    "header_row_blank": Code("error", "Row {value} is empty or missing, so it cannot be the header.", "file"),
    "rows_above_header": Code("warning", "Rows above the header were not read: {value}.", "file"),
    "cells_merged": Code("warning", "Merged cells ({value}): only the first cell of each has the value.", "file"),
    "cells_without_header": Code("warning", "Cells in columns without a header were not read: {value}.", "file"),
    "group_column_unknown": Code(
        "error", 'There is no column "{value}" by which rows could be grouped; expected {expected}.', "file"
    ),
    "group_parents_too_large": Code(
        "error", "The parent rows of the file are too large; expected {expected}. Put each parent before its variants.",
        "file",
    ),
    "records_ambiguous": Code(
        "error",
        "Several lists of the file may be the records: {value}. Name one, for example with `records_at={suggestion}`.",
        "file",
    ),
    "records_missing": Code("error", 'Found no records at "{value}" (`records_at`).', "file"),
    "archive_ambiguous": Code("error", "The ZIP archive contains several data files: {value}.", "file"),
    "payload_html": Code("error", "The file is an HTML page, not product data ({value}).", "file"),
    "payload_empty": Code("error", "The file contains no records.", "file"),
    "payload_truncated": Code("error", "The file ends unexpectedly: {value}.", "file"),
    "payload_corrupt": Code("error", "The file is corrupt and cannot be read further: {value}.", "file"),
    "payload_inflates": Code(
        "error", "The file expands too much when decompressed ({value}); expected {expected}.", "file"
    ),
    "parsing_too_slow": Code(
        "error",
        "Reading the {value} takes too long; expected {expected}. Delete unused cells and sheets, or send a CSV.",
        "file",
    ),
    "payload_sparse": Code(
        "error", "{value} bytes of the file contain no record, such as blank lines; expected {expected}.", "file"
    ),
    "records_too_many": Code("error", "The file contains too many records; expected {expected}.", "file"),
    "columns_too_many": Code("error", "The file has too many columns ({value}); expected {expected}.", "file"),
    "round_fault": Code("error", "Internal error while processing this file; it is logged as {value}.", "file"),
    "trouble_ordered": Code("error", "Rejected because trouble was ordered for this submission.", "record"),
    "worker_died": Code(
        "error", "{value} workers ended while processing this file. Send it in smaller parts, or as CSV.", "file"
    ),
    # reading one record
    "line_unreadable": _error("Invalid JSON: {value}."),
    "line_too_long": _error("The line is too long; expected {expected}."),
    "line_too_deep": _error("The record is nested too deeply; expected {expected}."),
    "line_incomplete": _error("The last line is incomplete: {value}."),
    "record_not_object": _error("A record must be a JSON object, not {value}."),
    "cell_too_long": _error("The cell is too long; expected {expected}."),
    "row_ragged": _error("Row has {value} columns, header has {expected}; check for an unquoted delimiter."),
    "cell_error": _error("{field} contains the spreadsheet error {value}; correct it, or clear the cell."),
    "formula_without_value": _error(
        "{field} contains a formula without a stored value; recalculate and save the workbook, or send it as CSV."
    ),
    "quotes_broken": _error("Unbalanced quotes: {value}."),
    "nul_bytes": _error("The record contains NUL bytes."),
    "nul_characters": _error("{field} contains the character NUL (\\u0000); remove it."),
    "encoding_broken": _error("The record contains bytes that are not valid {expected}: {value}."),
    "verb_unknown": _error('Unknown verb "{value}"; expected one of {expected}.'),
    "not_applied": _error("Not applied, because of an error of the file as a whole: {value}"),
    "field_conflict": _error('{field} is "{value}", but another name for the same field has {expected}.'),
    "field_repeated": _warning('{field} means the same field as {expected}, and says the same or nothing.'),
    "list_first_used": _warning("{field} has several values; the first one ({expected}) is used."),
    "value_placeholder": _error('{field} is "{value}", which stands for a missing or broken value.'),
    "text_mark": _warning('{field} "{value}" has a spreadsheet\'s mark for text; it was read as {suggestion}.'),
    "field_type": _error("{field} has the wrong type; expected {expected}."),
    # identity: SKU, GTIN
    "sku_missing": _error("The SKU (id) is missing."),
    "sku_too_long": _error("The SKU is too long; expected {expected}."),
    "sku_characters": _error('SKU "{value}" contains control or invisible characters.'),
    "sku_edge_blanks": _error('SKU "{value}" has leading or trailing whitespace; expected "{suggestion}".'),
    "sku_lookalike": _error(
        'SKU "{value}" has characters that look like others (decomposed, full-width or unusual blanks); '
        'expected "{suggestion}".'
    ),
    "sku_rounded": _error("SKU {value} was rounded by a spreadsheet and digits are lost; export the column as text."),
    "sku_number_format": _error(
        "{field} {value} is a number whose format leaves open how it is written; format the column as text."
    ),
    "total_row": _error('"{value}" is a total, not a SKU; the row is not applied.'),
    "gtin_rounded": _error("GTIN {value} was rounded by a spreadsheet and digits are lost; export the column as text."),
    "gtin_zeros_lost": _error("GTIN {value} appears to be missing leading zeros; did you mean {suggestion}?"),
    "gtin_check_digit": _error("GTIN {value} has a wrong check digit; expected {suggestion}."),
    "gtin_characters": _error('GTIN "{value}" contains non-digit characters; expected {expected}.'),
    "gtin_length": _error("GTIN {value} has the wrong length; expected {expected}."),
    "barcode_form": _error('Barcode "{value}" is not valid for its barcode type; expected {expected}.'),
    "variant_repeated": _error('Two variants have the same id "{value}".'),
    # wording
    "field_missing": _error("{field} is missing."),
    "text_empty": _warning("{field} is empty; omit it if there is no value."),
    "text_too_long": _error("{field} is too long; expected {expected}."),
    "text_too_short": _error("{field} is too short; expected {expected}."),
    "text_form": _error('{field} "{value}" is not valid; expected {expected}.'),
    "list_too_short": _error("{field} has too few entries; expected {expected}."),
    "list_too_long": _warning("{field} has too many values; expected {expected}."),
    "text_edge_blanks": _warning("{field} has leading or trailing whitespace."),
    "text_markup": _warning("{field} contains HTML."),
    "text_entities": _warning("{field} contains HTML entities instead of characters."),
    "text_lost_characters": _warning(
        "{field} contains replacement characters (U+FFFD); text was lost in an earlier conversion."
    ),
    "text_mojibake": _warning("{field} looks garbled (wrong encoding)."),
    "text_control_characters": _warning("{field} contains control characters or line breaks."),
    "value_not_allowed": _error('{field} "{value}" is not an allowed value; expected {expected}.'),
    "value_spelling": _warning('{field} "{value}" is misspelled; expected "{suggestion}".'),
    # amounts
    "price_unreadable": _error('"{value}" is not a valid price; expected {expected}.'),
    "price_decimal_mark": _error(
        'Price "{value}" uses the wrong decimal mark; expected {expected} (or set `decimal` to match the file).'
    ),
    "price_thousands": _error('Price "{value}" contains a thousands separator; expected {expected}.'),
    "price_ambiguous": _error('Price "{value}" is ambiguous: {expected}.'),
    "price_currency_form": _error('Price "{value}" does not end with a currency code; expected {expected}.'),
    "price_negative": _error('Price "{value}" is negative.'),
    "price_zero": _warning("The price is zero."),
    "price_decimals": _error('Price "{value}" has too many decimal places for its currency; expected {expected}.'),
    "price_too_large": _error('Price "{value}" is too large; expected {expected}.'),
    "currency_conflict": _error('{field} "{value}" contradicts the currency that is named for it, {expected}.'),
    "currency_missing": _error('Price "{value}" has no currency; expected {expected}.'),
    "sale_price_above_price": _error('Sale price "{value}" is higher than the price, {expected}.'),
    "sale_price_currency": _error('Sale price "{value}" must use the currency of the price; expected {expected}.'),
    "number_unreadable": _error('{field} "{value}" is not a whole number.'),
    "number_not_whole": _error("{field} is {value}; expected a whole number."),
    "number_negative": _error("{field} is {value}; it cannot be negative."),
    "number_out_of_range": _error('{field} "{value}" is out of range; expected {expected}.'),
    "measure_ambiguous": _error(
        '{field} "{value}" is ambiguous: {expected}. Set `decimal` to the decimal mark of the file.'
    ),
    "measure_unreadable": _error('{field} "{value}" is not a valid measure; expected {expected}.'),
    "measure_out_of_range": _warning('{field} "{value}" is out of range; expected {expected}.'),
    "unit_missing": _warning('{field} "{value}" has no unit; expected one of {expected}.'),
    "unit_conflict": _warning('{field} "{value}" names another unit than its column, {expected}; its own is used.'),
    "date_unreadable": _error('{field} "{value}" is not a valid date; expected {expected}.'),
    "date_zone_missing": _warning('{field} "{value}" has no UTC offset; it is read as UTC.'),
    "observed_in_future": _error('{field} "{value}" is too far in the future; expected {expected}.'),
    "date_range_reversed": _error("{field} ends before it begins."),
    "url_not_absolute": _error('{field} "{value}" is not an absolute URL; expected {expected}.'),
    "url_blanks": _error("{field} contains spaces, which are not allowed in a URL."),
    "url_several": _error('{field} "{value}" holds several URLs; expected one.'),
    "url_not_ascii": _warning("{field} contains characters that must be percent-encoded in a URL."),
    # references; a policy says whether these reject the record
    "currency_unknown": _error('"{value}" is not an active ISO 4217 code.'),
    "country_unknown": _error('Unknown country "{value}"; expected {expected}.'),
    "unit_unknown": _error('Unit "{value}" is not allowed here; expected one of {expected}.'),
    "brand_unknown": _error('Unknown brand "{value}".'),
    "category_unknown": _error('Unknown category "{value}".'),
    "tax_rule_unknown": _error('Unknown tax rule "{value}".'),
    "location_unknown": _error('Unknown location "{value}".'),
    "reference_overdue": _error("Waited {value} hours for a reference that did not arrive."),
    "sku_unknown": _error('No product has SKU "{value}".'),
    "department_unknown": _error('Unknown department "{value}".'),
    "template_unknown": _error('Unknown template "{value}".'),
    "location_foreign": _error('Location "{value}" does not belong to this credential; expected {expected}.'),
    "hs_code_form": _error('HS code "{value}" is not valid; expected {expected}.'),
    "hs_code_unknown": _error('Unknown HS code "{value}".'),
    "attribute_missing": _error("{field} is required for {expected}."),
    "attribute_type": _error('{field} "{value}" has the wrong type; expected {expected}.'),
    "attribute_not_allowed": _error('{field} "{value}" is not allowed in this category; expected {expected}.'),
    "attribute_unit": _error('{field} "{value}" has the wrong unit; expected {expected}.'),
    "attribute_out_of_range": _error('{field} "{value}" is out of range; expected {expected}.'),
    "issues_cut": _warning("Too many issues ({value}); {expected} are shown."),
    # rows that belong together
    "group_sku_missing": _error(
        "The row has no SKU. Fill it in, or submit with `key=derived` to make one of the group and the options."
    ),
    "group_row_rejected": _error("Row {value} of the same product is wrong; this row takes {expected} from it."),
    "group_too_large": _error('Product "{value}" has too many rows; expected {expected}.'),
    "group_repeated": _warning(
        'Rows of product "{value}" also begin at row {expected}; put the rows of a product next to each other.'
    ),
    "group_parent_missing": _warning('The parent "{value}", which this row names, has no row in the file.'),
    "group_not_kept": _warning(
        "The submission is no longer kept; the row was checked without the other rows of its product."
    ),
    "group_note": _warning("The row describes no product ({value}); it was left out."),
    # the key and what is held
    "duplicate_in_batch": _error('Key "{value}" appears more than once in this batch; first in {expected}.'),
    "item_newer": _warning(
        'Not applied: a batch that was accepted later has written "{value}". Submit the record again to apply it.'
    ),
    "changed_since": _warning('"{value}" was changed after the batch that is reverted; it stays as it is.'),
    "stock_moved_since": _warning(
        'An order has moved the stock of "{value}" after the batch that is reverted; it stays as it is.'
    ),
    "fields_newer": _warning(
        "Applied in part: {field} {value} is older than what the item has of these fields, which stay as they are: "
        "{expected}."
    ),
    "field_kept": _warning("{field} was edited and stays as it is, {expected}; the record still has {value}."),
    "edit_replaced": _warning("{field} is new, {value}; it replaces the edited value, {expected}."),
    "version_kind_differs": _error(
        '{field} "{value}" cannot be compared with the version that the item has: {expected}.'
    ),
    "key_held": _error('An item with key "{value}" already exists; create does not replace it.'),
    "key_unknown": _error('No item has key "{value}"; update does not create one.'),
    "item_unnamed": _error("No identifier given; expected {expected}."),
    "item_ambiguous": _error('{field} "{value}" matches several items.'),
    "item_missing": _error('No item has {field} "{value}".'),
    "value_held": _error('{field} "{value}" belongs to another item.'),
    "field_fixed": _error("{field} \"{value}\" differs from the item's value \"{expected}\", which cannot be changed."),
    "item_on_planogram": _error('Item "{value}" is still on a planogram.'),
    "member_unknown": _error("{field} is unknown to this operation, which cannot be undone."),
    "entry_unknown": _error('The item has no {field} "{value}".'),
    "bylaw_broken": _error("{field} violates a merchant rule: {expected}"),
    RULE: _error("{expected}"),
    "key_not_held": _warning('No item has key "{value}"; there is nothing to delete.'),
    "sku_case_twin": _warning('SKU "{value}" differs only in case from another item, "{expected}".'),
    "row_not_rejected": _error('_row "{value}" is not a rejected record of this batch.'),
    "platform_rejected": _error("{field} was rejected by the platform: {value}"),
    "platform_warned": _warning("{field}: the platform warns: {value}"),
    "internal_fault": _error("Internal error while processing this record; it is logged as {value}."),
}

UNSOUND_CODES = frozenset({
    "line_unreadable", "line_too_long", "line_too_deep", "line_incomplete", "record_not_object", "cell_too_long",
    "row_ragged", "quotes_broken", "nul_bytes", "encoding_broken", "not_applied", "sku_missing", "sku_too_long",
    "sku_characters", "sku_edge_blanks", "sku_lookalike", "sku_rounded", "group_sku_missing",
})
"""Errors after which the key of a record is unknown or doubtful: its cells may stand in the wrong columns."""

ADJUSTABLE_CODES = frozenset({
    "attribute_missing", "attribute_not_allowed", "attribute_out_of_range", "attribute_type", "attribute_unit",
    "brand_unknown", "category_unknown", "country_unknown", "date_range_reversed", "date_unreadable",
    "date_zone_missing", "gtin_characters", "gtin_check_digit", "gtin_length", "gtin_rounded", "gtin_zeros_lost",
    "hs_code_form", "hs_code_unknown", "list_too_long", "list_too_short", "measure_out_of_range", "price_too_large",
    "price_zero", "sale_price_above_price", "sale_price_currency", "tax_rule_unknown", "text_control_characters",
    "text_edge_blanks", "text_empty", "text_entities", "text_form", "text_lost_characters", "text_markup",
    "text_mojibake", "text_too_long", "text_too_short", "unit_missing", "unit_unknown", "url_blanks",
    "url_not_absolute", "url_not_ascii", "url_several", "value_not_allowed", "value_spelling", "variant_repeated",
})
"""Codes whose severity a merchant can set: a record that has such a value has a key, and its prices can be read."""
