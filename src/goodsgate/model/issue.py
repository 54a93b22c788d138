"""Issues and the one table of their codes."""

from typing import Literal

import msgspec

Severity = Literal["error", "warning"]

VALUE_CHARACTERS_MAX = 200
"""Longest value that an issue repeats; longer ones are cut with an ellipsis."""


class Code(msgspec.Struct, frozen=True):
    """One entry of the table of codes; a code never changes its meaning."""

    severity: Severity
    """Error rejects the record; warning does not. A policy may make a reference issue a warning."""
    template: str
    """Message; may name {value}, {expected}, {field} and {suggestion}."""
    about: Literal["file", "record"] = "record"


class Issue(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is wrong with one field of one record."""

    code: str
    path: str = ""
    """JSON Pointer (RFC 6901) into the record in Goodsgate's field names; empty for the whole record."""
    column: str | None = None
    """The submitter's own column or member, where it differs from the path."""
    value: str | None = None
    """As received, cut to VALUE_CHARACTERS_MAX; None where the field is missing."""
    expected: str | None = None
    suggestion: str | None = None
    """A value a machine can put in place of the one received."""
    severity: Severity = "error"

    @property
    def message(self) -> str:
        """One sentence for people."""
        name = self.column or self.path.lstrip("/") or "record"
        return CODES[self.code].template.format(
            value=self.value, expected=self.expected, field=name, suggestion=self.suggestion
        )

    @property
    def field(self) -> str:
        """The path with array positions as ``*``, by which issues are grouped."""
        if not any(character.isdigit() for character in self.path):
            return self.path
        return "/".join("*" if part.isdigit() else part for part in self.path.split("/"))


def truncate_value(value: object) -> str | None:
    """The value as an issue repeats it."""
    if value is None:
        return None
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= VALUE_CHARACTERS_MAX else text[: VALUE_CHARACTERS_MAX - 1] + "…"


def issue(
    code: str, path: str = "", *, value: object = None, expected: str | None = None, suggestion: str | None = None,
    severity: Severity | None = None,
) -> Issue:
    """Make an issue with the severity of the table unless another is given."""
    return Issue(
        code=code, path=path, value=truncate_value(value), expected=expected, suggestion=suggestion,
        severity=severity or CODES[code].severity,
    )


def _error(template: str) -> Code:
    return Code("error", template)


def _warning(template: str) -> Code:
    return Code("warning", template)


CODES: dict[str, Code] = {
    # the file as a whole (record number 0)
    "encoding_guessed": Code("warning", "The file is not UTF-8; it was read as {value}.", "file"),
    "header_duplicate": Code("warning", "The column {value} appears more than once; only the first is used.", "file"),
    "header_unknown": Code("warning", "The column {value} is not a field we know; it is kept as it is.", "file"),
    "header_key_missing": Code("error", "No column gives the records their key; expected {expected}.", "file"),
    "rows_empty": Code("warning", "{value} empty lines were passed over.", "file"),
    "sheets_ignored": Code("warning", "Only the first sheet was read; not read: {value}.", "file"),
    "payload_empty": Code("error", "There is no record in the file.", "file"),
    "payload_truncated": Code("error", "The file breaks off in the middle: {value}.", "file"),
    "payload_corrupt": Code("error", "The file cannot be read further: {value}.", "file"),
    "payload_inflates": Code(
        "error", "The file unpacks to far more than it should ({value}); expected {expected}.", "file"
    ),
    "records_too_many": Code("error", "The file holds more records than allowed; expected {expected}.", "file"),
    "columns_too_many": Code("error", "The file has {value} columns; expected {expected}.", "file"),
    "round_fault": Code("error", "Goodsgate failed on this file; the fault is logged as {value}.", "file"),
    # reading one record
    "line_unreadable": _error("This is not valid JSON: {value}."),
    "line_too_long": _error("The line is longer than allowed; expected {expected}."),
    "line_too_deep": _error("The record is nested deeper than allowed; expected {expected}."),
    "line_incomplete": _error("The last line breaks off: {value}."),
    "record_not_object": _error("A record must be a JSON object, not {value}."),
    "cell_too_long": _error("The cell is longer than allowed; expected {expected}."),
    "row_ragged": _error("The row has {value} cells; expected {expected}."),
    "quotes_broken": _error("The quotation marks of the row do not pair: {value}."),
    "nul_bytes": _error("The record holds NUL bytes."),
    "encoding_broken": _error("The record holds bytes that are not {expected}: {value}."),
    "verb_unknown": _error("The verb {value} is not known; expected {expected}."),
    "field_type": _error("{field} has the wrong type; expected {expected}."),
    # identity: SKU, GTIN
    "sku_missing": _error("The record has no id (SKU)."),
    "sku_too_long": _error("The id (SKU) is longer than allowed; expected {expected}."),
    "sku_characters": _error("The id (SKU) {value} holds characters that nobody can see or type."),
    "sku_edge_blanks": _error("The id (SKU) begins or ends with a blank; expected {suggestion}."),
    "sku_rounded": _error("A spreadsheet has rounded the id (SKU) to {value}; the digits are lost, export it as text."),
    "gtin_rounded": _error("A spreadsheet has rounded the GTIN to {value}; the digits are lost, export it as text."),
    "gtin_zeros_lost": _error("The GTIN {value} has lost its leading zeros; with them it would be {suggestion}."),
    "gtin_check_digit": _error("The check digit of the GTIN {value} is wrong; the digits before it give {suggestion}."),
    "gtin_characters": _error("The GTIN {value} holds more than digits; expected {expected}."),
    "gtin_length": _error("The GTIN {value} has the wrong length; expected {expected}."),
    "barcode_form": _error("The barcode {value} is not of its type; expected {expected}."),
    "variant_repeated": _error("Two variants have the id {value}."),
    # wording
    "field_missing": _error("{field} is missing."),
    "text_empty": _warning("{field} is empty; leave it out where there is nothing to say."),
    "text_too_long": _error("{field} is longer than allowed; expected {expected}."),
    "text_too_short": _error("{field} is shorter than allowed; expected {expected}."),
    "text_form": _error("{field} is {value}; expected {expected}."),
    "list_too_short": _error("{field} has fewer entries than it must have; expected {expected}."),
    "list_too_long": _warning("{field} has more values than allowed; expected {expected}."),
    "text_edge_blanks": _warning("{field} begins or ends with a blank."),
    "text_markup": _warning("{field} holds markup."),
    "text_entities": _warning("{field} holds character entities in place of characters."),
    "text_lost_characters": _warning("{field} holds U+FFFD, the mark of characters lost in an earlier conversion."),
    "text_mojibake": _warning("{field} was once decoded with the wrong character set."),
    "text_control_characters": _warning("{field} holds control characters or line breaks."),
    "value_not_allowed": _error("{field} is {value}, which is not in the list; expected {expected}."),
    "value_spelling": _warning("{field} is {value}; it is spelled {suggestion}."),
    # amounts
    "price_unreadable": _error("{value} cannot be read as a price; expected {expected}."),
    "price_decimal_mark": _error("The price {value} uses the other decimal mark; expected {expected}."),
    "price_thousands": _error("The price {value} separates thousands; expected {expected}."),
    "price_ambiguous": _error("The price {value} can be read in two ways: {expected}."),
    "price_currency_form": _error("The price {value} does not end in a currency code; expected {expected}."),
    "price_negative": _error("The price {value} is negative."),
    "price_zero": _warning("The price is zero."),
    "price_decimals": _error("The price {value} has more decimals than its currency; expected {expected}."),
    "price_too_large": _error("The price {value} is larger than allowed; expected {expected}."),
    "currency_missing": _error("The price {value} names no currency; expected {expected}."),
    "sale_price_above_price": _error("The sale price {value} is above the price {expected}."),
    "sale_price_currency": _error("The sale price {value} is in another currency than the price; expected {expected}."),
    "number_unreadable": _error("{field} is {value}, which cannot be read as a whole number."),
    "number_not_whole": _error("{field} is {value}; expected a whole number."),
    "number_negative": _error("{field} is {value}; it cannot be negative."),
    "number_out_of_range": _error("{field} is {value}; expected {expected}."),
    "measure_unreadable": _error("{field} is {value}; expected {expected}."),
    "measure_out_of_range": _warning("{field} is {value}; expected {expected}."),
    "unit_missing": _warning("{field} is {value}, without a unit; expected {expected}."),
    "date_unreadable": _error("{field} is {value}; expected {expected}."),
    "date_zone_missing": _warning("{field} names no offset from UTC; {value} is read as UTC."),
    "date_range_reversed": _error("{field} ends before it begins."),
    "url_not_absolute": _error("{field} is {value}; expected {expected}."),
    "url_blanks": _error("{field} holds blanks, which no address may."),
    "url_not_ascii": _warning("{field} holds characters that an address must encode."),
    # references; a policy says whether these reject the record
    "currency_unknown": _error("There is no currency {value} in use."),
    "country_unknown": _error("There is no country {value}; expected {expected}."),
    "unit_unknown": _error("The unit {value} is not one of those that fit; expected {expected}."),
    "brand_unknown": _error("The brand {value} is not known."),
    "category_unknown": _error("The category {value} is not known."),
    "tax_rule_unknown": _error("The tax rule {value} is not known."),
    "location_unknown": _error("The location {value} is not known."),
    "department_unknown": _error("The department {value} is not known."),
    "template_unknown": _error("The template {value} is not known."),
    "location_foreign": _error("The location {value} is not that of this credential; expected {expected}."),
    "hs_code_form": _error("The HS code is {value}; expected {expected}."),
    "hs_code_unknown": _error("The HS code {value} is not known."),
    "attribute_missing": _error("The category {expected} requires {field}."),
    "attribute_type": _error("{field} is {value}; expected {expected}."),
    "attribute_not_allowed": _error("{field} is {value}, which its category does not allow; expected {expected}."),
    "attribute_unit": _error("{field} is {value}; expected the unit {expected}."),
    "attribute_out_of_range": _error("{field} is {value}; expected {expected}."),
    "issues_cut": _warning("The record has more issues than are listed; expected {expected}."),
    # the key and what is held
    "duplicate_in_batch": _error("The key {value} appears more than once in this batch."),
    "key_held": _error("An item with the key {value} is already held; create does not replace it."),
    "key_unknown": _error("No item with the key {value} is held; update does not create one."),
    "item_unnamed": _error("The record does not say which item it means; expected {expected}."),
    "item_ambiguous": _error("{field} {value} is that of several items; the record does not say which it means."),
    "item_missing": _error("No item with the {field} {value} is held."),
    "value_held": _error("The {field} {value} belongs to another item."),
    "field_fixed": _error("{field} is {value}, but the item has {expected}, which cannot be changed."),
    "item_on_planogram": _error("The item {value} is still on a planogram."),
    "entry_unknown": _error("The item has no {field} {value}."),
    "bylaw_broken": _error("{field} is against what the merchant has settled: {expected}"),
    "key_not_held": _warning("No item with the key {value} is held; there was nothing to delete."),
    "sku_case_twin": _warning("{value} differs only by case from {expected}, which is another item."),
    "row_not_rejected": _error("_row {value} does not name a rejected record of this batch."),
    "internal_fault": _error("Goodsgate failed on this record; the fault is logged as {value}."),
}
"""Name → entry. The one table: rules, formats and engine take their codes from here."""
